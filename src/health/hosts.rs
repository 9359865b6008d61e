//! Host names of instances: looked up in the background, each once for all that have it.
//!
//! ```text
//! registrations ─▶ names ─▶ due ─▶ our own zones ─┬─▶ conclusion ─▶ resolution, registry
//!                                        └▶ resolver ─┘
//! ```
//!
//! A task of its own: name servers that hang delay other look-ups at most, never a
//! probe. What was found is in the name's [`Resolution`] for everybody to see, and only
//! addresses that have changed are a command to the registry, one for all instances.
//!
//! At most [`MAX_LOOK_UPS`] run at once, one of a name. The others wait in the order in
//! which they fell due; there are at most as many names as instances.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{self, JoinError, JoinSet};

use super::finding::{Conclusion, Finding, conclude};
use super::resolver::{Resolver, Told};
use crate::name::{DomainName, InstanceId};
use crate::registry::feed::Located;
use crate::registry::instance::Host;
use crate::registry::resolution::{OwnAnswer, OwnNames, Resolution, Resolved};
use crate::registry::view::Entry;
use crate::registry::{Registry, Stopped};
use crate::time::Moment;

/// Most look-ups under way at once; each takes two sockets while it asks others.
const MAX_LOOK_UPS: usize = 256;

/// Most times that a name may lead from our zones to others' or back.
const MAX_TURNS: usize = 8;

/// Most changes of one turn that are logged one by one.
const LOGGED: usize = 10;

/// Registrations whose host names are to be looked up: between the scheduler, which
/// never waits for them, and [`Hosts`]. Changes of one instance replace each other.
#[derive(Debug, Default)]
pub(super) struct Named {
    state: Mutex<NamedState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct NamedState {
    /// Changes that nobody has taken yet.
    changes: HashMap<InstanceId, Option<Arc<Entry>>>,
    /// Instances that have a host name; of others nothing need be told.
    known: HashSet<InstanceId>,
}

impl Named {
    /// Takes note of the registration that an instance has now, if it has one.
    pub(super) fn note(&self, id: &InstanceId, entry: Option<&Arc<Entry>>) {
        let is_named = |entry: &&Arc<Entry>| matches!(entry.instance.host, Host::Name(_));
        let entry = entry.filter(is_named);
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = match entry {
            Some(_) => {
                state.known.insert(id.clone());
                true
            }
            None => state.known.remove(id),
        };
        if concerned {
            state.changes.insert(id.clone(), entry.cloned());
            self.changed.notify_one();
        }
    }

    /// Takes what changed since the last call. Waits until there is something.
    async fn changes(&self) -> HashMap<InstanceId, Option<Arc<Entry>>> {
        loop {
            let waiting = self.changed.notified();
            let changes = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut state.changes)
            };
            if !changes.is_empty() {
                return changes;
            }
            waiting.await;
        }
    }
}

/// A host name, and those who have it.
struct Watched {
    /// Number of this watch; look-ups of an earlier one of the same name are void.
    epoch: u64,
    entries: HashMap<InstanceId, Arc<Entry>>,
    resolution: Arc<Resolution>,
    /// Look-ups in a row that found nothing.
    in_vain: u32,
}

/// A look-up that was done.
struct Done {
    name: DomainName,
    epoch: u64,
    finding: Finding,
    /// The names in our zones that it's an alias of by way of others'.
    inner: Vec<DomainName>,
}

/// Looks after host names.
pub(super) struct Hosts {
    registry: Registry,
    named: Arc<Named>,
    asker: Arc<Asker>,
    /// The host name of each instance that has one.
    names: HashMap<InstanceId, DomainName>,
    watched: HashMap<DomainName, Watched>,
    /// What is looked up next; of each watched name one, unless it's under way.
    due: BinaryHeap<Reverse<(Moment, u64, Name)>>,
    running: JoinSet<Done>,
    /// What each running task looks up.
    tasks: HashMap<task::Id, (DomainName, u64)>,
    epoch: u64,
}

/// A name among those that are due. Their order is that of their octets.
#[derive(Eq, PartialEq)]
struct Name(DomainName);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_wire().cmp(other.0.as_wire())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Hosts {
    /// Looks after the host names of what is noted in `named`.
    pub(super) fn new(
        registry: Registry,
        named: Arc<Named>,
        own: OwnNames,
        servers: Vec<std::net::SocketAddr>,
    ) -> Self {
        let resolver = Resolver::new(servers, registry.now());
        let asker = Asker { own, resolver };
        Self {
            registry,
            named,
            asker: Arc::new(asker),
            names: HashMap::new(),
            watched: HashMap::new(),
            due: BinaryHeap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            epoch: 0,
        }
    }

