//! What is found across services: kinds, ids and addresses.
//!
//! A *kind* is a transport and the name of a protocol or of a named port, as in
//! `_http._tcp`. The index says which services have members of a kind, which services
//! an id has left a moment ago, and which instances have an address. It's kept up to
//! the views: whenever one is published, the members that differ from those of
//! the former view are taken out or put in, and nothing is done for the others.
//!
//! Memory: an entry for each id that leaves, for each kind of a service (at most 17 an
//! instance) and, in the networks that were asked for, for each address of an
//! instance (at most 8). So it's bounded by `max_instances`, and grows with what
//! registrations themselves take.

use std::net::IpAddr;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::groups::{Group, Groups, Standing};
use super::instance::Transport;
use super::view::Member;
use super::view::members::{Members, each_unshared};
use crate::name::{InstanceId, ServiceName};

/// What is found across services.
#[derive(Debug, Default)]
pub(super) struct Index {
    tcp: Groups<Arc<str>, ServiceName>,
    udp: Groups<Arc<str>, ServiceName>,
    /// Where those are found who left and whose own names still answer.
    left: papaya::HashMap<InstanceId, Box<[ServiceName]>, Seeded>,
    addresses: Groups<IpAddr, Place>,
    /// The addresses that are indexed.
    networks: OnceLock<Box<[RangeInclusive<IpAddr>]>>,
    /// Members of each service by kind. The writer's alone: nobody waits for it.
    counts: Mutex<HashMap<ServiceName, HashMap<Arc<str>, Counts>>>,
}

/// Hashes come from a random seed: names are an attacker's choice.
type Seeded = foldhash::quality::RandomState;

type HashMap<K, V> = std::collections::HashMap<K, V, Seeded>;

/// Members of a service, by transport and standing.
type Counts = [[u32; Standing::ALL.len()]; 2];

/// Where an instance is found.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The service whose view has it.
    pub service: ServiceName,
    /// The instance.
    pub id: InstanceId,
}

impl Index {
    /// Services with members of a kind.
    pub(super) fn kind(&self, transport: Transport, name: &str) -> Option<Arc<Group<ServiceName>>> {
        self.kinds(transport).get(name)
    }

    /// Shows each kind that something registered has, in no order, until told to stop.
    pub(super) fn each_kind(&self, show: &mut dyn FnMut(Transport, &str) -> ControlFlow<()>) {
        let mut flow = ControlFlow::Continue(());
        for transport in Transport::ALL {
            self.kinds(transport).each(&mut |name, group| {
                if group.has(Standing::Listable) || group.has(Standing::Withdrawn) {
                    flow = show(transport, name);
                }
                flow
            });
            if flow.is_break() {
                return;
            }
        }
    }

    /// The services that an instance left a moment ago.
    pub(super) fn left(&self, id: &str) -> Box<[ServiceName]> {
        self.left.pin().get(id).cloned().unwrap_or_default()
    }

    /// Members with that address, if its network is indexed.
    pub(super) fn address(&self, address: IpAddr) -> Option<Arc<Group<Place>>> {
        self.addresses.get(&address)
    }

    /// Indexes addresses in these networks, of what is published from now on.
    /// They can be given once; `false` when they were before.
    pub(super) fn add_networks(&self, networks: Box<[RangeInclusive<IpAddr>]>) -> bool {
        self.networks.set(networks).is_ok()
    }

    /// Takes up that `service` had the members `former` and has the members
    /// `current`.
    pub(super) fn update(&self, service: &ServiceName, former: &Members, current: &Members) {
        let mut moves = HashMap::default();
        each_unshared(former, current, |was, is| {
            if was.zip(is).is_some_and(|(was, is)| is_same(was, is)) {
                return;
            }
            let member = is.or(was);
            let Some(id) = member.map(|member| &member.instance().id) else {
                return;
            };
            let has_left = |member: Option<&Member>| member.is_some_and(|member| member.left);
            self.move_left(id, service, has_left(was), has_left(is));
            self.move_addresses(id, service, was, is);
            if was.zip(is).is_some_and(|(was, is)| is_alike(was, is)) {
                return;
            }
            for (member, step) in [(was, -1), (is, 1)] {
                let Some(member) = member else {
                    continue;
                };
                let (transport, standing) =
                    (member.instance().protocol.transport(), standing(member));
                for name in member.instance().kinds() {
                    let moved: &mut [i32; Standing::ALL.len()] =
                        moves.entry((name, transport)).or_default();
                    moved[standing as usize] += step;
                }
            }
        });
        if !moves.is_empty() {
            self.move_kinds(service, moves);
        }
    }

