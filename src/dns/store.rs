//! The zones in use, and how all of them are replaced at once.
//!
//! Whoever answers holds on to the zones it saw last, and one load tells whether
//! they are still the ones in use. So a query sees the zones before a reload or
//! those after it, never a part of both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::zones::Zones;

/// The zones in use; cheap to clone.
#[derive(Clone, Debug)]
pub struct ZoneStore(Arc<Current>);

#[derive(Debug)]
struct Current {
    zones: Mutex<Arc<Zones>>,
    /// Moves with every replacement.
    generation: AtomicU64,
}

impl From<Arc<Zones>> for ZoneStore {
    fn from(zones: Arc<Zones>) -> Self {
        Self(Arc::new(Current {
            zones: Mutex::new(zones),
            generation: AtomicU64::new(0),
        }))
    }
}

impl ZoneStore {
    /// The zones in use.
    pub fn current(&self) -> Arc<Zones> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.0
            .zones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts other zones in their place.
    pub fn replace(&self, zones: Arc<Zones>) {
        let mut current = self.0.zones.lock().unwrap_or_else(PoisonError::into_inner);
        *current = zones;
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The zones in use, by way of what the caller `held` of them before, and
    /// whether they are others than then.
    pub(super) fn hold<'h>(&self, held: &'h mut Option<Held>) -> (&'h Zones, bool) {
        // The number first: zones that come in between are newer than it says,
        // and are taken once more the next time.
        let generation = self.0.generation.load(Ordering::Acquire);
        let is_current = |held: &Held| held.generation == generation;
        let moved = !held.as_ref().is_some_and(is_current);
        if moved {
            *held = None;
        }
        let held = held.get_or_insert_with(|| Held {
            generation,
            zones: self.current(),
        });
        (&held.zones, moved)
    }
}

/// Zones that someone saw last.
#[derive(Debug)]
pub(super) struct Held {
    generation: u64,
    zones: Arc<Zones>,
}
