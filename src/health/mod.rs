//! Health: probes of the instances that asked for them, and their host names.
//!
//! ```text
//! registry's feed ─▶ scheduler ─▶ due ─▶ probe (bounded) ─▶ hysteresis ─▶ registry
//! ```
//!
//! One task schedules everything. An instance is never probed twice at once: its
//! next probe is due an interval after the last one ended, a little earlier or
//! later at random, so that what registered together isn't probed together. While
//! an instance is starting the interval is at most a second.
//!
//! At most [`HealthConfig::concurrency`] probes run at once; the rest wait in the
//! order in which they fell due. What waits is bounded by the number of instances.

mod hosts;
mod hysteresis;
mod probe;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::hysteresis::Hysteresis;
use self::probe::{ProbeResult, Prober};
use crate::name::{DomainName, InstanceId};
use crate::registry::check::{Check, Health};
use crate::registry::feed::{Began, Verdict};
use crate::registry::instance::{Host, Instance};
use crate::registry::view::Entry;
use crate::registry::{Registry, Stopped};
use crate::telemetry::Instruments;
use crate::time::Moment;

/// Longest time between two probes of an instance that is starting.
const STARTING_INTERVAL: Duration = Duration::from_secs(1);

/// Settings of the scheduler.
#[derive(Clone, Debug)]
pub struct HealthConfig {
    /// Most probes and host look-ups under way at once.
    pub concurrency: usize,
}

/// Probes instances until `stop` is cancelled or the registry has stopped.
///
/// # Errors
///
/// TLS can't be set up, so there is no client to probe with.
pub async fn run(
    registry: Registry,
    config: HealthConfig,
    instruments: Arc<Instruments>,
    stop: CancellationToken,
) -> Result<(), reqwest::Error> {
    let scheduler = Scheduler {
        prober: Prober::new()?,
        registry,
        config,
        instruments,
        watched: HashMap::new(),
        due: BinaryHeap::new(),
        running: JoinSet::new(),
        jobs: HashMap::new(),
        verdicts: Vec::new(),
        epoch: 0,
        rng: fastrand::Rng::new(),
    };
    // Once the registry has stopped there's nothing left to check.
    let _ = stop.run_until_cancelled(scheduler.run()).await;
    Ok(())
}

/// An instance with something to be done regularly.
struct Watched {
    entry: Arc<Entry>,
    /// Number of this watch; jobs of an earlier one of the same id are void.
    epoch: u64,
    hysteresis: Option<Hysteresis>,
    addresses: Option<Arc<[IpAddr]>>,
}

/// What falls due.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Job {
    Probe,
    Resolve,
}

/// A job, ordered by when it's due.
type Due = Reverse<(Moment, u64, InstanceId, Job)>;

/// A job that was done.
struct Done {
    id: InstanceId,
    epoch: u64,
    result: JobResult,
}

/// A job under way.
struct Started {
    id: InstanceId,
    epoch: u64,
    job: Job,
}

impl Started {
    fn failed(self, error: &JoinError) -> Done {
        let Self { id, epoch, job } = self;
        let result = match job {
            Job::Probe => JobResult::Probe(ProbeResult::failed(error.to_string()), Duration::ZERO),
            Job::Resolve => JobResult::Resolve(Err(std::io::Error::other(error.to_string()))),
        };
        Done { id, epoch, result }
    }
}

enum JobResult {
    Probe(ProbeResult, Duration),
    Resolve(std::io::Result<Vec<IpAddr>>),
}

