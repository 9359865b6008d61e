//! Any run of commands, against a model that keeps plain lists and looks at each.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::commands::{Act, Asked, IDS, SERVICES, act, pass};
use super::known::{Known, Set};
use super::*;
use crate::registry::condition::Condition;
use crate::registry::policy::Policy;
use crate::registry::view::ReportedStatus;

/// The table, the views that were published, and the model of both.
struct Run {
    table: Table,
    published: HashMap<ServiceName, ServiceView>,
    members: Vec<Known>,
    /// Ids that were drained when their leases ended.
    drained: BTreeSet<&'static str>,
    /// Generations of those that were found to have ended since the last look.
    ended: BTreeSet<u64>,
    /// Every registration of each id, first to last.
    entries: HashMap<&'static str, Vec<Arc<Entry>>>,
    revision: u64,
    settings: [Set; SERVICES.len()],
}

impl Run {
    fn new() -> Self {
        Self {
            table: table(1_000),
            published: HashMap::default(),
            members: Vec::new(),
            drained: BTreeSet::new(),
            ended: BTreeSet::new(),
            entries: HashMap::default(),
            revision: 0,
            settings: Default::default(),
        }
    }

    /// The registered member of that id.
    fn known(&mut self, id: &str) -> Option<&mut Known> {
        let mut members = self.members.iter_mut();
        members.find(|known| known.id == id && !known.left)
    }

    /// A registration of the id, and its member when it's the current one.
    fn registration(&mut self, id: &str, old: bool) -> Option<(Arc<Entry>, Option<&mut Known>)> {
        let entries = self.entries.get(id)?;
        let entry = if old { entries.first() } else { entries.last() }?.clone();
        let known = self
            .known(id)
            .filter(|known| Arc::ptr_eq(&known.entry, &entry));
        Some((entry, known))
    }

    /// Removes the registered member of that id when its lease has ended.
    fn notice(&mut self, id: &str, now: u64) {
        let ended = |known: &&mut Known| known.ends.is_some_and(|ends| ends <= now);
        if let Some(known) = self.known(id).filter(ended).cloned() {
            self.ended.insert(known.entry.generation);
            self.forget(&known);
        }
    }

    /// Removes a member whose lease has ended, but for the operator's word.
    fn forget(&mut self, gone: &Known) {
        self.members
            .retain(|known| !Arc::ptr_eq(&known.entry, &gone.entry));
        if gone.draining {
            self.drained.insert(gone.id);
        }
    }

