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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use papaya::HashMap;

use super::groups::Group;
use super::index::{Index, Place};
use super::instance::Transport;
use super::view::{Entry, Member, ServiceView};
use crate::name::{InstanceId, ServiceName};

/// Hashes of names come from a random seed: the keys are an attacker's choice.
type NameMap<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

/// Every service's current view, and every instance's current registration.
#[derive(Debug, Default)]
pub struct Directory {
    services: NameMap<ServiceName, Arc<Slot>>,
    entries: NameMap<InstanceId, Arc<Entry>>,
    index: Index,
    revision: AtomicU64,
    listed: AtomicUsize,
    registered: AtomicUsize,
}

/// Where a service's current view is found.
#[derive(Debug)]
pub struct Slot {
    /// Moves with every view that is published here.
    generation: AtomicU64,
    /// DNS queries answered from this service's views.
    queries: AtomicU64,
    view: Mutex<Arc<ServiceView>>,
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

    /// Counts DNS queries answered from the view.
    pub fn count_queries(&self, more: u64) {
        self.queries.fetch_add(more, Ordering::Relaxed);
    }

    /// DNS queries answered since the service is known.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    fn publish(&self, view: Arc<ServiceView>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.generation.fetch_add(1, Ordering::Release);
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

    /// Shows the name of every service with its DNS queries answered, in no order.
    pub fn each_queries(&self, show: &mut dyn FnMut(&str, u64)) {
        for (name, slot) in &self.services.pin() {
            show(name.as_str(), slot.queries());
        }
    }

    /// The current registration of an instance.
    pub fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.pin().get(id).cloned()
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
    pub fn homes(&self, id: &str) -> Box<[ServiceName]> {
        self.index.homes(id)
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

    /// How many services have a registered or just left instance.
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
        let services = self.services.pin();
        for change in changed {
            let (service, view) = match change {
                Change::View(view) => (view.service.clone(), Some(Arc::new(view))),
                Change::Gone(service) => (service, None),
            };
            let slot = services.get(&service);
            let former = slot.map(|slot| slot.view());
            let [was, is] = [&former, &view].map(|view| match view {
                Some(view) => &view.members[..],
                None => &[],
            });
            self.index.update(&service, was, is);
            match (slot, view) {
                (Some(slot), Some(view)) => slot.publish(view),
                (None, Some(view)) => {
                    let slot = Slot {
                        generation: AtomicU64::new(0),
                        queries: AtomicU64::new(0),
                        view: Mutex::new(view),
                    };
                    services.insert(service, Arc::new(slot));
                }
                (Some(slot), None) => {
                    services.remove(&service);
                    slot.generation.fetch_add(1, Ordering::Release);
                }
                (None, None) => {}
            }
        }
        self.revision.store(revision, Ordering::Release);
    }

    /// Notes the current registration of an instance.
    pub(super) fn enter(&self, entry: Arc<Entry>) {
        self.entries.pin().insert(entry.instance.id.clone(), entry);
    }

    /// Forgets an instance.
    pub(super) fn strike(&self, id: &InstanceId) {
        self.entries.pin().remove(id);
    }

    /// Notes how many instances there are, for metrics.
    pub(super) fn count(&self, registered: usize, listed: usize) {
        self.registered.store(registered, Ordering::Relaxed);
        self.listed.store(listed, Ordering::Relaxed);
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