struct Scheduler {
    prober: Prober,
    registry: Registry,
    config: HealthConfig,
    instruments: Arc<Instruments>,
    watched: HashMap<InstanceId, Watched>,
    due: BinaryHeap<Due>,
    running: JoinSet<Done>,
    /// What each running task does; at most [`HealthConfig::concurrency`].
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
            let next = self
                .due
                .peek()
                .filter(|_| self.has_room())
                .map(|Reverse((at, ..))| *at);
            let until_next = next.map(|at| at.left_at(self.registry.now()));
            tokio::select! {
                changes = feed.changed() => {
                    for (id, change) in changes {
                        self.change(id, change).await?;
                    }
                    self.forget_void();
                }
                Some(done) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    // Those that are done with it are told in one command, so
                    // that the registry publishes a service once for all.
                    let mut done = Some(done);
                    while let Some(one) = done {
                        self.finish(one).await?;
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
        // Each watch has a probe and a look-up at most.
        if self.due.len() > 4 * self.watched.len() + 1024 {
            let watched = &self.watched;
            self.due.retain(|Reverse((_, epoch, id, _))| {
                watched
                    .get(id)
                    .is_some_and(|watched| watched.epoch == *epoch)
            });
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.config.concurrency
    }

    /// Takes note of a registration that began or ended.
    async fn change(&mut self, id: InstanceId, change: Option<Began>) -> Result<(), Stopped> {
        let Some(Began { entry, health }) = change else {
            self.watched.remove(&id);
            return Ok(());
        };
        if let Some(watched) = self.watched.get_mut(&id)
            && is_same(&watched.entry.instance, &entry.instance)
        {
            watched.entry = entry.clone();
            // What was found out while it registered again was for the former
            // registration, and is told once more.
            let (judged, addresses) = (
                watched
                    .hysteresis
                    .as_ref()
                    .map(Hysteresis::health)
                    .filter(|h| *h != health),
                watched.addresses.clone(),
            );
            if let Some(judged) = judged {
                self.verdicts.push(Verdict {
                    entry: entry.clone(),
                    health: judged,
                    output: "as found before it registered again".into(),
                });
            }
            if let Some(addresses) = addresses {
                self.registry.set_addresses(entry, addresses).await?;
            }
            return Ok(());
        }
        self.epoch += 1;
        let hysteresis = entry
            .instance
            .check
            .as_ref()
            .map(|check| Hysteresis::new(check, health));
        let named = matches!(entry.instance.host, Host::Name(_));
        if hysteresis.is_none() && !named {
            self.watched.remove(&id);
            return Ok(());
        }
        let watched = Watched {
            entry,
            epoch: self.epoch,
            hysteresis,
            addresses: None,
        };
        let first = watched.interval().map(|interval| (Job::Probe, interval));
        let look_up = named.then_some((Job::Resolve, Duration::ZERO));
        self.watched.insert(id.clone(), watched);
        for (job, within) in first.into_iter().chain(look_up) {
            let delay = within.mul_f64(self.rng.f64() / 10.0);
            self.schedule(id.clone(), self.epoch, job, delay);
        }
        Ok(())
    }

    fn schedule(&mut self, id: InstanceId, epoch: u64, job: Job, delay: Duration) {
        self.due
            .push(Reverse((self.registry.now().after(delay), epoch, id, job)));
    }

    /// Starts what is due, as far as there is room.
    fn start_due(&mut self) {
        let now = self.registry.now();
        while self.has_room() && self.due.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, epoch, id, job))) = self.due.pop() else {
                return;
            };
            let Some(watched) = self
                .watched
                .get(&id)
                .filter(|watched| watched.epoch == epoch)
            else {
                continue;
            };
            let (entry, prober) = (watched.entry.clone(), self.prober.clone());
            let started = Started {
                id: id.clone(),
                epoch,
                job,
            };
            let task = self.running.spawn(async move {
                let result = do_job(job, &entry.instance, &prober).await;
                Done { id, epoch, result }
            });
            self.jobs.insert(task.id(), started);
        }
    }

    async fn finish(&mut self, done: Result<(task::Id, Done), JoinError>) -> Result<(), Stopped> {
        // A job that panicked is a fault of ours, told as a failed one, so that
        // its instance is probed again.
        let Done { id, epoch, result } = match done {
            Ok((task, done)) => {
                self.jobs.remove(&task);
                done
            }
            Err(error) => match self.jobs.remove(&error.id()) {
                Some(job) => job.failed(&error),
                None => return Ok(()),
            },
        };
        match result {
            JobResult::Probe(result, took) => {
                self.judge(id, epoch, result, took);
                Ok(())
            }
            JobResult::Resolve(result) => self.resolved(id, epoch, result).await,
        }
    }

    /// Takes a probe's result, tells the registry of a change, and plans the next.
    fn judge(&mut self, id: InstanceId, epoch: u64, result: ProbeResult, took: Duration) {
        let Some(watched) = self
            .watched
            .get_mut(&id)
            .filter(|watched| watched.epoch == epoch)
        else {
            return;
        };
        let kind = watched.check().map_or("none", |check| check.kind.as_str());
        self.instruments.probed(kind, result.passed, took);
        let changed = watched
            .hysteresis
            .as_mut()
            .and_then(|h| h.observe(result.passed));
        let (entry, interval) = (watched.entry.clone(), watched.interval());
        if let Some(health) = changed {
            let service = &entry.instance.service;
            tracing::info!(%id, %service, health = health.as_str(), output = result.output, "health changed");
            self.instruments.health_changed(health.as_str());
            let output = result.output.into();
            self.verdicts.push(Verdict {
                entry,
                health,
                output,
            });
        }
        if let Some(interval) = interval {
            let delay = interval.mul_f64(0.95 + self.rng.f64() / 10.0);
            self.schedule(id, epoch, Job::Probe, delay);
        }
    }

    /// Takes the addresses of a host name, tells the registry of a change, and
    /// plans the next look-up. What can't be looked up keeps its last addresses.
    async fn resolved(
        &mut self,
        id: InstanceId,
        epoch: u64,
        result: std::io::Result<Vec<IpAddr>>,
    ) -> Result<(), Stopped> {
        let Some(watched) = self
            .watched
            .get_mut(&id)
            .filter(|watched| watched.epoch == epoch)
        else {
            return Ok(());
        };
        let delay = match result {
            Ok(addresses) => {
                if watched.addresses.as_deref() != Some(&addresses[..]) {
                    let addresses: Arc<[IpAddr]> = addresses.into();
                    watched.addresses = Some(addresses.clone());
                    self.registry
                        .set_addresses(watched.entry.clone(), addresses)
                        .await?;
                }
                hosts::REFRESH
            }
            Err(error) => {
                tracing::warn!(%id, host = ?watched.entry.instance.host, %error, "host name not resolved");
                hosts::RETRY
            }
        };
        self.schedule(id, epoch, Job::Resolve, delay);
        Ok(())
    }
}

