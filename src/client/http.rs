//! Sends calls to one of several servers.
//!
//! A call goes to the server that answered last. When that can't be reached, is too
//! slow, or says 5xx, the others are tried in their order, each once. What answers is
//! kept to. A call that could do harm when it's done twice goes on to the next server
//! only if the one before can't have seen it.
//!
//! Not here: waiting and trying again. One call takes at most its timeout times the
//! number of servers.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use super::error::{ClientError, Failure, InvalidServer, Refusal};
use super::request::{Call, parse};
use crate::api;

/// Longest time that one server may take to answer, unless set otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that connecting to a server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Most octets of an answer: a million instances have less.
pub(super) const MAX_ANSWER_LEN: usize = 1 << 30;

/// Most octets of a problem that are read.
const MAX_PROBLEM_LEN: usize = 64 << 10;

/// Calls the HTTP API of one or several servers; cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use namebeat::client::{Client, Filter};
///
/// let client: Client = "http://127.0.0.1:8054".parse()?;
/// for instance in client.service("web", &Filter::default()).await?.instances {
///     println!("{} has port {}", instance.id, instance.port);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    /// At least one.
    servers: Vec<Url>,
    /// Index of the server that answered last.
    preferred: AtomicUsize,
    timeout: Duration,
}

impl FromStr for Client {
    type Err = InvalidServer;

    /// Reads one URL, or several with commas between.
    fn from_str(servers: &str) -> Result<Self, InvalidServer> {
        let servers: Vec<&str> = servers.split(',').map(str::trim).collect();
        Self::new(&servers)
    }
}

impl Client {
    /// A client of the servers at these URLs, which are tried in their order.
    pub fn new<S: AsRef<str>>(servers: &[S]) -> Result<Self, InvalidServer> {
        Self::with_timeout(servers, TIMEOUT)
    }

    /// The same, with the longest time that one server may take to answer. Calls that
    /// wait for something have that in addition.
    pub fn with_timeout<S: AsRef<str>>(
        servers: &[S],
        timeout: Duration,
    ) -> Result<Self, InvalidServer> {
        let servers: Vec<Url> = servers
            .iter()
            .map(|server| parse(server.as_ref()))
            .collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(InvalidServer::None);
        }
        // An API that redirects, or that is behind the proxy of the web, isn't this one.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .tcp_keepalive(Duration::from_secs(15))
            .build()
            .map_err(|error| InvalidServer::Setup(innermost(&error)))?;
        Ok(Self(Arc::new(Shared {
            http,
            servers,
            preferred: AtomicUsize::new(0),
            timeout,
        })))
    }

    /// The URL of the server that answered last, at first of the first one.
    pub fn server(&self) -> &str {
        let index = self.0.preferred.load(Relaxed);
        self.0.servers[index % self.0.servers.len()].as_str()
    }

    /// Longest time that one server may take to answer.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// A client of the same servers and connections, with a timeout for all of them
    /// together that is no longer than this.
    pub(super) fn hurried(&self, all: Duration) -> Self {
        let shared = &*self.0;
        let count = u32::try_from(shared.servers.len()).unwrap_or(u32::MAX);
        Self(Arc::new(Shared {
            http: shared.http.clone(),
            servers: shared.servers.clone(),
            preferred: AtomicUsize::new(shared.preferred.load(Relaxed)),
            timeout: shared.timeout.min(all / count),
        }))
    }

    /// Deregisters without waiting; says what time of day the server has, too.
    pub(super) async fn leave(
        &self,
        id: &str,
    ) -> Result<(api::Drained, Option<DateTime<Utc>>), ClientError> {
        let call = Call::new(Method::DELETE, &["instances", id]);
        let answer = self.send(&call).await?;
        let date = answer.date;
        Ok((answer.parse()?, date))
    }

    /// Makes a call, and reads its answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ClientError> {
        self.send(&call).await?.parse()
    }

    /// Makes a call whose answer says nothing.
    pub(super) async fn tell(&self, call: Call<'_>) -> Result<(), ClientError> {
        self.send(&call).await.map(|_| ())
    }

    /// Makes a call whose answer goes on for ever; gives back the server, too.
    pub(super) async fn open(&self, call: Call<'_>) -> Result<(String, Response), ClientError> {
        let call = Call {
            is_stream: true,
            ..call
        };
        let answer = self.send(&call).await?;
        let server = answer.server;
        match answer.stream {
            Some(response) => Ok((server, response)),
            None => Err(ClientError::Unreadable {
                server,
                detail: "no stream".to_owned(),
            }),
        }
    }

    /// Tries the servers, from the one that answered last.
    async fn send(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        let shared = &*self.0;
        let first = shared.preferred.load(Relaxed);
        let mut failures = Vec::new();
        let mut refusal = None;
        for offset in 0..shared.servers.len() {
            let index = (first + offset) % shared.servers.len();
            let span = tracing::debug_span!(
                "HTTP",
                otel.name = %call.method,
                otel.kind = "client",
                http.request.method = %call.method,
                server.address = shared.servers[index].host_str(),
                server.port = shared.servers[index].port_or_known_default(),
                url.path = call.path.join("/"),
            );
            let attempt = shared.attempt(&shared.servers[index], call);
            match attempt.instrument(span).await {
                Ok(answer) => {
                    shared.preferred.store(index, Relaxed);
                    return Ok(answer);
                }
                Err(Attempt::Refused(refused)) if refused.problem.status < 500 => {
                    shared.preferred.store(index, Relaxed);
                    return Err(ClientError::Refused(refused));
                }
                Err(Attempt::Refused(refused)) => refusal = Some(refused),
                Err(Attempt::Unreadable(error)) => return Err(error),
                Err(Attempt::Failed { failure, was_sent }) => {
                    failures.push(failure);
                    if was_sent && call.is_once {
                        break;
                    }
                }
            }
        }
        // What a server said tells more than that others are away.
        Err(refusal.map_or(ClientError::Away(failures), ClientError::Refused))
    }
}

