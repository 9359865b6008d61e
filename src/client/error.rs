//! What can go wrong with a call of the HTTP API.

use std::time::Duration;

use crate::api;

/// Why a call came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// No server was reached, or none could do it; what each of them failed with.
    #[error("no server answered: {}", failures(.0))]
    Away(Vec<Failure>),
    /// A server read the call and refused it.
    #[error("{}", .0.problem.detail)]
    Refused(Box<Refusal>),
    /// Something answered that isn't this API, or not a version of it that is known here.
    #[error("{server} answered what can't be read: {detail}; is that namebeat's API?")]
    Unreadable {
        /// The server's URL.
        server: String,
        /// What is wrong with the answer.
        detail: String,
    },
}

impl ClientError {
    /// What the server said, when it refused the call.
    pub fn problem(&self) -> Option<&api::Problem> {
        match self {
            Self::Refused(refusal) => Some(&refusal.problem),
            Self::Away(_) | Self::Unreadable { .. } => None,
        }
    }

    /// Whether it was refused with this kind of problem, such as `unknown-instance`.
    pub fn is(&self, kind: &str) -> bool {
        self.problem()
            .and_then(|problem| problem.kind.strip_prefix(api::PROBLEM_PREFIX))
            .is_some_and(|known| known == kind)
    }

    /// Whether the instance isn't registered: register it again.
    pub fn is_unknown_instance(&self) -> bool {
        self.is("unknown-instance")
    }

    /// Whether the same call may go well later: no server was there, or it's busy.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Away(_) | Self::Unreadable { .. } => true,
            Self::Refused(refusal) => matches!(refusal.problem.status, 408 | 429 | 500..),
        }
    }

    /// How long to wait at least before trying again, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Away(_) | Self::Unreadable { .. } => None,
        }
    }
}

/// A server that couldn't be asked, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Its URL.
    pub server: String,
    /// What happened, in words.
    pub cause: String,
}

/// The failures in one line.
fn failures(failures: &[Failure]) -> String {
    let texts: Vec<String> = failures
        .iter()
        .map(|Failure { server, cause }| format!("{server}: {cause}"))
        .collect();
    texts.join("; ")
}

/// What a server refused a call with.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its URL.
    pub server: String,
    /// What it said.
    pub problem: api::Problem,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
}

/// A text that names no server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidServer {
    /// There's none at all.
    #[error("no server is named; write its URL, such as http://127.0.0.1:8054")]
    None,
    /// It can't be read as a URL.
    #[error("server {0:?} {1}; write a URL such as http://127.0.0.1:8054")]
    Url(String, String),
    /// TLS can't be set up here.
    #[error("HTTP can't be set up: {0}")]
    Setup(String),
}
