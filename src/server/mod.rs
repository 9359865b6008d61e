//! The server: bind, build, spawn, drain. The only place that wires parts together.
//!
//! Every socket is bound before anything runs, so a server that can't have one
//! says so and changes nothing. DNS has a runtime and threads of its own, so
//! that load on the API doesn't slow answers down. When it's told to stop, the
//! API ends first, and DNS answers until nobody can be waiting for a change.

mod dns;
mod zones;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::dns::{DnsSockets, DnsThreads};
use self::zones::{Files, ZoneKeeper};
use crate::config::Config;
use crate::dns::access::Access;
use crate::dns::answer::{Authority, Client, Scratch};
use crate::dns::explain::explain;
use crate::dns::guard::Guard;
use crate::dns::rr::RecordType;
use crate::dns::service::Service;
use crate::dns::store::ZoneStore;
use crate::dns::zone::Zone;
use crate::dns::zones::{ZoneLoadError, ZoneSource, Zones};
use crate::health::{self, Prober, TlsError};
use crate::http::{self, Api, Explainer, Parts};
use crate::limit::LimitConfig;
use crate::name::DomainName;
use crate::registry::Registry;
use crate::registry::instance::Instance;
use crate::registry::log::{LoadError, OpenError, StateDir};
use crate::registry::objections::Objections;
use crate::registry::resolution::OwnNames;
use crate::reload::{Reload, Reloads};
use crate::telemetry::Instruments;
use crate::time::Clock;

/// Longest time that requests under way may take when the server stops, beyond
/// the TTL that a `DELETE ?wait=true` may be waiting for.
const GRACE: Duration = Duration::from_secs(5);

/// Longest time in all that the server takes to stop.
const MAX_GRACE: Duration = Duration::from_secs(60);

/// A server whose sockets are bound and whose parts are built.
pub struct Server {
    config: Config,
    dns: Vec<DnsSockets>,
    http: std::net::TcpListener,
    addresses: Addresses,
    prober: Prober,
    registry: Registry,
    zones: ZoneStore,
    reload: Reload,
    keeper: ZoneKeeper,
    instruments: Arc<Instruments>,
}

/// The addresses in use. Prints as the one line that a machine can read.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Of DNS, the same for UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Of the HTTP API.
    pub http: SocketAddr,
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dns: Vec<String> = self.dns.iter().map(ToString::to_string).collect();
        write!(f, "listening dns={} http={}", dns.join(","), self.http)
    }
}

