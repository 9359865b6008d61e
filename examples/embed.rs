//! The namebeat server inside another program: register without HTTP, look up by DNS, stop.
//!
//! ```text
//! cargo run --example embed -- [ID] [NAME]
//! cargo run --example embed -- web-1 web
//! ```
//!
//! It takes free ports on loopback, so it runs beside anything. It prints the addresses in
//! use, then the endpoint that DNS answers with, and ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use namebeat::api::Registration;
use namebeat::client::Discovery;
use namebeat::config::Config;
use namebeat::registry::instance::Instance;
use namebeat::server::Server;
use namebeat::telemetry::Instruments;
use tokio_util::sync::CancellationToken;

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
    let zone = config.zone.to_string();
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

    // Registered is visible: this lookup can't come too early.
    let discovery = Discovery::builder().server(dns).zone(zone).build()?;
    for endpoint in &*discovery.resolve(name).await? {
        println!("{} at {}", endpoint.target(), endpoint.address());
    }

    stop.cancel();
    running.await??;
    Ok(())
}
