//! Endpoints of a service that requests are spread over, with failover.

use std::net::SocketAddr;

use super::balance::{Balancer, Request, choose};
use super::discovery::{Discovery, Endpoints, Query, ResolveError};
use super::endpoint::{Endpoint, Outcome, Picked};

/// How many endpoints a request is tried at, unless set otherwise.
const ATTEMPTS: usize = 3;

/// After so many endpoints that failed in a row, what is known of the service is out of
/// date: the others are picked from what DNS says then.
const OUTDATED: usize = 2;

/// Spreads requests over the endpoints of a query; made by [`Discovery::pool`].
///
/// ```no_run
/// # async fn send(_: std::net::SocketAddr) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use namebeat::client::{Discovery, LeastLoaded, Outcome};
///
/// let discovery = Discovery::builder().server("127.0.0.1:8053".parse()?).build()?;
/// let pool = discovery.pool("web", LeastLoaded);
/// // Tries another endpoint at once when one fails.
/// pool.call(|endpoint| send(endpoint.address())).await?;
/// // Or by hand:
/// let endpoint = pool.pick().await?;
/// match send(endpoint.address()).await {
///     Ok(()) => endpoint.report(Outcome::Ok),
///     Err(_) => endpoint.report(Outcome::Failed),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pool<B> {
    discovery: Discovery,
    query: Query,
    balancer: B,
    attempts: usize,
}

/// Why a call through a [`Pool`] came to nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError<E> {
    /// There was no endpoint to try.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Every endpoint that was tried failed; what the last one failed with.
    #[error("{tried} endpoints failed, the last one with: {last}")]
    Failed {
        /// How many were tried.
        tried: usize,
        /// What the last one failed with.
        last: E,
    },
}

impl<B: Balancer> Pool<B> {
    pub(super) fn new(discovery: Discovery, query: Query, balancer: B) -> Self {
        Self {
            discovery,
            query,
            balancer,
            attempts: ATTEMPTS,
        }
    }

    /// With the number of endpoints that a request is tried at, at least 1; 3 unless set.
    #[must_use]
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How many endpoints a request is tried at.
    #[cfg(feature = "reqwest")]
    pub(super) fn most_attempts(&self) -> usize {
        self.attempts
    }

    /// Picks an endpoint for a request; hold it until that is over, and report how it went.
    pub async fn pick(&self) -> Result<Picked, ResolveError> {
        self.pick_for(None, &[]).await
    }

    /// Picks an endpoint for a request about `key`, other than those `tried` for it
    /// before as long as there's another.
    pub async fn pick_for(
        &self,
        key: Option<&[u8]>,
        tried: &[SocketAddr],
    ) -> Result<Picked, ResolveError> {
        let endpoints = self.discovery.resolve(self.query.clone()).await?;
        if let Some(endpoint) = self.choose(&endpoints, key, tried) {
            return Ok(endpoint.picked());
        }
        // All were tried: perhaps others have come.
        let endpoints = self.anew(&endpoints).await?;
        let endpoint = self
            .choose(&endpoints, key, tried)
            .or_else(|| self.choose(&endpoints, key, &[]));
        // Endpoints are never empty.
        let endpoint = endpoint.unwrap_or_else(|| endpoints[0].clone());
        Ok(endpoint.picked())
    }

    /// Makes a request at one endpoint after the other until it goes well.
    ///
    /// Each is reported, so that one that fails is kept away from for a while; after the
    /// second one DNS is asked again, whatever the cache has. Only for requests that may
    /// be made twice.
    pub async fn call<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        request: impl FnMut(Endpoint) -> F,
    ) -> Result<T, CallError<E>> {
        self.call_for(None, request).await
    }

    /// The same for a request about `key`.
    pub async fn call_for<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        key: Option<&[u8]>,
        mut request: impl FnMut(Endpoint) -> F,
    ) -> Result<T, CallError<E>> {
        let mut tried: Vec<SocketAddr> = Vec::new();
        loop {
            let endpoint = self.pick_for(key, &tried).await?;
            match request(endpoint.clone()).await {
                Ok(answer) => {
                    endpoint.report(Outcome::Ok);
                    return Ok(answer);
                }
                Err(last) => {
                    endpoint.report(Outcome::Failed);
                    tried.push(endpoint.address());
                    if tried.len() >= self.attempts {
                        let tried = tried.len();
                        return Err(CallError::Failed { tried, last });
                    }
                    if tried.len() == OUTDATED {
                        // Without an answer there's what was known.
                        let _ = self.discovery.resolve_anew(self.query.clone()).await;
                    }
                }
            }
        }
    }

    /// What DNS says now; what was known when it says nothing.
    async fn anew(&self, known: &Endpoints) -> Result<Endpoints, ResolveError> {
        match self.discovery.resolve_anew(self.query.clone()).await {
            Err(ResolveError::Away { .. } | ResolveError::Busy) => Ok(known.clone()),
            found => found,
        }
    }

    fn choose(
        &self,
        endpoints: &Endpoints,
        key: Option<&[u8]>,
        tried: &[SocketAddr],
    ) -> Option<Endpoint> {
        let mut random = |below: u64| fastrand::u64(0..below.max(1));
        let mut request = Request {
            key,
            random: &mut random,
        };
        let now = self.discovery.clock().now();
        let chosen = choose(endpoints, tried, &self.balancer, &mut request, now)?;
        endpoints.get(chosen).cloned()
    }
}
