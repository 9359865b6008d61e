//! At random by weight, as [RFC 2782](https://www.rfc-editor.org/rfc/rfc2782) has it.

use super::{Balancer, Request};
use crate::client::Endpoint;

/// Picks at random, each endpoint as often as its SRV weight says. One of weight 0 has
/// a small chance beside others, and all of weight 0 have the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Weighted {
    /// The index of one of `weights`, for whoever has SRV records of their own; 0 when
    /// there is none. `random` is [`Request::random`].
    pub fn draw(
        mut weights: impl Iterator<Item = u16> + Clone,
        random: &mut dyn FnMut(u64) -> u64,
    ) -> usize {
        let sum: u64 = weights.clone().map(u64::from).sum();
        let zeros = weights.clone().filter(|weight| *weight == 0).count() as u64;
        if sum == 0 {
            return index(random(zeros));
        }
        // "Those with weight 0 are placed at the beginning" and the first is picked whose
        // running sum is at least a number from 0 to the sum. So 0 is theirs; without
        // them it would be the first one's, whose place is nobody's merit.
        let drawn = match zeros {
            0 => 1 + random(sum),
            _ => random(sum + 1),
        };
        if drawn == 0 {
            // Which one of them comes first is as good as drawn by the RFC's order.
            let nth = index(random(zeros));
            let mut places = weights.enumerate().filter(|(_, weight)| *weight == 0);
            return places.nth(nth).map_or(0, |(place, _)| place);
        }
        let mut running = 0;
        let reaches = |weight: u16| {
            running += u64::from(weight);
            drawn <= running
        };
        weights.position(reaches).unwrap_or_default()
    }
}

impl Balancer for Weighted {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        let weights = endpoints.iter().map(|endpoint| endpoint.weight());
        Self::draw(weights, request.random)
    }
}

/// A number below the length of a slice, as its index.
pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
