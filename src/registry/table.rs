//! The table: instances, services and operator state.
//!
//! A pure state machine. Each method takes one command and the moment it is
//! applied at, changes the table, and notes which services it touched; the
//! writer then publishes those. Nothing here reads a clock, does I/O or waits.
//!
//! An instance leaves in one of two ways. When it's deregistered or drained it
//! leaves cleanly: out of every set at once, while its own name goes on
//! answering until `drained_at`, so that whoever holds an SRV can follow it.
//! When its lease ends it's gone at once: no answer was ever good for longer.

mod durable;
mod expire;
mod former;
mod hold;
mod journal;
mod limits;
mod membership;
mod search;
mod settings;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::former::FormerTtls;
pub use self::hold::GuardEvent;
use self::hold::Guards;
use self::journal::Journal;
use super::check::Health;
use super::directory::Change;
use super::expiry::Wheel;
use super::instance::{Host, Instance};
use super::lease::Lease;
use super::policy::ServiceSettings;
use super::view::members::Members;
use super::view::{Entry, Member, Report, ServiceView};
use crate::name::{InstanceId, ServiceName};
use crate::time::Moment;

pub use self::limits::TableConfig;
pub use self::settings::{Changed, Setting, SettingError};

/// Added to the TTL in `drained_at`: the time that a decision takes to be
/// published and that an answer given just before takes to arrive, and the part
/// of a second by which caches that count in whole ones are late (unbound's
/// answers were seen 1 s after their TTL).
const DRAIN_MARGIN: Duration = Duration::from_millis(1500);

/// Hashes come from a random seed: names are an attacker's choice.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;

/// Likewise.
type HashSet<K> = std::collections::HashSet<K, foldhash::quality::RandomState>;

/// Members by service and id.
type Services = HashMap<ServiceName, Members>;

/// All instances by service, and what was decided about each.
#[derive(Debug)]
pub struct Table {
    config: TableConfig,
    services: Services,
    /// What operators set of services, with or without members. At most
    /// [`TableConfig::max_services`], each of some 20 KiB at most.
    settings: HashMap<ServiceName, Arc<ServiceSettings>>,
    /// What all other services have.
    no_settings: Arc<ServiceSettings>,
    /// How many services have settings and no members.
    unmanned: usize,
    /// The highest revision of all settings there were.
    newest_setting: u64,
    former_ttls: FormerTtls,
    /// The longest TTL of the server's own that is noted on disk.
    noted_ttl: Duration,
    /// Whether it takes in what was known before a restart.
    is_restoring: bool,
    /// Registered instances only; those that left are found in their service alone.
    homes: HashMap<InstanceId, ServiceName>,
    wheel: Wheel,
    guards: Guards,
    /// Members that left or drain, by when that is over.
    leaving: BTreeSet<(Moment, ServiceName, InstanceId)>,
    /// How many members have left and still answer under their own name.
    left: usize,
    /// Ids that an operator drained and whose leases then ended: they're drained
    /// when they come back. At most [`TableConfig::max_instances`].
    drained: HashSet<InstanceId>,
    /// Registrations that were found to have ended before the wheel fired.
    ended: Vec<Arc<Entry>>,
    touched: HashSet<ServiceName>,
    generation: u64,
    listed: usize,
    journal: Journal,
}

/// What a registration made of the id.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The registered instance.
    pub member: Member,
    /// Whether the id was there before.
    pub replaced: bool,
}

/// Why a registration was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegisterError {
    /// A `POST` of an id that is registered.
    #[error(
        "instance \"{0}\" is registered; replace it with PUT /v1/instances/{0}, or deregister it first"
    )]
    Exists(InstanceId),
    /// The table is full.
    #[error("the registry holds {0} instances, which is its limit (max_instances)")]
    Full(usize),
    /// The service is full.
    #[error(
        "service \"{0}\" has {1} instances, which is the limit of one (max_instances_per_service)"
    )]
    ServiceFull(ServiceName, usize),
    /// It would be a service too many.
    #[error("the registry knows {0} services, which is its limit (max_services)")]
    TooManyServices(usize),
    /// Its host name would lead back to itself.
    #[error("host {0}")]
    HostLoop(String),
    /// A static zone has the name already.
    #[error(
        "the name {0} is static in the discovery zone, by its zone file or as its name server; \
         choose another"
    )]
    Collides(String),
}

