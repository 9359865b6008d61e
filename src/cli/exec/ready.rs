//! When a program is ready to be registered: a port that opens, or a path that answers 2xx.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use namebeat::api::Registration;
use namebeat::time::TimeSpan;
use tokio::net::TcpStream;

use crate::cli::CommandError;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Longest time that one look may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How it's told that the program is ready.
#[derive(Debug, clap::Args)]
pub(super) struct ReadyArguments {
    /// Register once this port is open; without a number, the instance's
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true)]
    ready_port: Option<Option<u16>>,
    /// Register once this path answers 2xx over HTTP, on that port
    #[arg(long, value_name = "PATH")]
    ready_http: Option<String>,
    /// Longest time until it's ready
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    ready_timeout: TimeSpan,
}

/// What is looked at until it's ready.
#[derive(Debug)]
pub(super) struct Ready {
    hosts: Vec<String>,
    port: u16,
    /// When it's HTTP; else it's enough that the port is open.
    http: Option<Http>,
    timeout: Duration,
}

/// A request that is to be answered 2xx.
#[derive(Debug)]
struct Http {
    client: reqwest::Client,
    scheme: &'static str,
    path: String,
}

impl ReadyArguments {
    /// What to look at; nothing when it's ready at once.
    pub(super) fn ready(self, registration: &Registration) -> Result<Option<Ready>, CommandError> {
        if self.ready_port.is_none() && self.ready_http.is_none() {
            return Ok(None);
        }
        let registered = registration.port.and_then(|port| u16::try_from(port).ok());
        let port = self.ready_port.flatten().or(registered).ok_or_else(|| {
            CommandError::Refused("no port is named; write --port or --ready-port=PORT".to_owned())
        })?;
        let scheme = match registration.protocol.as_deref() {
            Some("https") => "https",
            _ => "http",
        };
        let http = match self.ready_http {
            None => None,
            Some(path) if path.starts_with('/') => Some(Http {
                client: http_client()?,
                scheme,
                path,
            }),
            Some(path) => {
                return Err(CommandError::Refused(format!(
                    "--ready-http {path:?} is no path; write one such as /health"
                )));
            }
        };
        Ok(Some(Ready {
            hosts: hosts(registration),
            port,
            http,
            timeout: self.ready_timeout.0,
        }))
    }
}

/// Where the program may listen: at its registered address, or on loopback.
fn hosts(registration: &Registration) -> Vec<String> {
    let registered = registration
        .host
        .iter()
        .chain(registration.addresses.iter().flatten());
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let mut hosts: Vec<String> = loopback.iter().map(IpAddr::to_string).collect();
    hosts.extend(
        registered
            .filter(|host| !hosts.contains(host))
            .cloned()
            .collect::<Vec<_>>(),
    );
    hosts
}

/// Like that of probes: no redirects, no proxy, certificates not verified.
fn http_client() -> Result<reqwest::Client, CommandError> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .build();
    client.map_err(|error| CommandError::Failed(format!("HTTP can't be set up: {error}")))
}

impl Ready {
    /// Waits until it's ready. The error says what wasn't.
    pub(super) async fn wait(&self) -> Result<(), CommandError> {
        let ready = async {
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                for host in &self.hosts {
                    if self.look(host).await {
                        return;
                    }
                }
            }
        };
        let waited = tokio::time::timeout(self.timeout, ready).await;
        waited.map_err(|_| CommandError::Failed(self.missed()))
    }

    /// What wasn't there in time.
    fn missed(&self) -> String {
        let (port, timeout) = (self.port, TimeSpan(self.timeout));
        let what = match &self.http {
            Some(Http { path, .. }) => format!("{path} on port {port} didn't answer 2xx"),
            None => format!("port {port} wasn't open"),
        };
        format!("{what} within {timeout}, so it was stopped; --ready-timeout gives it longer")
    }

    async fn look(&self, host: &str) -> bool {
        let port = self.port;
        let Some(Http {
            client,
            scheme,
            path,
        }) = &self.http
        else {
            let connecting = TcpStream::connect((host, port));
            return matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_)));
        };
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let answer = client
            .get(format!("{scheme}://{host}:{port}{path}"))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
