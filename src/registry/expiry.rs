//! Expiry: coarse wheels of lease ends.
//!
//! A lease is filed under the half second in which it ends. Some time before that is
//! over its bucket fires, and the table looks at each lease: heartbeats don't touch
//! the wheel, so most have been renewed and are filed anew. A heartbeat thus costs the
//! wheel nothing, and a lease at most one look a term. Those that are about to end
//! are looked at once more when they have.
//!
//! Whoever left or was replaced stays until its bucket fires, or until such are more
//! than the others: so the wheel is bounded by twice the number of leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::view::Entry;
use crate::time::Moment;

/// Width of a bucket in nanoseconds: how late an expiry may be noticed.
///
/// DNS doesn't wait for it: answers leave out a lease from the moment it ends.
const BUCKET_NANOS: u64 = 500_000_000;

/// How long before its end a lease is looked at first: longer than a bucket and the
/// time between two looks, so that none ends unseen.
pub(super) const AHEAD: Duration = Duration::from_secs(1);

/// Entries that needn't be current before anybody counts.
const SLACK: usize = 1024;

/// Lease ends, to be looked at twice: when they're near, and when they're over.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    near: Buckets,
    over: Buckets,
}

/// Leases that were looked at because their ends, when they were filed, were near.
#[derive(Debug, Default)]
pub(super) struct Fired {
    /// Those about to end, if nothing happens.
    pub(super) ending: Vec<Arc<Entry>>,
    /// How many had been renewed.
    pub(super) renewed: usize,
}

impl Wheel {
    /// Files a registration under the end of its lease, if it has one.
    pub(super) fn file(&mut self, entry: &Arc<Entry>) {
        if let Some(ends) = entry.lease.ends() {
            self.near.file(entry.clone(), ends);
        }
    }

    /// Files one that is about to end, to be looked at when it has.
    pub(super) fn file_ending(&mut self, entry: &Arc<Entry>) {
        if let Some(ends) = entry.lease.ends() {
            self.over.file(entry.clone(), ends);
        }
    }

    /// Takes the registrations whose leases are about to end, and files those anew that
    /// have been renewed.
    pub(super) fn fire_near(&mut self, now: Moment, is_current: impl Fn(&Entry) -> bool) -> Fired {
        let mut fired = Fired::default();
        let horizon = now.after(AHEAD);
        for entry in self.near.fire(horizon) {
            match entry.lease.ends() {
                Some(ends) if is_current(&entry) => {
                    if horizon < ends {
                        fired.renewed += 1;
                        self.near.file(entry, ends);
                    } else {
                        fired.ending.push(entry);
                    }
                }
                Some(_) | None => {}
            }
        }
        fired
    }

    /// Takes the registrations that were about to end, and have or have been renewed.
    pub(super) fn fire_over(&mut self, now: Moment) -> Vec<Arc<Entry>> {
        self.over.fire(now)
    }

    /// Registrations that are filed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.near.len + self.over.len
    }

    /// Lets go of whoever isn't current, when such may be the most of `leases`.
    pub(super) fn tidy(&mut self, leases: usize, is_current: impl Fn(&Entry) -> bool) {
        if 2 * leases + SLACK < self.near.len {
            self.near.retain(is_current);
        }
    }
}

/// Registrations in buckets of half a second.
#[derive(Debug, Default)]
struct Buckets {
    buckets: BTreeMap<u64, Vec<Arc<Entry>>>,
    len: usize,
}

impl Buckets {
    fn file(&mut self, entry: Arc<Entry>, ends: Moment) {
        let bucket = ends.as_nanos() / BUCKET_NANOS;
        self.buckets.entry(bucket).or_default().push(entry);
        self.len += 1;
    }

    /// Takes every bucket that is over at `now`.
    fn fire(&mut self, now: Moment) -> Vec<Arc<Entry>> {
        let bucket = now.as_nanos() / BUCKET_NANOS;
        let later = self.buckets.split_off(&bucket);
        let over = std::mem::replace(&mut self.buckets, later);
        let fired: Vec<Arc<Entry>> = over.into_values().flatten().collect();
        self.len -= fired.len();
        fired
    }

    fn retain(&mut self, is_current: impl Fn(&Entry) -> bool) {
        for bucket in self.buckets.values_mut() {
            // What nobody else has any more is found without a look-up.
            bucket.retain(|entry| Arc::strong_count(entry) > 1 && is_current(entry));
            bucket.shrink_to_fit();
        }
        self.buckets.retain(|_, bucket| !bucket.is_empty());
        self.len = self.buckets.values().map(Vec::len).sum();
    }
}
