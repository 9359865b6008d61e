//! Health: probes of the instances that asked for them, and their host names.
//!
//! ```text
//! registry's feed ─▶ due ─▶ queue (room in all, at a target) ─▶ probe ─▶ hysteresis ─▶ registry
//! ```
//!
//! One task schedules everything. An instance is never probed twice at once: its
//! next probe is due an interval after the last one ended, a little earlier or
//! later at random, and the first one at any time within it, so that what registered
//! or was loaded together isn't probed together. While the state is in doubt the interval
//! is shorter, while an instance is starting at most a second.
//!
//! Who wins over whom: an instance is listed when neither its check nor its own last
//! report fails, and it isn't draining; so the worst word counts, whoever has it, and
//! each side takes back its own alone. `registry::view` puts them together.
//!
//! What waits is bounded by the number of instances; what runs by [`HealthConfig`].

mod finding;
mod hosts;
mod hysteresis;
mod probe;
mod queue;
mod resolver;
mod watched;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::hosts::{Hosts, Named};
use self::probe::{Outcome, ProbeResult};
pub use self::probe::{Prober, TlsError};
use self::queue::{Lane, Queue, Ready, Room};
use self::watched::Watched;
use crate::name::InstanceId;
use crate::registry::check::networks::CheckNetworks;
use crate::registry::feed::{Began, Verdict};
use crate::registry::resolution::OwnNames;
use crate::registry::{Registry, Stopped};
use crate::telemetry::Instruments;
use crate::time::Moment;

/// Longest time until a host whose name isn't known yet is looked at again.
const UNKNOWN_HOST: Duration = Duration::from_secs(1);

/// Settings of the scheduler.
#[derive(Clone, Debug)]
pub struct HealthConfig {
    /// Most probes under way at once, 1 or more.
    pub concurrency: usize,
    /// Most of them at one address, 1 or more.
    pub per_target: usize,
    /// Where probes may go.
    pub networks: CheckNetworks,
    /// A PEM file of certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Whether each probe has a span, and hands on its trace context.
    pub trace: bool,
    /// Name servers that host names are looked up with; none for those of the system.
    pub resolvers: Vec<SocketAddr>,
}

/// Probes instances with `prober` and looks up their host names, in this server's own
/// zones with `own`, until `stop` is cancelled or the registry has stopped.
pub async fn run(
    registry: Registry,
    prober: Prober,
    config: HealthConfig,
    own: OwnNames,
    instruments: Arc<Instruments>,
    stop: CancellationToken,
) {
    let named = Arc::new(Named::default());
    let servers = config.resolvers.clone();
    let hosts = Hosts::new(registry.clone(), named.clone(), own, servers);
    let scheduler = Scheduler {
        prober,
        registry,
        instruments,
        named,
        watched: HashMap::new(),
        due: BinaryHeap::new(),
        queue: Queue::new(Room {
            total: config.concurrency,
            per_target: config.per_target,
        }),
        running: JoinSet::new(),
        jobs: HashMap::new(),
        verdicts: Vec::new(),
        epoch: 0,
        rng: fastrand::Rng::new(),
    };
    // Once the registry has stopped there's nothing left to check.
    let both = async { tokio::try_join!(scheduler.run(), hosts.run()).map(|_: ((), ())| ()) };
    let _ = stop.run_until_cancelled(both).await;
}

/// A probe, ordered by when it's due.
type Due = Reverse<(Moment, u64, InstanceId)>;

/// An instance, and the number of its watch.
type Key = (InstanceId, u64);

/// A probe under way.
struct Started {
    key: Key,
    target: IpAddr,
    lane: Lane,
}

/// What a probe came to, and how long it took.
type Done = (ProbeResult, Duration);

struct Scheduler {
    prober: Prober,
    registry: Registry,
    instruments: Arc<Instruments>,
    /// Those whose host names are to be looked up.
    named: Arc<Named>,
    watched: HashMap<InstanceId, Watched>,
    due: BinaryHeap<Due>,
    queue: Queue<Key>,
    running: JoinSet<Done>,
    /// What each running task does, at most [`HealthConfig::concurrency`].
    jobs: HashMap<task::Id, Started>,
    /// Changes of health that the registry isn't told yet.
    verdicts: Vec<Verdict>,
    epoch: u64,
    rng: fastrand::Rng,
}

