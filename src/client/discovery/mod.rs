//! Finds the endpoints of services by DNS, and keeps them for as long as they're true.
//!
//! ```text
//! resolve ─▶ cache ─ fresh ─▶ Endpoints
//!              │ due, stale or nothing
//!              └▶ flights: one a query ─▶ fetch: SRV, addresses, TXT ─▶ dns ─▶ cache
//! ```
//!
//! A lookup that the cache can answer does no I/O. Before an answer's TTL is over,
//! whoever asks next has it refreshed in the background; while DNS is away, what was
//! found last is used up to a limit. With [`DiscoveryBuilder::watch`] a stream over HTTP
//! tells of changes in between.
//!
//! Must be used in a tokio runtime, which does what happens in the background.

mod builder;
mod cache;
mod fetch;
mod follow;
mod query;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use self::builder::{DiscoveryBuilder, SetupError};
pub use self::query::{InvalidQuery, Query};

use self::cache::{Cache, Cached, Life};
use self::fetch::Fetcher;
use self::follow::Follower;
use super::balance::Balancer;
use super::endpoint::Endpoint;
use super::pool::Pool;
use crate::time::{Clock, Moment};

/// Most queries that are asked for at once.
const MAX_FLIGHTS: usize = 1024;

/// How long a stale answer is held back while DNS is asked (RFC 8767 §5 advises 1.8 s for
/// resolvers; whoever asks here has a request waiting).
const STALE_WAIT: Duration = Duration::from_millis(300);

/// Finds endpoints of services; cheap to clone, and best shared by all who need it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use namebeat::client::{Discovery, Query};
///
/// let discovery = Discovery::builder().server("127.0.0.1:8053".parse()?).build()?;
/// for endpoint in &*discovery.resolve("web").await? {
///     println!("{} weighs {}", endpoint.address(), endpoint.weight());
/// }
/// let prod = Query::service("web").tag("env", "prod").version("1.4");
/// println!("{} in production", discovery.resolve(prod).await?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Discovery(Arc<Shared>);

/// What all clones share.
struct Shared {
    fetcher: Fetcher,
    clock: Clock,
    cache: Mutex<Cache<Query, Found>>,
    /// Queries that are being asked for.
    flights: Mutex<Flights>,
    follower: Option<Follower>,
}

/// What a query came to.
type Found = Result<Endpoints, ResolveError>;

/// Queries that are being asked for, each by one task.
#[derive(Default)]
struct Flights {
    number: u64,
    of: HashMap<Query, Flight>,
}

#[derive(Clone)]
struct Flight {
    number: u64,
    /// The result, once it's there.
    found: watch::Receiver<Option<Found>>,
}

/// Endpoints of a service; cheap to clone. Never empty.
#[derive(Clone, Debug)]
pub struct Endpoints {
    list: Arc<[Endpoint]>,
    is_stale: bool,
}

impl Endpoints {
    /// Whether their TTL is over, and DNS couldn't be asked since.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }
}

impl Deref for Endpoints {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.list
    }
}

/// Why no endpoint was found.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// It can't be asked for.
    #[error(transparent)]
    Invalid(#[from] InvalidQuery),
    /// Nobody is there, says DNS.
    #[error("nobody is listed at {name}{}", why(.reason))]
    Nobody {
        /// The name that was asked for.
        name: String,
        /// Whether it exists at all.
        exists: bool,
        /// What namebeat says about it, such as `3 registered: 2 failing, 1 draining`.
        reason: Option<String>,
    },
    /// DNS couldn't be asked, and nothing was found before.
    #[error("{name} couldn't be looked up: {cause}")]
    Away {
        /// The name that was asked for.
        name: String,
        /// What the server that was asked last did.
        cause: String,
    },
    /// More queries are being asked for than may be at once.
    #[error("{MAX_FLIGHTS} lookups are under way; wait for some of them")]
    Busy,
}

fn why(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map_or(String::new(), |it| format!(" ({it})"))
}

impl Discovery {
    /// Sets up a discovery; by default through the system's resolvers.
    pub fn builder() -> DiscoveryBuilder {
        DiscoveryBuilder::default()
    }

    /// The endpoints of a service, of a service with filters, or of a whole name.
    pub async fn resolve(&self, query: impl Into<Query>) -> Result<Endpoints, ResolveError> {
        let query = query.into();
        self.follow(&query);
        let now = self.0.clock.now();
        let cached = self.0.cache().get(&query, now);
        match cached {
            Cached::Fresh(found) => found,
            Cached::Due(found) => {
                // Who is told so has it refreshed, and doesn't wait for that.
                let _ = self.flight(&query);
                found
            }
            Cached::Stale { value, ask: true } => {
                let asked = tokio::time::timeout(STALE_WAIT, self.ask(&query)).await;
                match asked {
                    Err(_) | Ok(Err(ResolveError::Away { .. } | ResolveError::Busy)) => {
                        stale(value)
                    }
                    Ok(found) => found,
                }
            }
            Cached::Stale { value, ask: false } => stale(value),
            Cached::Nothing => self.ask(&query).await,
        }
    }

    /// Asks DNS whatever the cache says, at most once at a time.
    pub async fn resolve_anew(&self, query: impl Into<Query>) -> Result<Endpoints, ResolveError> {
        self.ask(&query.into()).await
    }

