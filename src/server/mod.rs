//! The server: bind, build, spawn, drain. The only place that wires parts together.
//!
//! Every socket is bound before anything runs, so a server that can't have one
//! says so and changes nothing. DNS has a runtime and threads of its own, so
//! that load on the API doesn't slow answers down. When it's told to stop, the
//! API ends first, and DNS answers until nobody can be waiting for a change.

mod zones;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::zones::{Files, ZoneKeeper};
use crate::config::Config;
use crate::dns::answer::Authority;
use crate::dns::guard::Guard;
use crate::dns::service::{Service, Worker, Workers};
use crate::dns::store::ZoneStore;
use crate::dns::zones::{ZoneLoadError, ZoneSource};
use crate::dns::{stream, udp};
use crate::health;
use crate::http::{self, Api};
use crate::registry::Registry;
use crate::reload::{Reload, Reloads};
use crate::telemetry::Instruments;
use crate::time::Clock;

/// Longest time that requests under way may take when the server stops, beyond
/// the TTL that a `DELETE ?wait=true` may be waiting for.
const GRACE: Duration = Duration::from_secs(5);

/// Longest time in all that the server takes to stop.
const MAX_GRACE: Duration = Duration::from_secs(60);

/// How often another free port is tried when UDP's is taken where TCP's is free.
const PORT_TRIES: usize = 32;

/// A server whose sockets are bound and whose parts are built.
pub struct Server {
    config: Config,
    dns: Vec<DnsSockets>,
    http: std::net::TcpListener,
    addresses: Addresses,
    registry: Registry,
    zones: ZoneStore,
    reload: Reload,
    keeper: ZoneKeeper,
    instruments: Arc<Instruments>,
}

/// The sockets of one DNS address.
struct DnsSockets {
    address: SocketAddr,
    /// One for each worker.
    udp: Vec<std::net::UdpSocket>,
    tcp: std::net::TcpListener,
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
    /// An address can't be had, or a zone file is wrong.
    pub fn bind(config: Config, instruments: Arc<Instruments>) -> Result<Self, ServeError> {
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
                bind_dns(*address, config.workers).map_err(|error| ServeError::dns(*address, error))
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
        let statics = zones.clone();
        let registry = Registry::start(
            config.table.clone(),
            Arc::new(move |instance| statics.current().collision(instance)),
            instruments.clone(),
            Clock::start(),
        )
        .map_err(ServeError::Start)?;
        // Before anything can be registered, so that no address is missed.
        registry
            .directory()
            .index_addresses(config.reverse_zones.ranges());
        let (reload, reloads) = Reloads::new(count, registry.wall(registry.now()));
        let keeper = ZoneKeeper {
            source,
            store: zones.clone(),
            registry: registry.clone(),
            instruments: instruments.clone(),
            reloads,
            read,
        };
        let directory = registry.directory().clone();
        instruments.watch_services(move |show| directory.each_queries(show));
        Ok(Self {
            config,
            dns,
            http,
            addresses,
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
        let dns = self.spawn_dns().map_err(ServeError::Start)?;
        let mut parts = JoinSet::new();
        let checks = health::run(
            self.registry.clone(),
            self.config.health.clone(),
            self.instruments.clone(),
            stop.clone(),
        );
        parts.spawn(async {
            checks
                .await
                .map_err(|error| ServeError::Part("checks", error.to_string()))
        });
        let api = Api {
            registry: self.registry.clone(),
            instruments: self.instruments.clone(),
            reload: self.reload,
        };
        let kept = self.keeper.run(stop.clone());
        parts.spawn(async {
            kept.await;
            Ok(())
        });
        let listener = TcpListener::from_std(self.http).map_err(ServeError::Start)?;
        let served = http::serve(listener, api, stop.clone());
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
        stop.cancel();
        let grace = GRACE.saturating_add(self.config.table.ttl).min(MAX_GRACE);
        let drained = async { while parts.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!("requests that take longer than {grace:?} were ended");
        }
        dns.join().await;
        ended
    }

    /// Starts DNS on threads of its own.
    fn spawn_dns(&mut self) -> io::Result<DnsThreads> {
        let limits = &self.config.limits;
        let service = Arc::new(Service {
            authority: Authority::new(
                self.zones.clone(),
                self.registry.clone(),
                self.config.udp_payload,
                Guard::new(limits.access.clone(), limits.rate, limits.cookies),
            ),
            instruments: self.instruments.clone(),
            trace_queries: self.config.trace_queries,
            cache: self.config.limits.answer_cache,
        });
        let mut threads = DnsThreads::default();
        let mut listeners = Vec::new();
        for sockets in std::mem::take(&mut self.dns) {
            for socket in sockets.udp {
                threads.spawn_udp(socket, service.worker())?;
            }
            listeners.push(sockets.tcp);
        }
        threads.spawn_tcp(listeners, &service, self.config.workers)?;
        Ok(threads)
    }
}

/// The threads that answer DNS.
#[derive(Default)]
struct DnsThreads {
    stop: CancellationToken,
    stop_udp: Arc<AtomicBool>,
    /// Cancelled by the first thread that ends, however it does.
    ended: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl DnsThreads {
    fn spawn_udp(&mut self, socket: std::net::UdpSocket, worker: Worker) -> io::Result<()> {
        let stop = self.stop_udp.clone();
        self.spawn("dns-udp", move || udp::run(&socket, worker, &stop))
    }

    fn spawn_tcp(
        &mut self,
        listeners: Vec<std::net::TcpListener>,
        service: &Arc<Service>,
        threads: usize,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("dns-tcp")
            .enable_all()
            .build()?;
        let workers = Arc::new(Workers::new(service, threads));
        let mut serving = JoinSet::new();
        let inside = runtime.enter();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            serving.spawn(stream::serve(listener, workers.clone(), self.stop.clone()));
        }
        drop(inside);
        self.spawn("dns-tcp", move || {
            runtime.block_on(async { while serving.join_next().await.is_some() {} });
            runtime.shutdown_background();
        })
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let ended = self.ended.clone().drop_guard();
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || {
            let _ended = ended;
            work();
        })?);
        Ok(())
    }

    /// Ends them, and waits until what was asked before is answered.
    async fn join(mut self) {
        let threads = std::mem::take(&mut self.threads);
        drop(self);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // One that panicked has said so.
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(GRACE, joined).await.is_err() {
            tracing::warn!("DNS connections that take longer than {GRACE:?} were ended");
        }
    }
}

impl Drop for DnsThreads {
    /// Tells the threads to end, whoever drops them and why.
    fn drop(&mut self) {
        self.stop.cancel();
        self.stop_udp.store(true, Ordering::Relaxed);
    }
}

/// Binds TCP and then UDP to the same port. TCP's socket is not shared, so a
/// second server finds the address in use before it could take the first one's
/// datagrams.
fn bind_dns(address: SocketAddr, workers: usize) -> io::Result<DnsSockets> {
    let mut tries = 0;
    loop {
        let tcp = stream::bind(address)?;
        let bound = tcp.local_addr()?;
        match udp::bind(bound, workers) {
            Ok(udp) => {
                return Ok(DnsSockets {
                    address: bound,
                    udp,
                    tcp,
                });
            }
            Err(error) => {
                tries += 1;
                if address.port() != 0 || tries == PORT_TRIES {
                    return Err(error);
                }
            }
        }
    }
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
    zones::load(&zone_source(config))?;
    Ok(())
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
