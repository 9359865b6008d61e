//! Why a command failed, and the exit code of that.

use std::net::SocketAddr;
use std::process::ExitCode;

use namebeat::client::{ClientError, Failure};
use namebeat::config::ConfigError;
use namebeat::dns::zone::LoadError;
use namebeat::registry::state::StateError;
use namebeat::server::ServeError;
use namebeat::telemetry::TelemetryError;

use super::output::harmless;

/// The table of exit codes, as `--help` prints it at its end.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    done, stopped as asked, or (doctor) this machine finds the zone
  1    can't be done here: an address is taken, a part ended, or this machine doesn't find the zone
  2    a flag, a setting, a file or what was asked for is wrong; one sentence says which
  3    it isn't there: an unknown instance or service, or a name without an endpoint
  9    no server answers
exec has the exit code of its command, 128 and the signal's number when a signal ended that,
126 when it can't be run and 127 when there's no such program.";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server can't start, or has ended.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A variable of OpenTelemetry is wrong.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The state on disk can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A zone file is wrong.
    #[error(transparent)]
    ZoneFile(#[from] LoadError),
    /// No answer over DNS.
    #[error(
        "no server answers at {0} ({1}); start one with `namebeat serve`, or name one with --server"
    )]
    Unreachable(SocketAddr, std::io::Error),
    /// A call of the API came to nothing.
    #[error("{}", call_failed(.0))]
    Call(#[from] ClientError),
    /// What was asked for is wrong, in words of its own.
    #[error("{0}")]
    Refused(String),
    /// What was asked for isn't there, in words of its own.
    #[error("{0}")]
    Nobody(String),
    /// It can't be done here, in words of its own.
    #[error("{0}")]
    Failed(String),
    /// The program of `exec` can't be started, and the exit code for that.
    #[error("can't run {program}: {error}")]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system refused something.
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
}

impl CommandError {
    /// 2 for what the user can set right, as clap has it for flags; 9 where no server
    /// answers, as `dig` has it; 126 and 127 as shells have them; 1 for the rest.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::Serve(ServeError::Zone(_) | ServeError::Open(_) | ServeError::Load(_)) => {
                ExitCode::from(2)
            }
            Self::ZoneFile(_) | Self::State(_) | Self::Refused(_) => ExitCode::from(2),
            Self::Nobody(_) => ExitCode::from(3),
            Self::Unreachable(..) => ExitCode::from(9),
            Self::Call(error) => match error.problem().map(|problem| problem.status) {
                None => ExitCode::from(9),
                Some(404) => ExitCode::from(3),
                // It's busy, full, or can't write: nothing that's wrong with the call.
                Some(429 | 500..) => ExitCode::FAILURE,
                Some(_) => ExitCode::from(2),
            },
            Self::Program { error, .. } => match error.kind() {
                std::io::ErrorKind::NotFound => ExitCode::from(127),
                _ => ExitCode::from(126),
            },
            Self::Serve(_) | Self::System(_) | Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// What a call failed with, and what to do when nobody was there.
fn call_failed(error: &ClientError) -> String {
    let ClientError::Away(failures) = error else {
        return harmless(&error.to_string());
    };
    let failure = |Failure { server, cause }: &Failure| {
        format!("{} ({})", server.trim_end_matches('/'), harmless(cause))
    };
    let failures: Vec<String> = failures.iter().map(failure).collect();
    format!(
        "no server answers at {}; start one with `namebeat serve`, or name one with --server",
        failures.join(", nor at ")
    )
}
