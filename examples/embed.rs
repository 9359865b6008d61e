//! The namebeat server inside another program: register without HTTP, ask its own DNS, stop.
//!
//! ```text
//! cargo run --example embed -- [ID] [NAME]
//! cargo run --example embed -- web-1 web
//! ```
//!
//! It takes free ports on loopback, so it runs beside anything. It prints the addresses in
//! use, then the SRV record and the address that DNS answers with, and ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use namebeat::api::Registration;
use namebeat::config::Config;
use namebeat::registry::instance::Instance;
use namebeat::server::Server;
use namebeat::telemetry::Instruments;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// Longest wait for DNS.
const DNS_TIMEOUT: Duration = Duration::from_secs(3);

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let id = argument("web-1");
    let name = argument("web");

    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        dns: vec![free_port],
        http: free_port,
        zones: None,
        workers: 1,
        ..Config::default()
    };
    let zone = config.zone.clone();
    // Sockets are bound here; what can't be had is said before anything runs.
    let server = Server::bind(config, Arc::new(Instruments::off()))?;
    println!("{}", server.addresses());
    let dns = server
        .addresses()
        .dns
        .first()
        .copied()
        .ok_or("no DNS address")?;
    let registry = server.registry().clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));

    // The same fields and limits as over HTTP.
    let instance = Instance::try_from(Registration {
        id: Some(id),
        name: Some(name.clone()),
        host: Some("127.0.0.1".to_owned()),
        port: Some(8080),
        ..Registration::default()
    })?;
    for result in registry.register(vec![instance], true).await? {
        result?;
    }

    // Registered is visible: this query can't come too early.
    let question = Name::from_ascii(format!("{name}.{zone}"))?;
    let answer = ask(dns, &question).await?;
    for record in answer.answers.iter().chain(&answer.additionals) {
        println!("{record}");
    }
    if answer.answers.is_empty() {
        return Err(format!("nobody is listed at {question}").into());
    }

    stop.cancel();
    running.await??;
    Ok(())
}

/// Asks `dns` for SRV records over UDP, once: it's in this process.
async fn ask(dns: SocketAddr, name: &Name) -> Result<Message, Error> {
    let mut query = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    query.add_query(Query::query(name.clone(), RecordType::SRV));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(dns).await?;
    socket.send(&query.to_vec()?).await?;
    let mut response = [0; 512];
    let received = tokio::time::timeout(DNS_TIMEOUT, socket.recv(&mut response));
    let len = received
        .await
        .map_err(|_| format!("no answer from {dns} within {DNS_TIMEOUT:?}"))??;
    Ok(Message::from_vec(&response[..len])?)
}
