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
//! `LISTEN` is the address that clients dial, so it can't be `0.0.0.0`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Length of the lease; a third of it passes between heartbeats, so that two may be lost.
const TERM: Duration = Duration::from_secs(9);

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
    let server = argument("http://127.0.0.1:8054");
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

    let registration = Registration::new(&server, &id, &name, address)?;
    registration.register().await?;
    println!("registered {id} at {address}");

    tokio::select! {
        () = registration.keep() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // Still serving: clients may hold the address until this returns.
    let left = registration.leave().await;
    stop.cancel();
    serving.await??;
    left
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

/// One instance at one namebeat server.
struct Registration {
    http: Client,
    /// URL of the instance.
    url: String,
    body: String,
}

impl Registration {
    fn new(server: &str, id: &str, name: &str, address: SocketAddr) -> Result<Self, Error> {
        let body = json!({
            "name": name,
            "host": address.ip(),
            "port": address.port(),
            "lease": format!("{}s", TERM.as_secs()),
            // It serves already, so it's listed at once; from then on probes decide.
            "health_check": {"endpoint": "/health", "interval": "2s", "initial": "passing"},
        });
        Ok(Self {
            http: Client::builder().no_proxy().build()?,
            url: format!("{}/v1/instances/{id}", server.trim_end_matches('/')),
            body: body.to_string(),
        })
    }

    async fn register(&self) -> Result<(), Error> {
        let request = self.http.put(&self.url).body(self.body.clone());
        let response = request.timeout(TERM / 3).send().await.map_err(describe)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(status, &response.text().await?).into());
        }
        Ok(())
    }

    /// Sends heartbeats for ever. A server that is away, or that forgot us, is no
    /// reason to stop serving.
    async fn keep(&self) {
        let mut beat = tokio::time::interval(TERM / 3);
        // The first tick is at once, and the registration counts as a heartbeat.
        beat.tick().await;
        loop {
            beat.tick().await;
            if let Err(error) = self.heartbeat().await {
                eprintln!("provider: {error}");
            }
        }
    }

    async fn heartbeat(&self) -> Result<(), Error> {
        let request = self.http.post(format!("{}/heartbeat", self.url));
        let response = request.timeout(TERM / 3).send().await.map_err(describe)?;
        match response.status() {
            StatusCode::NOT_FOUND => {
                self.register().await?;
                println!("registered again");
                Ok(())
            }
            status if status.is_success() => Ok(()),
            status => Err(refusal(status, &response.text().await?).into()),
        }
    }

    /// Deregisters, and returns once no cache that honours TTLs holds the address.
    async fn leave(&self) -> Result<(), Error> {
        let request = self.http.delete(format!("{}?wait=true", self.url));
        let response = request.send().await.map_err(describe)?;
        match response.status() {
            // It had expired, so caches had to forget it before.
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => {
                let body: Value = serde_json::from_str(&response.text().await?)?;
                let drained_at = body["drained_at"].as_str().unwrap_or("an unknown time");
                println!("drained at {drained_at}");
                Ok(())
            }
            status => Err(refusal(status, &response.text().await?).into()),
        }
    }
}

/// What the server said, from its problem details.
fn refusal(status: StatusCode, body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or(body);
    format!("the server answered {status}: {detail}")
}

/// An HTTP error with its cause, which is what tells people something.
fn describe(error: reqwest::Error) -> Error {
    let url = error.url().map(ToString::to_string).unwrap_or_default();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("no answer from {url}: {cause}").into()
}
