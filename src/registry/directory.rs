//! The directory: what readers see of the registry.
//!
//! From a name to the [`ServiceView`] published last, without waiting for the
//! writer: the maps are lock-free to read, and a slot's lock is held only while
//! a pointer is copied or swapped. Whoever keeps something made from a view
//! keeps the slot and the generation it saw; one load tells whether it still
//! stands.
//!
//! What is found across services has an [`index`](super::index), which is up to the
//! views of a state before that state has its number: whoever keeps something made
//! from it keeps the [revision](Directory::revision) read before.

use std::net::IpAddr;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use papaya::HashMap;

use super::groups::Group;
use super::index::{Index, Place};
use super::instance::Transport;
use super::resolution;
use super::view::members::Members;
use super::view::{Entry, Member, ServiceView};
use crate::name::{InstanceId, ServiceName};
use crate::time::Moment;

/// Hashes of names come from a random seed: the keys are an attacker's choice.
type NameMap<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

/// Every service's current view, and every instance's current registration.
#[derive(Debug, Default)]
pub struct Directory {
    services: NameMap<ServiceName, Arc<Slot>>,
    entries: NameMap<InstanceId, Arc<Entry>>,
    index: Index,
    revision: AtomicU64,
    /// DNS queries answered from services that have ended, not reported yet.
    ended: Arc<AtomicU64>,
    listed: AtomicUsize,
    registered: AtomicUsize,
    loaded: AtomicBool,
}

/// Where a service's current view is found.
#[derive(Debug)]
pub struct Slot {
    /// Moves with every view that is published here, to [`GONE`] at the end.
    generation: AtomicU64,
    /// DNS queries answered from this service's views, not reported yet.
    queries: AtomicU64,
    /// Those that were.
    reported: AtomicU64,
    /// Where queries go that are counted when the service has ended.
    ended: Arc<AtomicU64>,
    view: Mutex<Arc<ServiceView>>,
}

/// The generation of a slot that is its service's no more: if the service comes
/// back, it has another one.
const GONE: u64 = u64::MAX;

/// DNS queries answered from a service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Queries {
    /// Since it was registered.
    pub all: u64,
    /// Since they were last reported.
    pub new: u64,
}

impl Slot {
    /// The current view.
    pub fn view(&self) -> Arc<ServiceView> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.view
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Number of the current view; another one means that the view was replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the service has ended, so that no later view will be seen here.
    pub fn is_gone(&self) -> bool {
        self.generation() == GONE
    }

    /// Counts DNS queries answered from the view.
    pub fn count_queries(&self, more: u64) {
        self.queries.fetch_add(more, Ordering::SeqCst);
        // Either this sees the end, or the end sees what was added.
        if self.generation.load(Ordering::SeqCst) == GONE {
            self.hand_over_queries();
        }
    }

    /// DNS queries answered that weren't reported yet.
    pub fn unreported_queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    fn report_queries(&self) -> Queries {
        let new = self.queries.swap(0, Ordering::SeqCst);
        let before = self.reported.fetch_add(new, Ordering::Relaxed);
        Queries {
            all: before + new,
            new,
        }
    }

    fn hand_over_queries(&self) {
        let left = self.queries.swap(0, Ordering::SeqCst);
        self.ended.fetch_add(left, Ordering::Relaxed);
    }

    fn publish(&self, view: Arc<ServiceView>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Ends it. Whoever still holds it holds no more than the slot.
    fn end(&self, revision: u64) {
        self.generation.store(GONE, Ordering::SeqCst);
        self.hand_over_queries();
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        *view = Arc::new(ServiceView {
            service: view.service.clone(),
            revision,
            ttl: view.ttl,
            negative_ttl: view.negative_ttl,
            members: Members::default(),
            settings: Arc::default(),
        });
    }
}

impl Directory {
    /// An empty directory whose first published state comes after `revision`.
    pub fn starting_at(revision: u64) -> Self {
        Self {
            revision: AtomicU64::new(revision),
            ..Self::default()
        }
    }

    /// The current view of a service.
    pub fn service(&self, name: &str) -> Option<Arc<ServiceView>> {
        self.slot(name).map(|slot| slot.view())
    }

    /// The slot of a service, for those who keep what they make of its view.
    pub fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.services.pin().get(name).cloned()
    }

