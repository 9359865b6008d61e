//! gRPC over instances that come and go: a channel of tonic that follows a service.
//!
//! ```text
//! cargo run --example tonic_client -- [SERVER] [DNS]
//! cargo run --example tonic_client -- http://127.0.0.1:8054 127.0.0.1:8053
//! ```
//!
//! It starts three gRPC servers, each of which has the standard health service, registers
//! them, and sends checks over one channel. On the way one leaves and another one comes:
//! no check fails.

use std::process::ExitCode;
use std::time::Duration;

use namebeat::client::{Client, Discovery, Query, Registration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Longest time of a check.
const TIMEOUT: Duration = Duration::from_secs(5);

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tonic_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let client: Client = argument("http://127.0.0.1:8054").parse()?;
    let dns = argument("127.0.0.1:8053");
    let dns = dns
        .parse()
        .map_err(|_| format!("{dns:?} is no address and port, such as 127.0.0.1:8053"))?;

    let mut instances = Vec::new();
    for number in 1..=3 {
        instances.push(Instance::start(&client, number).await?);
    }
    let discovery = Discovery::builder().server(dns).watch(&client).build()?;
    let query = Query::service("greeter").protocol("grpc");
    let channel = discovery.channel(query, |endpoint| {
        endpoint.connect_timeout(Duration::from_secs(1))
    });
    let mut health = HealthClient::new(channel);
    for number in 1..=30 {
        if number == 10 {
            instances.remove(0).leave().await?;
            println!("one left");
        }
        if number == 20 {
            instances.push(Instance::start(&client, 4).await?);
            println!("one came");
        }
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        // While nobody is listed a request waits: this is for how long.
        request.set_timeout(TIMEOUT);
        let answer = tokio::time::timeout(TIMEOUT, health.check(request)).await??;
        println!("{number}: {:?}", answer.into_inner().status());
    }
    for instance in instances {
        instance.leave().await?;
    }
    Ok(())
}

/// A gRPC server and its registration.
struct Instance {
    registration: Registration,
    stop: CancellationToken,
}

impl Instance {
    async fn start(client: &Client, number: u32) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (_, service) = tonic_health::server::health_reporter();
        let serving = Server::builder().add_service(service);
        let stopped = stop.clone().cancelled_owned();
        let incoming = TcpIncoming::from(listener);
        tokio::spawn(serving.serve_with_incoming_shutdown(incoming, stopped));
        let registration = Registration::of("greeter", format!("greeter-{number}"))
            .address(address.ip())
            .port(address.port())
            .protocol("grpc")
            .register(client)
            .await?;
        Ok(Self { registration, stop })
    }

    /// Deregisters, serves until no cache holds its address, then ends.
    async fn leave(self) -> Result<(), Error> {
        self.registration.close().await?;
        self.stop.cancel();
        Ok(())
    }
}
