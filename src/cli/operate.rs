//! `namebeat deregister`, `drain` and `resume`: what an operator does to an instance.

use std::io::{self, Write as _};

use chrono::SecondsFormat;
use namebeat::api::Drained;

use super::api_server::{ASKING, ApiArguments, call};
use super::output::Paint;
use super::{CommandError, instances, output};

/// Which instance, and whether to wait.
#[derive(clap::Args)]
pub(super) struct LeaveArguments {
    /// The instance
    id: String,
    /// Wait until no cache that honours TTLs holds it any more, so that it's safe to stop
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    api: ApiArguments,
}

/// Which instance.
#[derive(clap::Args)]
pub(super) struct ResumeArguments {
    /// The instance
    id: String,
    #[command(flatten)]
    api: ApiArguments,
}

/// Deregisters it.
pub(super) fn deregister(arguments: LeaveArguments) -> Result<(), CommandError> {
    let LeaveArguments { id, wait, api } = arguments;
    let what = format!("draining {id}");
    let drained = call(what, async {
        Ok(api.client()?.deregister(&id, wait).await?)
    })?;
    print(&format!("{id} is deregistered"), &drained, wait, api.json)
}

/// Withdraws it until it's resumed.
pub(super) fn drain(arguments: LeaveArguments) -> Result<(), CommandError> {
    let LeaveArguments { id, wait, api } = arguments;
    let what = format!("draining {id}");
    let drained = call(what, async {
        let client = api.client()?;
        Ok(match wait {
            true => client.drain_and_wait(&id).await?,
            false => client.drain(&id).await?,
        })
    })?;
    print(&format!("{id} drains"), &drained, wait, api.json)
}

/// Ends a drain.
pub(super) fn resume(arguments: ResumeArguments) -> Result<(), CommandError> {
    let ResumeArguments { id, api } = arguments;
    let instance = call(ASKING, async { Ok(api.client()?.resume(&id).await?) })?;
    match api.json {
        true => output::json(&instance)?,
        false => {
            let (tone, state) = instances::state(&instance);
            let state = Paint::of_stdout().text(tone, &state);
            // Whoever closes the pipe has read enough.
            let _ = writeln!(io::stdout(), "{id} is resumed: {state}");
        }
    }
    Ok(())
}

/// Says what was done, and from when on it's safe to stop the program.
fn print(done: &str, drained: &Drained, waited: bool, json: bool) -> Result<(), CommandError> {
    if json {
        return Ok(output::json(drained)?);
    }
    let at = drained
        .drained_at
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let rest = match waited {
        true => format!("no cache has held it since {at}"),
        false => format!("no cache holds it from {at} on"),
    };
    let _ = writeln!(io::stdout(), "{done}; {rest}");
    Ok(())
}
