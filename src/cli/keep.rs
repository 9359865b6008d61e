//! Keeps instances registered: heartbeats at a third of the shortest term, registers again
//! what the server doesn't know, and waits for a server that is away.

use std::time::Duration;

use namebeat::api::{Registered, Registration};
use namebeat::client::{Client, ClientError};

/// Time between heartbeats where no lease needs any: only to see what became unknown.
const LONG_BEAT: Duration = Duration::from_secs(60);

/// Shortest and longest time until a call is made again that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Most ids of one call.
const MAX_IDS: usize = 10_000;

/// Instances that are kept registered.
#[derive(Debug)]
pub(super) struct Keeper {
    client: Client,
    registrations: Vec<Registration>,
    /// The shortest term that the server has given.
    term: Option<Duration>,
}

/// What a [`Keeper`] tells while it works.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note<'a> {
    /// An instance was registered, for the first time or again.
    Registered(&'a Registered),
    /// A call failed, and is made again.
    Failed(&'a ClientError),
}

impl Keeper {
    /// A keeper of these instances, none of them registered yet.
    pub(super) fn new(client: Client, registrations: Vec<Registration>) -> Self {
        Self {
            client,
            registrations,
            term: None,
        }
    }

    /// The ids, as they were given.
    pub(super) fn ids(&self) -> Vec<String> {
        let ids = self.registrations.iter();
        ids.filter_map(|registration| registration.id.clone())
            .collect()
    }

    /// Registers what has one of these ids, whatever is registered there now. Each failure
    /// that may pass is tried again for ever; what is refused ends it.
    pub(super) async fn register(
        &mut self,
        ids: &[String],
        tell: &mut impl FnMut(Note<'_>),
    ) -> Result<(), ClientError> {
        for registration in &self.registrations {
            if registration.id.as_ref().is_some_and(|id| !ids.contains(id)) {
                continue;
            }
            let mut backoff = Backoff::default();
            let registered = loop {
                match self.client.register(registration).await {
                    Ok(registered) => break registered,
                    Err(error) if error.is_temporary() => {
                        // Said once, not each time.
                        if backoff.is_fresh() {
                            tell(Note::Failed(&error));
                        }
                        backoff.wait(&error).await;
                    }
                    Err(error) => return Err(error),
                }
            };
            let term = registered.lease.as_ref().map(|lease| lease.term.0);
            self.term = self.term.into_iter().chain(term).min();
            tell(Note::Registered(&registered));
        }
        Ok(())
    }

    /// Sends heartbeats for ever; ends with what a server has refused.
    pub(super) async fn keep(&mut self, tell: &mut impl FnMut(Note<'_>)) -> ClientError {
        let mut backoff = Backoff::default();
        loop {
            let third = self.term.map_or(LONG_BEAT, |term| term / 3);
            if backoff.is_fresh() {
                tokio::time::sleep(jittered(third)).await;
            }
            match self.beat().await {
                Ok(unknown) => {
                    backoff = Backoff::default();
                    if !unknown.is_empty()
                        && let Err(error) = self.register(&unknown, tell).await
                    {
                        return error;
                    }
                }
                Err(error) if error.is_temporary() => {
                    if backoff.is_fresh() {
                        tell(Note::Failed(&error));
                    }
                    backoff.wait(&error).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// One heartbeat of each; the ids that the server doesn't know.
    async fn beat(&self) -> Result<Vec<String>, ClientError> {
        let mut unknown = Vec::new();
        for ids in self.ids().chunks(MAX_IDS) {
            unknown.extend(self.client.heartbeats(ids.to_vec()).await?.unknown);
        }
        Ok(unknown)
    }
}

/// A time with up to a tenth less, so that many don't beat together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(1.0 - fastrand::f64() / 10.0)
}

/// How long to wait after a failure: twice as long each time.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Whether nothing has failed yet.
    fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    async fn wait(&mut self, error: &ClientError) {
        let (shortest, longest) = BACKOFF;
        let wait = (shortest * 2u32.saturating_pow(self.failures.min(16))).min(longest);
        self.failures = self.failures.saturating_add(1);
        // A server that says how long knows better.
        let wait = error.retry_after().map_or(wait, |least| least.max(wait));
        tokio::time::sleep(jittered(wait)).await;
    }
}
