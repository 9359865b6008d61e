//! What an answer was made from, and for how long it stays true.
//!
//! Whoever makes an answer notes here each view it read and each moment at which
//! something in the answer would change by itself: a TTL that its lease no longer
//! covers, a lease that ends. An answer may be given again while the views stand
//! and that moment hasn't come. One that was made from what is found across
//! services may be given again while nothing at all is published, and one that was
//! made for a class of clients to that class. What depends on anything else, or has a name of which there's no end, is marked as not to be kept.

use std::sync::Arc;
use std::time::Duration;

use super::ttl::Ttl;
use crate::registry::directory::{Directory, Slot};
use crate::registry::view::ServiceView;
use crate::time::Moment;

/// Most views that an answer is kept by. Aliases and targets seldom lead to a
/// second one.
const MAX_VIEWS: usize = 8;

/// What an answer was made from.
#[derive(Debug)]
pub struct Basis {
    views: Vec<Seen>,
    until: Moment,
    is_kept: bool,
    /// Whether the views tell all that it was made from.
    views_suffice: bool,
    /// Whether it was made from what is found across services.
    is_of_all: bool,
    /// Whether it was made for a class of clients.
    is_of_class: bool,
}

/// A view as it was when it was read.
#[derive(Clone, Debug)]
pub struct Seen {
    slot: Arc<Slot>,
    generation: u64,
}

impl Seen {
    /// Whether it's the current view still.
    pub fn stands(&self) -> bool {
        self.slot.generation() == self.generation
    }

    /// Answers counted that weren't reported yet.
    pub(super) fn counted(&self) -> u64 {
        self.slot.unreported_queries()
    }

    /// Counts answers given from it.
    pub fn count(&self, answers: u64) {
        self.slot.count_queries(answers);
    }
}

impl Default for Basis {
    fn default() -> Self {
        Self {
            views: Vec::new(),
            until: Moment::MAX,
            is_kept: true,
            views_suffice: true,
            is_of_all: false,
            is_of_class: false,
        }
    }
}

impl Basis {
    /// Reads the view of a service.
    pub fn view(&mut self, directory: &Directory, service: &str) -> Option<Arc<ServiceView>> {
        let Some(slot) = directory.slot(service) else {
            // No view would tell that it's registered later.
            self.views_suffice = false;
            return None;
        };
        // The number first: a view that comes in between is newer than it says,
        // which costs one answer made in vain.
        let generation = slot.generation();
        let view = slot.view();
        // One that has ended since it was found doesn't tell when the service
        // comes back, for that is in another slot then.
        if slot.is_gone() {
            self.discard();
        } else if self.views.len() == MAX_VIEWS {
            self.views_suffice = false;
        } else if !self.views.iter().any(|seen| Arc::ptr_eq(&seen.slot, &slot)) {
            self.views.push(Seen { slot, generation });
        }
        Some(view)
    }

    /// Notes that the answer is made from what is found across services, so it
    /// holds for no longer than the registry's revision.
    pub fn read_all(&mut self) {
        self.is_of_all = true;
    }

    /// Notes that the answer is made for clients of one class.
    pub fn read_class(&mut self) {
        self.is_of_class = true;
    }

    /// Notes that the answer changes by itself at `moment`.
    pub fn changes_at(&mut self, moment: Moment) {
        self.until = self.until.min(moment);
    }

    /// Notes a TTL given at `now` for something that ends in `left`: it's true for
    /// as long as it ends no later than that.
    pub fn ttl_holds(&mut self, now: Moment, ttl: Ttl, left: Duration) {
        if left != Duration::MAX {
            let ttl = Duration::from_secs(ttl.as_secs().into());
            self.changes_at(now.after(left.saturating_sub(ttl)));
        }
    }

    /// Marks the answer as one not to be kept.
    pub fn discard(&mut self) {
        self.is_kept = false;
    }

    /// Whether the answer may be given again, as far as can be told from this.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept && (self.views_suffice || self.is_of_all)
    }

    /// Whether it holds only while nothing is published.
    pub(super) fn is_of_all(&self) -> bool {
        self.is_of_all
    }

    /// Whether clients of other classes have another answer.
    pub(super) fn is_of_class(&self) -> bool {
        self.is_of_class
    }

    /// The views it was made from, the one of the name asked for first.
    pub(super) fn views(&self) -> &[Seen] {
        &self.views
    }

    /// The same, to be kept.
    pub(super) fn into_views(self) -> Vec<Seen> {
        self.views
    }

    /// The moment from which on it isn't true any more.
    pub(super) fn until(&self) -> Moment {
        self.until
    }
}
