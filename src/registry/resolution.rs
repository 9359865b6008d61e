//! Host names of instances: what is known of their addresses, and what this server's
//! own zones say of them.
//!
//! Those who look names up and those who answer DNS don't know each other; they meet
//! here. What was found of a name is in one [`Resolution`] that all registrations with
//! that name share, so that a look-up that changes no address costs the registry nothing.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::view::Entry;
use crate::api::explain;
use crate::name::DomainName;
use crate::time::{Moment, TimeOfDay};

/// Most characters of what is told of a look-up that failed.
pub const MAX_ERROR_LEN: usize = 600;

/// What is known of a host name, for all registrations that have it.
#[derive(Debug, Default)]
pub struct Resolution(Mutex<Arc<Resolved>>);

impl Resolution {
    /// What is known now.
    pub fn get(&self) -> Arc<Resolved> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes what was found.
    pub fn set(&self, resolved: Resolved) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(resolved);
    }
}

/// What is known of a host name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resolved {
    /// Its addresses: sorted, each once, at most
    /// [`MAX_ADDRESSES`](super::registration::MAX_ADDRESSES).
    pub addresses: Arc<[IpAddr]>,
    /// When it was last told what addresses it has, or that it has none.
    pub looked_up: Option<Moment>,
    /// Until when that is good.
    pub good_until: Option<Moment>,
    /// Why the last look-up found nothing, if so.
    pub failure: Option<LookUpFailure>,
    /// Names in this server's zones that it's an alias of, by way of others' zones.
    pub inner: Vec<DomainName>,
}

/// A look-up that found nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LookUpFailure {
    /// When.
    pub at: Moment,
    /// Why, for people; at most [`MAX_ERROR_LEN`] characters.
    pub error: Arc<str>,
}

impl LookUpFailure {
    /// One of these words, cut to [`MAX_ERROR_LEN`].
    pub fn new(at: Moment, error: &str) -> Self {
        let end = error.char_indices().nth(MAX_ERROR_LEN);
        let error = end.map_or(error, |(end, _)| &error[..end]);
        Self {
            at,
            error: error.into(),
        }
    }
}

impl Resolved {
    /// As it's read.
    pub fn to_api(&self, shown: &TimeOfDay) -> explain::Resolved {
        let wall = |at: Moment| shown.of(at);
        explain::Resolved {
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            looked_up: self.looked_up.map(wall),
            good_until: self.good_until.map(wall),
            failed: self.failure.as_ref().map(|failure| wall(failure.at)),
            error: self
                .failure
                .as_ref()
                .map(|failure| failure.error.to_string()),
        }
    }
}

/// What this server's own zones say of a host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OwnAnswer {
    /// Nothing: it's in none of them.
    Foreign,
    /// It stands for a name in none of them, or was given away to another server.
    Elsewhere {
        /// The name to ask others for.
        name: DomainName,
        /// TTL of what leads there.
        ttl: Duration,
    },
    /// It has these addresses, in no order.
    Found {
        /// One or more.
        addresses: Vec<IpAddr>,
        /// Their TTL.
        ttl: Duration,
    },
    /// It has none.
    Nothing {
        /// Why.
        why: String,
        /// TTL of that.
        ttl: Duration,
    },
    /// Its addresses would be made of themselves, or are too far away: this is the way.
    Loop(String),
    /// That can't be told yet.
    NotYet,
}

/// Says what this server's own zones have for an instance's host name, the first
/// argument, at a name, the second: the same one, or one that it's an alias of.
pub type OwnNames = Arc<dyn Fn(&DomainName, &DomainName) -> OwnAnswer + Send + Sync>;

/// Where registered instances are looked through.
pub trait Members {
    /// Whether there is anything of a service.
    fn has(&self, service: &str) -> bool;

    /// Shows the registrations of a service, or the one of an id.
    fn each(&self, service: &str, id: Option<&str>, show: &mut dyn FnMut(&Entry));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_failure_has_a_bound() {
        let failure = LookUpFailure::new(Moment::default(), &"→".repeat(MAX_ERROR_LEN + 1));
        assert_eq!(failure.error.chars().count(), MAX_ERROR_LEN);
        let failure = LookUpFailure::new(Moment::default(), "timed out");
        assert_eq!(&*failure.error, "timed out");
    }
}
