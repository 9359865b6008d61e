//! An instance under watch: what is known of it, and what a probe changes of that.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::hysteresis::{Hysteresis, LEAST_JITTER};
use super::probe::{Outcome, ProbeResult, Target};
use super::queue::Lane;
use crate::name::ServiceName;
use crate::registry::check::{Check, Health};
use crate::registry::feed::Verdict;
use crate::registry::instance::Host;
use crate::registry::probes::LastProbe;
use crate::registry::view::Entry;
use crate::time::Moment;

/// Longest time between two probes of an instance that is starting.
const STARTING_INTERVAL: Duration = Duration::from_secs(1);

/// How long after it registered first an instance is new.
const NEW: Duration = Duration::from_secs(10);

/// An instance with something to be done regularly.
pub(super) struct Watched {
    /// Its registration.
    pub(super) entry: Arc<Entry>,
    /// Number of this watch; jobs of an earlier one of the same id are void.
    pub(super) epoch: u64,
    /// How fast its next probe is expected to end.
    pub(super) lane: Lane,
    /// Its probe, while one is under way.
    running: Option<AbortHandle>,
    hysteresis: Hysteresis,
    /// What the check said when it last changed its mind.
    said: Arc<str>,
}

/// What a probe's result comes to.
pub(super) struct Judged {
    /// The health that it has from now on, if that's another.
    pub(super) changed: Option<Health>,
    /// Its service.
    pub(super) service: ServiceName,
    /// Whether it's held back from now on, for it flaps.
    pub(super) damped: bool,
    /// What the registry is to be told.
    pub(super) verdict: Option<Verdict>,
    /// Time until the next probe.
    pub(super) next: Duration,
}

impl Watched {
    /// Watches a registration; `None` when there is nothing to be done of it.
    pub(super) fn new(entry: Arc<Entry>, health: Health, epoch: u64) -> Option<Self> {
        let check = entry.instance.check.as_ref()?;
        Some(Self {
            hysteresis: Hysteresis::new(check, health),
            epoch,
            lane: Lane::Slow,
            running: None,
            said: "as found before".into(),
            entry,
        })
    }

    /// Goes on with a later registration of the same, which the registry takes to be
    /// of `health`; says what it's to be told, if that isn't so.
    pub(super) fn go_on(&mut self, entry: &Arc<Entry>, health: Health) -> Option<Verdict> {
        self.entry = entry.clone();
        let judged = self.hysteresis.health();
        (judged != health).then(|| self.verdict(judged))
    }

    fn verdict(&self, health: Health) -> Verdict {
        Verdict {
            entry: self.entry.clone(),
            health,
            output: self.said.clone(),
        }
    }

    /// Notes that a probe of it is under way.
    pub(super) fn set_running(&mut self, probe: AbortHandle) {
        self.running = Some(probe);
    }

    /// Its check.
    pub(super) fn check(&self) -> Option<&Check> {
        self.entry.instance.check.as_deref()
    }

    /// What is probed; `None` as long as no address is known.
    pub(super) fn target(&self) -> Option<Target> {
        let instance = &self.entry.instance;
        match &instance.host {
            Host::Name(_) => Target::of(instance, &self.entry.resolved()?.addresses),
            host => Target::of(instance, host.addresses()),
        }
    }

    /// Time from one probe's end to the next one's start, before its jitter.
    pub(super) fn interval(&self) -> Duration {
        let interval = self.hysteresis.interval();
        match self.hysteresis.health() {
            Health::Starting => interval.min(STARTING_INTERVAL),
            _ => interval,
        }
    }

    /// Time within which the first probe is made, at random. One that is new is soon
    /// to be known; of one that was there before there's no hurry.
    pub(super) fn first_within(&self, now: Moment) -> Duration {
        match now < self.entry.registered.after(NEW) {
            true => self.interval().min(STARTING_INTERVAL),
            false => self.interval(),
        }
    }