    /// Runs until the registry has stopped.
    pub(super) async fn run(mut self) -> Result<(), Stopped> {
        let named = self.named.clone();
        // Before, our own zones can't tell. What can't be loaded ends the server.
        if self.registry.storage().clone().is_loaded().await.is_err() {
            return Err(Stopped);
        }
        loop {
            self.start_due();
            let next = self.due.peek().filter(|_| self.has_room());
            let until_next = next.map(|Reverse((at, ..))| at.left_at(self.registry.now()));
            let mut located = Vec::new();
            tokio::select! {
                changes = named.changes() => {
                    for (id, entry) in changes {
                        self.change(id, entry, &mut located);
                    }
                    self.forget_void();
                }
                Some(done) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    // What was found together is told in one command, so that the
                    // registry publishes a service once for all.
                    let mut done = Some(done);
                    let mut logged = 0;
                    while let Some(one) = done {
                        self.finish(one, &mut located, &mut logged);
                        done = self.running.try_join_next_with_id();
                    }
                }
                () = tokio::time::sleep(until_next.unwrap_or_default()), if until_next.is_some() => {}
            }
            if !located.is_empty() {
                self.registry.set_addresses(located).await?;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < MAX_LOOK_UPS
    }

    /// Drops what is due of names that nobody has any more, once that is more than
    /// the rest.
    fn forget_void(&mut self) {
        if self.due.len() > 2 * self.watched.len() + 1024 {
            let watched = &self.watched;
            let stands =
                |name: &Name, epoch| watched.get(&name.0).is_some_and(|w| w.epoch == epoch);
            self.due
                .retain(|Reverse((_, epoch, name))| stands(name, *epoch));
        }
    }

    /// Takes note of the registration that an instance has now.
    fn change(&mut self, id: InstanceId, entry: Option<Arc<Entry>>, located: &mut Vec<Located>) {
        let name = entry.as_ref().and_then(|entry| match &entry.instance.host {
            Host::Name(name) => Some(name.clone()),
            Host::Address(_) | Host::Addresses(_) => None,
        });
        let former = match &name {
            Some(name) => self.names.insert(id.clone(), name.clone()),
            None => self.names.remove(&id),
        };
        if let Some(former) = former.filter(|former| Some(former) != name.as_ref())
            && let Some(watched) = self.watched.get_mut(&former)
        {
            watched.entries.remove(&id);
            if watched.entries.is_empty() {
                self.watched.remove(&former);
            }
        }
        let (Some(name), Some(entry)) = (name, entry) else {
            return;
        };
        if !self.watched.contains_key(&name) {
            self.epoch += 1;
            let fresh = Watched {
                epoch: self.epoch,
                entries: HashMap::new(),
                resolution: Arc::default(),
                in_vain: 0,
            };
            self.watched.insert(name.clone(), fresh);
            self.due
                .push(Reverse((Moment::default(), self.epoch, Name(name.clone()))));
        }
        if let Some(watched) = self.watched.get_mut(&name) {
            // An entry is noted once, so there's nothing in its place yet.
            let _ = entry.resolution.set(watched.resolution.clone());
            watched.entries.insert(id, entry.clone());
            let known = watched.resolution.get();
            if known.looked_up.is_some() {
                locate(&self.registry, &entry, &known.addresses, located);
            }
        }
    }

    /// Starts what is due, as far as there is room.
    fn start_due(&mut self) {
        let now = self.registry.now();
        while self.has_room() && self.due.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, epoch, Name(name)))) = self.due.pop() else {
                return;
            };
            let watched = self.watched.get(&name);
            if watched.is_none_or(|watched| watched.epoch != epoch) {
                continue;
            }
            let (asker, asked) = (self.asker.clone(), name.clone());
            let task = self.running.spawn(async move {
                let (finding, inner) = asker.look_up(&asked, now).await;
                Done {
                    name: asked,
                    epoch,
                    finding,
                    inner,
                }
            });
            self.tasks.insert(task.id(), (name, epoch));
        }
    }

    /// Takes what a look-up found, notes whose addresses have changed, and plans the next.
    fn finish(
        &mut self,
        done: Result<(task::Id, Done), JoinError>,
        located: &mut Vec<Located>,
        logged: &mut usize,
    ) {
        let Done {
            name,
            epoch,
            finding,
            inner,
        } = match done {
            Ok((task, done)) => {
                self.tasks.remove(&task);
                done
            }
            // One that panicked is a fault of ours, told as one that failed.
            Err(error) => match self.tasks.remove(&error.id()) {
                Some((name, epoch)) => Done {
                    name,
                    epoch,
                    finding: Finding::Failed(error.to_string()),
                    inner: Vec::new(),
                },
                None => return,
            },
        };
        let Some(watched) = self.watched.get_mut(&name).filter(|w| w.epoch == epoch) else {
            return;
        };
        let (former, now) = (watched.resolution.get(), self.registry.now());
        let Conclusion {
            resolved,
            again,
            in_vain,
        } = conclude(&former, watched.in_vain, finding, inner, now);
        watched.in_vain = in_vain;
        *logged += usize::from(log(&name, &former, &resolved, *logged < LOGGED));
        let is_told = resolved.looked_up.is_some();
        let addresses = resolved.addresses.clone();
        watched.resolution.set(resolved);
        if is_told {
            for entry in watched.entries.values() {
                locate(&self.registry, entry, &addresses, located);
            }
        }
        self.due
            .push(Reverse((now.after(again), epoch, Name(name))));
    }
}

