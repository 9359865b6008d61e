//! The command line: one file per command.

mod check_config;
mod check_zone;
mod explain;
mod resolve;
mod serve;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use namebeat::config::{Config, ConfigError, Settings};
use namebeat::dns::zone::LoadError;
use namebeat::name::{DomainName, NameError};
use namebeat::registry::state::StateError;
use namebeat::server::ServeError;
use namebeat::telemetry::TelemetryError;

/// A DNS server that answers only with service instances that are alive.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve DNS and the HTTP API until SIGTERM or ctrl-c
    Serve(ServerArguments),
    /// Check the settings and the zone files, and print what they come to
    CheckConfig(ServerArguments),
    /// Check zone files, and print what is in them
    CheckZone(check_zone::CheckZoneArguments),
    /// Say what is answered to a question, and why each instance is in or out
    Explain(explain::ExplainArguments),
    /// Look at the state on disk, save it and bring it back
    State(state::StateArguments),
    /// Ask a server, or a zone file, and print the answer as dig does
    Resolve(resolve::ResolveArguments),
}

/// Where settings come from. Flags go before the environment, that before the file.
#[derive(clap::Args)]
struct ServerArguments {
    /// File of settings [default: namebeat.toml, when it's there]
    #[arg(long, env = "NAMEBEAT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl ServerArguments {
    fn into_config(self) -> Result<Config, ConfigError> {
        Config::new(self.settings.over(Settings::read(self.config.as_deref())?))
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    ZoneFile(#[from] LoadError),
    #[error(
        "no server answers at {0} ({1}); start one with `namebeat serve`, or name one with --server"
    )]
    Unreachable(SocketAddr, std::io::Error),
    #[error(
        "no server answers at {0} ({1}); start one with `namebeat serve`, or name one with --server"
    )]
    Away(reqwest::Url, reqwest::Error),
    #[error("{0}")]
    Refused(String),
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
}

impl CommandError {
    /// 2 for what the user can set right, as clap has it for flags; 9 where no server
    /// answers, as `dig` has it; 1 for the rest.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::Serve(ServeError::Zone(_) | ServeError::Open(_) | ServeError::Load(_)) => {
                ExitCode::from(2)
            }
            Self::ZoneFile(_) | Self::State(_) => ExitCode::from(2),
            Self::Refused(_) => ExitCode::from(2),
            Self::Unreachable(..) | Self::Away(..) => ExitCode::from(9),
            Self::Serve(_) | Self::System(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs what the arguments say. An error is one sentence on stderr.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::CheckConfig(arguments) => check_config::run(arguments),
        Command::CheckZone(arguments) => check_zone::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::State(arguments) => state::run(arguments),
        Command::Resolve(arguments) => resolve::run(arguments),
    };
    result.map_or_else(
        |error| {
            eprintln!("namebeat: {error}");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Reads a name of the command line, with or without its final dot.
fn zone_name(text: &str) -> Result<DomainName, NameError> {
    DomainName::parse(text, Some(&DomainName::root()))
}
