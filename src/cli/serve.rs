//! `namebeat serve`.

use std::io::Write as _;
use std::time::Duration;

use namebeat::config::Config;
use namebeat::server::{Addresses, Server};
use namebeat::telemetry::Telemetry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandError, ServerArguments};

/// How long the addresses aren't told while the state is being loaded.
const LOADS_WITHIN: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or ctrl-c.
pub(super) fn run(arguments: ServerArguments) -> Result<(), CommandError> {
    raise_open_files();
    let config = arguments.into_config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let telemetry = {
        let _inside = runtime.enter();
        Telemetry::from_env()?
    };
    telemetry.install_subscriber()?;
    let served = runtime.block_on(serve(config, &telemetry));
    telemetry.shutdown();
    served
}

async fn serve(config: Config, telemetry: &Telemetry) -> Result<(), CommandError> {
    // Before anything listens, so that no signal finds the default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let zone = config.zone.to_string();
    let server = Server::bind(config, telemetry.instruments())?;
    let stop = CancellationToken::new();
    let addresses = server.addresses().clone();
    let reload = server.reload();
    let storage = server.registry().storage().clone();
    let serving = tokio::spawn(server.run(stop.clone()));
    // Addresses answer at once, but until the state is loaded with SERVFAIL: usually
    // that is over before anybody could ask.
    let loaded = tokio::time::timeout(LOADS_WITHIN, storage.is_loaded()).await;
    // What can't be loaded ends the server.
    if !matches!(loaded, Ok(Err(_))) {
        greet(&addresses, &zone);
    }
    let stopping = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
                _ = interrupt.recv() => tracing::info!("ctrl-c: draining"),
                _ = hangup.recv() => {
                    // What comes of it is logged there.
                    let _ = reload.reload().await;
                    continue;
                }
            }
            break;
        }
        stop.cancel();
    };
    let ended = tokio::spawn(stopping);
    let result = serving.await.map_err(std::io::Error::other)?;
    ended.abort();
    Ok(result?)
}

/// Lets this process have as many files open as the system lets it ask for: each
/// connection and each probe takes one, and what is usual is too few for many.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    // What can't be raised is what it was.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Says where the server is and what to try. A closed stdout is nobody's loss.
fn greet(addresses: &Addresses, zone: &str) {
    let mut out = std::io::stdout().lock();
    let http = addresses.http;
    let _ = writeln!(out, "{addresses}");
    let _ = writeln!(
        out,
        "\nnamebeat {} answers for {zone}",
        env!("CARGO_PKG_VERSION")
    );
    let _ = writeln!(out, "\nTry it:");
    let _ = writeln!(
        out,
        "  curl -X PUT http://{http}/v1/instances/web-1 -d '{{\"name\":\"web\",\"host\":\"127.0.0.1\",\"port\":8080}}'"
    );
    if let Some(dns) = addresses.dns.first() {
        let _ = writeln!(out, "  dig @{} -p {} web.{zone} SRV", dns.ip(), dns.port());
    }
    let _ = writeln!(out, "\nctrl-c stops it.");
    let _ = out.flush();
}
