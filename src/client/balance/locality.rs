//! Near ones first.

use super::{Balancer, Request};
use crate::client::Endpoint;

/// Has another balancer pick of the endpoints in the locality of the discovery, or of all
/// when none is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalityFirst<B>(
    /// Picks of those.
    pub B,
);

impl<B: Balancer> Balancer for LocalityFirst<B> {
    fn pick(&self, endpoints: &[&Endpoint], request: &mut Request<'_>) -> usize {
        let (indices, local): (Vec<usize>, Vec<&Endpoint>) = endpoints
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, endpoint)| endpoint.is_local())
            .unzip();
        if local.is_empty() {
            return self.0.pick(endpoints, request);
        }
        let picked = self.0.pick(&local, request);
        indices.get(picked).copied().unwrap_or_default()
    }
}
