//! A client that finds a service by SRV records, picks an instance by RFC 2782, and calls it.
//!
//! ```text
//! cargo run --example consumer -- [NAME] [DNS]
//! cargo run --example consumer -- _http._tcp.web.svc.internal. 127.0.0.1:8053
//! ```
//!
//! It asks namebeat itself, over UDP and, when the answer was truncated, over TCP. It
//! prints the targets, then what the first one that could be reached answered to `GET /`.
//! Without an instance, or without an answer, it ends with exit code 1 and says why.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Longest wait for a response; then UDP is tried again, TCP not.
const DNS_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a query is sent over UDP.
const UDP_TRIES: usize = 3;

/// Longest time of the call.
const HTTP_TIMEOUT: Duration = Duration::from_secs(3);

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let name = Name::from_ascii(argument("_http._tcp.web.svc.internal."))?;
    let dns = argument("127.0.0.1:8053");
    let dns = Dns(dns
        .parse()
        .map_err(|_| format!("{dns:?} is no address and port, such as 127.0.0.1:8053"))?);

    let answer = dns.ask(&name, RecordType::SRV)?;
    let targets: Vec<SRV> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv.clone()),
            _ => None,
        })
        .collect();
    if targets.is_empty() {
        let why = extra_text(&answer).unwrap_or_else(|| "no reason given".to_owned());
        return Err(format!("nobody is listed at {name} ({why})").into());
    }
    let mut failure = None;
    for srv in in_order(targets) {
        let addresses = match dns.addresses(&srv.target, &answer.additionals) {
            Ok(addresses) => addresses,
            Err(error) => {
                failure = Some(error.to_string());
                continue;
            }
        };
        for ip in addresses {
            let address = SocketAddr::new(ip, srv.port);
            let SRV {
                priority,
                weight,
                target,
                ..
            } = &srv;
            println!("{target} at {address}, priority {priority}, weight {weight}");
            match call(address) {
                Ok(text) => {
                    println!("{}", text.trim_end());
                    return Ok(());
                }
                Err(error) => failure = Some(format!("no answer from {address}: {error}")),
            }
        }
    }
    Err(failure
        .unwrap_or_else(|| format!("no target of {name} has an address"))
        .into())
}

/// Puts targets in the order in which to try them: by priority, and among equals drawn by
/// weight ([RFC 2782](https://www.rfc-editor.org/rfc/rfc2782)).
fn in_order(mut targets: Vec<SRV>) -> Vec<SRV> {
    // Weight 0 first, so that it has a small chance of being drawn.
    targets.sort_by_key(|srv| (srv.priority, srv.weight));
    let mut ordered = Vec::with_capacity(targets.len());
    while let Some(priority) = targets.first().map(|srv| srv.priority) {
        let peers = targets.partition_point(|srv| srv.priority == priority);
        let weights = || targets[..peers].iter().map(|srv| u32::from(srv.weight));
        let drawn = fastrand::u32(0..=weights().sum());
        let pick = weights()
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .position(|sum| drawn <= sum);
        ordered.push(targets.remove(pick.unwrap_or(0)));
    }
    ordered
}

/// A DNS server to ask.
struct Dns(SocketAddr);

impl Dns {
    /// The addresses of a target: those that came along, or those it's asked for.
    fn addresses(&self, target: &Name, additionals: &[Record]) -> Result<Vec<IpAddr>, Error> {
        let found = addresses_of(target, additionals);
        if !found.is_empty() {
            return Ok(found);
        }
        let mut found = Vec::new();
        for rtype in [RecordType::A, RecordType::AAAA] {
            found.extend(addresses_of(target, &self.ask(target, rtype)?.answers));
        }
        Ok(found)
    }

    /// Asks for records, over TCP if UDP's answer is truncated.
    fn ask(&self, name: &Name, rtype: RecordType) -> Result<Message, Error> {
        let mut query = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
        query.add_query(Query::query(name.clone(), rtype));
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        query.set_edns(edns);
        let mut answer = self.over_udp(&query)?;
        if answer.metadata.truncation {
            answer = self.over_tcp(&query)?;
        }
        match answer.metadata.response_code {
            ResponseCode::NoError => Ok(answer),
            ResponseCode::NXDomain => Err(format!("{name} doesn't exist").into()),
            code => Err(format!("{} answered {code} to {name} {rtype}", self.0).into()),
        }
    }

    fn over_udp(&self, query: &Message) -> Result<Message, Error> {
        let local: SocketAddr = match self.0 {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        // Connected, so that only this server's packets get through.
        let socket = UdpSocket::bind(local)?;
        socket.connect(self.0)?;
        socket.set_read_timeout(Some(DNS_TIMEOUT))?;
        let octets = query.to_vec()?;
        let mut response = [0; 1232];
        let mut failure = None;
        for _ in 0..UDP_TRIES {
            socket.send(&octets)?;
            match socket.recv(&mut response) {
                Ok(len) => return matching(query, &response[..len]),
                Err(error) => failure = Some(error),
            }
        }
        let cause = failure.map(|error| error.to_string()).unwrap_or_default();
        Err(format!("no answer from {} over UDP: {cause}", self.0).into())
    }

    fn over_tcp(&self, query: &Message) -> Result<Message, Error> {
        let mut stream = TcpStream::connect_timeout(&self.0, DNS_TIMEOUT)?;
        stream.set_read_timeout(Some(DNS_TIMEOUT))?;
        let octets = query.to_vec()?;
        let mut framed = u16::try_from(octets.len())?.to_be_bytes().to_vec();
        framed.extend_from_slice(&octets);
        stream.write_all(&framed)?;
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut response = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut response)?;
        matching(query, &response)
    }
}

/// Reads a response, which must be to `query`.
fn matching(query: &Message, response: &[u8]) -> Result<Message, Error> {
    let response = Message::from_vec(response)?;
    let same_id = response.metadata.id == query.metadata.id;
    if !same_id || response.queries != query.queries {
        return Err("the response is to another query".into());
    }
    Ok(response)
}

fn addresses_of(owner: &Name, records: &[Record]) -> Vec<IpAddr> {
    let of_owner = records.iter().filter(|record| record.name == *owner);
    of_owner
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        })
        .collect()
}

/// The text of an extended DNS error ([RFC 8914](https://www.rfc-editor.org/rfc/rfc8914)), in
/// which namebeat says why nobody is listed.
fn extra_text(answer: &Message) -> Option<String> {
    let option = answer.edns.as_ref()?.option(EdnsCode::Unknown(15))?;
    let octets = Vec::try_from(option).ok()?;
    // Two octets of a code come first.
    Some(String::from_utf8_lossy(octets.get(2..)?).into_owned())
}

/// What the instance says to `GET /`.
fn call(address: SocketAddr) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(HTTP_TIMEOUT)
            .build()?;
        let response = http.get(format!("http://{address}/")).send().await;
        let response = response.map_err(innermost)?;
        Ok(response.error_for_status()?.text().await?)
    })
}

/// The cause at the bottom of an HTTP error, which is what tells people something.
fn innermost(error: reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
