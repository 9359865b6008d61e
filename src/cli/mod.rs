//! The command line: one file per command.

mod api_server;
mod ask;
mod check;
mod check_config;
mod check_zone;
mod doctor;
mod endpoints;
mod error;
mod exec;
mod explain;
mod instance;
mod instances;
mod operate;
mod output;
mod progress;
mod register;
mod resolve;
mod serve;
mod shell;
mod state;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use namebeat::config::{Config, ConfigError, Settings};
use namebeat::name::{DomainName, NameError};

use self::error::{CommandError, EXIT_CODES};

/// A DNS server that answers only with service instances that are alive.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
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
    /// Register an instance, and with --keep renew it until ctrl-c
    Register(Box<register::RegisterArguments>),
    /// Deregister an instance
    Deregister(operate::LeaveArguments),
    /// Withdraw an instance until it's resumed
    Drain(operate::LeaveArguments),
    /// End a drain
    Resume(operate::ResumeArguments),
    /// Run a program as an instance: register, renew, and drain before it's stopped
    Exec(Box<exec::ExecArguments>),
    /// Print the services, with how many of their instances are listed
    Services(instances::ServicesArguments),
    /// Print instances, with the reason of those that aren't listed
    Instances(instances::InstancesArguments),
    /// Print changes as they come
    Watch(watch::WatchArguments),
    /// Print totals
    Stats(instances::StatsArguments),
    /// Say what is answered to a question, and why each instance is in or out
    Explain(explain::ExplainArguments),
    /// Look at the state on disk, save it and bring it back
    State(state::StateArguments),
    /// Print the endpoints that a name leads to, and which a client would pick; or, with a type, the answer as dig does
    Resolve(resolve::ResolveArguments),
    /// Say whether this machine's resolver finds the zone, and what to put where if it doesn't
    Doctor(doctor::DoctorArguments),
    /// Print a script that completes commands and flags in a shell
    Completions(shell::CompletionsArguments),
    /// Print the manual page of a command, or write them all
    Man(shell::ManArguments),
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

/// Runs what the arguments say. An error is one sentence on stderr.
pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::CheckConfig(arguments) => check_config::run(arguments),
        Command::CheckZone(arguments) => check_zone::run(arguments),
        Command::Register(arguments) => register::run(*arguments),
        Command::Deregister(arguments) => operate::deregister(arguments),
        Command::Drain(arguments) => operate::drain(arguments),
        Command::Resume(arguments) => operate::resume(arguments),
        Command::Exec(arguments) => return exit(exec::run(*arguments)),
        Command::Services(arguments) => instances::services(arguments),
        Command::Instances(arguments) => instances::instances(arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::Stats(arguments) => instances::stats(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::State(arguments) => state::run(arguments),
        Command::Resolve(arguments) => resolve::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Completions(arguments) => shell::completions(arguments),
        Command::Man(arguments) => shell::man(arguments),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

/// The exit code of what came of a command; says what went wrong.
fn exit(result: Result<ExitCode, CommandError>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("namebeat: {error}");
        error.exit_code()
    })
}

/// Reads a name of the command line, with or without its final dot.
fn zone_name(text: &str) -> Result<DomainName, NameError> {
    DomainName::parse(text, Some(&DomainName::root()))
}
