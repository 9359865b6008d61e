//! Why a question is answered as it is (promise 8).
//!
//! The answer is that of [`Authority::answer`], the one function that answers
//! everybody; what is explained is read off it. An instance is in when its records are
//! there and nothing speaks against it; else what speaks against it is told, in the
//! order in which it's looked at when answering.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::answer::{Authority, Client, Scratch, Verdict};
use super::records::own_name;
use super::rr::RecordType;
use super::subject::Subject;
use super::text::message::{Said, said};
use super::zones::Zones;
use crate::api::explain::{BoundTtl, ExplainedInstance, ExplainedProbe, Explanation};
use crate::name::DomainName;
use crate::registry::Registry;
use crate::registry::check::Health;
use crate::registry::policy::WhenNoneHealthy;
use crate::registry::view::{Member, ReportedStatus, ServiceView, Withdrawn};
use crate::time::{Moment, TimeSpan};

/// Most instances that are told of.
const MAX_INSTANCES: usize = 1000;

/// Explains what a client at `client` is answered to a question, over TCP.
pub fn explain(
    authority: &Authority,
    zones: &Zones,
    registry: &Registry,
    (name, rtype): (&DomainName, RecordType),
    client: IpAddr,
) -> Explanation {
    let now = authority.now();
    let (mut scratch, mut reply) = (Scratch::default(), Vec::new());
    let query = query(name, rtype);
    let verdict = authority.answer(
        &query,
        Client::stream(client),
        now,
        &mut scratch,
        &mut reply,
    );
    let said = match verdict {
        Verdict::Reply(_) => said(&reply).ok(),
        Verdict::Drop | Verdict::HoldBack => None,
    };
    // A query of our making has a well-formed answer over TCP.
    let said = said.unwrap_or_else(|| Said {
        rcode: "none".to_owned(),
        authoritative: false,
        sections: Default::default(),
        ttl: None,
        error: None,
    });
    let last = last_alias(&said, name);
    let subject = Subject::of(zones, registry, &last, rtype);
    let asked = Asked {
        now,
        rtype,
        said: &said,
        zone: subject.zone.as_ref(),
    };
    let mut instances: Vec<ExplainedInstance> = Vec::new();
    let mut more = 0;
    for view in &subject.views {
        for member in view.members.iter() {
            let concerned = subject.only.as_deref();
            if concerned.is_some_and(|id| member.instance().id.as_str() != id) {
                continue;
            }
            match instances.len() < MAX_INSTANCES {
                true => instances.push(asked.instance(&subject, view, member, registry)),
                false => more += 1,
            }
        }
    }
    let mut reading = subject.reading.clone();
    if last != *name {
        reading = format!("an alias of {last}: {reading}");
    }
    let ttl = said.ttl.map(|seconds| BoundTtl {
        seconds,
        bound: bound(&said, seconds, &subject, &instances, registry.wall(now)),
    });
    let Said {
        rcode,
        authoritative,
        sections: [answer, authority, additional],
        error,
        ..
    } = said;
    Explanation {
        name: name.to_string(),
        rtype: rtype.to_string(),
        reading,
        rcode,
        authoritative,
        answer,
        authority,
        additional,
        error,
        size: reply.len(),
        ttl,
        instances,
        more,
    }
}

/// A time span without what is less than a millisecond.
fn whole(span: Duration) -> TimeSpan {
    TimeSpan(Duration::from_millis(
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
    ))
}

