//! From the registry's types to those of the wire.

use super::shown;
use crate::api;
use crate::registry::Registry;
use crate::registry::instance::Host;
use crate::registry::lease::Lease;
use crate::registry::view::{Member, ServiceView};
use crate::time::{Moment, TimeOfDay, TimeSpan};

/// When it is, for all that one answer shows.
#[derive(Clone, Copy)]
pub(super) struct Now {
    now: Moment,
    time_of_day: TimeOfDay,
}

impl Now {
    /// Reads the clocks.
    pub(super) fn of(registry: &Registry) -> Self {
        Self::at(registry.now(), registry.time_of_day())
    }

    /// A moment, and how moments are shown then.
    pub(super) fn at(now: Moment, time_of_day: TimeOfDay) -> Self {
        Self { now, time_of_day }
    }
}

/// An instance as it's read back.
pub(super) fn instance(member: &Member, now: Now) -> shown::Instance<'_> {
    let (entry, instance) = (&member.entry, member.instance());
    let (host, addresses) = match &instance.host {
        Host::Address(ip) => (Some(shown::Host::Address(*ip)), None),
        Host::Addresses(ips) => (None, Some(&**ips)),
        Host::Name(name) => {
            let text = name.to_string().trim_end_matches('.').to_owned();
            (Some(shown::Host::Name(text.into())), None)
        }
    };
    shown::Instance {
        id: instance.id.as_str(),
        name: instance.service.as_str(),
        version: instance.version.as_deref(),
        host,
        addresses,
        port: instance.port,
        ports: shown::Pairs(&instance.ports),
        protocol: instance.protocol.as_str(),
        tags: shown::Pairs(&instance.tags),
        metadata: shown::Pairs(&instance.metadata),
        weight: instance.weight,
        priority: instance.priority,
        locality: instance.locality.as_ref().map(|label| label.as_str()),
        lease: instance.term.map(TimeSpan),
        health_check: instance.check.as_ref().map(|check| check.to_api()),
        registration_time: now.time_of_day.of(entry.registered),
        last_heartbeat: now.time_of_day.of(entry.lease.renewed()),
        state: state(member, now),
    }
}

fn state(member: &Member, now: Now) -> shown::InstanceState<'_> {
    let withdrawn = member.withdrawn(now.now);
    let report = member.report.as_ref();
    let (ends, resolved) = (member.entry.lease.ends(), member.entry.resolved());
    shown::InstanceState {
        listed: withdrawn.is_none(),
        health: member.health.as_str(),
        reported: report.map(|report| report.status.as_str()),
        note: report.and_then(|report| report.note.as_deref()),
        draining: member.draining,
        held: member.entry.lease.is_held(),
        reason: withdrawn.map(|reason| reason.as_str()),
        resolved: resolved.map(|resolved| resolved.to_api(&now.time_of_day)),
        output: member.output.as_deref(),
        expires_at: ends.map(|ends| now.time_of_day.of(ends)),
        drained_at: member.drained_at.map(|at| now.time_of_day.of(at)),
    }
}

/// A lease; `None` when it needs no heartbeat.
pub(super) fn lease(lease: &Lease, now: Now) -> Option<api::Lease> {
    let expires_at = now.time_of_day.of(lease.ends()?);
    Some(api::Lease {
        term: TimeSpan(lease.term()?),
        expires_at,
    })
}

/// A service with those of its instances that `wanted` lets through.
pub(super) fn service<'a>(
    view: &'a ServiceView,
    members: impl Iterator<Item = &'a Member>,
    now: Now,
) -> shown::Service<'a> {
    shown::Service {
        name: view.service.as_str(),
        revision: view.revision,
        instances: members.map(|member| instance(member, now)).collect(),
    }
}
