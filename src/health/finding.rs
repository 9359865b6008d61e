//! From what a look-up found to what is known of a host name, and when to look again.
//!
//! Pure. A name that doesn't exist, or has no address, is an answer: its instances have
//! none then. Whoever doesn't answer, or answers with a failure, says nothing of the
//! name: its last addresses stay.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::name::DomainName;
use crate::registry::registration::{MAX_ADDRESSES, is_dialable};
use crate::registry::resolution::{LookUpFailure, Resolved};
use crate::time::Moment;

/// Least and most time until a name that has addresses is looked up again, whatever
/// their TTL.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// Time until a look-up that found nothing is tried again: the first time, and the
/// longest, up to which it doubles.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Whether an address is one of it.
    fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// The type of its records.
    fn record(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }
}

/// What asking for one family came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// Addresses, and the shortest TTL of what led to them.
    Found(Vec<IpAddr>, Duration),
    /// There are none, and why that is.
    Nothing(String),
    /// Nobody could tell, and why.
    Failed(String),
}

/// What looking a name up came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    /// What others say: of IPv4 and of IPv6.
    Asked([Asked; 2]),
    /// What this server's own zones say: addresses.
    Own(Vec<IpAddr>, Duration),
    /// What they say: none, why, and for how long that is so.
    OwnNothing(String, Duration),
    /// It can't have addresses: it leads back to itself.
    Refused(String),
    /// Nobody could tell.
    Failed(String),
}

impl Finding {
    /// The same, no longer good than `ttl`, which what led to it has.
    pub(super) fn within(self, ttl: Duration) -> Self {
        match self {
            Self::Asked(asked) => Self::Asked(asked.map(|asked| match asked {
                Asked::Found(addresses, own) => Asked::Found(addresses, own.min(ttl)),
                nothing => nothing,
            })),
            Self::Own(addresses, own) => Self::Own(addresses, own.min(ttl)),
            Self::OwnNothing(why, own) => Self::OwnNothing(why, own.min(ttl)),
            other => other,
        }
    }
}

/// The shortest TTL of what was found.
pub(super) fn shortest(asked: &[Asked; 2]) -> Option<Duration> {
    let ttls = asked.iter().filter_map(|asked| match asked {
        Asked::Found(_, ttl) => Some(*ttl),
        Asked::Nothing(_) | Asked::Failed(_) => None,
    });
    ttls.min()
}

/// What is known of a name, and when it's looked up next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Conclusion {
    /// What is known.
    pub resolved: Resolved,
    /// Time until the next look-up.
    pub again: Duration,
    /// Look-ups in a row that found nothing.
    pub in_vain: u32,
}

/// What follows from a look-up of a name of which `former` was known, after `in_vain`
/// look-ups in a row that found nothing. `inner` are the names in this server's
/// zones that it's an alias of by way of others'.
pub(super) fn conclude(
    former: &Resolved,
    in_vain: u32,
    finding: Finding,
    inner: Vec<DomainName>,
    now: Moment,
) -> Conclusion {
    let (mut addresses, ttl, error) = match finding {
        Finding::Asked(asked) => merge(former, asked),
        Finding::Own(addresses, ttl) => (Some(addresses), Some(ttl), None),
        Finding::OwnNothing(why, ttl) => (Some(Vec::new()), Some(ttl), Some(why)),
        Finding::Refused(why) => (Some(Vec::new()), None, Some(why)),
        Finding::Failed(why) => (None, None, Some(why)),
    };
    if let Some(addresses) = &mut addresses {
        // What nobody can connect to is no address of an instance.
        addresses.retain(|address| is_dialable(*address));
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
    }
    let none = "the name has no address that can be connected to";
    let is_empty = addresses.as_ref().is_some_and(Vec::is_empty);
    let error = error.or(is_empty.then(|| none.to_owned()));
    let (again, in_vain) = match ttl {
        Some(ttl) => (ttl.clamp(AGAIN.0, AGAIN.1), 0),
        None => {
            let factor = 2_u32.saturating_pow(in_vain);
            let again = RETRY.0.saturating_mul(factor).min(RETRY.1);
            (again, in_vain.saturating_add(1))
        }
    };
    let is_told = addresses.is_some();
    let good_until = ttl.is_some().then(|| now.after(again));
    Conclusion {
        resolved: Resolved {
            addresses: addresses.map_or_else(|| former.addresses.clone(), Arc::from),
            looked_up: if is_told { Some(now) } else { former.looked_up },
            good_until: match is_told {
                true => good_until,
                false => former.good_until,
            },
            failure: error.map(|error| LookUpFailure::new(now, &error)),
            inner: match is_told || !inner.is_empty() {
                true => inner,
                false => former.inner.clone(),
            },
        },
        again,
        in_vain,
    }
}

/// Addresses, if anything was told of them; their TTL, if that ends the look-up; what
/// went wrong, if anything did.
type Merged = (Option<Vec<IpAddr>>, Option<Duration>, Option<String>);

/// What was found of both families. Of one that nobody could tell of, the last
/// addresses stay, beside those that the other has now.
fn merge(former: &Resolved, asked: [Asked; 2]) -> Merged {
    let mut addresses = Vec::new();
    let (mut ttl, mut told, mut nothing, mut failed) = (None, false, None, None);
    for (family, asked) in [Family::V4, Family::V6].into_iter().zip(asked) {
        match asked {
            Asked::Found(found, lives) => {
                addresses.extend(found);
                ttl = Some(ttl.map_or(lives, |ttl: Duration| ttl.min(lives)));
                told = true;
            }
            Asked::Nothing(why) => {
                told = true;
                nothing.get_or_insert(why);
            }
            Asked::Failed(why) => {
                let kept = former.addresses.iter().copied();
                addresses.extend(kept.filter(|address| family.has(*address)));
                failed.get_or_insert(format!("{}: {why}", family.record()));
            }
        }
    }
    match failed {
        // One that is silent about IPv6 isn't asked more often for it: what there is
        // says when.
        Some(failed) if told => (Some(addresses), ttl, Some(failed)),
        Some(failed) => (None, None, Some(failed)),
        None => (Some(addresses), ttl, nothing.filter(|_| ttl.is_none())),
    }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
