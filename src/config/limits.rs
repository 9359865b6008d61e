//! Limits on what clients get: who is answered, how often, from how much memory.
//!
//! Invariant: [`Limits::default`] is what the settings come to when none is given.

use super::{ConfigError, Settings};
use crate::dns::access::Access;
use crate::limit::{LimitConfig, MAX_RATE, MAX_SLIP};

/// Octets of the unit that memory is set in.
pub const MIB: usize = 1 << 20;

/// MiB of prepared answers that a worker keeps, unless set.
const DEFAULT_ANSWER_CACHE: u32 = 64;

/// Most MiB of prepared answers that may be set for a worker.
const MAX_ANSWER_CACHE: u32 = 65_536;

/// Which clients are answered, how often, and what that may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Which clients are answered at all.
    pub access: Access,
    /// How many responses a client's network may have.
    pub rate: LimitConfig,
    /// Whether DNS cookies are given and checked.
    pub cookies: bool,
    /// Whether clients over UDP that send a cookie must show a valid one.
    pub require_cookies: bool,
    /// Most octets of prepared answers that a worker keeps; 0 keeps none.
    pub answer_cache: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            access: Access::default(),
            rate: LimitConfig::default(),
            cookies: true,
            require_cookies: false,
            answer_cache: octets(DEFAULT_ANSWER_CACHE),
        }
    }
}

impl Limits {
    /// Checks the settings that are about limits and fills in defaults.
    pub(super) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let default = LimitConfig::default();
        let rate = settings.rate_limit.unwrap_or(default.rate);
        if MAX_RATE < rate {
            return Err(ConfigError::wrong("rate_limit", rate, "0 to 1000000"));
        }
        let slip = settings.rate_limit_slip.unwrap_or(default.slip);
        if MAX_SLIP < slip {
            return Err(ConfigError::wrong("rate_limit_slip", slip, "0 to 100"));
        }
        let mib = settings.answer_cache.unwrap_or(DEFAULT_ANSWER_CACHE);
        if MAX_ANSWER_CACHE < mib {
            return Err(ConfigError::wrong("answer_cache", mib, "0 to 65536"));
        }
        let networks = |setting: &Option<Vec<_>>| setting.clone().unwrap_or_default();
        Ok(Self {
            access: Access::new(
                networks(&settings.allow_query),
                networks(&settings.deny_query),
            )?,
            rate: LimitConfig {
                slip,
                loopback: settings.rate_limit_loopback.unwrap_or(default.loopback),
                ..LimitConfig::with_rate(rate)
            },
            cookies: settings.cookies.unwrap_or(true),
            require_cookies: settings.require_cookies.unwrap_or(false),
            answer_cache: octets(mib),
        })
    }
}

/// The octets of that many MiB, or of as many as can be addressed.
fn octets(mib: u32) -> usize {
    usize::try_from(mib).map_or(usize::MAX, |mib| mib.saturating_mul(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<Limits, ConfigError> {
        Limits::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn without_settings_they_are_the_defaults() {
        let (set, default) = (limits("").unwrap(), Limits::default());
        assert_eq!(format!("{set:?}"), format!("{default:?}"));
        assert_eq!(default.answer_cache, 64 * MIB);
    }

    #[test]
    fn settings_are_taken() {
        let limits = limits(
            "allow_query = [\"10.0.0.0/8\"]\ndeny_query = [\"10.1.0.0/16\"]\nrate_limit = 20\n\
             rate_limit_slip = 2\nrate_limit_loopback = true\ncookies = false\nanswer_cache = 3\n",
        )
        .unwrap();
        for (address, permitted) in [("10.0.0.1", true), ("10.1.0.1", false), ("::1", false)] {
            assert_eq!(limits.access.permits(address.parse().unwrap()), permitted);
        }
        let rate = LimitConfig {
            slip: 2,
            loopback: true,
            ..LimitConfig::with_rate(20)
        };
        assert_eq!((limits.rate, rate.burst), (rate, 20));
        assert_eq!((limits.cookies, limits.answer_cache), (false, 3 * MIB));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let many = format!("deny_query = {:?}", vec!["::1"; 10_001]);
        for (text, part) in [
            (
                "rate_limit = 1000001",
                "rate_limit is \"1000001\"; allowed is 0 to 1000000",
            ),
            (
                "rate_limit_slip = 101",
                "rate_limit_slip is \"101\"; allowed is 0 to 100",
            ),
            (
                "answer_cache = 65537",
                "answer_cache is \"65537\"; allowed is 0 to 65536",
            ),
            (
                &many,
                "deny_query: 10001 networks to allow and deny are too many; allowed is 10000",
            ),
        ] {
            let error = limits(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