    /// Adds to the counts of a service's kinds, and moves it to where it then stands.
    fn move_kinds(
        &self,
        service: &ServiceName,
        moves: HashMap<(&str, Transport), [i32; Standing::ALL.len()]>,
    ) {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let mut services = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let names = services.entry(service.clone()).or_default();
        for ((name, transport), moved) in moves {
            let key = match names.get_key_value(name) {
                Some((key, _)) => key.clone(),
                None => Arc::from(name),
            };
            let counts = names.entry(key.clone()).or_default();
            let count = &mut counts[transport as usize];
            let from = best(count);
            for (count, moved) in count.iter_mut().zip(moved) {
                *count = count.saturating_add_signed(moved);
            }
            let to = best(count);
            if counts.as_flattened().iter().all(|count| *count == 0) {
                names.remove(name);
            }
            if from != to {
                self.kinds(transport).change(key, service, from, to);
            }
        }
        if names.is_empty() {
            services.remove(service);
        }
    }

    fn move_left(&self, id: &InstanceId, service: &ServiceName, was: bool, is: bool) {
        if was == is {
            return;
        }
        let left = self.left.pin();
        let known = left.get(id).map(|known| &**known).unwrap_or_default();
        let others = known.iter().filter(|known| *known != service);
        let all: Box<[ServiceName]> = others.chain(is.then_some(service)).cloned().collect();
        match all.is_empty() {
            true => left.remove(id),
            false => left.insert(id.clone(), all),
        };
    }

    fn move_addresses(
        &self,
        id: &InstanceId,
        service: &ServiceName,
        was: Option<&Member>,
        is: Option<&Member>,
    ) {
        let Some(networks) = self.networks.get() else {
            return;
        };
        let place = || Place {
            service: service.clone(),
            id: id.clone(),
        };
        let addresses = |member: Option<&Member>| member.map(|member| member.addresses.clone());
        let [before, after] = [addresses(was), addresses(is)].map(Option::unwrap_or_default);
        let [from, to] = [was, is].map(|member| member.map(standing));
        let is_indexed =
            |address: &&IpAddr| networks.iter().any(|network| network.contains(*address));
        for address in before.iter().filter(is_indexed) {
            let to = to.filter(|_| after.contains(address));
            if from != to {
                self.addresses.change(*address, &place(), from, to);
            }
        }
        for address in after.iter().filter(is_indexed) {
            if !before.contains(address) {
                self.addresses.change(*address, &place(), None, to);
            }
        }
    }

    fn kinds(&self, transport: Transport) -> &Groups<Arc<str>, ServiceName> {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// How a member stands.
fn standing(member: &Member) -> Standing {
    if member.left {
        Standing::Left
    } else if member.is_listable() {
        Standing::Listable
    } else {
        Standing::Withdrawn
    }
}

/// The best standing of those counted.
fn best(counts: &[u32; Standing::ALL.len()]) -> Option<Standing> {
    let all = Standing::ALL.into_iter().zip(counts);
    all.into_iter()
        .find(|(_, count)| **count != 0)
        .map(|(standing, _)| standing)
}

/// Whether two members are of the same kinds and stand alike.
fn is_alike(was: &Member, is: &Member) -> bool {
    let (former, current) = (was.instance(), is.instance());
    standing(was) == standing(is)
        && former.protocol == current.protocol
        && former.ports == current.ports
}

/// Whether all that is indexed of a member is the same.
fn is_same(was: &Member, is: &Member) -> bool {
    Arc::ptr_eq(&was.entry, &is.entry)
        && Arc::ptr_eq(&was.addresses, &is.addresses)
        && standing(was) == standing(is)
}
