//! One service as readers see it: an immutable state, swapped whole.
//!
//! A [`ServiceView`] holds every member of the service, listed or not, so that
//! one load tells both what is answered and why the rest is left out. The only
//! thing in it that still moves is the [`Lease`] that a member shares with the
//! table: heartbeats extend it in place, and a lease that ends withdraws its
//! member at that very moment, before the table has noticed.

pub mod members;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::members::Members;
use super::check::Health;
use super::instance::{Host, Instance};
use super::lease::Lease;
use super::policy::ServiceSettings;
use super::probes::Probes;
use super::resolution::{Resolution, Resolved};
use crate::name::ServiceName;
use crate::time::Moment;

/// One registration of an instance. A later one of the same id is another entry.
#[derive(Debug)]
pub struct Entry {
    /// What registered.
    pub instance: Instance,
    /// Its lease, shared with the table.
    pub lease: Lease,
    /// Number of the registration, unique in this process.
    pub generation: u64,
    /// When the id was first registered without a gap since.
    pub registered: Moment,
    /// What the checks found, if it has one.
    pub probes: Option<Arc<Probes>>,
    /// What is known of its host name, once that is looked after.
    pub resolution: OnceLock<Arc<Resolution>>,
}

impl Entry {
    /// A registration of which nothing has been probed yet.
    pub(crate) fn new(
        instance: Instance,
        lease: Lease,
        generation: u64,
        registered: Moment,
    ) -> Self {
        Self {
            probes: Probes::of(&instance),
            instance,
            lease,
            generation,
            registered,
            resolution: OnceLock::new(),
        }
    }

    /// What is known of its host name, if it has one that was looked at.
    pub fn resolved(&self) -> Option<Arc<Resolved>> {
        self.resolution.get().map(|resolution| resolution.get())
    }
}

/// An instance in a [`ServiceView`].
#[derive(Clone, Debug)]
pub struct Member {
    /// The registration.
    pub entry: Arc<Entry>,
    /// The addresses of its host; none while a host name isn't known yet.
    pub addresses: Arc<[IpAddr]>,
    /// What its check says.
    pub health: Health,
    /// What the check said when it last changed its mind.
    pub output: Option<Arc<str>>,
    /// What the instance says of itself, with a heartbeat.
    pub report: Option<Report>,
    /// Whether an operator withdrew it.
    pub draining: bool,
    /// Whether it deregistered, and only its own name still answers.
    pub left: bool,
    /// A member that is draining or left: until then its own name answers.
    pub drained_at: Option<Moment>,
}

/// What an instance says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How it is.
    pub status: ReportedStatus,
    /// For people.
    pub note: Option<Arc<str>>,
}

/// How an instance says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportedStatus {
    /// Well.
    Passing,
    /// Worth a look, and still listed.
    Warning,
    /// Not to be listed, whatever its check says.
    Failing,
}

impl ReportedStatus {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Failing => "failing",
        }
    }
}

/// Why a member isn't listed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Withdrawn {
    /// Its check fails.
    Failing,
    /// Its check has no result yet.
    Starting,
    /// An operator withdrew it.
    Draining,
    /// Its lease has ended.
    Expired,
    /// Its host name has no known address.
    HostUnknown,
    /// It deregistered.
    Left,
}

impl Withdrawn {
    const ALL: [Self; 6] = [
        Self::Failing,
        Self::Starting,
        Self::Draining,
        Self::Expired,
        Self::HostUnknown,
        Self::Left,
    ];

    /// The reason in a word or two, as reasons and errors give it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Expired => "expired",
            Self::HostUnknown => "without a known address",
            Self::Left => "deregistered",
        }
    }
}

impl Member {
    /// The instance itself.
    pub fn instance(&self) -> &Instance {
        &self.entry.instance
    }

    /// Why it isn't listed at `now`; `None` when it is.
    pub fn withdrawn(&self, now: Moment) -> Option<Withdrawn> {
        if self.left {
            Some(Withdrawn::Left)
        } else if self.entry.lease.left(now).is_none() {
            Some(Withdrawn::Expired)
        } else if self.draining {
            Some(Withdrawn::Draining)
        } else if self.is_failing() {
            Some(Withdrawn::Failing)
        } else if self.health == Health::Starting {
            Some(Withdrawn::Starting)
        } else if self.addresses.is_empty() {
            Some(Withdrawn::HostUnknown)
        } else {
            None
        }
    }