    fn apply(&mut self, act: Act, now: u64) {
        match act {
            Act::Register(index, asked, replace) => self.register(IDS[index], asked, replace, now),
            Act::Deregister(index) => {
                let told = self.table.deregister(&id(IDS[index]), at(now));
                self.notice(IDS[index], now);
                let forgotten = self.forgotten(now);
                let known = self.known(IDS[index]).map(|known| {
                    known.left = true;
                    known.leave(forgotten[known.asked.service])
                });
                assert_eq!(told, known.map(at));
                self.members.retain(|known| !known.is_over(now));
            }
            Act::Drain(index) => {
                self.notice(IDS[index], now);
                let told = self.table.drain(&id(IDS[index]), at(now));
                let forgotten = self.forgotten(now);
                let known = self.known(IDS[index]).map(|known| {
                    known.draining = true;
                    known.leave(forgotten[known.asked.service])
                });
                assert_eq!(told, known.map(at));
            }
            Act::Resume(index) => {
                self.notice(IDS[index], now);
                self.drained.remove(IDS[index]);
                let told = self.table.resume(&id(IDS[index]), at(now));
                let known = self.known(IDS[index]).map(|known| {
                    (known.draining, known.drained_at) = (false, None);
                    known.entry.generation
                });
                assert_eq!(told.map(|member| member.entry.generation), known);
            }
            Act::SetHealth(index, health, old) => {
                if let Some((entry, known)) = self.registration(IDS[index], old) {
                    let current = known.map(|known| known.health = health).is_some();
                    assert_eq!(
                        self.table.set_health(&entry, health, "said".into()),
                        current
                    );
                }
            }
            Act::SetAddresses(index, count, old) => {
                if let Some((entry, known)) = self.registration(IDS[index], old) {
                    let current = known.map(|known| known.addresses = count.into()).is_some();
                    let addresses = (0..count).map(|n| IpAddr::from([10, 1, 1, n])).collect();
                    assert_eq!(self.table.set_addresses(&entry, addresses), current);
                }
            }
            Act::SetReport(index, status, old) => {
                if let Some((entry, known)) = self.registration(IDS[index], old) {
                    let failing = status == ReportedStatus::Failing;
                    let current = known.map(|known| known.reports_failing = failing).is_some();
                    let report = Report { status, note: None };
                    assert_eq!(self.table.set_report(&entry, report), current);
                }
            }
            Act::Heartbeat(index) => {
                if let Some(known) = self.known(IDS[index]) {
                    let renewed = known.entry.lease.renew(at(now));
                    let runs = known.ends.is_none_or(|ends| now < ends);
                    if runs {
                        known.ends = known.asked.term.map(|term| now + 1_000 * term);
                    }
                    assert_eq!(renewed.ok(), runs.then_some(known.ends.map(at)));
                }
            }
            Act::SetPolicy(index, secs) => {
                let policy = secs.map(|secs| Policy {
                    ttl: Some(Duration::from_secs(secs)),
                    ..Policy::default()
                });
                let set = &mut self.settings[index];
                let was = set.policy_ttl.is_some();
                if was || secs.is_some() {
                    set.former.push((set.ttl(), now));
                }
                set.policy_ttl = secs;
                self.set(index, Setting::Policy(policy), was, secs.is_some(), now);
            }
            Act::SetValue(index, is_set) => {
                let was = std::mem::replace(&mut self.settings[index].has_value, is_set);
                let value = is_set.then(|| "v".into());
                let setting = Setting::Value("k".parse().unwrap(), value);
                self.set(index, setting, was, is_set, now);
            }
        }
    }

    /// Has the table set something that was set before or wasn't.
    fn set(&mut self, index: usize, setting: Setting, was: bool, is: bool, now: u64) {
        let (service, any) = (SERVICES[index].parse().unwrap(), Condition::default());
        let (newest, next) = (self.table.newest_setting(), self.revision + 1);
        let told = self
            .table
            .change_setting(&service, setting, &any, next, at(now));
        assert_eq!(
            told.as_ref().ok().map(|told| told.replaced),
            (was || is).then_some(was)
        );
        if let (Ok(told), true) = (told, is) {
            assert!(newest < told.revision && next <= told.revision);
        }
    }

    /// When nobody holds any more what was answered of each service before `now`.
    fn forgotten(&self, now: u64) -> [u64; SERVICES.len()] {
        self.settings.each_ref().map(|set| set.forgotten(now))
    }

    fn register(&mut self, id: &'static str, asked: Asked, replace: bool, now: u64) {
        let told = self.table.register(asked.instance(id), replace, at(now));
        self.notice(id, now);
        let former = self.known(id).cloned();
        if former.is_some() && !replace {
            assert_eq!(told.err(), Some(RegisterError::Exists(super::id(id))));
            return;
        }
        let told = told.unwrap();
        assert_eq!(told.replaced, former.is_some());
        // From another service it leaves; what it left in this one is over.
        let forgotten = self.forgotten(now);
        if let Some(known) = self.known(id) {
            known.left = true;
            known.leave(forgotten[known.asked.service]);
        }
        let here = |known: &Known| known.id == id && known.asked.service == asked.service;
        self.members
            .retain(|known| !here(known) && !known.is_over(now));
        let former = former.as_ref();
        let unmoved = former.filter(|former| former.asked.host == asked.host);
        let same_check = unmoved.filter(|former| former.asked.check == asked.check);
        let entry = told.member.entry;
        self.entries.entry(id).or_default().push(entry.clone());
        self.members.push(Known {
            id,
            registered: former.map_or(now, |former| former.registered),
            ends: asked.term.map(|term| now + 1_000 * term),
            health: match same_check {
                Some(former) => former.health,
                None => asked.check.unwrap_or(Health::Passing),
            },
            reports_failing: false,
            addresses: match unmoved {
                Some(former) if asked.has_host_name() => former.addresses,
                _ => usize::from(!asked.has_host_name()),
            },
            draining: self.drained.remove(id) || former.is_some_and(|former| former.draining),
            drained_at: former.and_then(|former| former.drained_at),
            left: false,
            asked,
            entry,
        });
    }