    /// The current view of every service, in no order.
    pub fn services(&self) -> Vec<Arc<ServiceView>> {
        self.services
            .pin()
            .values()
            .map(|slot| slot.view())
            .collect()
    }

    /// Reports the DNS queries answered from each service, in no order, and under
    /// no name those of services that have ended. Each query is reported once.
    pub fn report_queries(&self, report: &mut dyn FnMut(&str, Queries)) {
        for (name, slot) in &self.services.pin() {
            report(name.as_str(), slot.report_queries());
        }
        let new = self.ended.swap(0, Ordering::Relaxed);
        report("", Queries { all: 0, new });
    }

    /// The current registration of an instance.
    pub fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.pin().get(id).cloned()
    }

    /// Renews the lease of an instance; `false` when there is none, or when it has ended.
    pub(super) fn renew(&self, id: &str, now: Moment) -> bool {
        let entries = self.entries.pin();
        entries
            .get(id)
            .is_some_and(|entry| entry.lease.renew(now).is_ok())
    }

    /// A registered instance as its service's view has it.
    pub fn member(&self, id: &str) -> Option<Member> {
        let entry = self.entry(id)?;
        let view = self.service(entry.instance.service.as_str())?;
        view.member(id).filter(|member| !member.left).cloned()
    }

    /// The services that have members of a kind: over `transport`, with `name` for
    /// their protocol or for a port. None when there is no such member.
    pub fn kind(&self, transport: Transport, name: &str) -> Option<Arc<Group<ServiceName>>> {
        self.index.kind(transport, name)
    }

    /// Shows each kind that something registered has, in no order, until told to stop.
    pub fn each_kind(&self, show: &mut dyn FnMut(Transport, &str) -> ControlFlow<()>) {
        self.index.each_kind(show);
    }

    /// The services whose views have a member of that id: the one it's registered
    /// under, and those that it left a moment ago.
    pub fn homes(&self, id: &str) -> Vec<ServiceName> {
        let mut homes = self.index.left(id).into_vec();
        if let Some(entry) = self.entry(id)
            && !homes.contains(&entry.instance.service)
        {
            homes.push(entry.instance.service.clone());
        }
        homes
    }

    /// The members that have an address, if it's in a network that is
    /// [indexed](Directory::index_addresses).
    pub fn at_address(&self, address: IpAddr) -> Option<Arc<Group<Place>>> {
        self.index.address(address)
    }

    /// Indexes the addresses in these networks. To be called once, before anything
    /// is registered; `false` when it was before.
    pub fn index_addresses(&self, networks: Box<[RangeInclusive<IpAddr>]>) -> bool {
        self.index.add_networks(networks)
    }

    /// Number of the state published last. The SOA serial is its low 32 bits.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Whether what was registered before a restart is here. Until then a name that
    /// isn't found may exist.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Notes that everything is here.
    pub(super) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// How many services have a registered or just left instance, or settings.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many instances are registered and how many of them were listed when
    /// their service was last published.
    pub fn instance_counts(&self) -> (usize, usize) {
        (
            self.registered.load(Ordering::Relaxed),
            self.listed.load(Ordering::Relaxed),
        )
    }

    /// Shows one more state: the views of the services that changed.
    pub(super) fn publish(&self, revision: u64, changed: Vec<Change>) {
        let (services, nobody) = (self.services.pin(), Members::default());
        for change in changed {
            let (service, view) = match change {
                Change::View(view) => (view.service.clone(), Some(Arc::new(view))),
                Change::Gone(service) => (service, None),
            };
            let slot = services.get(&service);
            let former = slot.map(|slot| slot.view());
            let [was, is] =
                [&former, &view].map(|view| view.as_ref().map_or(&nobody, |view| &view.members));
            self.index.update(&service, was, is);
            match (slot, view) {
                (Some(slot), Some(view)) => slot.publish(view),
                (None, Some(view)) => {
                    services.insert(service, self.new_slot(view));
                }
                (Some(slot), None) => {
                    services.remove(&service);
                    slot.end(revision);
                }
                (None, None) => {}
            }
        }
        self.revision.store(revision, Ordering::Release);
    }

    /// Shows the first state of a directory in which there's nothing yet. With a million
    /// instances this takes a while, so the index is made at the same time.
    pub(super) fn publish_first(
        &self,
        revision: u64,
        changed: Vec<Change>,
        entries: Vec<Arc<Entry>>,
    ) {
        let views = changed.into_iter().filter_map(|change| match change {
            Change::View(view) => Some(Arc::new(view)),
            Change::Gone(_) => None,
        });
        let views: Vec<Arc<ServiceView>> = views.collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let nobody = Members::default();
                for view in &views {
                    self.index.update(&view.service, &nobody, &view.members);
                }
            });
            let services = self.services.pin();
            services.reserve(views.len());
            for view in &views {
                services.insert(view.service.clone(), self.new_slot(view.clone()));
            }
            let known = self.entries.pin();
            known.reserve(entries.len());
            for entry in entries {
                known.insert(entry.instance.id.clone(), entry);
            }
        });
        self.revision.store(revision, Ordering::Release);
    }

    fn new_slot(&self, view: Arc<ServiceView>) -> Arc<Slot> {
        Arc::new(Slot {
            generation: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            ended: self.ended.clone(),
            view: Mutex::new(view),
        })
    }

    /// Notes the current registration of an instance; gives back the one before.
    pub(super) fn enter(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let id = entry.instance.id.clone();
        self.entries.pin().insert(id, entry).cloned()
    }

    /// Forgets an instance; gives back its registration.
    pub(super) fn strike(&self, id: &InstanceId) -> Option<Arc<Entry>> {
        self.entries.pin().remove(id).cloned()
    }

    /// Notes how many instances there are, for metrics.
    pub(super) fn count(&self, registered: usize, listed: usize) {
        self.registered.store(registered, Ordering::Relaxed);
        self.listed.store(listed, Ordering::Relaxed);
    }
}

