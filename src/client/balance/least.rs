//! The less loaded of two that are drawn.

use super::weighted::index;
use super::{Balancer, Request};
use crate::client::Endpoint;

/// Draws two endpoints and picks the one with fewer requests in flight for its weight.
///
/// Two choices keep the load nearly even without all clients running to the same idle
/// endpoint at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl Balancer for LeastLoaded {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        let count = endpoints.len() as u64;
        if count < 2 {
            return 0;
        }
        let first = index((request.random)(count));
        // One of the others.
        let second = index((request.random)(count - 1));
        let second = second + usize::from(second >= first);
        match is_less_loaded(endpoints[second], endpoints[first]) {
            true => second,
            false => first,
        }
    }
}

/// Whether `a` would have fewer requests for its weight than `b`, with one more.
fn is_less_loaded(a: &Endpoint, b: &Endpoint) -> bool {
    let load = |endpoint: &Endpoint| u64::from(endpoint.in_flight()) + 1;
    let weight = |endpoint: &Endpoint| u64::from(endpoint.weight().max(1));
    load(a) * weight(b) < load(b) * weight(a)
}
