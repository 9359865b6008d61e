//! From the registry's types to those of the wire.

use crate::api;
use crate::registry::Registry;
use crate::registry::instance::Host;
use crate::registry::lease::Lease;
use crate::registry::view::{Member, ServiceView};
use crate::time::TimeSpan;

/// An instance as it's read back.
pub(super) fn instance(member: &Member, registry: &Registry) -> api::Instance {
    let (entry, instance) = (&member.entry, member.instance());
    let (host, addresses) = match &instance.host {
        Host::Address(ip) => (Some(ip.to_string()), None),
        Host::Addresses(ips) => (None, Some(ips.iter().map(ToString::to_string).collect())),
        Host::Name(name) => (
            Some(name.to_string().trim_end_matches('.').to_owned()),
            None,
        ),
    };
    let text = |text: &dyn ToString| text.to_string();
    api::Instance {
        id: text(&instance.id),
        name: text(&instance.service),
        version: instance.version.as_deref().map(str::to_owned),
        host,
        addresses,
        port: instance.port,
        ports: instance
            .ports
            .iter()
            .map(|(name, port)| (text(name), *port))
            .collect(),
        protocol: instance.protocol.as_str().into(),
        tags: instance
            .tags
            .iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect(),
        metadata: instance
            .metadata
            .iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect(),
        weight: instance.weight,
        priority: instance.priority,
        locality: instance.locality.as_ref().map(|label| text(label)),
        lease: instance.term.map(TimeSpan),
        health_check: instance.check.as_ref().map(|check| check.to_api()),
        registration_time: registry.wall(entry.registered),
        last_heartbeat: registry.wall(entry.lease.renewed()),
        state: state(member, registry),
    }
}

fn state(member: &Member, registry: &Registry) -> api::InstanceState {
    let withdrawn = member.withdrawn(registry.now());
    api::InstanceState {
        listed: withdrawn.is_none(),
        health: member.health.as_str().into(),
        reported: member
            .report
            .as_ref()
            .map(|report| report.status.as_str().into()),
        note: member
            .report
            .as_ref()
            .and_then(|report| report.note.as_deref().map(str::to_owned)),
        draining: member.draining,
        held: member.entry.lease.is_held(),
        reason: withdrawn.map(|reason| reason.as_str().to_owned()),
        resolved: member
            .entry
            .resolved()
            .map(|resolved| resolved.to_api(registry)),
        output: member.output.as_deref().map(str::to_owned),
        expires_at: member.entry.lease.ends().map(|ends| registry.wall(ends)),
        drained_at: member.drained_at.map(|at| registry.wall(at)),
    }
}

/// A lease; `None` when it needs no heartbeat.
pub(super) fn lease(lease: &Lease, registry: &Registry) -> Option<api::Lease> {
    let expires_at = registry.wall(lease.ends()?);
    Some(api::Lease {
        term: TimeSpan(lease.term()?),
        expires_at,
    })
}

/// A service with those of its instances that `wanted` lets through.
pub(super) fn service<'a>(
    view: &ServiceView,
    members: impl Iterator<Item = &'a Member>,
    registry: &Registry,
) -> api::Service {
    api::Service {
        name: view.service.to_string(),
        revision: view.revision,
        instances: members.map(|member| instance(member, registry)).collect(),
    }
}
