//! What the disk has to do with the table: batches that are undone, and states that
//! come back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::commands::{Act, IDS, SERVICES, act, pass};
use super::*;
use crate::registry::condition::Condition;
use crate::registry::log::record::{Known, Record, Stored};
use crate::registry::log::stored_settings::StoredSettings;
use crate::registry::policy::Policy;
use crate::time::Clock;

/// A table and every registration it had, first to last.
struct Run {
    table: Table,
    entries: HashMap<&'static str, Vec<Arc<Entry>>>,
}

impl Run {
    fn begun() -> Self {
        let mut table = table(1_000);
        table.begin(at(1));
        let entries = HashMap::default();
        Self { table, entries }
    }

    fn registration(&self, index: usize, old: bool) -> Option<Arc<Entry>> {
        let entries = self.entries.get(IDS[index])?;
        if old { entries.first() } else { entries.last() }.cloned()
    }

    fn apply(&mut self, act: &Act, now: u64) {
        let now = at(now);
        match act {
            Act::Register(index, asked, replace) => {
                let told = self
                    .table
                    .register(asked.instance(IDS[*index]), *replace, now);
                if let Ok(told) = told {
                    self.entries
                        .entry(IDS[*index])
                        .or_default()
                        .push(told.member.entry);
                }
            }
            Act::Deregister(index) => drop(self.table.deregister(&id(IDS[*index]), now)),
            Act::Drain(index) => drop(self.table.drain(&id(IDS[*index]), now)),
            Act::Resume(index) => drop(self.table.resume(&id(IDS[*index]), now)),
            Act::SetHealth(index, health, old) => {
                if let Some(entry) = self.registration(*index, *old) {
                    self.table.set_health(&entry, *health, "said".into());
                }
            }
            Act::SetAddresses(index, count, old) => {
                if let Some(entry) = self.registration(*index, *old) {
                    let addresses = (0..*count).map(|n| IpAddr::from([10, 1, 1, n])).collect();
                    self.table.set_addresses(&entry, addresses);
                }
            }
            Act::SetReport(index, status, old) => {
                if let Some(entry) = self.registration(*index, *old) {
                    let (status, note) = (*status, Some("noted".into()));
                    self.table.set_report(&entry, Report { status, note });
                }
            }
            Act::SetPolicy(index, secs) => {
                let policy = secs.map(|secs| Policy {
                    ttl: Some(Duration::from_secs(secs)),
                    ..Policy::default()
                });
                self.set(*index, Setting::Policy(policy), now);
            }
            Act::SetValue(index, is_set) => {
                let setting = Setting::Value("k".parse().unwrap(), is_set.then(|| "v".into()));
                self.set(*index, setting, now);
            }
            Act::Heartbeat(index) => {
                if let Some(entry) = self.registration(*index, false) {
                    let _ = entry.lease.renew(now);
                }
            }
        }
    }

    fn set(&mut self, index: usize, setting: Setting, now: Moment) {
        let (service, any) = (SERVICES[index].parse().unwrap(), Condition::default());
        let next = self.table.newest_setting() + 1;
        let _ = self
            .table
            .change_setting(&service, setting, &any, next, now);
    }

    /// Everything in the table but what moves by itself: the leases, and leaves that
    /// are over at `now`.
    fn dump(&self, now: u64) -> String {
        let table = &self.table;
        let members = |service: &&str| {
            let members = table
                .services
                .get(*service)
                .into_iter()
                .flat_map(Members::iter);
            let shown = members.map(|member| {
                let id = &member.instance().id;
                let generation = member.entry.generation;
                format!(
                    "{id} {generation} {:?}",
                    Member {
                        entry: entry(),
                        ..member.clone()
                    }
                )
            });
            shown.collect::<Vec<_>>()
        };
        let sorted = |ids: &HashSet<InstanceId>| ids.iter().cloned().collect::<BTreeSet<_>>();
        let homes: BTreeMap<_, _> = table.homes.iter().collect();
        let settings: BTreeMap<_, _> = table.settings.iter().collect();
        format!(
            "{:?} {homes:?} {settings:?} {:?} {:?} {} {} {}",
            SERVICES.iter().map(members).collect::<Vec<_>>(),
            table
                .leaving
                .iter()
                .filter(|(until, ..)| at(now) < *until)
                .collect::<Vec<_>>(),
            sorted(&table.drained),
            table.left,
            table.listed,
            table.unmanned,
        )
    }
}

