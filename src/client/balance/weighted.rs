//! At random by weight, as [RFC 2782](https://www.rfc-editor.org/rfc/rfc2782) has it.

use super::{Balancer, Request};
use crate::client::Endpoint;

/// Picks at random, each endpoint as often as its SRV weight says. One of weight 0 has
/// a small chance beside others, and all of weight 0 have the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Balancer for Weighted {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        let sum: u64 = endpoints.iter().map(|it| u64::from(it.weight())).sum();
        if sum == 0 {
            return index((request.random)(endpoints.len() as u64));
        }
        // "Those with weight 0 are placed at the beginning", and the first is picked
        // whose running sum is at least a number from 0 to the sum, both included.
        let drawn = (request.random)(sum + 1);
        if drawn == 0 {
            let zeros = || (0..endpoints.len()).filter(|at| endpoints[*at].weight() == 0);
            let count = zeros().count() as u64;
            if count > 0 {
                // Which one of them comes first is as good as drawn by the RFC's order.
                let nth = index((request.random)(count));
                return zeros().nth(nth).unwrap_or_default();
            }
        }
        let mut running = 0;
        let reaches = |endpoint: &&Endpoint| {
            running += u64::from(endpoint.weight());
            drawn <= running && endpoint.weight() > 0
        };
        endpoints.iter().position(reaches).unwrap_or_default()
    }
}

/// A number below the length of a slice, as its index.
pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
