//! Time to live: how long a resolver may cache what we serve.
//!
//! A TTL is a whole number of seconds from 0 to 2^31 - 1 ([RFC 2181] §8), and
//! all records of an RRset share one ([RFC 2181] §5.2).
//!
//! Invariant: no record outlives the lease it was made from, so caches forget a
//! dead instance no later than the registry does.
//!
//! Pure: nothing here reads a clock; callers pass the time that is left.
//!
//! [RFC 2181]: https://www.rfc-editor.org/rfc/rfc2181

use std::time::Duration;

/// Seconds for which a record may be cached.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ttl(u32);

impl Ttl {
    /// Not to be cached at all.
    pub const ZERO: Self = Self(0);

    /// The largest TTL a record can carry.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// Makes a TTL of `secs` seconds, or fails if that is above [`Ttl::MAX`].
    pub fn from_secs(secs: u32) -> Result<Self, TtlTooLarge> {
        if Self::MAX.0 < secs {
            return Err(TtlTooLarge(secs));
        }
        Ok(Self(secs))
    }

    /// Seconds, 0 to 2^31 - 1.
    pub fn as_secs(self) -> u32 {
        self.0
    }

    /// The whole seconds of `span`; longer than [`Ttl::MAX`] is cut to it.
    pub fn from_duration(span: Duration) -> Self {
        Self::MAX.capped_at(span)
    }

    /// Cuts this TTL to end no later than a lease with `remaining` time left.
    ///
    /// Part seconds are dropped: a record may go early, never late.
    #[must_use]
    pub fn capped_at(self, remaining: Duration) -> Self {
        u32::try_from(remaining.as_secs()).map_or(self, |secs| self.min(Self(secs)))
    }
}

/// A number of seconds that no TTL can hold.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("TTL of {0} s is above the limit of 2147483647 s")]
pub struct TtlTooLarge(u32);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc2181_8_holds_31_bits() {
        assert_eq!(Ttl::from_secs(0x7fff_ffff), Ok(Ttl::MAX));
        assert_eq!(Ttl::from_secs(0x8000_0000), Err(TtlTooLarge(0x8000_0000)));
        assert_eq!(Ttl::from_duration(Duration::MAX), Ttl::MAX);
    }

    proptest! {
        #[test]
        fn never_outlives_the_lease(secs in 0u32..=0x7fff_ffff, left in 0u64..10_000_000_000) {
            let left = Duration::from_millis(left);
            let ttl = Ttl(secs).capped_at(left);
            prop_assert!(ttl <= Ttl(secs));
            prop_assert!(Duration::from_secs(u64::from(ttl.as_secs())) <= left);
        }
    }
}
