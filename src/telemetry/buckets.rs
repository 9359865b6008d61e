//! Exact histograms: bounds in whole units, and cells that one thread writes.
//!
//! A value's bucket is found without a search and without a branch. Bounds are so
//! far apart that at most two lie in each octave, the values above 2^(k-1) up to
//! 2^k. So the number of leading zeros of `value - 1` names the octave, a table of
//! 65 octets names the first bound above the octave's beginning, and two comparisons,
//! added up, say how many bounds from there on the value exceeds. [`Bounds::new`]
//! proves the distance when the program is compiled.
//!
//! Nothing here is rounded: durations are whole nanoseconds, sizes whole octets,
//! and sums are sums of those.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any thread reads.
///
/// Adding is a plain load and a plain store: two writers would lose counts.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline]
    pub(super) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The inclusive upper bounds of `N` buckets, the last of them without an end.
#[derive(Debug)]
pub(super) struct Bounds<const N: usize> {
    /// Ascending; the last is `u64::MAX`.
    upper: [u64; N],
    /// By octave: the first bucket that reaches beyond the octave's beginning, at most `N - 2`.
    first: [u8; 65],
}

impl<const N: usize> Bounds<N> {
    /// Takes `N - 1` bounds above 0, ascending, at most two to an octave.
    pub(super) const fn new(finite: &[u64]) -> Self {
        assert!(finite.len() + 1 == N && 2 <= N && N <= 256);
        let mut upper = [u64::MAX; N];
        let mut index = 0;
        while index < finite.len() {
            assert!(finite[index] > 0 && (index == 0 || finite[index - 1] < finite[index]));
            upper[index] = finite[index];
            index += 1;
        }
        let mut first = [0; 65];
        let (mut octave, mut bucket) = (0, 0);
        while octave < first.len() {
            // The octave has the values above `below` up to `last`.
            let below = if octave == 0 { 0 } else { 1 << (octave - 1) };
            let last = if octave == 64 { u64::MAX } else { 1 << octave };
            while upper[bucket] <= below {
                bucket += 1;
            }
            assert!(bucket + 2 >= finite.len() || upper[bucket + 2] > last);
            first[octave] = if bucket < N - 1 { bucket } else { N - 2 } as u8;
            octave += 1;
        }
        Self { upper, first }
    }

    /// The bounds that have an end.
    pub(super) fn finite(&self) -> &[u64] {
        &self.upper[..N - 1]
    }

    /// The bucket of a value: the first whose bound isn't below it.
    #[inline]
    fn bucket(&self, value: u64) -> usize {
        let octave = u64::BITS - value.saturating_sub(1).leading_zeros();
        let first = usize::from(self.first[octave as usize]);
        let [one, two] = [self.upper[first], self.upper[first + 1]];
        first + usize::from(one < value) + usize::from(two < value)
    }
}

/// How values are spread over `N` buckets, with their sum and extremes.
#[derive(Debug)]
pub(super) struct Distribution<const N: usize> {
    buckets: [Tally; N],
    sum: Tally,
    /// `u64::MAX` without a value.
    min: Tally,
    max: Tally,
}

impl<const N: usize> Default for Distribution<N> {
    fn default() -> Self {
        Self {
            buckets: [const { Tally::new(0) }; N],
            sum: Tally::new(0),
            min: Tally::new(u64::MAX),
            max: Tally::new(0),
        }
    }
}

impl<const N: usize> Distribution<N> {
    /// Adds a value.
    #[inline]
    pub(super) fn record(&self, bounds: &Bounds<N>, value: u64) {
        self.buckets[bounds.bucket(value)].add(1);
        self.sum.add(value);
        self.widen(value, value);
    }

    /// Adds all values of another.
    pub(super) fn absorb(&self, other: &Self) {
        for (own, others) in self.buckets.iter().zip(&other.buckets) {
            own.add(others.get());
        }
        self.sum.add(other.sum.get());
        self.widen(other.min.get(), other.max.get());
    }

    /// Values in each bucket, in the order of the bounds.
    pub(super) fn buckets(&self) -> [u64; N] {
        std::array::from_fn(|bucket| self.buckets[bucket].get())
    }

    /// The sum of all values.
    pub(super) fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// The smallest and the largest value, unless there is none.
    pub(super) fn extremes(&self) -> Option<(u64, u64)> {
        let (min, max) = (self.min.get(), self.max.get());
        (min <= max).then_some((min, max))
    }

    /// Extremes are seldom new, so these branches are guessed right.
    #[inline]
    fn widen(&self, min: u64, max: u64) {
        if min < self.min.get() {
            self.min.set(min);
        }
        if self.max.get() < max {
            self.max.set(max);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds<7> = Bounds::new(&[1, 2, 5, 1232, 2048, 1 << 63]);

    /// The definition: the number of bounds below the value.
    fn searched(bounds: &[u64], value: u64) -> usize {
        bounds.iter().filter(|bound| **bound < value).count()
    }

    #[test]
    fn a_bound_is_the_last_value_of_its_bucket() {
        for (value, bucket) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (5, 2),
            (6, 3),
            (1024, 3),
            (1025, 3),
            (1232, 3),
            (1233, 4),
            (2048, 4),
            (2049, 5),
            (1 << 63, 5),
            ((1 << 63) + 1, 6),
            (u64::MAX, 6),
        ] {
            assert_eq!(BOUNDS.bucket(value), bucket, "{value}");
        }
        assert_eq!(BOUNDS.finite(), [1, 2, 5, 1232, 2048, 1 << 63]);
    }

    #[test]
    fn sums_and_extremes_are_exact() {
        let (one, two) = (Distribution::default(), Distribution::default());
        assert_eq!(one.extremes(), None);
        for value in [5, 6, 1300] {
            one.record(&BOUNDS, value);
        }
        two.record(&BOUNDS, 0);
        two.absorb(&one);
        two.absorb(&Distribution::default());
        assert_eq!(two.buckets(), [1, 0, 1, 1, 1, 0, 0]);
        assert_eq!((two.sum(), two.extremes()), (1311, Some((0, 1300))));
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_search_finds(value: u64, shift in 0..64) {
            let value = value >> shift;
            prop_assert_eq!(BOUNDS.bucket(value), searched(BOUNDS.finite(), value));
        }
    }
}
