//! `namebeat register`: from flags or a file, once or for as long as it runs.

use std::io::{self, Write as _};

use namebeat::api::{Instance, Registered};
use namebeat::client::{Client, ClientError};
use tokio::signal::unix::{SignalKind, signal};

use super::api_server::{ASKING, ApiArguments, block_on, call};
use super::instance::InstanceArguments;
use super::instances;
use super::keep::{Keeper, Note};
use super::output::{self, Paint, harmless};
use super::{CommandError, progress};

/// What to register.
#[derive(clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct RegisterArguments {
    #[command(flatten)]
    instance: InstanceArguments,
    /// Send heartbeats until ctrl-c or SIGTERM, then deregister and wait until it's drained
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    api: ApiArguments,
}

/// Registers, and prints what the server made of it.
pub(super) fn run(arguments: RegisterArguments) -> Result<(), CommandError> {
    let client = arguments.api.client()?;
    let registrations = arguments.instance.registrations(&client)?;
    if arguments.keep {
        let keeper = Keeper::new(client.clone(), registrations);
        return block_on(keep(keeper, &client, arguments.api.json));
    }
    call(ASKING, async {
        let mut registered = Vec::new();
        let mut refused = None;
        for registration in &registrations {
            match client.register(registration).await {
                Ok(one) => registered.push(one),
                // What comes after it isn't registered; what came before is, and is shown.
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        print(&registered, registrations.len() > 1, arguments.api.json)?;
        if let Some(error) = refused {
            return Err(error.into());
        }
        let ends = registered.iter().find_map(|one| one.lease.as_ref());
        if let Some(lease) = ends
            && !arguments.api.json
        {
            eprintln!(
                "It's listed for {} unless it's renewed: `register --keep` does that, and so does `exec`.",
                lease.term
            );
        }
        Ok(())
    })
}

/// Prints one as an object, or several as an array; for people both as a table.
fn print(registered: &[Registered], is_many: bool, json: bool) -> Result<(), CommandError> {
    match registered {
        [] => {}
        [one] if json && !is_many => output::json(one)?,
        many if json => output::json(&many)?,
        many => {
            let all: Vec<&Instance> = many.iter().map(|one| &one.instance).collect();
            // Whoever closes the pipe has read enough.
            let _ = instances::table(&all).print(Paint::of_stdout(), &mut io::stdout().lock());
        }
    }
    Ok(())
}

/// Keeps them registered until it's told to stop.
async fn keep(mut keeper: Keeper, client: &Client, json: bool) -> Result<(), CommandError> {
    // Before anything is registered, so that no signal leaves it behind.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ids = keeper.ids();
    let mut tell = |note: Note<'_>| tell(note, json);
    let kept = async {
        match keeper.register(&ids, &mut tell).await {
            Ok(()) => keeper.keep(&mut tell).await,
            Err(error) => error,
        }
    };
    let refused = tokio::select! {
        refused = kept => Some(refused),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let leaving = leave(client, &ids);
    let left = tokio::select! {
        left = leaving => left,
        // A second one doesn't wait.
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(left?),
    }
}

fn tell(note: Note<'_>, json: bool) {
    match note {
        Note::Registered(registered) if json => {
            let _ = output::json(registered);
        }
        Note::Registered(Registered { instance, lease }) => {
            let lease = lease.as_ref().map_or("no lease".to_owned(), |lease| {
                format!("lease {}", lease.term)
            });
            let (id, name) = (&instance.id, &instance.name);
            let _ = writeln!(
                io::stdout(),
                "{id} is registered as {name}: {}, {lease}",
                instances::endpoint(instance)
            );
        }
        Note::Failed(error) => {
            eprintln!("namebeat: trying again: {}", harmless(&error.to_string()));
        }
    }
}

/// Deregisters all of them, and waits until no cache holds any.
async fn leave(client: &Client, ids: &[String]) -> Result<(), ClientError> {
    let leaving = async {
        // All are withdrawn before the first is waited for.
        let leaving = ids.iter().map(|id| client.deregister(id, true));
        for left in futures_util::future::join_all(leaving).await {
            match left {
                // It had expired, so caches had to forget it before.
                Err(error) if !error.is_unknown_instance() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    progress::shown(progress::since("draining"), leaving).await
}