impl Server {
    /// Loads the zones, binds all sockets and starts the registry.
    ///
    /// # Errors
    ///
    /// An address or the directory of the state can't be had, or a zone file is wrong.
    pub fn bind(config: Config, instruments: Arc<Instruments>) -> Result<Self, ServeError> {
        let prober = Prober::new(&config.health)?;
        let source = Arc::new(zone_source(&config));
        // Before they are read: what changes meanwhile is a change.
        let read = config.zones.as_deref().map(Files::of).unwrap_or_default();
        let zones = zones::load(&source)?;
        let count = zones.count();
        instruments.set_zones(count as u64);
        let zones = ZoneStore::from(Arc::new(zones));
        let dns = config
            .dns
            .iter()
            .map(|address| {
                DnsSockets::bind(*address, config.workers)
                    .map_err(|error| ServeError::dns(*address, error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let http = std::net::TcpListener::bind(config.http)
            .map_err(|error| ServeError::http(config.http, error))?;
        let local = || {
            http.set_nonblocking(true)?;
            http.local_addr()
        };
        let addresses = Addresses {
            dns: dns.iter().map(|sockets| sockets.address).collect(),
            http: local().map_err(ServeError::Start)?,
        };
        let state = config.data_dir.as_deref();
        let state = state.map(|dir| StateDir::open(dir, config.key_file.as_deref()));
        let registry = Registry::start_with(
            config.table.clone(),
            state.transpose()?,
            &config.reverse_zones.ranges(),
            objections(zones.clone()),
            instruments.clone(),
            Clock::start(),
        )
        .map_err(ServeError::Start)?;
        let (reload, reloads) = Reloads::new(count, registry.wall(registry.now()));
        let keeper = ZoneKeeper {
            source,
            store: zones.clone(),
            registry: registry.clone(),
            instruments: instruments.clone(),
            reloads,
            key_file: config.key_file.clone(),
            read,
        };
        let directory = registry.directory().clone();
        instruments.watch_services(move |show| {
            directory.report_queries(&mut |name, queries| show(name, queries.all, queries.new));
        });
        Ok(Self {
            config,
            dns,
            http,
            addresses,
            prober,
            registry,
            zones,
            reload,
            keeper,
            instruments,
        })
    }

    /// The addresses in use.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The registry, for programs that the server is part of.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reloads the zones, for whoever takes signals.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until `stop` is cancelled, then drains.
    ///
    /// # Errors
    ///
    /// A part ended that should have gone on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ServeError> {
        let registry = self.registry.clone();
        let service = self.dns_service();
        let dns = self.spawn_dns(&service).map_err(ServeError::Start)?;
        let mut parts = JoinSet::new();
        let checks = health::run(
            self.registry.clone(),
            self.prober,
            self.config.health.clone(),
            own_names(self.zones.clone(), self.registry.clone()),
            self.instruments.clone(),
            stop.clone(),
        );
        parts.spawn(async {
            checks.await;
            Ok(())
        });
        let behind = Parts {
            registry: self.registry.clone(),
            instruments: self.instruments.clone(),
            reload: self.reload,
            explain: explainer(service, self.zones, self.registry.clone()),
            rate: http::Rate::new(self.config.http_rate),
            probed: self.config.health.networks.clone(),
        };
        let api = Api::new(behind, stop.clone());
        let kept = self.keeper.run(stop.clone());
        parts.spawn(async {
            kept.await;
            Ok(())
        });
        let listener = TcpListener::from_std(self.http).map_err(ServeError::Start)?;
        let served = http::serve(listener, self.config.http_connections, api, stop.clone());
        parts.spawn(async {
            served.await;
            Ok(())
        });
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            Some(ended) = parts.join_next() => flatten(ended),
            () = self.registry.stopped() => Err(ServeError::ended("the registry")),
            () = dns.ended.cancelled() => Err(ServeError::ended("DNS")),
        };
        // With the registry others end, and may be seen to first.
        let ended = match self.registry.storage().load_failure() {
            Some(error) => Err(ServeError::Load(error)),
            None => ended,
        };
        stop.cancel();
        let grace = GRACE.saturating_add(self.config.table.ttl).min(MAX_GRACE);
        let drained = async { while parts.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!("requests that take longer than {grace:?} were ended");
        }
        dns.join().await;
        if tokio::time::timeout(GRACE, registry.end()).await.is_err() {
            // What was acknowledged is there; the serial skips some at the next start.
            tracing::warn!("the disk took longer than {GRACE:?}, and isn't waited for");
        }
        ended
    }

    /// What answers DNS, whichever way it comes.
    fn dns_service(&self) -> Arc<Service> {
        let limits = &self.config.limits;
        Arc::new(Service {
            authority: Authority::new(
                self.zones.clone(),
                self.registry.clone(),
                self.config.udp_payload,
                Guard::new(limits.access.clone(), limits.rate, limits.cookies)
                    .requiring_cookies(limits.require_cookies),
            )
            .with_identity(self.config.identity.clone()),
            instruments: self.instruments.clone(),
            trace_queries: self.config.trace_queries,
            cache: self.config.limits.answer_cache,
        })
    }

    /// Starts DNS on threads of its own.
    fn spawn_dns(&mut self, service: &Arc<Service>) -> io::Result<DnsThreads> {
        let mut threads = DnsThreads::default();
        let mut listeners = Vec::new();
        for sockets in std::mem::take(&mut self.dns) {
            for socket in sockets.udp {
                threads.spawn_udp(socket, service.worker())?;
            }
            listeners.push(sockets.tcp);
        }
        threads.spawn_tcp(listeners, service, self.config.workers)?;
        Ok(threads)
    }
}

/// What speaks against registrations because of the zones.
fn objections(zones: ZoneStore) -> Objections {
    let statics = zones.clone();
    Objections {
        collides: Arc::new(move |instance| statics.current().collision(instance)),
        loops: Arc::new(move |instance, members| zones.current().host_loop(instance, members)),
    }
}

/// What the zones say of host names.
fn own_names(zones: ZoneStore, registry: Registry) -> OwnNames {
    Arc::new(move |host, name| {
        let zones = zones.current();
        zones.host_addresses(registry.directory(), registry.now(), host, name)
    })
}

/// Explains what `service` answers.
fn explainer(service: Arc<Service>, zones: ZoneStore, registry: Registry) -> Explainer {
    Arc::new(move |name, rtype, client| {
        let root = DomainName::root();
        let name = DomainName::parse(name, Some(&root))
            .map_err(|error| format!("name={name} is no domain name: {error}"))?;
        let rtype: RecordType = rtype
            .parse()
            .map_err(|_| format!("type={rtype} is unknown; write SRV, AAAA or TYPE65280"))?;
        let zones = zones.current();
        let question = (&name, rtype);
        Ok(explain(
            &service.authority,
            &zones,
            &registry,
            question,
            client,
        ))
    })
}

fn zone_source(config: &Config) -> ZoneSource {
    ZoneSource {
        dir: config.zones.clone(),
        origin: config.zone.clone(),
        nameservers: config.dns.iter().map(SocketAddr::ip).collect(),
        negative_ttl: config.table.negative_ttl,
        reverse: config.reverse_zones.clone(),
    }
}

/// Checks settings and zones as far as that goes without a socket.
///
/// # Errors
///
/// A zone file is wrong.
pub fn check(config: &Config) -> Result<(), ServeError> {
    Prober::new(&config.health)?;
    zones::load(&zone_source(config))?;
    Ok(())
}

/// The response to `query`, at least a header long, from one zone alone, with nothing
/// registered. `discovery` is the discovery zone, which the zone may lie beside.
///
/// # Errors
///
/// The discovery zone can't be made, or the system has no thread to give.
pub fn answer_from_file(
    zone: Zone,
    discovery: &DomainName,
    query: &[u8],
) -> Result<Vec<u8>, ServeError> {
    let config = Config::default();
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let source = ZoneSource {
        dir: None,
        origin: discovery.clone(),
        nameservers: vec![local],
        ..zone_source(&config)
    };
    let zones = Zones::of(vec![zone], &source)?;
    let instruments = Arc::new(Instruments::off());
    let nothing = Arc::new(|_: &Instance| None);
    let registry = Registry::start(config.table, nothing, instruments, Clock::start())
        .map_err(ServeError::Start)?;
    let guard = Guard::new(Access::default(), LimitConfig::with_rate(0), false);
    let authority = Authority::new(Arc::new(zones), registry, config.udp_payload, guard);
    let (mut scratch, mut response) = (Scratch::default(), Vec::new());
    let (client, now) = (Client::stream(local), authority.now());
    // A query of our making has an answer.
    let _ = authority.answer(query, client, now, &mut scratch, &mut response);
    Ok(response)
}

/// What the end of a part means that nobody asked to end.
fn flatten(
    ended: Result<Result<(), ServeError>, tokio::task::JoinError>,
) -> Result<(), ServeError> {
    match ended {
        Ok(Ok(())) => Err(ServeError::ended("a part of the server")),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(ServeError::Part("a task", error.to_string())),
    }
}

/// Why a server can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("{what} can't listen on {address}: {error}; choose another address with --{flag}")]
    Bind {
        /// DNS or HTTP.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// A zone can't be loaded.
    #[error(transparent)]
    Zone(#[from] ZoneLoadError),
    /// Checks can't be set up.
    #[error(transparent)]
    Checks(#[from] TlsError),
    /// The directory of the state can't be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state can't be loaded.
    #[error("the state can't be loaded: {0}")]
    Load(Arc<LoadError>),
    /// The system refuses a thread or the like.
    #[error("can't start: {0}")]
    Start(io::Error),
    /// A part ended by itself.
    #[error("{0} ended: {1}")]
    Part(&'static str, String),
}

impl ServeError {
    fn ended(part: &'static str) -> Self {
        Self::Part(part, "nobody asked it to".to_owned())
    }

    fn dns(address: SocketAddr, error: io::Error) -> Self {
        Self::Bind {
            what: "DNS",
            address,
            error,
            flag: "dns",
        }
    }

    fn http(address: SocketAddr, error: io::Error) -> Self {
        Self::Bind {
            what: "HTTP",
            address,
            error,
            flag: "http",
        }
    }
}
