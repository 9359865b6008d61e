//! One question over DNS, and whom to ask it: for `resolve` and `doctor`.
//!
//! Plain sockets and no cache: what a server says is what is shown.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use namebeat::config::Settings;
use namebeat::dns::rr::RecordType;
use namebeat::name::DomainName;

use super::{CommandError, zone_name};

/// Octets of a datagram that are asked for.
const PAYLOAD: u16 = 1232;

/// How long a server may take, and how often it's asked.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 3;

/// Port of DNS when nothing is set.
const PORT: u16 = 8053;

/// Which server answers DNS, and for which zone.
#[derive(clap::Args)]
pub(super) struct DnsArguments {
    /// The discovery zone [default: `zone` of the settings, or svc.internal.]
    #[arg(long, env = "NAMEBEAT_ZONE", value_name = "NAME", value_parser = zone_name)]
    zone: Option<DomainName>,
    /// Servers to ask, the next one when one doesn't answer [default: the addresses of `dns`, else port 8053 where NAMEBEAT_SERVER is]
    #[arg(long, value_name = "ADDR:PORT", value_delimiter = ',')]
    pub(super) server: Option<Vec<SocketAddr>>,
    /// File of settings that `dns` and `zone` are read from [default: namebeat.toml, when it's there]
    #[arg(long, env = "NAMEBEAT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Addresses of the server, for `--server`
    #[arg(long, env = "NAMEBEAT_DNS", hide = true, value_delimiter = ',')]
    dns: Option<Vec<SocketAddr>>,
    /// Where the API is: DNS is on the same machine, when nothing else says where
    #[arg(long, env = "NAMEBEAT_SERVER", hide = true)]
    api: Option<String>,
}

/// A server and its zone.
#[derive(Clone, Debug)]
pub(super) struct DnsServer {
    /// Addresses to ask, in order; at least one.
    pub(super) addresses: Vec<SocketAddr>,
    /// The discovery zone.
    pub(super) zone: DomainName,
}

impl DnsArguments {
    /// What flags, variables and the file of settings come to, in this order.
    pub(super) fn server(&self) -> Result<DnsServer, CommandError> {
        let file = Settings::read(self.config.as_deref())?;
        let given = self.server.clone().or_else(|| self.dns.clone());
        let mut addresses = match given.or(file.dns) {
            Some(addresses) if !addresses.is_empty() => addresses,
            _ => vec![SocketAddr::new(self.machine(), PORT)],
        };
        for address in &mut addresses {
            *address = reachable(*address);
        }
        let zone = match (&self.zone, file.zone) {
            (Some(zone), _) => zone.clone(),
            (None, zone) => {
                let text = zone.as_deref().unwrap_or("svc.internal.");
                zone_name(text).map_err(|error| {
                    CommandError::Refused(format!("zone is {text:?}, which {error}"))
                })?
            }
        };
        let zone = zone.folded();
        Ok(DnsServer { addresses, zone })
    }

    /// The machine of the API, if that is named by its address; else this one.
    fn machine(&self) -> IpAddr {
        let first = self.api.as_deref().and_then(|urls| urls.split(',').next());
        let url = first.and_then(|url| reqwest::Url::parse(url).ok());
        let host = url.as_ref().and_then(reqwest::Url::host_str);
        host.and_then(|host| host.trim_matches(['[', ']']).parse().ok())
            .unwrap_or(Ipv4Addr::LOCALHOST.into())
    }
}

/// A server that listens on all addresses is found on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A query with RD, as `dig` has it, and EDNS.
pub(super) fn query(name: &DomainName, rtype: RecordType) -> Vec<u8> {
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

/// A response, who sent it, and over what.
pub(super) struct Response {
    pub(super) octets: Vec<u8>,
    pub(super) from: SocketAddr,
    pub(super) over: &'static str,
}

/// Asks one server after the other until one answers. The error is that of the last.
pub(super) fn ask_any(
    servers: &[SocketAddr],
    query: &[u8],
    tcp: bool,
) -> Result<Response, CommandError> {
    let mut last = None;
    for server in servers {
        match ask(*server, query, tcp) {
            Ok((octets, over)) => {
                let from = *server;
                return Ok(Response { octets, from, over });
            }
            Err(error) => last = Some(CommandError::Unreachable(*server, error)),
        }
    }
    Err(last.unwrap_or_else(|| CommandError::Refused("no server is named".to_owned())))
}

/// Asks over UDP, and over TCP when that says so or when `tcp` does.
pub(super) fn ask(
    server: SocketAddr,
    query: &[u8],
    tcp: bool,
) -> io::Result<(Vec<u8>, &'static str)> {
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
