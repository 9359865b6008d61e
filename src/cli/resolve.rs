//! `namebeat resolve`: one question and its answer, printed as `dig` prints it.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use namebeat::config::Settings;
use namebeat::dns::rr::RecordType;
use namebeat::dns::text::message::message;
use namebeat::dns::zone;
use namebeat::name::DomainName;
use namebeat::server::answer_from_file;
use namebeat::time::Clock;

use super::{CommandError, zone_name};

/// Octets of a datagram that are asked for.
const PAYLOAD: u16 = 1232;

/// How long a server may take, and how often it's asked.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 3;

/// What to ask, and whom.
#[derive(clap::Args)]
pub(super) struct ResolveArguments {
    /// Name, taken as absolute with or without its final dot
    #[arg(value_parser = zone_name)]
    name: DomainName,
    /// Record type, such as SRV or TYPE65280
    #[arg(value_name = "TYPE", default_value = "A")]
    rtype: RecordType,
    /// Answer from this master file, and ask nobody
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "tcp"])]
    zone_file: Option<PathBuf>,
    /// The discovery zone, whose file needs no SOA
    #[arg(
        long,
        env = "NAMEBEAT_ZONE",
        value_name = "NAME",
        default_value = "svc.internal.",
        value_parser = zone_name
    )]
    zone: DomainName,
    /// Server to ask [default: the first address of `dns`]
    #[arg(long, value_name = "ADDR:PORT")]
    server: Option<SocketAddr>,
    /// Ask over TCP at once
    #[arg(long)]
    tcp: bool,
    /// File of settings that `dns` is read from [default: namebeat.toml, when it's there]
    #[arg(long, env = "NAMEBEAT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the server, for `--server`
    #[arg(long, env = "NAMEBEAT_DNS", hide = true, value_delimiter = ',')]
    dns: Option<Vec<SocketAddr>>,
}

/// Asks, and prints the response, whatever it says.
pub(super) fn run(arguments: ResolveArguments) -> Result<(), CommandError> {
    let query = query(&arguments.name, arguments.rtype);
    let clock = Clock::start();
    let started = clock.now();
    let (response, from) = match &arguments.zone_file {
        Some(file) => {
            let zone = zone::load_file(file, None, &arguments.zone)?.0;
            let response = answer_from_file(zone, &arguments.zone, &query)?;
            (response, file.display().to_string())
        }
        None => {
            let server = server(&arguments)?;
            let unreachable = |error| CommandError::Unreachable(server, error);
            let (response, over) = ask(server, &query, arguments.tcp).map_err(unreachable)?;
            let (port, ip) = (server.port(), server.ip());
            (response, format!("{ip}#{port}({ip}) ({over})"))
        }
    };
    let took = (clock.now().as_nanos() - started.as_nanos()) / 1_000_000;
    let text = message(&response)
        .map_err(|error| CommandError::System(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    // Whoever closes the pipe has read enough.
    let _ = write!(
        io::stdout(),
        "{text}\n;; Query time: {took} msec\n;; SERVER: {from}\n;; MSG SIZE  rcvd: {}\n",
        response.len()
    );
    Ok(())
}

/// The server's address: a server that listens on all addresses is found on this machine.
fn server(arguments: &ResolveArguments) -> Result<SocketAddr, CommandError> {
    let first = |addresses: &Option<Vec<SocketAddr>>| addresses.as_ref()?.first().copied();
    let mut server = match arguments.server.or(first(&arguments.dns)) {
        Some(server) => server,
        None => first(&Settings::read(arguments.config.as_deref())?.dns)
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8053))),
    };
    match server.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => server.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => server.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(server)
}

/// A query with RD, as `dig` has it, and EDNS.
fn query(name: &DomainName, rtype: RecordType) -> Vec<u8> {
    let mut octets = fastrand::u16(..).to_be_bytes().to_vec();
    octets.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    octets.extend_from_slice(name.as_wire());
    octets.extend_from_slice(&rtype.0.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    // OPT: root, type 41, payload, version 0, no flags, no options.
    octets.extend_from_slice(&[0, 0, 41]);
    octets.extend_from_slice(&PAYLOAD.to_be_bytes());
    octets.extend_from_slice(&[0; 6]);
    octets
}

fn ask(server: SocketAddr, query: &[u8], tcp: bool) -> io::Result<(Vec<u8>, &'static str)> {
    if !tcp {
        let response = ask_udp(server, query)?;
        // TC: the rest is to be had over TCP.
        if response[2] & 0x02 == 0 {
            return Ok((response, "UDP"));
        }
    }
    Ok((ask_tcp(server, query)?, "TCP"))
}

fn ask_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut octets = vec![0; 65_535];
    let mut last = io::ErrorKind::TimedOut.into();
    for _ in 0..TRIES {
        socket.send(query)?;
        match socket.recv(&mut octets) {
            // Of a message at least its header, and ours.
            Ok(len) if len >= 12 && octets[..2] == query[..2] => {
                octets.truncate(len);
                return Ok(octets);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A query has some hundred octets.
    stream.write_all(&(query.len() as u16).to_be_bytes())?;
    stream.write_all(query)?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut response = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut response)?;
    Ok(response)
}
