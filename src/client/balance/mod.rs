//! Which endpoint a request goes to.
//!
//! ```text
//! endpoints ─ tried before, ejected ─▶ lowest priority ─▶ Balancer ─▶ one of them
//! ```
//!
//! [`choose`] leaves out what was tried for this request and what failed lately, then of
//! the rest what doesn't have the lowest SRV priority. A [`Balancer`] picks of what is
//! left. When all are ejected the one is tried whose ejection ends first, so that there's
//! always one.
//!
//! Pure but for counters: time and random numbers are passed in.

pub(super) mod ejection;
mod hash;
mod least;
mod locality;
mod robin;
mod weighted;

use std::net::SocketAddr;

use super::endpoint::Endpoint;
use crate::time::Moment;

pub use self::hash::ConsistentHash;
pub use self::least::LeastLoaded;
pub use self::locality::LocalityFirst;
pub use self::robin::RoundRobin;
pub use self::weighted::Weighted;

/// Picks an endpoint for a request.
pub trait Balancer: Send + Sync {
    /// The index of one of `endpoints`, of which there is at least one.
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize;
}

impl<B: Balancer + ?Sized> Balancer for Box<B> {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        (**self).pick(endpoints, request)
    }
}

/// What a balancer may go by.
pub struct Request<'a> {
    /// What the request is about, such as a user's id: consistent hashing sends the same
    /// to the same endpoint.
    pub key: Option<&'a [u8]>,
    /// Draws a number from 0 up to, not including, the one it's given; 0 for 0.
    pub random: &'a mut dyn FnMut(u64) -> u64,
}

/// The index of the endpoint for a request that was sent to the `tried` ones before;
/// `None` when there's no other.
pub(super) fn choose(
    endpoints: &[Endpoint],
    tried: &[SocketAddr],
    balancer: &dyn Balancer,
    request: &mut Request<'_>,
    now: Moment,
) -> Option<usize> {
    let untried = || {
        let all = endpoints.iter().enumerate();
        all.filter(|(_, endpoint)| !tried.contains(&endpoint.address()))
    };
    let available = || untried().filter(|(_, endpoint)| endpoint.ejected_until() <= now);
    let Some(priority) = available().map(|(_, endpoint)| endpoint.priority()).min() else {
        let soonest = untried().min_by_key(|(_, endpoint)| endpoint.ejected_until());
        return soonest.map(|(index, _)| index);
    };
    let (indices, candidates): (Vec<usize>, Vec<&Endpoint>) = available()
        .filter(|(_, endpoint)| endpoint.priority() == priority)
        .unzip();
    let picked = balancer.pick(&candidates, request);
    // A balancer of somebody else's may count wrongly.
    indices.get(picked).or(indices.first()).copied()
}

#[cfg(test)]
mod tests;
