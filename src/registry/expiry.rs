//! Expiry: a coarse wheel of lease ends.
//!
//! A lease is filed under the half second in which it ends. When that is over
//! its bucket fires, and the table looks at each lease again: heartbeats don't
//! touch the wheel, so most have been renewed and are filed anew. A heartbeat
//! thus costs the wheel nothing, and a lease at most one look a term.
//!
//! Bounded by the number of instances: each has one place here.

use std::collections::{BTreeSet, HashMap};

use crate::name::InstanceId;
use crate::time::Moment;

/// Width of a bucket in nanoseconds: how late an expiry may be noticed.
///
/// DNS doesn't wait for it: answers leave out a lease from the moment it ends.
const BUCKET_NANOS: u64 = 500_000_000;

/// Lease ends in buckets of half a second.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    buckets: BTreeSet<(u64, InstanceId)>,
    /// The bucket of each instance.
    filed: HashMap<InstanceId, u64>,
}

impl Wheel {
    /// Files an instance whose lease ends at `ends`, in place of an earlier end.
    pub(super) fn file(&mut self, id: &InstanceId, ends: Moment) {
        self.remove(id);
        let bucket = ends.as_nanos() / BUCKET_NANOS;
        self.buckets.insert((bucket, id.clone()));
        self.filed.insert(id.clone(), bucket);
    }

    /// Forgets an instance.
    pub(super) fn remove(&mut self, id: &InstanceId) {
        if let Some(bucket) = self.filed.remove(id) {
            self.buckets.remove(&(bucket, id.clone()));
        }
    }

    /// Takes the instances of every bucket that is over at `now`.
    pub(super) fn fire(&mut self, now: Moment) -> Vec<InstanceId> {
        let over = now.as_nanos() / BUCKET_NANOS;
        let mut fired = Vec::new();
        while self
            .buckets
            .first()
            .is_some_and(|(bucket, _)| *bucket < over)
        {
            let Some((_, id)) = self.buckets.pop_first() else {
                break;
            };
            self.filed.remove(&id);
            fired.push(id);
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fires_once_within_a_bucket_of_the_last_end(
            ends in prop::collection::vec((0u8..20, 0u64..20_000), 0..50),
            step in 1u64..2_000,
        ) {
            let mut wheel = Wheel::default();
            let mut last = HashMap::new();
            for (id, end) in ends {
                let id: InstanceId = format!("i{id}").parse().unwrap();
                wheel.file(&id, Moment::from_millis(end));
                last.insert(id, end);
            }
            let mut now = 0;
            while now < 25_000 {
                now += step;
                for id in wheel.fire(Moment::from_millis(now)) {
                    let end = last.remove(&id).unwrap();
                    prop_assert!(end <= now && now <= end + BUCKET_NANOS / 1_000_000 + step);
                }
            }
            prop_assert!(last.is_empty() && wheel.filed.is_empty());
        }
    }
}