impl Shared {
    /// Asks one server.
    async fn attempt(&self, server: &Url, call: &Call<'_>) -> Result<Answer, Attempt> {
        let failed = |cause: String, was_sent| Attempt::Failed {
            failure: Failure {
                server: server.to_string(),
                cause,
            },
            was_sent,
        };
        let timeout = self.timeout + call.wait;
        let mut request = self.http.request(call.method.clone(), call.url(server));
        if !call.is_stream {
            request = request.timeout(timeout);
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let sent = tokio::time::timeout(timeout, request.send()).await;
        let mut response = sent
            .map_err(|_| failed(format!("no answer within {timeout:?}"), true))?
            .map_err(|error| failed(innermost(&error), !error.is_connect()))?;
        if call.is_stream && response.status().is_success() {
            return Ok(Answer {
                server: server.to_string(),
                date: None,
                body: Vec::new(),
                stream: Some(response),
            });
        }
        let most = match response.status().is_success() {
            true => MAX_ANSWER_LEN,
            false => MAX_PROBLEM_LEN,
        };
        let reading = tokio::time::timeout(timeout, read(&mut response, most)).await;
        let body = reading
            .map_err(|_| failed(format!("no whole answer within {timeout:?}"), true))?
            .map_err(|cause| failed(cause, true))?;
        match response.status().is_success() {
            true => Ok(Answer {
                server: server.to_string(),
                date: date(&response),
                body,
                stream: None,
            }),
            false => Err(refusal(server, &response, &body)),
        }
    }
}

/// Reads a body of at most `most` octets.
async fn read(response: &mut Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} octets"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an answer that isn't 2xx means.
fn refusal(server: &Url, response: &Response, body: &[u8]) -> Attempt {
    let status = response.status();
    let server = server.to_string();
    let problem: Option<api::Problem> = serde_json::from_slice(body).ok();
    match problem.filter(|problem| problem.kind.starts_with(api::PROBLEM_PREFIX)) {
        Some(problem) => {
            let header = response.headers().get(RETRY_AFTER);
            let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
            Attempt::Refused(Box::new(Refusal {
                server,
                problem,
                retry_after: seconds.map(Duration::from_secs),
            }))
        }
        // A gateway whose server is away, most likely.
        None if status.is_server_error() => Attempt::Failed {
            failure: Failure {
                server,
                cause: format!("status {status}"),
            },
            was_sent: true,
        },
        None => Attempt::Unreadable(ClientError::Unreadable {
            server,
            detail: format!("status {status} without problem details"),
        }),
    }
}

/// An answer of 2xx.
struct Answer {
    server: String,
    /// The server's time of day, in whole seconds.
    date: Option<DateTime<Utc>>,
    body: Vec<u8>,
    /// The response itself, when it's a stream.
    stream: Option<Response>,
}

impl Answer {
    /// Reads the body.
    fn parse<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Unreadable {
            server: self.server,
            detail: error.to_string(),
        })
    }
}

/// The `Date` of an answer.
fn date(response: &Response) -> Option<DateTime<Utc>> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.to_utc())
}

/// Why one server didn't answer with 2xx.
enum Attempt {
    Failed {
        failure: Failure,
        /// Whether it may have been done.
        was_sent: bool,
    },
    Refused(Box<Refusal>),
    Unreadable(ClientError),
}

/// The cause at the bottom of an error, which is what tells people something.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let urls = |text: &str| -> Result<Vec<String>, InvalidServer> {
            let client: Client = text.parse()?;
            Ok(client.0.servers.iter().map(Url::to_string).collect())
        };
        assert_eq!(urls("127.0.0.1:8054").unwrap(), ["http://127.0.0.1:8054/"]);
        assert_eq!(
            urls("http://a:1, https://b/prefix").unwrap(),
            ["http://a:1/", "https://b/prefix"]
        );
        for bad in [
            "",
            "a,,b",
            "ftp://a",
            "http://",
            "http://a/?x=1",
            "http://a b",
        ] {
            let error = urls(bad).unwrap_err();
            assert!(
                error.to_string().contains("http://127.0.0.1:8054"),
                "{error}"
            );
        }
    }
}