    /// How long an answer from this member stays true at `now`, as far as leases,
    /// leaves and failing probes are known; `None` when nothing of it may be answered.
    ///
    /// A listed member has its lease, and when its check has begun to fail, the time
    /// to the earliest moment at which that could withdraw it. One that leaves cleanly has the time until
    /// it's drained, but only under its own name.
    pub fn answers_for(&self, now: Moment) -> Option<Duration> {
        match self.withdrawn(now) {
            None => {
                let lease = self.entry.lease.left(now)?;
                let fails_at = self.entry.probes.as_ref().map(|probes| probes.fails_at());
                let fails_at = fails_at.filter(|at| *at != Moment::MAX);
                Some(fails_at.map_or(lease, |at| lease.min(at.left_at(now))))
            }
            Some(reason @ (Withdrawn::Left | Withdrawn::Draining)) => {
                // One that was failing when it left isn't brought back by leaving.
                let until = self
                    .drained_at
                    .filter(|until| now < *until && self.is_sound())?;
                // Whoever leaves has promised to stay until then, lease or not.
                let lease = match reason {
                    Withdrawn::Left => Duration::MAX,
                    _ => self.entry.lease.left(now)?,
                };
                Some(lease.min(until.left_at(now)))
            }
            Some(_) => None,
        }
    }

    /// How long it may be answered for want of anybody who is listed: it fails or
    /// is starting, and nothing else keeps it from being listed.
    pub fn serves_for(&self, now: Moment) -> Option<Duration> {
        let reason = self.withdrawn(now);
        let unhealthy = matches!(reason, Some(Withdrawn::Failing | Withdrawn::Starting));
        let lease = self.entry.lease.left(now);
        lease.filter(|_| unhealthy && !self.addresses.is_empty())
    }

    /// Whether it passes and its addresses are known, whoever withdrew it.
    fn is_sound(&self) -> bool {
        self.health.is_good() && !self.is_failing() && !self.addresses.is_empty()
    }

    /// Whether its check or the instance itself says that it fails.
    fn is_failing(&self) -> bool {
        let reported = self.report.as_ref().map(|report| report.status);
        self.health == Health::Failing || reported == Some(ReportedStatus::Failing)
    }

    /// Whether it's listed for as long as its lease runs.
    pub(super) fn is_listable(&self) -> bool {
        !self.left && !self.draining && self.is_sound()
    }

    /// The host name that its SRV points at; `None` when that is its own name.
    pub fn host_name(&self) -> Option<&crate::name::DomainName> {
        match &self.instance().host {
            Host::Name(name) => Some(name),
            Host::Address(_) | Host::Addresses(_) => None,
        }
    }
}

/// A service's state, as published.
#[derive(Debug)]
pub struct ServiceView {
    /// The service.
    pub service: ServiceName,
    /// Number of the registry's state that published this one.
    pub revision: u64,
    /// TTL of its answers, before leases bound it; whole seconds.
    pub ttl: Duration,
    /// TTL of its negative answers; whole seconds.
    pub negative_ttl: Duration,
    /// Every member.
    pub members: Members,
    /// What operators set of it.
    pub settings: Arc<ServiceSettings>,
}

impl ServiceView {
    /// The member of that id, registered or just left.
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    /// Whether there's more of it than members that have left.
    pub fn is_known(&self) -> bool {
        !self.settings.is_empty() || self.registered().next().is_some()
    }

    /// The members that still are registered.
    pub fn registered(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.left)
    }

    /// Counts those of `members` that are registered, by why they aren't listed.
    pub fn tally<'a>(members: impl Iterator<Item = &'a Member>, now: Moment) -> Tally {
        let mut tally = Tally::default();
        for member in members {
            match member.withdrawn(now) {
                None => tally.listed += 1,
                Some(reason) => tally.withdrawn[reason as usize] += 1,
            }
        }
        tally
    }
}

/// How many members are listed, and why the others aren't.
///
/// Prints the way extended DNS errors tell it: `3 registered: 2 failing, 1 draining`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Listed members.
    pub listed: usize,
    withdrawn: [usize; Withdrawn::ALL.len()],
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.withdrawn[Withdrawn::Left as usize];
        let registered = self.listed + self.withdrawn.iter().sum::<usize>() - left;
        write!(f, "{registered} registered")?;
        let mut separator = ": ";
        let reasons = Withdrawn::ALL
            .into_iter()
            .map(|reason| (self.withdrawn[reason as usize], reason.as_str()));
        for (count, word) in std::iter::once((self.listed, "listed")).chain(reasons) {
            if count != 0 {
                write!(f, "{separator}{count} {word}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