impl Table {
    /// An empty table.
    pub fn new(config: TableConfig) -> Self {
        Self {
            config,
            services: HashMap::default(),
            settings: HashMap::default(),
            no_settings: Arc::default(),
            unmanned: 0,
            newest_setting: 0,
            former_ttls: FormerTtls::default(),
            noted_ttl: Duration::ZERO,
            is_restoring: false,
            homes: HashMap::default(),
            wheel: Wheel::default(),
            guards: Guards::default(),
            leaving: BTreeSet::new(),
            left: 0,
            drained: HashSet::default(),
            ended: Vec::new(),
            touched: HashSet::default(),
            generation: 0,
            listed: 0,
            journal: Journal::default(),
        }
    }

    /// Registers an instance, or replaces it when `replace` allows that.
    ///
    /// What the operator decided of the id stays, and so does its health when
    /// the same thing is checked in the same place: a program that registers
    /// again is not withdrawn for it.
    pub fn register(
        &mut self,
        instance: Instance,
        replace: bool,
        now: Moment,
    ) -> Result<Registered, RegisterError> {
        self.expire_one(&instance.id, now);
        let former = self.registered(&instance.id);
        if former.is_some() && !replace {
            return Err(RegisterError::Exists(instance.id));
        }
        let former = former.filter(|former| former.instance().service == instance.service);
        if let Some(former) = former.cloned() {
            return Ok(Registered {
                member: self.renew(instance, &former, now),
                replaced: true,
            });
        }
        // One that comes back to where its own name still answers has its place.
        let members = self.services.get(&instance.service);
        let has_place = members.is_some_and(|members| members.get(instance.id.as_str()).is_some());
        if !has_place {
            self.has_room(&instance.service)?;
        }
        let mut instance = instance;
        self.share(&mut instance);
        let home = self.homes.get(&instance.id).cloned();
        let former = home.and_then(|home| self.take(&home, &instance.id));
        if has_place {
            // One that has left and comes back under the same name starts afresh.
            self.take(&instance.service.clone(), &instance.id);
        }
        let member = self.member(instance, former.as_ref(), now);
        let (id, service) = (&member.instance().id, &member.instance().service);
        self.wheel.file(&member.entry);
        self.set_home(id, Some(service.clone()));
        let replaced = former.is_some();
        // From another service it has left, and there its own name goes on.
        if let Some(former) = former {
            self.leave(former, now);
        }
        self.put(member.clone());
        Ok(Registered { member, replaced })
    }

    /// Registers an instance again in the service that it's in.
    fn renew(&mut self, mut instance: Instance, former: &Member, now: Moment) -> Member {
        self.share(&mut instance);
        let member = self.member(instance, Some(former), now);
        self.wheel.file(&member.entry);
        self.swap(member.clone());
        member
    }

    /// Shares with an instance of its service what the two have in common.
    fn share(&self, instance: &mut Instance) {
        let members = self.services.get(&instance.service);
        if let Some(sibling) = members.and_then(Members::last) {
            instance.share_with(sibling.instance());
        }
    }

    /// Makes a member of `instance`, heir of what is known of its id.
    fn member(&mut self, instance: Instance, former: Option<&Member>, now: Moment) -> Member {
        self.generation += 1;
        let unmoved = former.filter(|former| {
            let known = former.instance();
            known.host == instance.host && known.port == instance.port
        });
        let same_check = unmoved.filter(|known| known.instance().is_checked_like(&instance));
        let health = match (&instance.check, same_check) {
            (_, Some(former)) => former.health,
            (Some(check), None) if !check.initially_passing => Health::Starting,
            _ => Health::Passing,
        };
        let addresses = match (&instance.host, unmoved) {
            (Host::Name(_), Some(former)) => former.addresses.clone(),
            (host, _) => host.addresses().into(),
        };
        let lease = Lease::grant(instance.term, now);
        let registered = former.map_or(now, |former| former.entry.registered);
        let id = instance.id.clone();
        let mut entry = Entry::new(instance, lease, self.generation, registered);
        if let Some(former) = same_check {
            entry.probes.clone_from(&former.entry.probes);
        }
        Member {
            addresses,
            health,
            output: same_check.and_then(|former| former.output.clone()),
            report: None,
            draining: self.set_drained(&id, false) || former.is_some_and(|former| former.draining),
            left: false,
            drained_at: former.and_then(|former| former.drained_at),
            entry: Arc::new(entry),
        }
    }

    /// Takes an instance out cleanly; says from when no cache holds it any more.
    pub fn deregister(&mut self, id: &InstanceId, now: Moment) -> Option<Moment> {
        self.expire_one(id, now);
        let home = self.set_home(id, None)?;
        let member = self.take(&home, id)?;
        Some(self.leave(member, now))
    }

