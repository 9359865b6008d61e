//! How a [`Discovery`] is set up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::Meter;

use super::cache::Cache;
use super::fetch::Fetcher;
use super::follow::Follower;
use super::query::{InvalidQuery, absolute};
use super::{Discovery, Flights, Shared};
use crate::client::Client;
use crate::client::dns::{Dns, Servers};
use crate::name::{Label, LabelError};
use crate::time::Clock;

/// The discovery zone, unless set otherwise.
const ZONE: &str = "svc.internal.";

/// Sets up a [`Discovery`]; made by [`Discovery::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is set up before `build`"]
pub struct DiscoveryBuilder {
    servers: Vec<SocketAddr>,
    resolvers: Vec<SocketAddr>,
    zone: String,
    timeout: Duration,
    max_stale: Duration,
    max_cached: usize,
    locality: Option<String>,
    watch: Option<Client>,
    meter: Option<Meter>,
}

impl Default for DiscoveryBuilder {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            resolvers: Vec::new(),
            zone: ZONE.to_owned(),
            timeout: Duration::from_millis(500),
            max_stale: Duration::from_secs(3600),
            max_cached: 1024,
            locality: None,
            watch: None,
            meter: None,
        }
    }
}

/// Why a discovery can't be set up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SetupError {
    /// The zone is no name.
    #[error("zone {0}")]
    Zone(InvalidQuery),
    /// The locality is no label.
    #[error("locality {0:?} {1}")]
    Locality(String, LabelError),
    /// Nothing could be kept.
    #[error("max_cached is 0; a discovery keeps at least 1")]
    MaxCached,
}

impl DiscoveryBuilder {
    /// Asks namebeat itself at this address, straight; may be called again for others,
    /// which are asked when the ones before don't answer. Without any, the system's
    /// resolvers are asked: those of `/etc/resolv.conf`, which is read again when it
    /// changes.
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.servers.push(server);
        self
    }

    /// Asks this resolver in the place of the system's; may be called again for others.
    pub fn resolver(mut self, resolver: SocketAddr) -> Self {
        self.resolvers.push(resolver);
        self
    }

    /// The discovery zone; `svc.internal` unless set.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// How long an answer is waited for at first; 500 ms unless set. It doubles when all
    /// servers have been asked.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long after its TTL an answer may be used while DNS is away; an hour unless
    /// set, and zero for not at all.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// Most queries whose answers are kept; 1024 unless set.
    pub fn max_cached(mut self, max_cached: usize) -> Self {
        self.max_cached = max_cached;
        self
    }

    /// Where this program runs: endpoints there are [local](super::super::Endpoint::is_local),
    /// for [`LocalityFirst`](super::super::LocalityFirst). It takes a query more for each
    /// service.
    pub fn locality(mut self, locality: impl Into<String>) -> Self {
        self.locality = Some(locality.into());
        self
    }

    /// Watches the services that are looked for over HTTP, and so knows of a change within
    /// milliseconds rather than when a TTL is over. While no server is there to be watched,
    /// DNS alone is asked, as ever.
    pub fn watch(mut self, client: &Client) -> Self {
        self.watch = Some(client.clone());
        self
    }

    /// Measures `dns.lookup.duration` with this meter; unless set, with one of the
    /// provider that the program has made OpenTelemetry's global one.
    pub fn meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Sets it up. Reads `/etc/resolv.conf` if no resolver is named; does no other I/O.
    pub fn build(self) -> Result<Discovery, SetupError> {
        let zone = absolute(&self.zone).map_err(SetupError::Zone)?;
        if self.max_cached == 0 {
            return Err(SetupError::MaxCached);
        }
        let locality: Option<Label> = match self.locality {
            Some(text) => match text.parse() {
                Ok(label) => Some(label),
                Err(error) => return Err(SetupError::Locality(text, error)),
            },
            None => None,
        };
        let clock = Clock::start();
        let meter = self
            .meter
            .unwrap_or_else(|| opentelemetry::global::meter("namebeat"));
        let resolvers = Servers::named_or_of_system(self.resolvers, clock.now());
        let system = Dns::new(resolvers, true, self.timeout, clock, &meter);
        let straight = (!self.servers.is_empty()).then(|| {
            let servers = Servers::Named(self.servers.into());
            Dns::new(servers, false, self.timeout, clock, &meter)
        });
        Ok(Discovery(Arc::new(Shared {
            fetcher: Fetcher::new(straight, system, zone, locality, clock),
            clock,
            cache: Mutex::new(Cache::new(self.max_cached, self.max_stale)),
            flights: Mutex::new(Flights::default()),
            follower: self.watch.map(Follower::new),
        })))
    }
}
