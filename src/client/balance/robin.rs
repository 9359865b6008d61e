//! One after the other.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Balancer, Request};
use crate::client::Endpoint;

/// Picks one endpoint after the other, whatever their weights.
#[derive(Debug, Default)]
pub struct RoundRobin(AtomicUsize);

impl Balancer for RoundRobin {
    fn pick(&self, endpoints: &[&Endpoint], _: &mut Request<'_>) -> usize {
        self.0.fetch_add(1, Relaxed) % endpoints.len()
    }
}
