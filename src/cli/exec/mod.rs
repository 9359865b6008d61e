//! `namebeat exec -- COMMAND`: runs a program that knows nothing of namebeat, and keeps it
//! registered while it runs.
//!
//! ```text
//! start ─▶ ready ─▶ registered: heartbeats ─▶ SIGTERM ─▶ deregister ─▶ drained ─▶ signal ─▶ end
//!   └────────┴───────────┴── it ends by itself: deregister at once ──────────────────────▶ end
//! ```
//!
//! Leaving deregisters and doesn't drain: a drain is the operator's, stays until it's
//! resumed, and would keep the next start of the same instance from being listed. For
//! DNS both are the same, and both say when no cache holds the instance any more.

mod app;
mod ready;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use namebeat::api;
use namebeat::client::{Client, ClientError, Registration, RegistrationState};
use namebeat::time::TimeSpan;
use rustix::process::Signal;

use self::app::{App, Ended, Signals, Supervisor, Turn};
use self::ready::{Ready, ReadyArguments};
use super::api_server::{ApiArguments, block_on};
use super::instance::InstanceArguments;
use super::output::harmless;
use super::{CommandError, progress};

/// Longest time that deregistering may take after the program has ended by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// What to run, and as what.
#[derive(clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct ExecArguments {
    #[command(flatten)]
    instance: InstanceArguments,
    #[command(flatten)]
    ready: ReadyArguments,
    /// Time from the signal until the program is killed, if it hasn't ended
    #[arg(long, value_name = "SPAN", default_value = "10s")]
    grace: TimeSpan,
    #[command(flatten)]
    api: ApiArguments,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs it to its end, and gives back its exit code.
pub(super) fn run(arguments: ExecArguments) -> Result<ExitCode, CommandError> {
    block_on(async {
        // Before anything is started, so that no signal finds the default action.
        let signals = Signals::new()?;
        let client = arguments.api.client()?;
        let registration = arguments.instance.registration(&client)?;
        let ready = arguments.ready.ready(&registration)?;
        let app = App::start(&arguments.command)?;
        let id = registration.id.clone().unwrap_or_default();
        let mut exec = Exec {
            client,
            id: harmless(&id),
            grace: arguments.grace.0,
            supervisor: Supervisor { app, signals },
        };
        exec.run(ready.as_ref(), registration).await
    })
}

/// A program that runs, and its instance.
struct Exec {
    client: Client,
    /// For people.
    id: String,
    grace: Duration,
    supervisor: Supervisor,
}

impl Exec {
    async fn run(
        &mut self,
        ready: Option<&Ready>,
        fields: api::Registration,
    ) -> Result<ExitCode, CommandError> {
        if let Some(ready) = ready {
            let waited = tokio::select! {
                turn = self.supervisor.turn() => Err(turn),
                waited = ready.wait() => Ok(waited),
            };
            match waited {
                Ok(Ok(())) => {}
                Ok(Err(missed)) => {
                    self.stop(Signal::TERM).await;
                    return Err(missed);
                }
                Err(Turn::Ended(ended)) => {
                    say("it ended before it was ready, so it wasn't registered");
                    return Ok(ended.exit_code());
                }
                Err(Turn::Stop(signal)) => return Ok(self.stop(signal).await.exit_code()),
            }
        }
        let registration = Registration::from_fields(fields).start(&self.client);
        let kept = tokio::select! {
            turn = self.supervisor.turn() => Ok(turn),
            refused = refused(&registration) => Err(refused),
        };
        match kept {
            Ok(Turn::Ended(ended)) => {
                farewell(registration).await;
                Ok(ended.exit_code())
            }
            Ok(Turn::Stop(signal)) => Ok(self.leave(registration, signal).await.exit_code()),
            Err(refused) => {
                farewell(registration).await;
                self.stop(Signal::TERM).await;
                Err(CommandError::Refused(harmless(&refused)))
            }
        }
    }

    /// Leaves: withdraws the instance, lets the program serve those who still hold it, and
    /// stops it then. A second signal doesn't wait for that.
    async fn leave(&mut self, registration: Registration, signal: Signal) -> Ended {
        let id = &self.id;
        say(&format!(
            "leaving: {id} serves until no cache holds it any more"
        ));
        let draining = progress::shown(
            progress::since(format!("draining {id}")),
            registration.close(),
        );
        tokio::select! {
            drained = draining => if let Err(error) = drained {
                say_of("couldn't deregister, so its lease ends by itself", &error);
            },
            turn = self.supervisor.turn() => match turn {
                Turn::Ended(ended) => return ended,
                Turn::Stop(_) => say("not waiting for that"),
            },
        }
        self.stop(signal).await
    }

    /// Passes the signal on, and kills what hasn't ended when the grace time is over, or
    /// when a further signal comes.
    async fn stop(&mut self, signal: Signal) -> Ended {
        self.supervisor.app.signal(signal);
        let ending = progress::shown(
            progress::until("waiting for the program to end", self.grace),
            tokio::time::timeout(self.grace, self.supervisor.turn()),
        );
        if let Ok(Turn::Ended(ended)) = ending.await {
            return ended;
        }
        say("it hasn't ended, and is killed");
        self.supervisor.app.signal(Signal::KILL);
        loop {
            if let Turn::Ended(ended) = self.supervisor.turn().await {
                return ended;
            }
        }
    }
}

/// Says how it's doing, for ever; ends with what a server has refused it for.
async fn refused(registration: &Registration) -> String {
    let mut states = registration.state();
    loop {
        // It's there as long as the registration is.
        let _ = states.changed().await;
        match &*states.borrow_and_update() {
            RegistrationState::Registered => {
                say(&format!("{} is registered", harmless(registration.id())));
            }
            RegistrationState::Away { cause } => {
                say(&format!("trying again: {}", harmless(cause)));
            }
            RegistrationState::Refused { cause } => return cause.clone(),
            RegistrationState::Starting | RegistrationState::Left => {}
        }
    }
}

/// Deregisters what nobody may find any more.
async fn farewell(registration: Registration) {
    match tokio::time::timeout(FAREWELL, registration.close_at_once()).await {
        Ok(Err(error)) => say_of("couldn't deregister, so its lease ends by itself", &error),
        Err(_) => say("couldn't deregister in time, so its lease ends by itself"),
        Ok(Ok(_)) => {}
    }
}

/// Says something beside what the program says.
fn say(text: &str) {
    eprintln!("namebeat: {text}");
}

fn say_of(text: &str, error: &ClientError) {
    say(&format!("{text}: {}", harmless(&error.to_string())));
}
