//! Expiry: a coarse wheel of lease ends.
//!
//! A lease is filed under the second in which it ends. When that second is over
//! the bucket fires, and the table looks at each lease again: heartbeats don't
//! touch the wheel, so most have been renewed and are filed anew. A heartbeat
//! thus costs the wheel nothing, and a lease at most one look a term.
//!
//! Bounded by the number of registrations: each has one ticket here, and one
//! left behind by a replaced registration goes when its second fires.

use std::collections::BTreeMap;

use crate::name::InstanceId;
use crate::time::Moment;

/// Width of a bucket in nanoseconds: how late an expiry may be noticed.
///
/// DNS doesn't wait for it: answers leave out a lease from the moment it ends.
const BUCKET_NANOS: u64 = 500_000_000;

/// What is filed: the instance and which of its registrations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    /// The instance.
    pub id: InstanceId,
    /// Its registration, so that an older one's ticket doesn't end a newer lease.
    pub generation: u64,
}

/// Lease ends in buckets of half a second.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    buckets: BTreeMap<u64, Vec<Ticket>>,
}

impl Wheel {
    /// Files a lease that ends at `ends`.
    pub(super) fn file(&mut self, ends: Moment, ticket: Ticket) {
        self.buckets
            .entry(ends.as_nanos() / BUCKET_NANOS)
            .or_default()
            .push(ticket);
    }

    /// Takes the tickets of every bucket that is over at `now`.
    pub(super) fn fire(&mut self, now: Moment) -> Vec<Ticket> {
        let waiting = self.buckets.split_off(&(now.as_nanos() / BUCKET_NANOS));
        std::mem::replace(&mut self.buckets, waiting)
            .into_values()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fires_once_within_a_bucket_of_the_end(
            ends in prop::collection::vec(0u64..20_000, 0..50),
            step in 1u64..2_000,
        ) {
            let mut wheel = Wheel::default();
            for (generation, &end) in (0u64..).zip(&ends) {
                let id = "i".parse().unwrap();
                wheel.file(Moment::from_millis(end), Ticket { id, generation });
            }
            let mut fired = 0;
            let mut now = 0;
            while now < 25_000 {
                now += step;
                for ticket in wheel.fire(Moment::from_millis(now)) {
                    let end = ends[ticket.generation as usize];
                    prop_assert!(end <= now && now <= end + BUCKET_NANOS / 1_000_000 + step);
                    fired += 1;
                }
            }
            prop_assert_eq!(fired, ends.len());
        }
    }
}
