//! The same key to the same endpoint, for as long as that is there.

use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

use super::{Balancer, Request};
use crate::client::Endpoint;

/// Sends requests of one key to one endpoint: rendezvous hashing by weight.
///
/// When an endpoint comes or goes, only the keys move that it gets or had. All clients
/// that see the same endpoints agree, since nothing but their addresses and weights
/// counts. A request without a key goes anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsistentHash;

impl Balancer for ConsistentHash {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        let Some(key) = request.key else {
            return super::weighted::index((request.random)(endpoints.len() as u64));
        };
        let scores = endpoints.iter().map(|endpoint| score(endpoint, key));
        let best = scores.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(index, _)| index)
    }
}

/// The endpoint with the highest score has the key.
fn score(endpoint: &Endpoint, key: &[u8]) -> f64 {
    let hash = FixedState::default().hash_one((endpoint.address(), key));
    // Above 0 and below 1, with the 53 bits that a float holds.
    let unit = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    // Weight 0 gets keys only where all have it.
    let weight = f64::from(endpoint.weight()).max(f64::MIN_POSITIVE);
    weight / -unit.ln()
}