/// Notes the addresses of a registration, unless it's seen to have them.
fn locate(
    registry: &Registry,
    entry: &Arc<Entry>,
    addresses: &Arc<[IpAddr]>,
    located: &mut Vec<Located>,
) {
    let member = registry.directory().member(entry.instance.id.as_str());
    let has_them = member.is_some_and(|member| {
        member.entry.generation == entry.generation && member.addresses == *addresses
    });
    if !has_them {
        located.push(Located {
            entry: entry.clone(),
            addresses: addresses.clone(),
        });
    }
}

/// Says what has changed of a name; `false` when nothing has.
fn log(name: &DomainName, former: &Resolved, now: &Resolved, aloud: bool) -> bool {
    let error = |resolved: &Resolved| resolved.failure.as_ref().map(|f| f.error.clone());
    let (was, is) = (error(former), error(now));
    if former.addresses == now.addresses && was == is {
        return false;
    }
    let addresses = &now.addresses;
    match is {
        _ if !aloud => tracing::debug!(%name, ?addresses, "host name looked up"),
        Some(error) => tracing::warn!(%name, ?addresses, %error, "host name not resolved"),
        None => tracing::info!(%name, ?addresses, "host name resolved"),
    }
    true
}

/// Whom to ask for a name.
struct Asker {
    own: OwnNames,
    resolver: Resolver,
}

impl Asker {
    /// Looks `host` up: in our own zones as far as it's there, and with others beyond.
    /// Says also which names in our zones it's an alias of by way of others' zones.
    async fn look_up(&self, host: &DomainName, now: Moment) -> (Finding, Vec<DomainName>) {
        let (mut name, mut ttl, mut inner) = (host.clone(), Duration::MAX, Vec::new());
        for _ in 0..MAX_TURNS {
            match (self.own)(host, &name) {
                OwnAnswer::Foreign => {}
                OwnAnswer::Elsewhere {
                    name: next,
                    ttl: lives,
                } => {
                    ttl = ttl.min(lives);
                    name = next;
                }
                OwnAnswer::Found {
                    addresses,
                    ttl: lives,
                } => {
                    return (Finding::Own(addresses, lives).within(ttl), inner);
                }
                OwnAnswer::Nothing { why, ttl: lives } => {
                    return (Finding::OwnNothing(why, lives).within(ttl), inner);
                }
                OwnAnswer::Loop(way) => return (Finding::Refused(way), inner),
                OwnAnswer::NotYet => {
                    let why = "the registry is being loaded".to_owned();
                    return (Finding::Failed(why), inner);
                }
            }
            let Told { finding, aliases } = self.resolver.ask(&name, now).await;
            let finding = finding.within(ttl);
            let is_ours = |alias: &DomainName| (self.own)(host, alias) != OwnAnswer::Foreign;
            let Some(ours) = aliases.into_iter().find(is_ours) else {
                return (finding, inner);
            };
            // What others say of our names may be old; our own zones know.
            if let Finding::Asked(asked) = &finding {
                ttl = super::finding::shortest(asked).unwrap_or(ttl).min(ttl);
            }
            inner.push(ours.clone());
            name = ours;
        }
        let why = format!("{host} leads to others' zones and back {MAX_TURNS} times");
        (Finding::Refused(why), inner)
    }
}