    /// Has the table look at the leases; the model follows it where it may choose.
    fn expire(&mut self, now: u64) {
        let told = self.table.expire(at(now));
        let told: BTreeSet<u64> = told.iter().map(|entry| entry.generation).collect();
        let found = std::mem::take(&mut self.ended);
        assert!(found.is_subset(&told), "{found:?} {told:?}");
        let mut expected = found.len();
        for known in self.members.clone() {
            let gone = told.contains(&known.entry.generation);
            let ended = |late| !known.left && known.ends.is_some_and(|ends| ends + late <= now);
            assert!(ended(0) || !gone, "{known:?} expired early");
            assert!(gone || !ended(LATE), "{known:?} expires late");
            if gone {
                self.forget(&known);
                expected += 1;
            }
        }
        assert_eq!(told.len(), expected, "{told:?}");
        self.members.retain(|known| !known.is_over(now));
    }

    /// Publishes what changed as the directory does, and asserts that this was all.
    fn publish(&mut self) {
        self.revision = self.table.newest_setting().max(self.revision + 1);
        for change in self.table.changes(self.revision) {
            match change {
                Change::View(view) => self.published.insert(view.service.clone(), view),
                Change::Gone(service) => self.published.remove(&service),
            };
        }
        assert!(!self.table.is_touched());
        let (manned, set) = (self.table.services.keys(), self.table.settings.keys());
        let services: BTreeSet<_> = manned.chain(set).collect();
        assert_eq!(self.table.service_count(), services.len());
        assert_eq!(self.published.keys().collect::<BTreeSet<_>>(), services);
        for (service, published) in &self.published {
            let fresh = view(&self.table, service.as_str()).unwrap();
            assert_eq!(
                facts(published),
                facts(&fresh),
                "{service} was not published"
            );
        }
    }

    /// Asserts that views, counts and the table's own lists say what the model says.
    fn check(&self, now: u64) {
        for (index, service) in SERVICES.into_iter().enumerate() {
            let known = self
                .members
                .iter()
                .filter(|known| known.asked.service == index);
            let mut expected: Vec<_> = known
                .map(|known| {
                    let (reason, answers) = (known.reason(now), known.answers(now));
                    (
                        known.id,
                        reason,
                        answers,
                        at(known.registered),
                        known.drained_at.map(at),
                    )
                })
                .collect();
            expected.sort_by_key(|known| known.0);
            let view = self.published.get(service);
            let members = view.map(|view| view.members.clone()).unwrap_or_default();
            let actual: Vec<_> = members
                .iter()
                .map(|member| {
                    let (reason, answers) =
                        (member.withdrawn(at(now)), member.answers_for(at(now)));
                    (
                        member.instance().id.as_str(),
                        reason,
                        answers,
                        member.entry.registered,
                        member.drained_at,
                    )
                })
                .collect();
            assert_eq!(actual, expected, "{service} at {now}");
            let set = &self.settings[index];
            let is_there = !members.is_empty() || !set.is_empty();
            assert_eq!(view.is_some(), is_there, "{service} at {now}");
            if let Some(view) = view {
                assert_eq!(view.ttl, Duration::from_millis(set.ttl()));
                assert_eq!(view.settings.policy.is_some(), set.policy_ttl.is_some());
                assert_eq!(view.settings.config.len(), usize::from(set.has_value));
                assert!(view.settings.newest() <= self.revision);
            }
        }
        let registered = self.members.iter().filter(|known| !known.left).count();
        let listable = self
            .members
            .iter()
            .filter(|known| known.is_listable())
            .count();
        assert_eq!(self.table.counts(), (registered, listable));
        let in_views = self.published.values().flat_map(ServiceView::registered);
        assert_eq!(in_views.count(), registered);
        // Each leave that isn't over waits for its end, and nothing else does.
        let waiting: BTreeSet<_> = self.table.leaving.iter().collect();
        let waits = |known: &&Known| known.drained_at.is_some_and(|end| now < end);
        let leaves: Vec<_> = self.members.iter().filter(waits).collect();
        assert!(
            waiting.iter().all(|(end, ..)| at(now) < *end),
            "{waiting:?}"
        );
        assert_eq!(waiting.len(), leaves.len(), "{waiting:?} {leaves:?}");
    }
}