    /// Keeps the own name of a member that leaves until nobody can hold it any
    /// more, and says when that is.
    fn leave(&mut self, mut member: Member, now: Moment) -> Moment {
        let drained_at = self.drained_at(&member, now);
        if now < drained_at {
            member.left = true;
            member.drained_at = Some(drained_at);
            self.put(member);
        }
        drained_at
    }

    /// Withdraws an instance for an operator; says when it's drained.
    pub fn drain(&mut self, id: &InstanceId, now: Moment) -> Option<Moment> {
        self.expire_one(id, now);
        let mut member = self.registered(id)?.clone();
        let drained_at = self.drained_at(&member, now);
        member.draining = true;
        member.drained_at = Some(drained_at);
        self.swap(member);
        Some(drained_at)
    }

    /// Ends an instance's drain. That of an id that isn't registered is forgotten,
    /// so it's listed when it comes back.
    pub fn resume(&mut self, id: &InstanceId, now: Moment) -> Option<Member> {
        self.expire_one(id, now);
        self.set_drained(id, false);
        let mut member = self.registered(id)?.clone();
        member.draining = false;
        member.drained_at = None;
        self.swap(member.clone());
        Some(member)
    }

    /// Notes what a check says; a result for an older registration is dropped.
    pub fn set_health(&mut self, entry: &Entry, health: Health, output: Arc<str>) -> bool {
        self.amend(entry, |member| {
            // What it said last is for the health that it has.
            if member.health != health || member.output.is_none() {
                member.output = Some(output);
            }
            member.health = health;
        })
    }

    /// Notes what an instance says of itself.
    pub fn set_report(&mut self, entry: &Entry, report: Report) -> bool {
        self.amend(entry, |member| member.report = Some(report))
    }

    /// Notes the addresses of a host name; those of an older registration are dropped.
    pub fn set_addresses(&mut self, entry: &Entry, addresses: Arc<[IpAddr]>) -> bool {
        self.amend(entry, |member| member.addresses = addresses)
    }

    fn amend(&mut self, entry: &Entry, change: impl FnOnce(&mut Member)) -> bool {
        let Some(mut member) = current(&self.services, entry).cloned() else {
            return false;
        };
        change(&mut member);
        self.swap(member);
        true
    }

    /// Whether it's the registration that its instance has now.
    fn is_current(&self, entry: &Entry) -> bool {
        is_current(&self.services, entry)
    }

    /// The changes since the last call, to be published as state `revision`.
    pub(super) fn changes(&mut self, revision: u64) -> Vec<Change> {
        let touched = std::mem::take(&mut self.touched);
        touched
            .into_iter()
            .map(|service| self.view(service, revision))
            .collect()
    }

    /// Whether anything waits to be published.
    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// How many instances are registered, and how many of them are listed
    /// unless their leases have ended unnoticed.
    pub fn counts(&self) -> (usize, usize) {
        (self.homes.len(), self.listed)
    }

    /// The service as it is now.
    fn view(&self, service: ServiceName, revision: u64) -> Change {
        if !self.knows(&service) {
            return Change::Gone(service);
        }
        let settings = self.settings_of(&service);
        let policy = settings.policy();
        let members = self.services.get(&service);
        Change::View(ServiceView {
            revision,
            ttl: self.ttl_of(&service),
            negative_ttl: policy
                .and_then(|policy| policy.negative_ttl)
                .unwrap_or(self.config.negative_ttl),
            members: members.cloned().unwrap_or_default(),
            settings,
            service,
        })
    }

    /// When no cache holds `member` any more, if it's withdrawn at `now`.
    ///
    /// Its lease is no bound: an earlier and longer one of the same id may have
    /// been answered with a moment ago.
    fn drained_at(&self, member: &Member, now: Moment) -> Moment {
        let forgotten = || self.forgotten_at(&member.instance().service, now);
        member.drained_at.unwrap_or_else(forgotten)
    }
}

/// The member of a registration, if it's the one that its instance has now.
fn current<'s>(services: &'s Services, entry: &Entry) -> Option<&'s Member> {
    let members = services.get(&entry.instance.service)?;
    let member = members.get(entry.instance.id.as_str())?;
    (member.entry.generation == entry.generation && !member.left).then_some(member)
}

/// Whether a registration is the one that its instance has now.
fn is_current(services: &Services, entry: &Entry) -> bool {
    current(services, entry).is_some()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