impl resolution::Members for Directory {
    fn has(&self, service: &str) -> bool {
        self.slot(service).is_some()
    }

    fn each(&self, service: &str, id: Option<&str>, show: &mut dyn FnMut(&Entry)) {
        let Some(view) = self.service(service) else {
            return;
        };
        view.members.each_registered(id, show);
    }
}

/// What became of a service.
#[derive(Debug)]
pub(super) enum Change {
    /// It has a new view.
    View(ServiceView),
    /// Nothing of it is left.
    Gone(ServiceName),
}

impl Change {
    /// The service.
    pub(super) fn service(&self) -> &ServiceName {
        match self {
            Self::View(view) => &view.service,
            Self::Gone(service) => service,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn view(revision: u64) -> ServiceView {
        ServiceView {
            service: "web".parse().unwrap(),
            revision,
            ttl: Duration::from_secs(5),
            negative_ttl: Duration::from_secs(2),
            members: Members::default(),
            settings: Arc::default(),
        }
    }

    fn reported(directory: &Directory) -> Vec<(String, Queries)> {
        let mut reported = Vec::new();
        directory.report_queries(&mut |name, queries| reported.push((name.to_owned(), queries)));
        reported
    }

    #[test]
    fn a_slot_never_comes_back() {
        let directory = Directory::starting_at(0);
        directory.publish(1, vec![Change::View(view(1))]);
        let first = directory.slot("web").unwrap();
        let seen = first.generation();
        directory.publish(2, vec![Change::Gone("web".parse().unwrap())]);
        assert!(first.is_gone() && first.generation() != seen);
        assert_eq!(first.view().revision, 2, "its members are let go of");
        directory.publish(3, vec![Change::View(view(3))]);
        assert!(first.is_gone());
        assert!(!directory.slot("web").unwrap().is_gone());
    }

    #[test]
    fn each_query_is_reported_once() {
        let directory = Directory::starting_at(0);
        directory.publish(1, vec![Change::View(view(1))]);
        let slot = directory.slot("web").unwrap();
        slot.count_queries(3);
        let of = |name: &str, all, new| (name.to_owned(), Queries { all, new });
        assert_eq!(reported(&directory), [of("web", 3, 3), of("", 0, 0)]);
        slot.count_queries(2);
        assert_eq!(reported(&directory), [of("web", 5, 2), of("", 0, 0)]);
        slot.count_queries(4);
        directory.publish(2, vec![Change::Gone("web".parse().unwrap())]);
        // By one who had it in hand.
        slot.count_queries(1);
        directory.publish(3, vec![Change::View(view(3))]);
        directory.slot("web").unwrap().count_queries(7);
        assert_eq!(reported(&directory), [of("web", 7, 7), of("", 0, 5)]);
    }
}
