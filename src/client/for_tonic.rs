//! A discovery as a channel of tonic: gRPC over endpoints that come and go.

use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint as Target};

use super::changes::{EndpointChange, send};
use super::discovery::{Discovery, Query};

/// Changes that wait to be taken. With more, the endpoints are looked at later.
const CAPACITY: usize = 64;

impl Discovery {
    /// A gRPC channel to all endpoints of a query, which follows their changes. Each
    /// request goes to the less loaded of two that are drawn.
    ///
    /// `configure` sets what an endpoint's connection needs beyond its address, such as
    /// TLS or timeouts; give back what it's given for nothing. While nobody is listed,
    /// requests wait: give them a timeout.
    ///
    /// Must be called in a tokio runtime, which looks for changes.
    pub fn channel(
        &self,
        query: impl Into<Query>,
        configure: impl Fn(Target) -> Target + Send + 'static,
    ) -> Channel {
        let (channel, changes) = Channel::balance_channel(CAPACITY);
        let make = move |change| match change {
            EndpointChange::Came(endpoint) => {
                let address = endpoint.address();
                // An address and a port are always the authority of a URI.
                match Target::from_shared(format!("http://{address}")) {
                    Ok(target) => Change::Insert(address, configure(target)),
                    Err(_) => Change::Remove(address),
                }
            }
            EndpointChange::Went(address) => Change::Remove(address),
        };
        tokio::spawn(send(self.clone(), query.into(), changes, make));
        channel
    }
}