impl Scheduler {
    async fn run(mut self) -> Result<(), Stopped> {
        let feed = self.registry.feed().clone();
        loop {
            self.start_due();
            let next = self.due.peek().map(|Reverse((at, ..))| *at);
            let until_next = next.map(|at| at.left_at(self.registry.now()));
            tokio::select! {
                changes = feed.changed() => {
                    for (id, change) in changes {
                        self.change(id, change);
                    }
                    self.forget_void();
                }
                Some(done) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    // Those that are done with it are told in one command, so
                    // that the registry publishes a service once for all.
                    let mut done = Some(done);
                    while let Some(one) = done {
                        self.finish(one);
                        done = self.running.try_join_next_with_id();
                    }
                }
                () = tokio::time::sleep(until_next.unwrap_or_default()), if until_next.is_some() => {}
            }
            let verdicts = std::mem::take(&mut self.verdicts);
            if !verdicts.is_empty() {
                self.registry.set_health(verdicts).await?;
            }
        }
    }

    /// Drops the jobs of earlier watches once they're more than the others, so
    /// that what waits is bounded by the number of instances.
    fn forget_void(&mut self) {
        // Each watch has a probe at most.
        let most = 2 * self.watched.len() + 1024;
        let watched = &self.watched;
        let stands = |id: &InstanceId, epoch: u64| {
            let watched = watched.get(id);
            watched.is_some_and(|watched| watched.epoch == epoch)
        };
        if self.due.len() > most {
            self.due
                .retain(|Reverse((_, epoch, id))| stands(id, *epoch));
        }
        if self.queue.len() > most {
            self.queue.retain(|(id, epoch)| stands(id, *epoch));
        }
    }

    /// The watch of that number, if it's the one of its instance still.
    fn watch(&mut self, (id, epoch): &Key) -> Option<&mut Watched> {
        let watched = self.watched.get_mut(id);
        watched.filter(|watched| watched.epoch == *epoch)
    }

    /// Takes note of a registration that began or ended.
    fn change(&mut self, id: InstanceId, change: Option<Began>) {
        self.named
            .note(&id, change.as_ref().map(|began| &began.entry));
        let Some(Began { entry, health }) = change else {
            self.watched.remove(&id);
            return;
        };
        if let Some(watched) = self.watched.get_mut(&id)
            // One that was gone in between is another, and begins anew.
            && watched.entry.registered == entry.registered
            && watched.entry.instance.is_checked_like(&entry.instance)
        {
            // What was found out while it registered again was for the former
            // registration, and is told once more.
            self.verdicts.extend(watched.go_on(&entry, health));
            return;
        }
        self.epoch += 1;
        let Some(watched) = Watched::new(entry, health, self.epoch) else {
            self.watched.remove(&id);
            return;
        };
        let delay = watched.first_within(self.registry.now());
        let delay = delay.mul_f64(self.rng.f64());
        self.watched.insert(id.clone(), watched);
        self.schedule(&(id, self.epoch), delay);
    }

    fn schedule(&mut self, (id, epoch): &Key, delay: Duration) {
        let at = self.registry.now().after(delay);
        self.due.push(Reverse((at, *epoch, id.clone())));
    }

    /// Starts what is due, as far as there is room.
    fn start_due(&mut self) {
        let now = self.registry.now();
        while self.due.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, epoch, id))) = self.due.pop() else {
                break;
            };
            let key = (id, epoch);
            let Some(watched) = self.watch(&key) else {
                continue;
            };
            match watched.target() {
                Some(target) => {
                    let (target, lane) = (target.address.ip(), watched.lane);
                    self.queue.push(Ready {
                        target,
                        lane,
                        job: key,
                    });
                }
                // Its host name isn't known yet, and so it isn't listed either.
                None => {
                    let delay = watched.interval().min(UNKNOWN_HOST);
                    self.schedule(&key, delay);
                }
            }
        }
        while let Some(ready) = self.queue.start() {
            self.start(ready);
        }
        self.instruments
            .set_probes(self.queue.running() as u64, self.queue.len() as u64);
    }

    /// Starts a probe, unless its instance or what is probed of it has changed.
    fn start(&mut self, ready: Ready<Key>) {
        let Ready { target, lane, job } = ready;
        let watched = self.watch(&job);
        let found = watched
            .and_then(|watched| Some((watched.target()?, watched.entry.instance.check.clone()?)));
        let Some((to, check)) = found else {
            self.queue.end(target, lane);
            // Its host name has lost its address.
            if self.watch(&job).is_some() {
                self.schedule(&job, UNKNOWN_HOST);
            }
            return;
        };
        let prober = self.prober.clone();
        let task = self.running.spawn(async move {
            #[expect(
                clippy::disallowed_methods,
                reason = "measures the probe, decides nothing"
            )]
            let started = Instant::now();
            let result = prober.probe(&to, &check).await;
            (result, started.elapsed())
        });
        if let Some(watched) = self.watch(&job) {
            watched.set_running(task.clone());
        }
        let started = Started {
            key: job,
            target,
            lane,
        };
        self.jobs.insert(task.id(), started);
    }

    fn finish(&mut self, done: Result<(task::Id, Done), JoinError>) {
        let task = match &done {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(Started { key, target, lane }) = self.jobs.remove(&task) else {
            return;
        };
        self.queue.end(target, lane);
        // A probe that panicked is a fault of ours, told as a failed one, so that
        // its instance is probed again.
        let (result, took) = match done {
            Ok((_, done)) => done,
            Err(error) => (ProbeResult::failed(error.to_string()), Duration::ZERO),
        };
        self.judge(&key, result, took);
    }

    /// Takes a probe's result, tells the registry of a change, and plans the next.
    fn judge(&mut self, key: &Key, result: ProbeResult, took: Duration) {
        let (now, mut rng) = (self.registry.now(), self.rng.fork());
        let Some(watched) = self.watch(key) else {
            return;
        };
        let kind = watched.check().map_or("none", |check| check.kind.as_str());
        let passed = result.outcome != Outcome::Failed;
        let judged = watched.judge(&result, took, now, &mut rng);
        self.instruments.probed(kind, passed, took);
        tracing::debug!(id = %key.0, kind, passed, ?took, output = result.output, "probed");
        let Some(judged) = judged else {
            return;
        };
        if let Some(health) = judged.changed {
            let (id, service) = (&key.0, judged.service);
            tracing::info!(%id, %service, health = health.as_str(), output = result.output, "health changed");
            self.instruments.health_changed(health.as_str());
        }
        if judged.damped {
            self.instruments.damped();
        }
        self.verdicts.extend(judged.verdict);
        self.schedule(key, judged.next);
    }
}
