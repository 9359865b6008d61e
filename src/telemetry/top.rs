//! A bounded table of the services that are asked for most, and one number for the rest.
//!
//! There may be a hundred thousand services, and a collector can't take a series
//! for each. So the most asked have a seat in the table, and all others together
//! are [`OTHER`]. Who sits may change; what is exported never falls:
//!
//! - Every query is exported once: in the series of its service if that is listed
//!   before and after the update that notices the query, else in `other`.
//! - A service that enters begins at 0, with a start of its own; what it had
//!   before stays in `other`. One that leaves takes along what was exported of it,
//!   and `other` goes on without a jump. If it comes back it is a new sequence of
//!   points with a new start, which is how OTLP tells a reset.
//! - A service enters when it is among as many as there are seats, and a seat is
//!   free or its holder isn't among twice as many any more. The gap keeps two
//!   services of about the same rank from changing places at each export.
//! - A service that was gone and comes back keeps its seat, unless another needed
//!   it, and its series goes on.
//!
//! Callers say of each service what they haven't said before, so nothing is kept
//! of those without a seat.
//!
//! Equal counts rank by name, so the table doesn't depend on the order of visits.
//!
//! Pure: nothing here reads a clock; callers pass the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The services without a series of their own.
///
/// A service of this very name never gets one, or it couldn't be told apart.
pub(super) const OTHER: &str = "other";

/// The table.
#[derive(Debug)]
pub(super) struct Top {
    seats: usize,
    listed: BTreeMap<Box<str>, Listed>,
    other: u64,
}

/// A service with a seat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    /// When it entered, as the caller of [`Top::update`] counts time.
    pub(super) since: u64,
    /// Queries since then.
    pub(super) queries: u64,
    /// Those of them that the last update noticed.
    latest: u64,
}

impl Top {
    /// An empty table for this many services.
    pub(super) fn new(seats: usize) -> Self {
        Self {
            seats,
            listed: BTreeMap::new(),
            other: 0,
        }
    }

    /// Takes the counts as they are `now`. `visit` calls its argument for each service
    /// with its name, all its queries and those that are new, and with no name for
    /// queries of services that are no more.
    pub(super) fn update(&mut self, now: u64, visit: impl FnOnce(&mut dyn FnMut(&str, u64, u64))) {
        for listed in self.listed.values_mut() {
            listed.latest = 0;
        }
        let mut ranking = Ranking::new(self.seats.saturating_mul(2));
        visit(&mut |name, all, new| {
            // Of very many services few are asked in between.
            if new != 0 {
                match self.listed.get_mut(name) {
                    Some(listed) => {
                        listed.queries = listed.queries.saturating_add(new);
                        listed.latest = listed.latest.saturating_add(new);
                    }
                    None => self.other = self.other.saturating_add(new),
                }
            }
            if name != OTHER && !name.is_empty() {
                ranking.offer(name, all);
            }
        });
        self.reseat(now, &ranking);
    }

    /// The services with a seat, by name.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&str, Listed)> {
        self.listed.iter().map(|(name, listed)| (&**name, *listed))
    }

    /// Queries that no service's series has.
    pub(super) fn other(&self) -> u64 {
        self.other
    }

    fn reseat(&mut self, now: u64, ranking: &Ranking) {
        let ranked: BTreeSet<&str> = ranking.names().collect();
        let listed = self.listed.keys();
        let mut leaving: Vec<_> = listed
            .filter(|name| !ranked.contains(&***name))
            .cloned()
            .collect();
        for name in ranking.names().take(self.seats) {
            if self.listed.contains_key(name) {
                continue;
            }
            if self.listed.len() >= self.seats {
                let Some(left) = leaving.pop() else { return };
                // What nobody has seen of it yet would be lost.
                let unseen = self.listed.remove(&left).map_or(0, |left| left.latest);
                self.other = self.other.saturating_add(unseen);
            }
            let entered = Listed {
                since: now,
                queries: 0,
                latest: 0,
            };
            self.listed.insert(name.into(), entered);
        }
    }
}

/// The first of all that are offered: by count, then name.
struct Ranking {
    limit: usize,
    ranked: BTreeSet<(Reverse<u64>, Box<str>)>,
}

