//! Which servers' HTTP API a command calls, and what its failures mean.

use std::future::Future;
use std::io;

use namebeat::client::Client;

use super::{CommandError, progress};

/// Where the API is, and how its answers are printed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ApiArguments {
    /// The HTTP API; several URLs with commas between are tried in turn
    #[arg(
        long,
        env = "NAMEBEAT_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8054"
    )]
    server: String,
    /// Print JSON, as the API has it
    #[arg(long)]
    pub(super) json: bool,
}

impl ApiArguments {
    /// A client of these servers.
    pub(super) fn client(&self) -> Result<Client, CommandError> {
        let client = self.server.parse();
        client.map_err(|error| CommandError::Refused(format!("--server: {error}")))
    }
}

/// Runs calls that should be answered soon; says what is waited for when they aren't.
pub(super) fn call<T>(
    what: impl Into<String>,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    block_on(progress::shown(progress::since(what), work))
}

/// What most calls are.
pub(super) const ASKING: &str = "asking the server";

/// Runs something to its end, on this thread.
pub(super) fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime: io::Result<_> = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime?.block_on(work)
}
