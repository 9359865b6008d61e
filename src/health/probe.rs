//! Probes: one attempt each, bounded in time.
//!
//! An HTTP probe opens a connection of its own, follows no redirect, uses no
//! proxy and reads no body: it asks whether this instance answers, not whether
//! something else does.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect::Policy;

use crate::registry::check::{Check, CheckKind};
use crate::registry::instance::{Host, Instance};

/// Most characters of what a probe says.
const MAX_OUTPUT_LEN: usize = 200;

/// What one probe came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ProbeResult {
    /// Whether it passed.
    pub passed: bool,
    /// Why, for people.
    pub output: String,
}

impl ProbeResult {
    pub(super) fn failed(output: impl Into<String>) -> Self {
        let mut output: String = output.into();
        if let Some((end, _)) = output.char_indices().nth(MAX_OUTPUT_LEN) {
            output.truncate(end);
        }
        Self {
            passed: false,
            output,
        }
    }
}

/// What probes are sent with.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    http: reqwest::Client,
}

impl Prober {
    /// Sets up the client.
    ///
    /// # Errors
    ///
    /// TLS can't be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("namebeat-check/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            // Whether the instance answers is asked, not who it is: it's reached
            // by address, which certificates seldom name.
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self { http })
    }

    /// Probes an instance once, within the check's timeout.
    pub(super) async fn probe(&self, instance: &Instance, check: &Check) -> ProbeResult {
        let attempt = async {
            match &check.kind {
                CheckKind::Http(path) => self.get("http", instance, path).await,
                CheckKind::Https(path) => self.get("https", instance, path).await,
                CheckKind::Tcp => connect(instance).await,
            }
        };
        tokio::time::timeout(check.timeout, attempt)
            .await
            .unwrap_or_else(|_| ProbeResult::failed(timed_out(check.timeout)))
    }

    async fn get(&self, scheme: &str, instance: &Instance, path: &str) -> ProbeResult {
        let url = format!("{scheme}://{}{path}", authority(instance));
        match self.http.get(url).send().await {
            Ok(response) if response.status().is_success() => ProbeResult {
                passed: true,
                output: response.status().to_string(),
            },
            Ok(response) => ProbeResult::failed(response.status().to_string()),
            Err(error) => ProbeResult::failed(innermost(&error)),
        }
    }
}

async fn connect(instance: &Instance) -> ProbeResult {
    match tokio::net::TcpStream::connect(authority(instance)).await {
        Ok(_) => ProbeResult {
            passed: true,
            output: "connected".to_owned(),
        },
        Err(error) => ProbeResult::failed(error.to_string()),
    }
}

/// Address and port that are probed: of several addresses, the first.
fn authority(instance: &Instance) -> String {
    match (&instance.host, instance.host.addresses().first()) {
        (Host::Name(name), _) => {
            format!(
                "{}:{}",
                name.to_string().trim_end_matches('.'),
                instance.port
            )
        }
        (_, Some(ip)) => SocketAddr::new(*ip, instance.port).to_string(),
        // Registration refuses an empty list, so there's nothing to reach here.
        (_, None) => String::new(),
    }
}

fn timed_out(timeout: Duration) -> String {
    format!("no answer within {}", crate::time::TimeSpan(timeout))
}

/// The cause at the bottom of an error, which is what tells people something.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
