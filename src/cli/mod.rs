//! The command line: one file per command.

mod check_config;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use namebeat::config::{Config, ConfigError, Settings};
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
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
}

impl CommandError {
    /// 2 for what the user can set right, as clap has it for flags; 1 for the rest.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Telemetry(_) | Self::Serve(ServeError::Zone(_)) => {
                ExitCode::from(2)
            }
            Self::Serve(_) | Self::System(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs what the arguments say. An error is one sentence on stderr.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::CheckConfig(arguments) => check_config::run(arguments),
    };
    result.map_or_else(
        |error| {
            eprintln!("namebeat: {error}");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    )
}