impl Ranking {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            ranked: BTreeSet::new(),
        }
    }

    /// Copies the name only if it ranks.
    fn offer(&mut self, name: &str, count: u64) {
        if self.ranked.len() >= self.limit {
            let ranks = self
                .ranked
                .last()
                .is_some_and(|(last, last_name)| (Reverse(count), name) < (*last, &**last_name));
            if !ranks {
                return;
            }
            self.ranked.pop_last();
        }
        self.ranked.insert((Reverse(count), name.into()));
    }

    /// From the highest rank to the lowest.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.ranked.iter().map(|(_, name)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// A table, and what was said of each service last.
    struct Counted {
        top: Top,
        last: HashMap<String, u64>,
    }

    impl Counted {
        fn new(seats: usize) -> Self {
            Self {
                top: Top::new(seats),
                last: HashMap::new(),
            }
        }

        /// Counts of the services there are; one whose count falls is new.
        fn update(&mut self, now: u64, counts: &[(&str, u64)]) {
            let before = std::mem::take(&mut self.last);
            self.top.update(now, |visit| {
                for (name, all) in counts {
                    let known = before.get(*name).and_then(|last| all.checked_sub(*last));
                    visit(name, *all, known.unwrap_or(*all));
                    self.last.insert((*name).to_owned(), *all);
                }
            });
        }
    }

    fn update(counted: &mut Counted, now: u64, counts: &[(&str, u64)]) {
        counted.update(now, counts);
    }

    /// Names, starts and values; `other` last.
    fn series(counted: &Counted) -> Vec<(String, u64, u64)> {
        let listed = counted.top.listed();
        let listed = listed.map(|(name, of)| (name.to_owned(), of.since, of.queries));
        let other = (OTHER.to_owned(), 0, counted.top.other());
        listed.chain([other]).collect()
    }

    #[track_caller]
    fn check(top: &Counted, expected: &[(&str, u64, u64)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, since, queries)| ((*name).to_owned(), *since, *queries))
            .collect();
        assert_eq!(series(top), expected);
    }

    #[test]
    fn the_most_asked_have_a_series() {
        let mut top = Counted::new(2);
        update(&mut top, 1, &[("a", 5), ("b", 7), ("c", 5)]);
        check(&top, &[("a", 1, 0), ("b", 1, 0), ("other", 0, 17)]);
        update(&mut top, 2, &[("c", 9), ("a", 6), ("b", 7)]);
        // "c" leads now, but "a" is among the first four still.
        check(&top, &[("a", 1, 1), ("b", 1, 0), ("other", 0, 21)]);
        update(
            &mut top,
            3,
            &[("a", 6), ("b", 8), ("c", 9), ("d", 9), ("e", 9)],
        );
        // "d" has no seat to take but that of "a", which is the fifth.
        check(&top, &[("b", 1, 1), ("c", 3, 0), ("other", 0, 39)]);
        update(
            &mut top,
            4,
            &[("a", 100), ("b", 8), ("c", 9), ("d", 9), ("e", 10)],
        );
        check(&top, &[("a", 4, 0), ("c", 3, 0), ("other", 0, 134)]);
    }

    #[test]
    fn a_service_that_is_new_again_never_falls() {
        let mut top = Counted::new(2);
        update(&mut top, 1, &[("a", 10), ("b", 10)]);
        update(&mut top, 2, &[("a", 15), ("b", 10)]);
        update(&mut top, 3, &[("a", 2), ("b", 10)]);
        check(&top, &[("a", 1, 7), ("b", 1, 0), ("other", 0, 20)]);
        update(&mut top, 4, &[("b", 10)]);
        update(&mut top, 5, &[("a", 4), ("b", 10)]);
        check(&top, &[("a", 1, 11), ("b", 1, 0), ("other", 0, 20)]);
        update(&mut top, 6, &[("b", 10), ("c", 1)]);
        // Its seat goes when it is needed.
        check(&top, &[("b", 1, 0), ("c", 6, 0), ("other", 0, 21)]);
    }

    #[test]
    fn other_is_no_service() {
        let mut top = Counted::new(1);
        update(&mut top, 1, &[("other", 9), ("a", 1), ("", 3)]);
        update(&mut top, 2, &[("other", 10), ("a", 2), ("", 4)]);
        check(&top, &[("a", 1, 1), ("other", 0, 15)]);
        let mut none = Counted::new(0);
        update(&mut none, 1, &[("a", 1)]);
        check(&none, &[("other", 0, 1)]);
    }

    type State = BTreeMap<u8, u64>;

    /// Counts of up to a dozen services over a few updates, which come, go, rise and fall.
    fn states() -> impl Strategy<Value = Vec<State>> {
        vec(btree_map(0u8..12, 0u64..50, 0..12), 1..30)
    }

    fn apply(top: &mut Counted, now: u64, state: impl Iterator<Item = (u8, u64)>) {
        let named: Vec<_> = state
            .map(|(n, count)| (format!("service-{n}"), count))
            .collect();
        let borrowed: Vec<_> = named
            .iter()
            .map(|(name, count)| (&**name, *count))
            .collect();
        top.update(now, &borrowed);
    }

    proptest! {
        #[test]
        fn no_series_falls_and_no_query_is_lost(states in states(), seats in 0usize..5) {
            let mut top = Counted::new(seats);
            let mut highest = HashMap::new();
            let mut last = State::new();
            let mut asked = 0;
            for (now, state) in (1..).zip(&states) {
                apply(&mut top, now, state.iter().map(|(name, count)| (*name, *count)));
                for (name, count) in state {
                    let before = last.get(name).filter(|before| *before <= count);
                    asked += count - before.unwrap_or(&0);
                }
                last.clone_from(state);
                prop_assert!(top.top.listed().count() <= seats);
                for (name, since, queries) in series(&top) {
                    let before = highest.insert((name, since), queries);
                    prop_assert!(before.unwrap_or(0) <= queries);
                }
                // Each series that ever was, at its last value.
                prop_assert_eq!(highest.values().sum::<u64>(), asked);
            }
        }

        #[test]
        fn a_seat_is_lost_only_below_twice_the_seats(states in states(), seats in 1usize..4) {
            let mut top = Counted::new(seats);
            for (now, state) in (1..).zip(&states) {
                let before: Vec<String> = top.top.listed().map(|(name, _)| name.to_owned()).collect();
                apply(&mut top, now, state.iter().map(|(name, count)| (*name, *count)));
                let mut ranks: Vec<_> = state
                    .iter()
                    .map(|(name, count)| (Reverse(*count), format!("service-{name}")))
                    .collect();
                ranks.sort();
                for (_, name) in ranks.into_iter().take(2 * seats) {
                    if before.contains(&name) {
                        prop_assert!(top.top.listed.contains_key(&*name));
                    }
                }
            }
        }

        #[test]
        fn the_order_of_visits_changes_nothing(states in states(), seats in 0usize..5) {
            let (mut up, mut down) = (Counted::new(seats), Counted::new(seats));
            for (now, state) in (1..).zip(&states) {
                let pairs = || state.iter().map(|(name, count)| (*name, *count));
                apply(&mut up, now, pairs());
                apply(&mut down, now, pairs().rev());
                prop_assert_eq!(series(&up), series(&down));
            }
        }
    }
}
