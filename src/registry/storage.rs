//! Whether the state is loaded and can be written, for all who want to know.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::log::LoadError;
use crate::time::Moment;

/// How the state on disk fares.
#[derive(Debug)]
pub struct Storage {
    phase: watch::Sender<Phase>,
    failure: Mutex<Option<StorageFailure>>,
}

/// How far loading has come.
#[derive(Clone, Debug)]
enum Phase {
    Loading,
    Loaded,
    Failed(Arc<LoadError>),
}

/// Since when and why the state can't be written.
#[derive(Clone, Debug)]
pub struct StorageFailure {
    /// Since when.
    pub since: Moment,
    /// What the system said last.
    pub error: Arc<str>,
    retry_at: Moment,
}

/// Why the registry doesn't do what it's told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// Its writer has ended.
    #[error("the registry has stopped")]
    Stopped,
    /// What was registered before the restart isn't known yet.
    #[error("the state is being loaded")]
    Loading,
    /// What it would do can't be made durable.
    #[error(
        "the state can't be written to disk ({0}), so nothing was changed; lookups and DNS go on"
    )]
    Storage(Arc<str>),
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Loading),
            failure: Mutex::default(),
        }
    }
}

impl Storage {
    /// Why the state can't be written just now; `None` when it can, or when nothing
    /// is kept.
    pub fn failure(&self) -> Option<StorageFailure> {
        self.lock().clone()
    }

    /// Waits until the state is loaded.
    ///
    /// # Errors
    ///
    /// What is on disk can't be loaded.
    pub async fn is_loaded(&self) -> Result<(), Arc<LoadError>> {
        let mut phase = self.phase.subscribe();
        let done = phase
            .wait_for(|phase| !matches!(phase, Phase::Loading))
            .await;
        match done.as_deref() {
            Ok(Phase::Failed(error)) => Err(error.clone()),
            // The sender is this very thing.
            Ok(Phase::Loaded | Phase::Loading) | Err(_) => Ok(()),
        }
    }

    /// Why the state couldn't be loaded, if that is so.
    pub fn load_failure(&self) -> Option<Arc<LoadError>> {
        match &*self.phase.borrow() {
            Phase::Failed(error) => Some(error.clone()),
            Phase::Loading | Phase::Loaded => None,
        }
    }

    pub(super) fn loaded(&self) {
        self.phase.send_replace(Phase::Loaded);
    }

    pub(super) fn failed_to_load(&self, error: LoadError) {
        self.phase.send_replace(Phase::Failed(Arc::new(error)));
    }

    /// Why changes are refused, if they are.
    pub(super) fn refusal(&self) -> Option<Unavailable> {
        let failure = self.lock();
        failure
            .as_ref()
            .map(|failure| Unavailable::Storage(failure.error.clone()))
    }

    /// When writing is to be tried again.
    pub(super) fn retry_at(&self) -> Option<Moment> {
        self.lock().as_ref().map(|failure| failure.retry_at)
    }

    /// Notes that the state couldn't be written; says whether that is new.
    pub(super) fn failed(&self, error: &io::Error, now: Moment, retry_at: Moment) -> bool {
        let mut failure = self.lock();
        let since = failure.as_ref().map(|failure| failure.since);
        *failure = Some(StorageFailure {
            since: since.unwrap_or(now),
            error: error.to_string().into(),
            retry_at,
        });
        since.is_none()
    }

    /// Notes that it could; says whether that is new.
    pub(super) fn recovered(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<StorageFailure>> {
        // Each critical section replaces a whole value.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