/// A query over TCP with EDNS.
fn query(name: &DomainName, rtype: RecordType) -> Vec<u8> {
    let mut octets = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    octets.extend_from_slice(name.as_wire());
    octets.extend_from_slice(&rtype.0.to_be_bytes());
    octets.extend_from_slice(&[0, 1, 0, 0, 41, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    octets
}

/// The name that the aliases of an answer lead to in the end.
fn last_alias(said: &Said, name: &DomainName) -> DomainName {
    let mut last = name.clone();
    for record in &said.sections[0] {
        let words: Vec<&str> = record.split(' ').collect();
        if let [owner, _, _, "CNAME", target] = words[..]
            && last.to_string().eq_ignore_ascii_case(owner)
            && let Ok(target) = DomainName::parse(target, None)
        {
            last = target;
        }
    }
    last
}

/// What is the same for all instances.
struct Asked<'a> {
    now: Moment,
    rtype: RecordType,
    said: &'a Said,
    zone: Option<&'a DomainName>,
}

impl Asked<'_> {
    fn instance(
        &self,
        subject: &Subject,
        view: &ServiceView,
        member: &Member,
        registry: &Registry,
    ) -> ExplainedInstance {
        let instance = member.instance();
        let lease = &member.entry.lease;
        let (is_in, why) = self.judge(subject, view, member);
        let left = lease.left(self.now).filter(|left| *left != Duration::MAX);
        let report = member.report.as_ref();
        ExplainedInstance {
            id: instance.id.to_string(),
            service: view.service.to_string(),
            is_in,
            why,
            addresses: member.addresses.iter().map(ToString::to_string).collect(),
            host: member.host_name().map(ToString::to_string),
            resolved: member
                .entry
                .resolved()
                .map(|resolved| resolved.to_api(&registry.time_of_day())),
            port: instance.port,
            weight: instance.weight,
            priority: instance.priority,
            health: member.health.as_str().to_owned(),
            output: member.output.as_deref().map(str::to_owned),
            last_probe: self.probe(member, registry),
            reported: report.map(|report| report.status.as_str().to_owned()),
            note: report.and_then(|report| report.note.as_deref().map(str::to_owned)),
            lease_left: lease.term().map(|_| whole(left.unwrap_or_default())),
            term: lease.term().map(TimeSpan),
            held: lease.is_held(),
            last_heartbeat: registry.wall(lease.renewed()),
            drained_at: member.drained_at.map(|at| registry.wall(at)),
        }
    }

    /// The last probe of an instance.
    fn probe(&self, member: &Member, registry: &Registry) -> Option<ExplainedProbe> {
        let probes = member.entry.probes.as_ref()?;
        let last = probes.last()?;
        let fails_at = Some(probes.fails_at())
            .filter(|at| *at != Moment::MAX && member.health != Health::Failing);
        Some(ExplainedProbe {
            at: registry.wall(last.at),
            took: whole(last.took),
            result: last.result.to_owned(),
            output: last.output.into(),
            in_a_row: last.in_a_row,
            next_at: registry.wall(last.next_at),
            fails_at: fails_at.map(|at| registry.wall(at)),
            flaps: last.flaps,
            damped_until: last.damped_until.map(|at| registry.wall(at)),
        })
    }

    /// Whether an instance is in the answer, and why it isn't or is in spite of something.
    fn judge(
        &self,
        subject: &Subject,
        view: &ServiceView,
        member: &Member,
    ) -> (bool, Option<String>) {
        if subject.selects(member.instance()) == Some(false) {
            return (false, Some("isn't one that the name selects".to_owned()));
        }
        let is_there = self.has_records_of(member);
        match member.withdrawn(self.now) {
            None if is_there => (true, None),
            None => (false, Some(self.why_left_out(view, member))),
            Some(reason) => {
                let own = subject.only.is_some() && member.answers_for(self.now).is_some();
                let opens = view.settings.when_none_healthy() == WhenNoneHealthy::All
                    && member.serves_for(self.now).is_some();
                let mut reason = self.reason(member, reason.as_str());
                let probes = member.entry.probes.as_ref();
                if probes
                    .and_then(|probes| probes.last()?.damped_until)
                    .is_some_and(|until| self.now < until)
                {
                    reason += "; it passes again, and is held back because it flaps";
                }
                match is_there && (own || opens) {
                    true if own => (
                        true,
                        Some(format!(
                            "{reason}, but its own name answers until it's drained"
                        )),
                    ),
                    true => (
                        true,
                        Some(format!(
                            "{reason}, but nobody is listed and the policy has all answered"
                        )),
                    ),
                    false => (false, Some(reason)),
                }
            }
        }
    }

    /// A reason with what stands behind it.
    fn reason(&self, member: &Member, reason: &str) -> String {
        let said = match reason {
            "failing" | "starting" => {
                let report = member.report.as_ref();
                let failing = report.filter(|report| report.status == ReportedStatus::Failing);
                let note = failing.and_then(|report| report.note.as_deref());
                note.or(member.output.as_deref())
            }
            _ => None,
        };
        let resolved = member.entry.resolved();
        let failure = resolved
            .as_ref()
            .and_then(|resolved| resolved.failure.as_ref())
            .filter(|_| reason == Withdrawn::HostUnknown.as_str());
        let said = said.or(failure.map(|failure| &*failure.error));
        said.map_or_else(|| reason.to_owned(), |said| format!("{reason}: {said}"))
    }

    /// Why a listed instance has no record in the answer.
    fn why_left_out(&self, view: &ServiceView, member: &Member) -> String {
        let of_family = |ip: &IpAddr| ip.is_ipv4() == (self.rtype == RecordType::A);
        match self.rtype {
            RecordType::A | RecordType::AAAA if !member.addresses.iter().any(of_family) => {
                "has no address of that family".to_owned()
            }
            RecordType::A | RecordType::AAAA if member.instance().weight == 0 => {
                "has weight 0, and others have more".to_owned()
            }
            _ if view
                .settings
                .policy()
                .is_some_and(|policy| policy.max_answers.is_some())
                && !self.said.sections[0].is_empty() =>
            {
                "isn't among those that this client is given (max_answers)".to_owned()
            }
            rtype => format!("is listed, and there are no {rtype} records of instances here"),
        }
    }

    /// Whether the answer has a record that is this instance's.
    fn has_records_of(&self, member: &Member) -> bool {
        let mut rdata = self.said.sections[0].iter().filter_map(|record| {
            let mut words = record.splitn(5, ' ').skip(3);
            Some((words.next()?, words.next()?))
        });
        let instance = member.instance();
        let addresses: BTreeSet<String> =
            member.addresses.iter().map(ToString::to_string).collect();
        let own = self.zone.and_then(|zone| own_name(member, zone).ok());
        let target = member
            .host_name()
            .cloned()
            .or(own)
            .map(|name| name.to_string());
        let id = format!("\"id={}\"", instance.id);
        rdata.any(|(rtype, rdata)| match rtype {
            "A" | "AAAA" => addresses.contains(rdata),
            "SRV" => {
                let mut words = rdata.split(' ').skip(2);
                let port = words.next().and_then(|port| port.parse::<u16>().ok());
                let ports = instance.ports.iter().map(|(_, port)| *port);
                let has_port = port.is_some_and(|port| {
                    port == instance.port || ports.into_iter().any(|own| own == port)
                });
                has_port
                    && target
                        .as_deref()
                        .is_some_and(|target| words.next() == Some(target))
            }
            "TXT" => rdata.split(' ').any(|string| string == id),
            _ => false,
        })
    }
}

