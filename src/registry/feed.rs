//! Between the registry and the checks: which registrations began and ended, and
//! what was found of them.
//!
//! The writer never waits for whoever reads this. Changes of one instance
//! replace each other until they're taken, so there are at most as many as
//! instances.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::check::Health;
use super::view::Entry;
use crate::name::InstanceId;

/// Changes that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Feed {
    changes: Mutex<HashMap<InstanceId, Option<Began>>>,
    changed: Notify,
}

/// What a check says of a registration.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The registration.
    pub entry: Arc<Entry>,
    /// Its health from now on.
    pub health: Health,
    /// Why, for people.
    pub output: Arc<str>,
}

/// What a registration's host name stands for.
#[derive(Clone, Debug)]
pub struct Located {
    /// The registration.
    pub entry: Arc<Entry>,
    /// Its addresses from now on.
    pub addresses: Arc<[IpAddr]>,
}

/// A registration that began.
#[derive(Clone, Debug)]
pub struct Began {
    /// The registration.
    pub entry: Arc<Entry>,
    /// Its health now; not `Starting` when an earlier verdict still stands.
    pub health: Health,
}

impl Feed {
    /// Takes what changed since the last call: the registration that an instance
    /// has now, or `None` when it has none. Waits until there is something.
    pub async fn changed(&self) -> HashMap<InstanceId, Option<Began>> {
        loop {
            let waiting = self.changed.notified();
            let changes =
                std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner));
            if !changes.is_empty() {
                return changes;
            }
            waiting.await;
        }
    }

    pub(super) fn began(&self, entry: Arc<Entry>, health: Health) {
        self.note(entry.instance.id.clone(), Some(Began { entry, health }));
    }

    pub(super) fn ended(&self, id: InstanceId) {
        self.note(id, None);
    }

    fn note(&self, id: InstanceId, change: Option<Began>) {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, change);
        self.changed.notify_one();
    }
}