/// What a view says, but for what moves by itself.
fn facts(view: &ServiceView) -> impl PartialEq + std::fmt::Debug + use<> {
    let fact = |member: &Member| {
        let Member {
            entry,
            addresses,
            health,
            output,
            report,
            draining,
            left,
            drained_at,
        } = member.clone();
        (
            entry.generation,
            addresses,
            health,
            output,
            report,
            draining,
            left,
            drained_at,
        )
    };
    let members: Vec<_> = view.members.iter().map(fact).collect();
    (view.ttl, view.settings.clone(), members)
}

/// Steps of a run of this test, unless `NAMEBEAT_MODEL_STEPS` says otherwise.
const STEPS: u64 = 1_000_000;

/// Runs of one to eighty steps each, the same for the same `NAMEBEAT_MODEL_SEED`
/// (0 without), until there were enough:
///
/// ```sh
/// NAMEBEAT_MODEL_STEPS=100000000 NAMEBEAT_MODEL_SEED=7 cargo test --release --lib any_run
/// ```
#[test]
fn any_run_is_as_the_model_has_it() {
    let variable = |name| std::env::var(name).map(|text| text.parse::<u64>().unwrap());
    let wanted = variable("NAMEBEAT_MODEL_STEPS").unwrap_or(STEPS);
    let seed = variable("NAMEBEAT_MODEL_SEED").unwrap_or(0);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let done = &done;
            scope.spawn(move || {
                let steps = prop::collection::vec((act(), pass(), any::<bool>()), 1..80);
                for round in 0.. {
                    if done.load(Relaxed) >= wanted {
                        break;
                    }
                    let octets = [seed, thread, round, 0].map(u64::to_le_bytes).concat();
                    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
                    let config = ProptestConfig {
                        cases: 100,
                        failure_persistence: None,
                        ..ProptestConfig::default()
                    };
                    let ran = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
                        done.fetch_add(steps.len() as u64, Relaxed);
                        check_run(steps)
                    });
                    ran.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
            });
        }
    });
}

fn check_run(steps: Vec<(Act, u64, bool)>) -> Result<(), TestCaseError> {
    let mut run = Run::new();
    let mut now = 1_000;
    for (act, pass, ends_a_batch) in steps {
        run.apply(act, now);
        if ends_a_batch {
            run.expire(now);
            run.publish();
            run.check(now);
        }
        now += pass;
    }
    // Left alone, all that needs heartbeats goes.
    now += 30_000;
    run.expire(now);
    run.publish();
    run.check(now);
    let is_kept = |known: &&Known| known.asked.term.is_none();
    let kept = run.members.iter().filter(is_kept).count();
    prop_assert_eq!((run.table.counts().0, run.members.len()), (kept, kept));
    Ok(())
}