/// One that is the same in every dump.
fn entry() -> Arc<Entry> {
    let lease = Lease::grant(None, at(1));
    Arc::new(Entry::new(instance("x", "x", &json!({})), lease, 0, at(1)))
}

/// What would be written of each instance, and whose drain is remembered.
fn durable(table: &Table, clock: &Clock) -> BTreeMap<String, Vec<u8>> {
    let mut records = BTreeMap::new();
    for id in table.homes.keys() {
        let member = table.registered(id).expect("it has a home");
        let mut octets = Vec::new();
        Record::Registered(Stored::of(member, &clock.time_of_day())).encode(&mut octets);
        records.insert(id.to_string(), octets);
    }
    for id in table.drained() {
        records.insert(format!("drained {id}"), Vec::new());
    }
    for (service, settings) in table.all_settings() {
        let mut octets = Vec::new();
        Record::Settings(StoredSettings::of(service, settings)).encode(&mut octets);
        records.insert(format!("settings {service}"), octets);
    }
    records
}

fn batches() -> impl Strategy<Value = Vec<(bool, Vec<(Act, u64)>)>> {
    let batch = prop::collection::vec((act(), pass()), 1..6);
    prop::collection::vec((any::<bool>(), batch), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    /// A batch that is undone leaves nothing behind, and the table goes on as before.
    #[test]
    fn what_is_undone_was_never_there(batches in batches()) {
        let mut run = Run::begun();
        let mut now = 1_000;
        for (is_undone, batch) in batches {
            run.table.accept();
            let began = now;
            let (before, entries) = (run.dump(began), run.entries.clone());
            for (act, later) in &batch {
                now += later;
                run.apply(act, now);
            }
            if is_undone {
                run.table.undo();
                run.entries = entries;
                prop_assert_eq!(run.dump(began), before);
            }
            run.table.accept();
            run.table.expire(at(now));
            // Whoever is there and has a lease that ends is found when it has.
            let ends = run.table.homes.keys().filter_map(|id| run.table.registered(id)?.entry.lease.ends());
            let overdue = ends.filter(|ends| ends.after(Duration::from_millis(LATE)) <= at(now));
            prop_assert_eq!(overdue.count(), 0);
        }
    }

    /// What was written comes back, whatever was written twice or undone on the way.
    #[test]
    fn what_was_written_comes_back(batches in batches()) {
        let clock = Clock::start();
        let mut run = Run::begun();
        let (mut now, mut written) = (1_000, Vec::new());
        for (is_undone, batch) in batches {
            run.table.accept();
            for (act, later) in &batch {
                now += later;
                run.apply(act, now);
            }
            if is_undone {
                run.table.undo();
            }
            run.table.accept();
            run.table.expire(at(now));
            run.table.accept();
            run.table.encode_unwritten(&clock, &mut written);
            run.table.written();
            prop_assert!(!run.table.is_unwritten());

            let mut restored = table(1_000);
            let mut rest = &written[..];
            while !rest.is_empty() {
                let (record, after) = Record::decode(rest).unwrap();
                rest = after;
                restored.take_in(Known::of(record, &clock, None).unwrap().unwrap());
            }
            let begun = restored.begin(at(now));
            prop_assert_eq!(durable(&restored, &clock), durable(&run.table, &clock));
            prop_assert_eq!(begun.len(), restored.counts().0);
            for entry in begun {
                prop_assert_eq!(entry.lease.left(at(now)), Some(entry.lease.term().unwrap_or(Duration::MAX)));
            }
        }
    }
}
