//! What was found, for as long as it may be used.
//!
//! ```text
//! put ─ fresh ──── due (the first who asks has it refreshed) ── TTL over ── stale ──▶ gone
//! ```
//!
//! A positive answer is fresh for its TTL; shortly before its end it's due to be asked for
//! again, so that a name in use never waits. After that it's stale, and is used only
//! while DNS is away ([RFC 8767] §4), up to a limit. A negative answer is used for its
//! TTL ([RFC 2308] §5), and no longer.
//!
//! Pure: time and random numbers are passed in. Bounded: the entry goes that was used
//! least recently.
//!
//! [RFC 2308]: https://www.rfc-editor.org/rfc/rfc2308
//! [RFC 8767]: https://www.rfc-editor.org/rfc/rfc8767

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::client::backoff::Backoff;
use crate::time::Moment;

/// Waits after failures to refresh.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What is in the cache.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>, RandomState>,
    /// Most entries.
    most: usize,
    /// How long a positive answer may be stale.
    max_stale: Duration,
    /// Uses so far. They order the entries where times may be equal.
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    fresh_until: Moment,
    /// From then on the first who asks has it refreshed.
    due_at: Moment,
    stale_until: Moment,
    /// The longest TTL that it had.
    longest: Duration,
    backoff: Backoff,
    /// Which use of the cache was its last one.
    used: u64,
}

/// What the cache has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Cached<V> {
    /// It can be used as it is.
    Fresh(V),
    /// It can be used, and whoever is told so has it refreshed.
    Due(V),
    /// Its TTL is over; it can be used if DNS is away.
    Stale {
        value: V,
        /// Whether DNS is to be asked first: it failed too short a time ago if not.
        ask: bool,
    },
    /// Nothing that can be used.
    Nothing,
}

/// What was answered, and how it may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Time for which it's fresh.
    pub(super) ttl: Duration,
    /// Whether it may be used when that is over and DNS is away: not if it's negative.
    pub(super) may_be_stale: bool,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(most: usize, max_stale: Duration) -> Self {
        Self {
            entries: HashMap::default(),
            most,
            max_stale,
            uses: 0,
        }
    }

    /// What there is at `now`.
    pub(super) fn get(&mut self, key: &K, now: Moment) -> Cached<V> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Cached::Nothing;
        };
        if entry.stale_until <= now && entry.fresh_until <= now {
            self.entries.remove(key);
            return Cached::Nothing;
        }
        self.uses += 1;
        entry.used = self.uses;
        let is_due = entry.due_at <= now;
        if is_due {
            // Told to one; it's told again if that one fails.
            entry.due_at = Moment::MAX;
        }
        let value = entry.value.clone();
        match (now < entry.fresh_until, is_due) {
            (true, false) => Cached::Fresh(value),
            (true, true) => Cached::Due(value),
            (false, _) => Cached::Stale {
                value,
                // Others who come meanwhile join the one that asks.
                ask: entry.due_at == Moment::MAX,
            },
        }
    }

    /// Keeps an answer; `random` from 0 up to 1 says how early it's
    /// refreshed.
    pub(super) fn put(&mut self, key: K, value: V, life: Life, now: Moment, random: f64) {
        if life.ttl.is_zero() && !life.may_be_stale {
            self.entries.remove(&key);
            return;
        }
        self.make_room(&key, now);
        let fresh_until = now.after(life.ttl);
        let (due_at, stale_until) = match life.may_be_stale {
            true => (
                now.after(life.ttl.mul_f64(0.75 + 0.15 * random.clamp(0.0, 1.0))),
                fresh_until.after(self.max_stale),
            ),
            // Nobody waits long for the next negative answer.
            false => (Moment::MAX, fresh_until),
        };
        let longest = self.longest(&key).max(life.ttl);
        self.uses += 1;
        let entry = Entry {
            value,
            longest,
            fresh_until,
            due_at,
            stale_until,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            used: self.uses,
        };
        self.entries.insert(key, entry);
    }

    /// DNS couldn't be asked: what there is may be used, and it isn't asked again at once.
    /// When there's nothing, `failure` is told for as long.
    pub(super) fn fail(&mut self, key: &K, failure: V, now: Moment, random: f64) {
        match self.entries.get_mut(key) {
            Some(entry) => entry.due_at = now.after(entry.backoff.after_failure(random)),
            None => {
                let life = Life {
                    ttl: RETRY.0,
                    may_be_stale: false,
                };
                self.put(key.clone(), failure, life, now, random);
            }
        }
    }

    /// Has a key asked for again.
    pub(super) fn expire(&mut self, key: &K, now: Moment) {
        if let Some(entry) = self.entries.get_mut(key) {
            let is_never_stale = entry.stale_until <= entry.fresh_until;
            entry.fresh_until = entry.fresh_until.min(now);
            entry.due_at = entry.due_at.min(now);
            if is_never_stale {
                entry.stale_until = entry.fresh_until;
            }
        }
    }

    /// The longest TTL that a key had since it's kept.
    pub(super) fn longest(&self, key: &K) -> Duration {
        let entry = self.entries.get(key);
        entry.map_or(Duration::ZERO, |entry| entry.longest)
    }

    /// The keys that `wanted` picks.
    pub(super) fn keys(&self, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let keys = self.entries.keys();
        keys.filter(|key| wanted(key)).cloned().collect()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lets entries go until there's room for one more.
    fn make_room(&mut self, key: &K, now: Moment) {
        if self.entries.len() < self.most || self.entries.contains_key(key) {
            return;
        }
        self.entries.retain(|_, entry| now < entry.stale_until);
        while self.entries.len() >= self.most {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            match oldest.map(|(key, _)| key.clone()) {
                Some(oldest) => self.entries.remove(&oldest),
                None => break,
            };
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
