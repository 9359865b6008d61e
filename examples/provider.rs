//! A service that registers itself, stays listed with heartbeats, and leaves without a lost request.
//!
//! ```text
//! cargo run --example provider -- [ID] [NAME] [SERVER] [LISTEN]
//! cargo run --example provider -- web-1 web http://127.0.0.1:8054 127.0.0.1:0
//! ```
//!
//! It answers `/` with its id and `/health` with `ok`, and prints one line once it's
//! registered: `registered web-1 at 127.0.0.1:41234`. On ctrl-c or SIGTERM it
//! deregisters, goes on serving until no cache can hold its address any more, then ends.
//! `SERVER` may be several with commas between; `LISTEN` is the address that clients dial,
//! so it can't be `0.0.0.0`.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use namebeat::api::HealthCheck;
use namebeat::client::{Client, Registration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provider: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let id = argument("web-1");
    let name = argument("web");
    let client: Client = argument("http://127.0.0.1:8054").parse()?;
    let listen = argument("127.0.0.1:0");

    // Before anything is registered, so that no signal ends the process without a goodbye.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // Serve first, register second: whoever finds the instance reaches it.
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("can't listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, id.clone(), stop.clone()));

    // From here on heartbeats are sent, and a server that was away is come back to.
    let registration = Registration::of(name, &id)
        .address(address.ip())
        .port(address.port())
        .lease(Duration::from_secs(9))
        // It serves already, so it's listed at once; from then on probes decide.
        .health_check(HealthCheck {
            endpoint: Some("/health".to_owned()),
            interval: Some("2s".to_owned()),
            initial: Some("passing".to_owned()),
            ..HealthCheck::default()
        })
        .register(&client)
        .await?;
    println!("registered {id} at {address}");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // Still serving: clients may hold the address until this returns.
    let left = registration.close().await;
    stop.cancel();
    serving.await??;
    if let Some(drained_at) = left? {
        println!("drained at {drained_at}");
    }
    Ok(())
}

async fn serve(
    listener: TcpListener,
    id: String,
    stop: CancellationToken,
) -> Result<(), std::io::Error> {
    let service = Router::new()
        .route("/", get(move || async move { format!("{id}\n") }))
        .route("/health", get(|| async { "ok\n" }));
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