    /// Takes a probe's result.
    pub(super) fn judge(
        &mut self,
        result: &ProbeResult,
        took: Duration,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Option<Judged> {
        self.lane = match result.timed_out {
            true => Lane::Slow,
            false => Lane::Quick,
        };
        let was_starting = self.hysteresis.health() == Health::Starting;
        let hysteresis = &mut self.hysteresis;
        let was_damped = hysteresis.damped_until().is_some();
        let changed = hysteresis.observe(result.outcome, now);
        let (health, damped_until) = (hysteresis.health(), hysteresis.damped_until());
        let (in_a_row, flaps) = (hysteresis.row(), hysteresis.flaps());
        if changed.is_some() {
            self.said = result.output.as_str().into();
        }
        let jitter = LEAST_JITTER + rng.f64() * 2.0 * (1.0 - LEAST_JITTER);
        let mut next = self.interval().mul_f64(jitter);
        if was_starting && changed.is_some() {
            // What started together goes apart from here on.
            next = next.mul_f64(rng.f64());
        }
        if let Some(until) = damped_until {
            // Then it's known at once.
            next = next.min(until.left_at(now));
        }
        let probes = self.entry.probes.as_ref()?;
        let fails_at = match health {
            // It's listed until that is published: an answer made in between mustn't
            // outlive it.
            Health::Failing => probes.fails_at().min(now),
            _ => self.hysteresis.fails_at(now).unwrap_or(Moment::MAX),
        };
        let in_doubt = probes.fails_at() != fails_at;
        probes.set_fails_at(fails_at);
        probes.note(LastProbe {
            at: now,
            took,
            result: match result.outcome {
                Outcome::Passed => "passed",
                Outcome::Warned => "warned",
                Outcome::Failed => "failed",
            },
            output: result.output.as_str().into(),
            in_a_row,
            next_at: now.after(next),
            flaps,
            damped_until,
        });
        Some(Judged {
            changed,
            service: self.entry.instance.service.clone(),
            damped: damped_until.is_some() && !was_damped,
            verdict: (changed.is_some() || in_doubt).then(|| self.verdict(health)),
            next,
        })
    }
}

impl Drop for Watched {
    /// What is under way for it is for nobody, and would be a second probe of whatever
    /// takes its place.
    fn drop(&mut self) {
        if let Some(probe) = &self.running {
            probe.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::instance::Instance;
    use crate::registry::lease::Lease;

    /// An instance whose check fails after `retries` probes.
    fn watched(retries: u16) -> Watched {
        let body = json!({
            "id": "a", "name": "web", "host": "10.0.0.1", "port": 80,
            "health_check": {"kind": "tcp", "interval": "10s", "retries": retries, "rise": 1},
        });
        let registration: crate::api::Registration = serde_json::from_value(body).unwrap();
        let instance: Instance = registration.try_into().unwrap();
        let start = Moment::from_millis(0);
        let entry = Entry::new(instance, Lease::grant(None, start), 1, start);
        Watched::new(Arc::new(entry), Health::Passing, 1).unwrap()
    }

    /// The registry publishes a verdict a while after it's given: until then the
    /// instance is listed, and no answer may be for longer than now.
    #[test]
    fn what_fails_is_for_no_longer_from_the_verdict_on() {
        for retries in 1..4 {
            let mut watched = watched(retries);
            let mut rng = fastrand::Rng::with_seed(1);
            let mut probe = |result: ProbeResult, second: u64| {
                let now = Moment::from_millis(second * 1000);
                watched
                    .judge(&result, Duration::ZERO, now, &mut rng)
                    .unwrap();
                watched.entry.probes.as_ref().unwrap().fails_at()
            };
            for second in 1..retries.into() {
                let fails_at = probe(ProbeResult::failed("no"), second);
                assert!(Moment::from_millis(second * 1000) < fails_at && fails_at < Moment::MAX);
            }
            let fell = probe(ProbeResult::failed("no"), 20);
            assert!(fell <= Moment::from_millis(20_000), "{retries}: {fell:?}");
            assert_eq!(probe(ProbeResult::failed("no"), 30), fell, "nothing new");
            assert_eq!(probe(ProbeResult::passed("yes"), 40), Moment::MAX);
        }
    }
}
