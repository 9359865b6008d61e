//! The task that keeps an instance registered.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{oneshot, watch};

use super::{Leaving, RegistrationState, Wanted};
use crate::api;
use crate::client::backoff::Backoff;
use crate::client::error::ClientError;
use crate::client::http::Client;
use crate::time::Clock;

/// Time between heartbeats of an instance that needs none: only to notice that a server
/// forgot it.
const UNHURRIED: Duration = Duration::from_secs(30);

/// Shortest time that a server has to answer a heartbeat.
const MIN_TIMEOUT: Duration = Duration::from_millis(250);

/// Longest wait before trying again.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How often deregistering is tried.
const LEAVE_TRIES: usize = 3;

/// What the task has.
pub(super) struct Keeper {
    client: Client,
    fields: api::Registration,
    id: String,
    wanted: Arc<Wanted>,
    state: watch::Sender<RegistrationState>,
    /// The term, once a server said it; `None` needs no heartbeats.
    term: Option<Duration>,
    is_registered: bool,
    /// What the server was told last.
    told: Option<api::Heartbeat>,
    backoff: Backoff,
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        fields: api::Registration,
        wanted: Arc<Wanted>,
        state: watch::Sender<RegistrationState>,
        registered: Option<api::Registered>,
    ) -> Self {
        let mut keeper = Self {
            client: client.clone(),
            id: fields.id.clone().unwrap_or_default(),
            fields,
            wanted,
            state,
            term: None,
            is_registered: false,
            told: None,
            backoff: Backoff::new(Duration::from_millis(250), MAX_WAIT),
        };
        if let Some(registered) = registered {
            keeper.take(&registered);
        }
        keeper
    }

    /// Runs until the handle is closed or dropped, then deregisters.
    pub(super) async fn run(
        mut self,
        mut closed: oneshot::Receiver<Leaving>,
    ) -> Result<Option<DateTime<Utc>>, ClientError> {
        let mut wait = match self.is_registered {
            true => self.interval(),
            false => Duration::ZERO,
        };
        let leaving = loop {
            // A call that runs is waited for: one that registers must not come after
            // that which deregisters.
            tokio::select! {
                biased;
                // Without a word the handle was dropped.
                leaving = &mut closed => break leaving.unwrap_or_default(),
                () = self.wanted.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.step().await {
                Ok(()) => {
                    self.backoff.reset();
                    self.tell(RegistrationState::Registered);
                    self.interval()
                }
                Err(error) => self.failed(&error),
            };
        };
        let left = self.leave(leaving).await;
        self.tell(RegistrationState::Left);
        left
    }

    /// One heartbeat, and whatever it takes for that.
    async fn step(&mut self) -> Result<(), ClientError> {
        if !self.is_registered {
            self.register().await?;
        }
        match self.heartbeat().await {
            Err(error) if error.is_unknown_instance() => {
                self.register().await?;
                tracing::info!(id = self.id, "registered again");
                // What it said of itself is unknown, too, so that it's told again.
                self.heartbeat().await
            }
            renewed => renewed,
        }
    }

    /// Renews the lease, and says how the instance is when the server doesn't know.
    async fn heartbeat(&mut self) -> Result<(), ClientError> {
        let report = self.wanted.report();
        if let Some(heartbeat) = &report
            && report != self.told
        {
            let renewed = self.client.heartbeat(&self.id, heartbeat).await;
            match renewed {
                Err(error) if error.is("invalid-field") => {
                    tracing::warn!(id = self.id, %error, "the server takes no such report");
                    self.told = report;
                }
                Err(error) => return Err(error),
                Ok(_) => {
                    self.told = report;
                    return Ok(());
                }
            }
        }
        let plain = api::Heartbeat::default();
        self.client.heartbeat(&self.id, &plain).await.map(|_| ())
    }

    async fn register(&mut self) -> Result<(), ClientError> {
        self.is_registered = false;
        let registered = self.client.register(&self.fields).await?;
        self.take(&registered);
        Ok(())
    }

    /// Takes what the server answered to a registration.
    fn take(&mut self, registered: &api::Registered) {
        self.is_registered = true;
        self.told = None;
        self.term = registered.lease.as_ref().map(|lease| lease.term.0);
        if let Some(term) = self.term {
            // All servers can be tried before the next heartbeat is due.
            self.client = self.client.hurried((term / 3).max(MIN_TIMEOUT));
            let longest = (term / 3).min(MAX_WAIT);
            self.backoff = Backoff::new((term / 20).min(Duration::from_secs(1)), longest);
        }
    }

    /// Time to the next heartbeat: a third of the term, less up to a fifth of that, so
    /// that those who started together don't stay together.
    fn interval(&self) -> Duration {
        let third = self.term.map_or(UNHURRIED, |term| term / 3);
        third.mul_f64(0.8 + 0.2 * fastrand::f64())
    }

    /// Takes note of a failure; the time until it's tried again.
    fn failed(&mut self, error: &ClientError) -> Duration {
        let cause = error.to_string();
        let state = match error.is_temporary() {
            true => RegistrationState::Away { cause },
            false => RegistrationState::Refused { cause },
        };
        if *self.state.borrow() != state {
            tracing::warn!(id = self.id, %error, "the instance can't be kept registered");
        }
        self.tell(state);
        let wait = self.backoff.after_failure(fastrand::f64());
        wait.max(error.retry_after().unwrap_or_default())
    }

    fn tell(&self, state: RegistrationState) {
        self.state.send_if_modified(|known| {
            let is_new = *known != state;
            *known = state;
            is_new
        });
    }

    /// Deregisters, and waits until it's drained if that is wanted.
    async fn leave(&mut self, leaving: Leaving) -> Result<Option<DateTime<Utc>>, ClientError> {
        let mut failure = None;
        for attempt in 1..=LEAVE_TRIES {
            match self.client.leave(&self.id).await {
                Ok((drained, _)) if leaving == Leaving::AtOnce => {
                    return Ok(Some(drained.drained_at));
                }
                Ok((drained, date)) => {
                    let clock = Clock::start();
                    let left = left(drained.drained_at, date, clock.wall(clock.now()));
                    tokio::time::sleep(left).await;
                    return Ok(Some(drained.drained_at));
                }
                Err(error) if error.is_unknown_instance() => return Ok(None),
                Err(error) if !error.is_temporary() => return Err(error),
                Err(error) => failure = Some(error),
            }
            // It was never told of, so there's nothing to take back.
            if !self.is_registered && self.term.is_none() {
                break;
            }
            if attempt < LEAVE_TRIES {
                let wait = self.backoff.after_failure(fastrand::f64());
                tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

/// The time until `drained_at`: by the clock `here` if that agrees with the server's
/// `date`, which has whole seconds, else by the latter.
fn left(drained_at: DateTime<Utc>, date: Option<DateTime<Utc>>, here: DateTime<Utc>) -> Duration {
    let now = date
        .filter(|date| !(-1_000..=2_000).contains(&(here - date).num_milliseconds()))
        .unwrap_or(here);
    let left = (drained_at - now).to_std().unwrap_or_default();
    left.min(crate::client::calls::MAX_DRAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_clock_that_is_wrong_is_not_asked() {
        let at = |millis: i64| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_000_000 + millis);
        for (date, here, expected) in [
            (Some(0), 700, 4_300),
            // Wrong by an hour, both ways: the server's whole second holds.
            (Some(0), 3_600_000, 5_000),
            (Some(0), -3_600_000, 5_000),
            (None, 700, 4_300),
            (None, 9_000, 0),
        ] {
            let left = left(at(5_000), date.map(at), at(here));
            assert_eq!(left, Duration::from_millis(expected), "{date:?} {here}");
        }
    }
}
