//! Browsing by [RFC 6763]: from nothing but the zone's name to an endpoint.
//!
//! ```text
//! _services._dns-sd._udp.Z  PTR   _http._tcp.Z                    (§9)
//! _http._tcp.Z              PTR   web-1._http._tcp.Z              (§4)
//! web-1._http._tcp.Z        SRV   10 256 8080 web-1.web.svc.Z     (§5)
//! web-1._http._tcp.Z        TXT   "id=web-1" "protocol=http" …    (§6)
//! b._dns-sd._udp.Z          PTR   Z                               (§11)
//! ```
//!
//! What is browsed for is a *kind*: a transport and an instance's protocol or the
//! name of one of its ports. `_P._tcp.Z` is the name of a service by RFC 2782 as
//! well; then SRV is the service's and PTR the kind's.
//!
//! SRV and TXT of the instances aren't added to PTR: a client that browses shows
//! names, and asks for the one that is chosen (§4.1, §12.1: SHOULD).
//!
//! [RFC 6763]: https://www.rfc-editor.org/rfc/rfc6763

use std::ops::ControlFlow;

use super::discovery::{Registered, nobody};
use super::owner::{Selection, is_of_kind};
use super::pointers::{MAX_POINTERS, Pointing, pointer_set};
use super::records::Source;
use super::rr::RecordType;
use super::step::Step;
use super::ttl::Ttl;
use crate::name::DomainName;
use crate::registry::instance::Transport;
use crate::registry::view::ServiceView;

/// TTL of what only another name of the zone would change, seconds.
const FIXED_TTL: u32 = 3600;

impl Registered<'_> {
    /// `_services._dns-sd._udp.Z`: a PTR for each kind that something registered has.
    ///
    /// A new kind is found as soon as a name that is new, so the TTL is that of
    /// negative answers. At most [`MAX_POINTERS`] are collected, which is more than
    /// a message holds.
    pub(super) fn kinds(&mut self, qname: &DomainName, qtype: RecordType) -> Step<'static> {
        self.basis.read_all();
        let limit = match qtype {
            RecordType::PTR => MAX_POINTERS,
            RecordType::ANY => 1,
            _ => return Step::no_data(),
        };
        let mut targets = Vec::new();
        self.directory.each_kind(&mut |transport, name| {
            let target = self
                .zone
                .prepend(transport.label().as_bytes())
                .and_then(|target| target.prepend(format!("_{name}").as_bytes()));
            // One without room for its name can't be asked for, either.
            targets.extend(target);
            match targets.len() < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        let ttl = Ttl::from_duration(self.negative_ttl);
        match qtype {
            _ if targets.is_empty() => Step::no_data(),
            RecordType::PTR => Step::record_set(pointer_set(qname, ttl, &targets)),
            _ => Step::any(qname, ttl),
        }
    }

    /// `b._dns-sd._udp.Z` and the like: this zone is the one to browse in. An
    /// instance of kind `_dns-sd._udp` that is called `b` has its own records there.
    pub(super) fn browsing_domain(
        &mut self,
        id: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        match qtype {
            RecordType::PTR => {
                // Seconds of an hour are far from the limit.
                let ttl = Ttl::from_secs(FIXED_TTL).unwrap_or(Ttl::ZERO);
                let targets = [self.zone.clone()];
                Step::record_set(pointer_set(qname, ttl, &targets))
            }
            RecordType::ANY => Step::any(qname, Ttl::from_duration(self.negative_ttl)),
            _ => {
                // It's there whoever registers, but what it says may change.
                self.basis.read_all();
                match self.of_kind((Transport::Udp, "dns-sd"), id, qname, qtype) {
                    Step::NxDomain => Step::no_data(),
                    step => step,
                }
            }
        }
    }

    /// `_P._tcp.Z`: SRV of the service P, PTR to the instances of kind P.
    pub(super) fn kind_or_service(
        &mut self,
        transport: Transport,
        name: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        if qtype == RecordType::PTR {
            let of_kind = self.kind(transport, name, qname, qtype);
            if !matches!(of_kind, Step::NxDomain) {
                return of_kind;
            }
        }
        let selection = Selection::Transport(transport);
        let of_service = match self.basis.view(self.directory, name) {
            Some(view) => self.service(&view, &selection, qname, qtype),
            None => Step::NxDomain,
        };
        // SRV of a service doesn't depend on who else is of that kind.
        let is_settled = match of_service {
            Step::NxDomain | Step::Absent { .. } => qtype == RecordType::PTR,
            Step::NoData { .. } => qtype != RecordType::ANY,
            _ => true,
        };
        if is_settled {
            return of_service;
        }
        match (self.kind(transport, name, qname, qtype), of_service) {
            (Step::NxDomain | Step::NoData { .. }, of_service @ Step::NoData { .. })
            | (Step::NxDomain, of_service @ Step::Absent { .. }) => of_service,
            (of_kind, _) => of_kind,
        }
    }

    /// PTR to the instances of a kind.
    fn kind(
        &mut self,
        transport: Transport,
        name: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        self.basis.read_all();
        let directory = self.directory;
        let Some(group) = directory.kind(transport, name) else {
            // Above `_services._dns-sd._udp` there is a name, whoever is registered.
            return match (transport, name) {
                (Transport::Udp, "dns-sd") => Step::no_data(),
                _ => Step::NxDomain,
            };
        };
        let pointing = Pointing {
            owner: qname,
            group: &group,
            members: &|service, show| {
                let Some(view) = directory.service(service.as_str()) else {
                    return ControlFlow::Continue(());
                };
                view.members
                    .iter()
                    .filter(|member| is_of_kind(member.instance(), transport, name))
                    .try_for_each(|member| show(&view, member))
            },
            target: &|member| qname.prepend(member.instance().id.as_str().as_bytes()),
        };
        self.pointers(&pointing, qtype)
    }

    /// `I._P._tcp.Z`: SRV with the port that I has for P, and TXT.
    ///
    /// As at its own name, an instance that leaves cleanly is answered until it's
    /// drained.
    pub(super) fn of_kind(
        &mut self,
        (transport, kind): (Transport, &str),
        id: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        let directory = self.directory;
        let has_kind = |view: &ServiceView| {
            view.member(id)
                .filter(|member| is_of_kind(member.instance(), transport, kind))
                .map(|member| member.left)
        };
        // Where it's registered first; else one of those that it has left.
        let home = directory
            .homes(id)
            .into_iter()
            .filter_map(|service| {
                let left = has_kind(&*directory.service(service.as_str())?)?;
                Some((left, service))
            })
            .min();
        let Some((left, service)) = home else {
            return Step::NxDomain;
        };
        if left {
            // Its service's view won't tell when it's registered under another one.
            self.basis.read_all();
        }
        let view = self.basis.view(directory, service.as_str());
        let Some((view, member)) = view
            .as_deref()
            .and_then(|view| Some((view, view.member(id)?)))
        else {
            return Step::NxDomain;
        };
        let source = Source::own_name(view.ttl, member, self.now, self.basis);
        if source.is_empty() {
            let member = std::iter::once(member);
            return nobody(view.negative_ttl, member, self.now, self.basis);
        }
        match qtype {
            RecordType::SRV | RecordType::TXT | RecordType::ANY => {
                self.records(view, &source, qname, qtype, |member| {
                    let instance = member.instance();
                    instance.port_named(kind).unwrap_or(instance.port)
                })
            }
            _ => Step::no_data(),
        }
    }
}
