//! Commands for the model, drawn at random.

use proptest::prelude::*;

use super::*;
use crate::registry::view::ReportedStatus;

/// A command; ids, services and hosts are indexes of the lists below.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Register(usize, Asked, bool),
    Deregister(usize),
    Drain(usize),
    Resume(usize),
    /// What a check says of the id's last or, when that is set, first registration.
    SetHealth(usize, Health, bool),
    /// Likewise of a host name: so many addresses.
    SetAddresses(usize, u8, bool),
    /// Likewise: what the instance says of itself.
    SetReport(usize, ReportedStatus, bool),
    Heartbeat(usize),
    /// Sets a policy with a TTL of so many seconds, or takes the policy back.
    SetPolicy(usize, Option<u64>),
    /// Sets a configuration value, or takes it back.
    SetValue(usize, bool),
}

pub(super) const IDS: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const SERVICES: [&str; 3] = ["web", "api", "db"];
pub(super) const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "localhost"];

/// What a registration asks for besides its id.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) service: usize,
    pub(super) host: usize,
    /// The check's `initial`, if there is a check.
    pub(super) check: Option<Health>,
    /// Seconds of the term; none only with a check.
    pub(super) term: Option<u64>,
}

impl Asked {
    pub(super) fn instance(&self, id: &str) -> Instance {
        let mut patch = json!({"host": HOSTS[self.host]});
        patch["lease"] = self.term.map(|term| format!("{term}s")).into();
        if let Some(initial) = self.check {
            patch["health_check"] = json!({"kind": "tcp", "initial": initial.as_str()});
        }
        instance(id, SERVICES[self.service], &patch)
    }

    pub(super) fn has_host_name(&self) -> bool {
        HOSTS[self.host] == "localhost"
    }
}

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    let check = prop_oneof![
        Just(None),
        Just(Some(Health::Starting)),
        Just(Some(Health::Passing))
    ];
    let term = prop_oneof![Just(None), Just(Some(2)), Just(Some(7))];
    (0..SERVICES.len(), 0..HOSTS.len(), check, term).prop_map(|(service, host, check, term)| {
        Asked {
            service,
            host,
            check,
            term: if check.is_none() {
                term.or(Some(2))
            } else {
                term
            },
        }
    })
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    let id = || 0..IDS.len();
    let service = || 0..SERVICES.len();
    let health = prop_oneof![Just(Health::Passing), Just(Health::Failing)];
    let status = prop_oneof![Just(ReportedStatus::Warning), Just(ReportedStatus::Failing)];
    prop_oneof![
        6 => (id(), asked(), any::<bool>()).prop_map(|(id, asked, replace)| Act::Register(id, asked, replace)),
        2 => id().prop_map(Act::Deregister),
        2 => id().prop_map(Act::Drain),
        2 => id().prop_map(Act::Resume),
        2 => (id(), health, any::<bool>()).prop_map(|(id, health, old)| Act::SetHealth(id, health, old)),
        2 => (id(), 0u8..3, any::<bool>()).prop_map(|(id, count, old)| Act::SetAddresses(id, count, old)),
        2 => (id(), status, any::<bool>()).prop_map(|(id, status, old)| Act::SetReport(id, status, old)),
        3 => id().prop_map(Act::Heartbeat),
        2 => (service(), prop::option::of(0u64..9)).prop_map(|(service, ttl)| Act::SetPolicy(service, ttl)),
        1 => (service(), any::<bool>()).prop_map(|(service, set)| Act::SetValue(service, set)),
    ]
}

/// Milliseconds until the next command; never none, as a clock has it.
pub(super) fn pass() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1u64..300, 1 => 300u64..6_000]
}