impl Watched {
    fn check(&self) -> Option<&Check> {
        self.entry.instance.check.as_deref()
    }

    /// Time from one probe's end to the next one's start.
    fn interval(&self) -> Option<Duration> {
        let interval = self.check()?.interval;
        let starting = self.hysteresis.as_ref()?.health() == Health::Starting;
        Some(if starting {
            interval.min(STARTING_INTERVAL)
        } else {
            interval
        })
    }
}

/// Whether the same thing is checked in the same place.
fn is_same(known: &Instance, new: &Instance) -> bool {
    known.host == new.host && known.port == new.port && known.check == new.check
}

async fn do_job(job: Job, instance: &Instance, prober: &Prober) -> JobResult {
    match (job, &instance.check, &instance.host) {
        (Job::Probe, Some(check), _) => {
            #[expect(
                clippy::disallowed_methods,
                reason = "measures the probe, decides nothing"
            )]
            let started = Instant::now();
            let result = prober.probe(instance, check).await;
            JobResult::Probe(result, started.elapsed())
        }
        (_, _, Host::Name(name)) => JobResult::Resolve(look_up(name).await),
        // Only what is checked is probed, and only names are looked up.
        _ => JobResult::Resolve(Ok(instance.host.addresses().to_vec())),
    }
}

async fn look_up(name: &DomainName) -> std::io::Result<Vec<IpAddr>> {
    hosts::look_up(name.to_string().trim_end_matches('.')).await
}