    /// Looks queries up before they're needed, all at once; the first failure is told.
    pub async fn prewarm<Q: Into<Query>>(
        &self,
        queries: impl IntoIterator<Item = Q>,
    ) -> Result<(), ResolveError> {
        let lookups = queries.into_iter().map(|query| self.resolve(query));
        for found in futures_util::future::join_all(lookups).await {
            found?;
        }
        Ok(())
    }

    /// Forgets everything that was found. What is being asked for now isn't kept.
    pub fn clear_cache(&self) {
        let mut flights = self.0.flights();
        flights.of.clear();
        self.0.cache().clear();
    }

    /// Endpoints of a query that a balancer picks from, with failover.
    pub fn pool<B: Balancer>(&self, query: impl Into<Query>, balancer: B) -> Pool<B> {
        Pool::new(self.clone(), query.into(), balancer)
    }

    /// The zone in which services are looked for, with its final dot.
    pub fn zone(&self) -> &str {
        self.0.fetcher.zone()
    }

    pub(super) fn clock(&self) -> Clock {
        self.0.clock
    }

    /// Waits for what DNS says, together with all who ask the same.
    async fn ask(&self, query: &Query) -> Found {
        let mut flight = self.flight(query)?;
        let found = flight.found.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| {
            Err(ResolveError::Away {
                name: query.name.clone(),
                cause: "the runtime that asked is gone".to_owned(),
            })
        })
    }

    /// The flight of a query; starts one when there's none.
    fn flight(&self, query: &Query) -> Result<Flight, ResolveError> {
        let mut flights = self.0.flights();
        if let Some(flight) = flights.of.get(query)
            // One whose runtime is gone never lands.
            && (flight.found.has_changed().is_ok() || flight.found.borrow().is_some())
        {
            return Ok(flight.clone());
        }
        if flights.of.len() >= MAX_FLIGHTS {
            return Err(ResolveError::Busy);
        }
        flights.number += 1;
        let number = flights.number;
        let (landed, found) = watch::channel(None);
        let flight = Flight { number, found };
        flights.of.insert(query.clone(), flight.clone());
        drop(flights);
        let (shared, query) = (self.0.clone(), query.clone());
        tokio::spawn(async move {
            let (found, life) = shared.fetcher.fetch(&query).await;
            shared.land(query, number, &found, life);
            landed.send_replace(Some(found));
        });
        Ok(flight)
    }

    /// Watches the service of a query, where that is wanted.
    fn follow(&self, query: &Query) {
        if let Some(follower) = &self.0.follower
            && !query.is_whole()
        {
            follower.follow(&query.name, &self.0);
        }
    }
}

fn stale(found: Found) -> Found {
    found.map(|endpoints| Endpoints {
        is_stale: true,
        ..endpoints
    })
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache<Query, Found>> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken before the cache where both are.
    fn flights(&self) -> MutexGuard<'_, Flights> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a flight found, unless things have changed since it began.
    fn land(&self, query: Query, number: u64, found: &Found, life: Life) {
        let mut flights = self.flights();
        if flights.of.get(&query).is_none_or(|it| it.number != number) {
            return;
        }
        flights.of.remove(&query);
        let (now, random) = (self.clock.now(), fastrand::f64());
        let mut cache = self.cache();
        match found {
            Err(ResolveError::Away { .. }) => cache.fail(&query, found.clone(), now, random),
            _ => cache.put(query, found.clone(), life, now, random),
        }
    }

    /// A service changed: what is kept of it is replaced by `pushed` where that tells it,
    /// and asked for again where it doesn't.
    fn changed(&self, service: &str, pushed: impl Fn(&Query) -> Option<(Found, Life)>) {
        let now: Moment = self.clock.now();
        let is_of = |query: &Query| !query.is_whole() && query.name.eq_ignore_ascii_case(service);
        let mut queries: BTreeSet<Query> = self.cache().keys(is_of).into_iter().collect();
        // What is under way may have been answered before the change, and so may what is
        // asked next, as long as a resolver keeps it.
        let mut flights = self.flights();
        queries.extend(flights.of.extract_if(|it, _| is_of(it)).map(|(it, _)| it));
        drop(flights);
        for query in queries {
            match pushed(&query) {
                Some((found, life)) => {
                    let mut cache = self.cache();
                    cache.put(query, found, life, now, fastrand::f64());
                }
                None => self.cache().expire(&query, now),
            }
        }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("zone", &self.zone())
            .field("cached", &self.0.cache().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change that is told while DNS is asked is no less true for that: a resolver may
    /// answer what was, now and when it's asked again.
    #[tokio::test]
    async fn what_is_told_while_dns_is_asked_is_kept() {
        // Never answers.
        let resolver = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = resolver.local_addr().unwrap();
        let discovery = Discovery::builder().resolver(resolver).build().unwrap();
        let [web, other] = ["web", "other"].map(Query::service);
        for query in [&web, &other] {
            discovery.flight(query).unwrap();
        }
        let told = fetch::of(vec![Endpoint::test(1, 10, 256, false)]);
        let life = Life {
            ttl: Duration::from_secs(5),
            may_be_stale: true,
        };
        discovery
            .0
            .changed("WEB", |_| Some((Ok(told.clone()), life)));
        let found = discovery.resolve(web.clone()).await.unwrap();
        assert_eq!(found.list, told.list);
        let flights = discovery.0.flights();
        assert!(!flights.of.contains_key(&web) && flights.of.contains_key(&other));
    }
}
