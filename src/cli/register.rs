//! `namebeat register`: from flags or a file, once or for as long as it runs.

use std::io::{self, Write as _};

use futures_util::future::{join_all, select_all};
use namebeat::api::{self, Instance, Lease, Registered};
use namebeat::client::{Client, Registration, RegistrationState};
use tokio::signal::unix::{SignalKind, signal};

use super::api_server::{ASKING, ApiArguments, block_on, call};
use super::instance::InstanceArguments;
use super::instances;
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
        return block_on(keep(&client, registrations, arguments.api.json));
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
async fn keep(
    client: &Client,
    fields: Vec<api::Registration>,
    json: bool,
) -> Result<(), CommandError> {
    // Before anything is registered, so that no signal leaves it behind.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let started = fields.into_iter();
    let registrations: Vec<Registration> = started
        .map(|fields| Registration::from_fields(fields).start(client))
        .collect();
    let telling = registrations.iter().map(|one| tell(client, one, json));
    let refused = tokio::select! {
        (refused, ..) = select_all(telling.map(Box::pin)) => Some(refused),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    // All are withdrawn before the first is waited for.
    let closing = join_all(registrations.into_iter().map(Registration::close));
    let left = tokio::select! {
        left = progress::shown(progress::since("draining"), closing) => left,
        // A second one doesn't wait.
        _ = terminate.recv() => Vec::new(),
        _ = interrupt.recv() => Vec::new(),
    };
    if let Some(refused) = refused {
        return Err(CommandError::Refused(harmless(&refused)));
    }
    left.into_iter().try_for_each(|left| left.map(|_| Ok(()))?)
}

/// Prints what becomes of one, for ever; ends with what a server has refused it for.
async fn tell(client: &Client, registration: &Registration, json: bool) -> String {
    let mut states = registration.state();
    let mut is_known = false;
    loop {
        // It's there as long as the registration is.
        let _ = states.changed().await;
        let state = states.borrow_and_update().clone();
        match state {
            RegistrationState::Registered => {
                // What was told again is the same.
                if !std::mem::replace(&mut is_known, true)
                    && let Ok(instance) = client.instance(registration.id()).await
                {
                    print_kept(instance, json);
                }
            }
            RegistrationState::Away { cause } => {
                eprintln!("namebeat: trying again: {}", harmless(&cause));
            }
            RegistrationState::Refused { cause } => return cause,
            RegistrationState::Starting | RegistrationState::Left => {}
        }
    }
}

/// Prints one as the API answers a registration, or in a line for people.
fn print_kept(instance: Instance, json: bool) {
    let expires_at = instance.state.expires_at;
    let lease = instance.lease.zip(expires_at);
    let lease = lease.map(|(term, expires_at)| Lease { term, expires_at });
    if json {
        let _ = output::json(&Registered { instance, lease });
        return;
    }
    let lease = lease.map_or("no lease".to_owned(), |lease| {
        format!("lease {}", lease.term)
    });
    let (id, name, endpoint) = (&instance.id, &instance.name, instances::endpoint(&instance));
    let _ = writeln!(
        io::stdout(),
        "{id} is registered as {name}: {endpoint}, {lease}"
    );
}
