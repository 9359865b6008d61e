//! Any run of commands, against a model that keeps plain lists and looks at each.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::commands::{Act, Asked, IDS, SERVICES, act, pass};
use super::*;

/// A member as the model has it; times are in ms.
#[derive(Clone, Debug)]
struct Known {
    id: &'static str,
    asked: Asked,
    registered: u64,
    ends: Option<u64>,
    health: Health,
    addresses: usize,
    draining: bool,
    drained_at: Option<u64>,
    left: bool,
    entry: Arc<Entry>,
}

impl Known {
    /// Whether nothing but the end of its lease keeps it from being listed.
    fn is_listable(&self) -> bool {
        !self.left && !self.draining && self.is_sound()
    }

    fn is_sound(&self) -> bool {
        self.health == Health::Passing && self.addresses != 0
    }

    fn reason(&self, now: u64) -> Option<Withdrawn> {
        [
            (self.left, Withdrawn::Left),
            (
                self.ends.is_some_and(|ends| ends <= now),
                Withdrawn::Expired,
            ),
            (self.draining, Withdrawn::Draining),
            (self.health == Health::Failing, Withdrawn::Failing),
            (self.health == Health::Starting, Withdrawn::Starting),
            (self.addresses == 0, Withdrawn::HostUnknown),
        ]
        .into_iter()
        .find_map(|(holds, reason)| holds.then_some(reason))
    }

    /// How long its own name answers.
    fn answers(&self, now: u64) -> Option<Duration> {
        let left = |end: Option<u64>| match end {
            Some(end) => Duration::from_millis(end.saturating_sub(now)),
            None => Duration::MAX,
        };
        // Whoever leaves has promised to stay; whoever drains goes on heartbeating.
        let lease = left(self.ends.filter(|_| !self.left));
        let leaving = self.left || self.draining;
        let until = self
            .drained_at
            .or((!leaving).then_some(u64::MAX / 1_000_000))?;
        let shorter = match leaving {
            true => lease.min(left(Some(until))),
            false => lease,
        };
        Some(shorter).filter(|left| !left.is_zero() && self.is_sound())
    }

    /// Withdraws it cleanly; says when that is over.
    fn leave(&mut self, now: u64) -> u64 {
        *self.drained_at.get_or_insert(now + DRAIN)
    }

    fn is_over(&self, now: u64) -> bool {
        self.left && self.drained_at.is_some_and(|at| at <= now)
    }
}

/// The table, the views that were published, and the model of both.
struct Run {
    table: Table,
    published: HashMap<ServiceName, ServiceView>,
    members: Vec<Known>,
    /// Ids whose leases ended while they were drained.
    drained: BTreeSet<&'static str>,
    /// Ids that the table noticed the end of before it looked for ends.
    early: Vec<&'static str>,
    /// Every registration of each id, first to last.
    entries: HashMap<&'static str, Vec<Arc<Entry>>>,
    revision: u64,
}

impl Run {
    fn new() -> Self {
        Self {
            table: table(1_000),
            published: HashMap::new(),
            members: Vec::new(),
            drained: BTreeSet::new(),
            early: Vec::new(),
            entries: HashMap::new(),
            revision: 0,
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

    /// What the table does first when an id registers or deregisters.
    fn notice_end(&mut self, id: &'static str, now: u64) {
        let ended = |known: &Known| {
            known.id == id && !known.left && known.ends.is_some_and(|ends| ends <= now)
        };
        if let Some(index) = self.members.iter().position(ended) {
            let known = self.members.remove(index);
            if known.draining {
                self.drained.insert(id);
            }
            self.early.push(id);
        }
    }

    fn apply(&mut self, act: Act, now: u64) {
        match act {
            Act::Register(index, asked, replace) => self.register(IDS[index], asked, replace, now),
            Act::Deregister(index) => {
                self.notice_end(IDS[index], now);
                let told = self.table.deregister(&id(IDS[index]), at(now));
                let known = self.known(IDS[index]).map(|known| {
                    known.left = true;
                    known.leave(now)
                });
                assert_eq!(told, known.map(at));
                self.members.retain(|known| !known.is_over(now));
            }
            Act::Drain(index) => {
                let told = self.table.drain(&id(IDS[index]), at(now));
                let known = self.known(IDS[index]).map(|known| {
                    known.draining = true;
                    known.leave(now)
                });
                assert_eq!(told, known.map(at));
            }
            Act::Resume(index) => {
                let told = self.table.resume(&id(IDS[index]));
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
        }
    }

    fn register(&mut self, id: &'static str, asked: Asked, replace: bool, now: u64) {
        self.notice_end(id, now);
        let told = self.table.register(asked.instance(id), replace, at(now));
        let former = self.known(id).cloned();
        if former.is_some() && !replace {
            assert_eq!(told.err(), Some(RegisterError::Exists(super::id(id))));
            return;
        }
        let former = former.as_ref();
        let told = told.unwrap();
        assert_eq!(told.replaced, former.is_some());
        // What it left in another service goes on there.
        let elsewhere = |known: &Known| known.left && known.asked.service != asked.service;
        self.members
            .retain(|known| known.id != id || elsewhere(known));
        if let Some(moved) = former.filter(|former| former.asked.service != asked.service) {
            let mut moved = moved.clone();
            moved.left = true;
            moved.leave(now);
            self.members
                .extend(Some(moved).filter(|moved| !moved.is_over(now)));
        }
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
        let mut expired: Vec<String> = expired(&mut self.table, now).into_iter().collect();
        for early in self.early.drain(..) {
            let index = expired.iter().position(|id| id == early);
            expired.remove(index.expect("an early end is told"));
        }
        let drained = &mut self.drained;
        self.members.retain(|known| {
            if known.left {
                return !known.is_over(now);
            }
            let gone = expired.iter().any(|id| id == known.id);
            let may = known.ends.is_some_and(|ends| ends <= now);
            let must = known.ends.is_some_and(|ends| ends + LATE <= now);
            assert!(may || !gone, "{known:?} expired early");
            assert!(gone || !must, "{known:?} expires late");
            if gone && known.draining {
                drained.insert(known.id);
            }
            !gone
        });
    }

    /// Publishes what changed as the directory does, and asserts that this was all.
    fn publish(&mut self) {
        self.revision += 1;
        for change in self.table.changes(self.revision) {
            match change {
                Change::View(view) => self.published.insert(view.service.clone(), view),
                Change::Gone(service) => self.published.remove(&service),
            };
        }
        assert!(!self.table.is_touched());
        let services: BTreeSet<_> = self.table.services.keys().collect();
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
            let members = view.map_or(&[][..], |view| &view.members);
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
            assert_eq!(view.is_some(), !members.is_empty(), "{service} at {now}");
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
fn facts(view: &ServiceView) -> Vec<impl PartialEq + std::fmt::Debug> {
    let fact = |member: &Member| {
        let Member {
            entry,
            addresses,
            health,
            output,
            report: _,
            draining,
            left,
            drained_at,
        } = member.clone();
        (
            entry.generation,
            addresses,
            health,
            output,
            draining,
            left,
            drained_at,
        )
    };
    view.members.iter().map(fact).collect()
}

proptest! {
    #[test]
    fn any_run_is_as_the_model_has_it(
        steps in prop::collection::vec((act(), pass(), any::<bool>()), 1..80),
    ) {
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
        now += 20_000;
        run.expire(now);
        run.publish();
        run.check(now);
        let stays = run.members.iter().filter(|known| known.asked.term.is_none()).count();
        prop_assert_eq!((run.table.counts().0, run.members.len()), (stays, stays));
    }
}
