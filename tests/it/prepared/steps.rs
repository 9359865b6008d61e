//! What may happen, drawn at random: changes, time that passes, questions.

use namebeat::registry::condition::Condition;
use namebeat::registry::view::{Report, ReportedStatus};
use proptest::prelude::*;

use super::desk::Desk;
use crate::policy::examples;

/// A change to the registry.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Register(u8, u8, u16, u8),
    Deregister(u8),
    Drain(u8),
    Resume(u8),
    Heartbeat(u8),
    /// Whether the instance says that it fails.
    Report(u8, bool),
    /// One of [`examples`] for a service, or none.
    SetPolicy(u8, Option<prop::sample::Index>),
    /// A configuration value, or none; whether it's gRPC's.
    SetValue(u8, bool, Option<u16>),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Change(Change),
    /// Lets this many milliseconds pass, for queries.
    Pass(u64),
    /// Asks a question for a client, with a payload size or over TCP.
    Ask(String, u16, u8, Option<u16>),
}

fn qname() -> impl Strategy<Value = String> {
    let names = [
        "s1.svc.internal.",
        "S1.svc.INTERNAL.",
        "s2.svc.internal.",
        "s1.svc.internal.",
        "s3.svc.internal.",
        "_config.s1.svc.internal.",
        "_grpc_config.s1.svc.internal.",
        "_config.s3.svc.internal.",
        "i1.s1.svc.internal.",
        "i2.s1.svc.internal.",
        "_s1._tcp.svc.internal.",
        "_http._tcp.s1.svc.internal.",
        "prod.env.tag.s1.svc.internal.",
        "prod.env.prod.env.prod.env.tag.s1.svc.internal.",
        "1.version.s1.svc.internal.",
        "_services._dns-sd._udp.svc.internal.",
        "b._dns-sd._udp.svc.internal.",
        "_http._tcp.svc.internal.",
        "_http._udp.svc.internal.",
        "_admin._tcp.svc.internal.",
        "i1._http._tcp.svc.internal.",
        "i2._http._tcp.svc.internal.",
        "i2._grpc._tcp.svc.internal.",
        "10.in-addr.arpa.",
        "0.0.10.in-addr.arpa.",
        "1.0.0.10.in-addr.arpa.",
        "2.0.0.10.in-addr.arpa.",
        "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.",
        "none.svc.internal.",
        "svc.internal.",
        "fixed.svc.internal.",
        "x.any.svc.internal.",
        "www.corp.example.",
        "srv.corp.example.",
        "mx.corp.example.",
        "x.wild.corp.example.",
        "x.cut.corp.example.",
        "i1.old.corp.example.",
        "none.corp.example.",
        "corp.example.",
        "elsewhere.",
    ];
    prop::sample::select(names.to_vec()).prop_map(str::to_owned)
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        3 => (0u8..40, 1u8..3, prop::sample::select(vec![0u16, 1, 256]), 2u8..9)
            .prop_map(|(id, service, weight, lease)| Change::Register(id, service, weight, lease)),
        1 => (0u8..40).prop_map(Change::Deregister),
        1 => (0u8..40).prop_map(Change::Drain),
        1 => (0u8..40).prop_map(Change::Resume),
        1 => (0u8..40).prop_map(Change::Heartbeat),
        1 => (0u8..40, any::<bool>()).prop_map(|(id, fails)| Change::Report(id, fails)),
        1 => (1u8..4, prop::option::weighted(0.8, any::<prop::sample::Index>()))
            .prop_map(|(service, policy)| Change::SetPolicy(service, policy)),
        1 => (prop::sample::select(vec![1u8, 3]), any::<bool>(), prop::option::of(0u16..600))
            .prop_map(|(service, grpc, len)| Change::SetValue(service, grpc, len)),
    ];
    let qtype = prop::sample::select(vec![1u16, 28, 33, 16, 12, 12, 6, 2, 15, 65, 255, 4711]);
    let payload = prop::option::of(prop::sample::select(vec![0u16, 512, 800, 1232, 4096]));
    prop_oneof![
        2 => change.prop_map(Step::Change),
        1 => prop_oneof![0u64..50, 0u64..1500].prop_map(Step::Pass),
        6 => (qname(), qtype, 0u8..4, payload)
            .prop_map(|(name, qtype, client, payload)| Step::Ask(name, qtype, client, payload)),
    ]
}

pub(super) fn apply(desk: &Desk, change: &Change) {
    let id = |id: u8| format!("i{id}").parse().unwrap();
    let registry = &desk.registry;
    match *change {
        Change::Register(id, service, weight, lease) => {
            let host = match id % 3 {
                0 => format!("fd00::{id}"),
                _ => format!("10.0.0.{}", id / 2),
            };
            let (id, service) = (format!("i{id}"), format!("s{service}"));
            desk.register(&id, &service, &host, weight, &format!("{lease}s"));
        }
        Change::Deregister(known) => {
            desk.runtime
                .block_on(registry.deregister(id(known)))
                .unwrap();
        }
        Change::Drain(known) => {
            desk.runtime.block_on(registry.drain(id(known))).unwrap();
        }
        Change::Resume(known) => {
            desk.runtime.block_on(registry.resume(id(known))).unwrap();
        }
        Change::Heartbeat(known) => {
            let _ = registry.heartbeat(&format!("i{known}"));
        }
        Change::Report(known, fails) => {
            let status = match fails {
                true => ReportedStatus::Failing,
                false => ReportedStatus::Passing,
            };
            if let Ok(entry) = registry.heartbeat(&format!("i{known}")) {
                let reported = registry.set_report(entry, Report { status, note: None });
                desk.runtime.block_on(reported).unwrap();
            }
        }
        Change::SetPolicy(service, policy) => {
            let (service, examples) = (format!("s{service}").parse().unwrap(), examples());
            let policy = policy.map(|index| index.get(&examples).clone());
            let set = registry.set_policy(service, policy, Condition::default());
            // What isn't set can't be taken back, and nothing is the matter.
            let _ = desk.runtime.block_on(set).unwrap();
        }
        Change::SetValue(service, grpc, len) => {
            let key = if grpc { "grpc-config" } else { "k" };
            let (service, key) = (format!("s{service}").parse().unwrap(), key.parse().unwrap());
            let value = len.map(|len| "x".repeat(len.into()).into());
            let set = registry.set_config_value(service, key, value, Condition::default());
            let _ = desk.runtime.block_on(set).unwrap();
        }
    }
}
