//! The discovery zone: names answered from the registry.
//!
//! A name exists as soon as a registered instance reaches it, listed or not
//! (promise 5), and that of a service as soon as something is set of it; what is
//! answered there comes from the listed ones alone, unless the service's
//! [policy](super::settings) says otherwise. The zone's SOA is made here, too: its
//! serial is the registry's revision.

use std::borrow::Cow;
use std::time::Duration;

use super::basis::Basis;
use super::compose::ClientClass;
use super::message::ExtendedError;
use super::owner::{Owner, Selection};
use super::records::{Maker, Source, own_name};
use super::rr::{RecordType, RrSet, Varies};
use super::step::Step;
use super::subset::Limit;
use super::ttl::Ttl;
use crate::name::{DomainName, Labels};
use crate::registry::directory::Directory;
use crate::registry::view::{Member, ServiceView, Tally};
use crate::time::Moment;

/// Most targets whose addresses are looked for, so that one question's work has
/// a bound. More would fill a message of 65 535 octets.
const MAX_TARGETS: usize = 2048;

/// What an answer from the registry depends on beside the question.
pub struct Registered<'a> {
    /// The discovery zone.
    pub zone: &'a DomainName,
    /// TTL of negative answers, unless a service has its own.
    pub negative_ttl: Duration,
    /// What is registered.
    pub directory: &'a Directory,
    /// The moment the question is answered at.
    pub now: Moment,
    /// The class of the client that asks.
    pub(super) class: ClientClass,
    /// Draws orders.
    pub rng: &'a mut fastrand::Rng,
    /// Notes what the answer is made from.
    pub basis: &'a mut Basis,
}

impl Registered<'_> {
    /// Looks up `qname`, a name in the zone in wire form and lower case.
    pub fn lookup(&mut self, qname: &DomainName, qtype: RecordType) -> Step<'static> {
        let own_len = qname.as_wire().len() - self.zone.as_wire().len();
        let labels: Vec<&[u8]> = Labels::of_wire(&qname.as_wire()[..own_len]).collect();
        match Owner::parse(&labels) {
            Owner::Apex | Owner::Transports => Step::no_data(),
            Owner::Unknown => Step::NxDomain,
            Owner::Kinds => self.kinds(qname, qtype),
            Owner::BrowsingDomain(id) => self.browsing_domain(id, qname, qtype),
            Owner::OfKind {
                transport,
                kind,
                id,
            } => self.of_kind((transport, kind), id, qname, qtype),
            Owner::Service {
                service,
                selection: Selection::Transport(transport),
            } => self.kind_or_service(transport, service, qname, qtype),
            Owner::Config(service) => self.config(service, qname, qtype),
            Owner::GrpcConfig(service) => self.grpc_config(service, qname, qtype),
            Owner::Instance { service, id } => match self.basis.view(self.directory, service) {
                Some(view) => self.instance(&view, id, qname, qtype),
                None => Step::NxDomain,
            },
            Owner::Service { service, selection } => {
                if selection.has_no_end() {
                    self.basis.discard();
                }
                match self.basis.view(self.directory, service) {
                    Some(view) => self.service(&view, &selection, qname, qtype),
                    None => Step::NxDomain,
                }
            }
        }
    }

    /// Records at a name that selects instances of a service.
    pub(super) fn service(
        &mut self,
        view: &ServiceView,
        selection: &Selection<'_>,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        if let Some(denied) = self.denied(view) {
            return denied;
        }
        let reached: Vec<&Member> = view
            .members
            .iter()
            .filter(|member| selection.is_reached_by(member.instance()))
            .collect();
        let is_whole = *selection == Selection::All;
        let is_set = is_whole && !view.settings.is_empty();
        if reached.is_empty() && !is_set {
            return Step::absent(view.negative_ttl);
        }
        if is_whole && let Some(fixed) = Self::fixed_strings(view, qname, qtype) {
            return fixed;
        }
        let selected = reached
            .iter()
            .copied()
            .filter(|member| selection.selects(member.instance()));
        let mut source = Source::listed(view.ttl, selected.clone(), self.now, self.basis);
        if source.is_empty() && (is_whole || selected.clone().next().is_some()) {
            match self.unlisted(view, selected.clone()) {
                Some(unlisted) => source = unlisted,
                None => return nobody(view.negative_ttl, selected, self.now, self.basis),
            }
        }
        let is_srv = matches!(qtype, RecordType::SRV | RecordType::ANY);
        if selection.is_srv_only() && !is_srv || is_whole && Self::is_untold(view, qtype) {
            return Step::no_data_for(view.negative_ttl);
        }
        let most = view.settings.policy().and_then(|policy| policy.max_answers);
        source.limit = most.map(|most| Limit {
            most: most.into(),
            class: self.class,
        });
        self.records(view, &source, qname, qtype, |member| {
            selection.port(member.instance())
        })
    }

    /// Records at an instance's own name.
    fn instance(
        &mut self,
        view: &ServiceView,
        id: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        if let Some(denied) = self.denied(view) {
            return denied;
        }
        let Some(member) = view.member(id) else {
            return Step::absent(view.negative_ttl);
        };
        let mut source = Source::own_name(view.ttl, member, self.now, self.basis);
        if source.is_empty() {
            let member = std::iter::once(member);
            match self.unlisted(view, member.clone()) {
                Some(unlisted) => source = unlisted,
                None => return nobody(view.negative_ttl, member, self.now, self.basis),
            }
        }
        self.records(view, &source, qname, qtype, |member| member.instance().port)
    }

    /// Records made of `source`.
    pub(super) fn records(
        &mut self,
        view: &ServiceView,
        source: &Source<'_>,
        qname: &DomainName,
        qtype: RecordType,
        port: impl Fn(&Member) -> u16,
    ) -> Step<'static> {
        let mut additional = Vec::new();
        let mut maker = Maker {
            rng: &mut *self.rng,
            basis: &mut *self.basis,
        };
        let set = match qtype {
            // One between names that exist, with nobody selected there.
            _ if source.is_empty() => return Step::no_data_for(view.negative_ttl),
            RecordType::A | RecordType::AAAA => source.addresses(qname.clone(), qtype, &mut maker),
            RecordType::TXT => source.txt(qname.clone(), &mut maker),
            RecordType::SRV => {
                let (set, members) = source.srv(qname.clone(), self.zone, port, &mut maker);
                for member in members.into_iter().take(MAX_TARGETS) {
                    additional.extend(self.glue(view.ttl, member, source.error.is_some()));
                }
                set
            }
            RecordType::ANY => return Step::any(qname, Ttl::from_duration(view.ttl)),
            _ => return Step::no_data_for(view.negative_ttl),
        };
        if set.is_empty() {
            return Step::no_data_for(view.negative_ttl);
        }
        Step::Records {
            sets: vec![Cow::Owned(set)],
            additional,
            error: source.error.clone(),
        }
    }

    /// The addresses of an SRV's target, when that is the instance's own name.
    /// One that isn't listed has its own ones when it's answered for want of others.
    fn glue(
        &mut self,
        ttl: Duration,
        member: &Member,
        is_unlisted: bool,
    ) -> Vec<Cow<'static, RrSet>> {
        let Some(name) = own_name(member, self.zone)
            .ok()
            .filter(|_| member.host_name().is_none())
        else {
            return Vec::new();
        };
        let source = match is_unlisted {
            true => Source::unlisted(ttl, std::iter::once(member), self.now, self.basis),
            false => Source::own_name(ttl, member, self.now, self.basis),
        };
        let mut maker = Maker {
            rng: &mut *self.rng,
            basis: &mut *self.basis,
        };
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .map(|rtype| source.addresses(name.clone(), rtype, &mut maker))
            .filter(|set| !set.is_empty())
            .map(Cow::Owned)
            .collect()
    }
}