/// What makes an answer's TTL as short as it is.
fn bound(
    said: &Said,
    seconds: u32,
    subject: &Subject,
    instances: &[ExplainedInstance],
    now: DateTime<Utc>,
) -> String {
    if said.sections[0].is_empty() {
        return "negative: the lower of the SOA's TTL and its minimum".to_owned();
    }
    let Some(view) = subject.views.first() else {
        return "as the zone has it".to_owned();
    };
    let of_in = instances.iter().filter(|instance| instance.is_in);
    let ends = of_in.flat_map(|instance| {
        let (id, probe) = (&instance.id, instance.last_probe.as_ref());
        let fails_at = probe.and_then(|probe| probe.fails_at);
        let fails_in = fails_at.map(|at| (at - now).to_std().unwrap_or_default());
        let lease = instance.lease_left.map(|TimeSpan(left)| left);
        let failing = "has begun to fail, and may be withdrawn";
        [
            lease.map(|left| {
                (
                    left,
                    format!("the lease of {id} ends in {}", TimeSpan(left)),
                )
            }),
            fails_in.map(|left| (left, format!("{id} {failing} in {}", whole(left)))),
        ]
    });
    let first = ends.flatten().min();
    let has_policy = view
        .settings
        .policy()
        .is_some_and(|policy| policy.ttl.is_some());
    match first {
        Some((_, why)) if view.ttl.as_secs() > seconds.into() => why,
        _ if view.ttl.as_secs() > seconds.into() => "an instance leaves".to_owned(),
        _ if has_policy => "the ttl of the service's policy".to_owned(),
        _ => "the server's ttl".to_owned(),
    }
}
