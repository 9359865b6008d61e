//! A discovery as [`tower::discover::Discover`], which every `Stream` of changes is.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tower::discover::Change;

use super::changes::{EndpointChange, send};
use super::discovery::{Discovery, Query};
use super::endpoint::Endpoint;

/// Changes that wait to be taken. With more, the endpoints are looked at later.
const CAPACITY: usize = 64;

/// Endpoints of a query that come and go, each as a service.
pub struct Changes<S> {
    changes: mpsc::Receiver<Change<SocketAddr, S>>,
}

impl Discovery {
    /// Follows a query for a balancer of tower, such as `tower::balance::p2c::Balance`;
    /// `make` gives the service of each endpoint.
    ///
    /// Must be called in a tokio runtime, which looks for changes.
    pub fn changes<S: Send + 'static>(
        &self,
        query: impl Into<Query>,
        make: impl Fn(&Endpoint) -> S + Send + 'static,
    ) -> Changes<S> {
        let (sender, changes) = mpsc::channel(CAPACITY);
        let make = move |change| match change {
            EndpointChange::Came(endpoint) => Change::Insert(endpoint.address(), make(&endpoint)),
            EndpointChange::Went(address) => Change::Remove(address),
        };
        tokio::spawn(send(self.clone(), query.into(), sender, make));
        Changes { changes }
    }
}

impl<S> Stream for Changes<S> {
    type Item = Result<Change<SocketAddr, S>, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.poll_recv(context).map(|change| change.map(Ok))
    }
}