/// NODATA, with the reason why nobody is listed.
pub(super) fn nobody<'a>(
    negative_ttl: Duration,
    members: impl Iterator<Item = &'a Member> + Clone,
    now: Moment,
    basis: &mut Basis,
) -> Step<'static> {
    Step::NoData {
        error: Some(ExtendedError {
            code: ExtendedError::OTHER,
            text: tally(members, now, basis).to_string(),
        }),
        negative_ttl: Some(negative_ttl),
    }
}

/// Counts members for the reason why they aren't listed.
pub(super) fn tally<'a>(
    members: impl Iterator<Item = &'a Member> + Clone,
    now: Moment,
    basis: &mut Basis,
) -> Tally {
    // The reason changes when a lease ends, too.
    let leases = members
        .clone()
        .filter_map(|member| member.entry.lease.left(now));
    if let Some(first) = leases.min() {
        basis.ttl_holds(now, Ttl::ZERO, first);
    }
    ServiceView::tally(members, now)
}

/// The fixed part of the discovery zone's SOA ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §3.3.13).
#[derive(Clone, Debug)]
pub struct SoaFields {
    /// MNAME and RNAME, one after the other in wire form.
    pub names: Vec<u8>,
    /// REFRESH, RETRY and EXPIRE, seconds.
    pub timers: [u32; 3],
}

impl SoaFields {
    /// The SOA of `zone`, with a serial that is filled in when it's sent. Its TTL
    /// and MINIMUM are both the TTL of negative answers, so nobody need take the
    /// lower one (RFC 2308 §5).
    pub fn rrset(&self, zone: &DomainName, negative_ttl: Duration) -> RrSet {
        let ttl = Ttl::from_duration(negative_ttl);
        let mut rdata = self.names.clone();
        for word in [0].into_iter().chain(self.timers).chain([ttl.as_secs()]) {
            rdata.extend_from_slice(&word.to_be_bytes());
        }
        let mut set = RrSet::new(zone.clone(), RecordType::SOA, ttl).with(&rdata);
        set.varies = Varies::Serial;
        set
    }
}
