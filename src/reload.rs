//! Reloading the static zones: whoever wants it meets here whoever does it.
//!
//! A signal, a call to the API and a changed file all ask by a [`Reload`]; the one
//! task that has the [`Reloads`] reads the files and says what came of it. What is
//! in use, and why it isn't what the files say, can be read at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

use crate::api::{ReloadFailure, ZonesInUse};

/// Requests that may wait. Whoever comes when so many do waits for a place; one
/// reload answers all of them.
const QUEUE: usize = 64;

type Request = oneshot::Sender<Result<ZonesInUse, ReloadError>>;

/// Asks for a reload; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reload {
    requests: mpsc::Sender<Request>,
    zones: Arc<Mutex<ZonesInUse>>,
}

/// Why zones weren't reloaded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReloadError {
    /// What is wrong with the files; the zones in use stay.
    #[error("{0}")]
    Zones(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

impl Reload {
    /// Has the zones loaded again, and waits for what comes of it.
    pub async fn reload(&self) -> Result<ZonesInUse, ReloadError> {
        let (request, result) = oneshot::channel();
        let sent = self.requests.send(request).await;
        sent.map_err(|_| ReloadError::Stopped)?;
        result.await.map_err(|_| ReloadError::Stopped)?
    }

    /// The zones in use, and why the last reload failed if it did.
    pub fn zones(&self) -> ZonesInUse {
        lock(&self.zones).clone()
    }
}

/// Where requests arrive.
#[derive(Debug)]
pub struct Reloads {
    requests: mpsc::Receiver<Request>,
    zones: Arc<Mutex<ZonesInUse>>,
}

impl Reloads {
    /// One that says that so many `zones` are in use since `at`, and how to ask it.
    pub fn new(zones: usize, at: DateTime<Utc>) -> (Reload, Self) {
        let zones = Arc::new(Mutex::new(ZonesInUse {
            count: zones,
            loaded_at: at,
            failure: None,
        }));
        let (send, requests) = mpsc::channel(QUEUE);
        let reload = Reload {
            requests: send,
            zones: zones.clone(),
        };
        (reload, Self { requests, zones })
    }

    /// Waits for requests, and takes all there are. None when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Requests> {
        let mut waiting = Vec::new();
        match self.requests.recv_many(&mut waiting, QUEUE).await {
            0 => None,
            _ => Some(Requests(waiting)),
        }
    }

    /// Says what came of reading the files at `at`: how many zones, or what is wrong.
    pub fn done(
        &self,
        requests: Requests,
        result: Result<usize, String>,
        at: DateTime<Utc>,
    ) -> Result<(), ReloadError> {
        let mut zones = lock(&self.zones);
        let result = match result {
            Ok(count) => {
                *zones = ZonesInUse {
                    count,
                    loaded_at: at,
                    failure: None,
                };
                Ok(zones.clone())
            }
            Err(error) => {
                zones.failure = Some(ReloadFailure {
                    at,
                    error: error.clone(),
                });
                Err(ReloadError::Zones(error))
            }
        };
        drop(zones);
        for request in requests.0 {
            // Whoever has stopped waiting for it doesn't get it.
            let _ = request.send(result.clone());
        }
        result.map(|_| ())
    }
}

/// Those who wait for one reload.
#[derive(Debug, Default)]
pub struct Requests(Vec<Request>);

fn lock(zones: &Mutex<ZonesInUse>) -> MutexGuard<'_, ZonesInUse> {
    // Each critical section replaces whole values.
    zones.lock().unwrap_or_else(PoisonError::into_inner)
}
