//! Asks DNS for all that a query needs, and makes endpoints of it.
//!
//! ```text
//! names ─▶ SRV of each ─▶ targets that all have ─▶ addresses: came along, or asked for
//!          TXT, local ones ──────────────────────────────────────┴─▶ Endpoints, TTL
//! ```
//!
//! The lowest TTL of all that was used is that of the endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{StreamExt as _, stream};
use hickory_proto::rr::RecordType;

use super::cache::Life;
use super::query::Query;
use super::{Endpoints, Found, ResolveError};
use crate::client::dns::{Answer, Dns, Failed, Negative, Outcome, Srv};
use crate::client::endpoint::{Data, Endpoint, Records};
use crate::name::Label;
use crate::time::Clock;

/// Most endpoints of a query: those of the lowest priority come first.
pub(super) const MAX_ENDPOINTS: usize = 4096;

/// Targets whose addresses are asked for at once.
const AT_ONCE: usize = 16;

/// Longest time that an answer is kept for, whatever its TTL (RFC 8767 §4 advises a week;
/// no instance is known to live for a day).
const MAX_TTL: u32 = 86_400;

/// Asks DNS on behalf of a discovery.
pub(super) struct Fetcher {
    /// namebeat itself, if it's asked straight.
    straight: Option<Dns>,
    /// The system's resolvers.
    system: Dns,
    /// The discovery zone, absolute.
    zone: String,
    locality: Option<Label>,
    clock: Clock,
    records: Records,
}

/// What came of one name.
struct Named {
    srv: Vec<Srv>,
    additional: BTreeMap<String, (Vec<IpAddr>, u32)>,
    ttl: u32,
}

/// What came along with endpoints.
#[derive(Default)]
struct Extras {
    local: BTreeSet<String>,
    /// Strings of TXT by the instance's id.
    txt: Option<BTreeMap<String, Vec<String>>>,
    ttl: Option<u32>,
}

/// Why a fetch ended without endpoints.
enum Ended {
    Failed(ResolveError),
    Nobody(ResolveError, u32),
}

impl From<Ended> for (Found, Life) {
    fn from(ended: Ended) -> Self {
        let (error, ttl) = match ended {
            Ended::Failed(error) => (error, 0),
            Ended::Nobody(error, ttl) => (error, ttl),
        };
        (Err(error), life(ttl, false))
    }
}

fn life(ttl: u32, may_be_stale: bool) -> Life {
    Life {
        ttl: Duration::from_secs(ttl.min(MAX_TTL).into()),
        may_be_stale,
    }
}

impl Fetcher {
    pub(super) fn new(
        straight: Option<Dns>,
        system: Dns,
        zone: String,
        locality: Option<Label>,
        clock: Clock,
    ) -> Self {
        Self {
            straight,
            system,
            zone,
            locality,
            clock,
            records: Records::default(),
        }
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// Whether namebeat itself is asked.
    pub(super) fn is_straight(&self) -> bool {
        self.straight.is_some()
    }

    pub(super) fn locality(&self) -> Option<&Label> {
        self.locality.as_ref()
    }

    /// Looks a query up.
    pub(super) async fn fetch(&self, query: &Query) -> (Found, Life) {
        match self.try_fetch(query).await {
            Ok((endpoints, ttl)) => (Ok(endpoints), life(ttl, true)),
            Err(ended) => ended.into(),
        }
    }

    async fn try_fetch(&self, query: &Query) -> Result<(Endpoints, u32), Ended> {
        let invalid = |error| Ended::Failed(ResolveError::Invalid(error));
        let names = query.names(&self.zone).map_err(invalid)?;
        let asked = join_all(names.iter().map(|name| self.named(name)));
        let (asked, extras) = join(asked, self.extras(query)).await;
        let asked: Vec<Named> = asked.into_iter().collect::<Result<_, _>>()?;
        let mut ttl = asked.iter().map(|it| it.ttl).min().unwrap_or_default();
        ttl = ttl.min(extras.ttl.unwrap_or(ttl));
        // The port is that of the last name, which is that of a protocol if there's one.
        let srv = in_all(&asked);
        let nobody = |ttl| {
            let error = ResolveError::Nobody {
                name: names.join(" and "),
                exists: true,
                reason: None,
            };
            Ended::Nobody(error, ttl)
        };
        if srv.is_empty() {
            return Err(nobody(ttl));
        }
        let mut known = BTreeMap::new();
        for named in asked {
            known.extend(named.additional);
        }
        let addresses = self.addresses(&srv, known).await?;
        let mut endpoints = Vec::with_capacity(srv.len());
        for srv in srv {
            if let Some((ips, address_ttl)) = addresses.get(&srv.target) {
                ttl = ttl.min(*address_ttl);
                endpoints.push(self.endpoint(&srv, ips, &extras));
            }
        }
        match endpoints.is_empty() {
            true => Err(nobody(ttl)),
            false => Ok((of(endpoints), ttl)),
        }
    }

    /// The SRV records at a name.
    async fn named(&self, name: &str) -> Result<Named, Ended> {
        let answer = self.ask(name, RecordType::SRV).await;
        let answer = answer.map_err(|failed| away(name, &failed))?;
        let ttl = answer.ttl;
        match answer.outcome {
            Outcome::Found(found) => Ok(Named {
                srv: found.srv,
                additional: found.additional,
                ttl,
            }),
            Outcome::Negative(Negative { exists, why }) => {
                let error = ResolveError::Nobody {
                    name: name.to_owned(),
                    exists,
                    reason: why,
                };
                Err(Ended::Nobody(error, ttl))
            }
        }
    }

    /// What is wanted besides. When it can't be had, endpoints are found without.
    async fn extras(&self, query: &Query) -> Extras {
        let locality = self.locality.as_ref().filter(|_| !query.is_whole());
        let local = async {
            let locality = locality?;
            let mut near = Query::service(&*query.name);
            near.locality = Some(locality.to_string());
            let name = near.names(&self.zone).ok()?.pop()?;
            self.ask(&name, RecordType::SRV).await.ok()
        };
        let txt = async {
            let name = query.txt_name(&self.zone).ok().filter(|_| query.txt)?;
            self.ask(&name, RecordType::TXT).await.ok()
        };
        let (local, txt) = join(local, txt).await;
        let mut extras = Extras::default();
        for answer in [&local, &txt].into_iter().flatten() {
            // Negative without SOA, it says 0, and isn't to be kept.
            extras.ttl = Some(extras.ttl.map_or(answer.ttl, |ttl| ttl.min(answer.ttl)));
        }
        if let Some(Outcome::Found(found)) = local.map(|answer| answer.outcome) {
            extras.local = found.srv.into_iter().map(|srv| srv.target).collect();
        }
        if let Some(Outcome::Found(found)) = txt.map(|answer| answer.outcome) {
            extras.txt = Some(by_id(found.txt));
        }
        extras
    }

    /// The addresses of all targets, by target. Fails when none can be had because DNS
    /// is away.
    async fn addresses(
        &self,
        srv: &[Srv],
        mut known: BTreeMap<String, (Vec<IpAddr>, u32)>,
    ) -> Result<BTreeMap<String, (Vec<IpAddr>, u32)>, Ended> {
        let targets: BTreeSet<&str> = srv.iter().map(|srv| &*srv.target).collect();
        let missing: Vec<String> = targets
            .into_iter()
            .filter(|target| !known.contains_key(*target))
            .map(str::to_owned)
            .collect();
        let mut asked = stream::iter(missing)
            .map(|target| self.addressed(target))
            .buffer_unordered(AT_ONCE);
        let mut failure = None;
        while let Some((target, result)) = asked.next().await {
            match result {
                Ok((ips, ttl)) if !ips.is_empty() => {
                    known.insert(target, (ips, ttl));
                }
                Ok(_) => {}
                Err(failed) => failure = Some(away(&target, &failed)),
            }
        }
        match failure {
            Some(failure) if known.is_empty() => Err(failure),
            _ => Ok(known),
        }
    }

    /// A target with its addresses.
    async fn addressed(&self, target: String) -> (String, Result<(Vec<IpAddr>, u32), Failed>) {
        let addresses = self.addresses_of(&target).await;
        (target, addresses)
    }

    /// The addresses of one target.
    async fn addresses_of(&self, target: &str) -> Result<(Vec<IpAddr>, u32), Failed> {
        // No server is to be asked for these (RFC 6761 §6.3).
        if is_below(target, "localhost.") {
            return Ok((
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                MAX_TTL,
            ));
        }
        let v4 = self.ask(target, RecordType::A);
        let v6 = self.ask(target, RecordType::AAAA);
        let (v4, v6) = join(v4, v6).await;
        let (mut ips, mut ttl) = (Vec::new(), u32::MAX);
        let mut failure = None;
        for answer in [v4, v6] {
            match answer {
                Ok(answer) => {
                    if let Outcome::Found(found) = answer.outcome {
                        ips.extend(found.addresses);
                        ttl = ttl.min(answer.ttl);
                    }
                }
                Err(failed) => failure = Some(failed),
            }
        }
        match failure {
            Some(failed) if ips.is_empty() => Err(failed),
            _ => Ok((ips, ttl)),
        }
    }

    /// Asks whoever knows: namebeat about its zone, the system's resolvers about hosts
    /// elsewhere that instances are on.
    async fn ask(&self, name: &str, rtype: RecordType) -> Result<Answer, Failed> {
        let is_host = matches!(rtype, RecordType::A | RecordType::AAAA);
        match &self.straight {
            Some(straight) if !is_host || is_below(name, &self.zone) => {
                straight.ask(name, rtype).await
            }
            _ => self.system.ask(name, rtype).await,
        }
    }

    fn endpoint(&self, srv: &Srv, ips: &[IpAddr], extras: &Extras) -> Endpoint {
        let id = srv.target.split('.').next().unwrap_or_default();
        let txt = extras.txt.as_ref();
        self.make(
            srv,
            ips,
            extras.local.contains(&srv.target),
            txt.map(|txt| txt.get(id).cloned().unwrap_or_default()),
        )
    }

    /// An endpoint of at least one address.
    pub(super) fn make(
        &self,
        srv: &Srv,
        ips: &[IpAddr],
        is_local: bool,
        txt: Option<Vec<String>>,
    ) -> Endpoint {
        let mut addresses: Vec<SocketAddr> = ips
            .iter()
            .map(|ip| SocketAddr::new(*ip, srv.port))
            .collect();
        // The order of A records is drawn for each answer: this one stays the same.
        addresses.sort();
        let record = self.records.of(addresses[0]);
        Endpoint::new(Data {
            addresses,
            target: srv.target.clone(),
            priority: srv.priority,
            weight: srv.weight,
            txt,
            is_local,
            record,
            clock: self.clock,
        })
    }
}

/// The endpoints as they're handed out: in an order that stays the same, and no more
/// than [`MAX_ENDPOINTS`].
pub(super) fn of(mut endpoints: Vec<Endpoint>) -> Endpoints {
    endpoints.sort_by(|a, b| {
        let order = |endpoint: &Endpoint| (endpoint.priority(), endpoint.address());
        order(a)
            .cmp(&order(b))
            .then_with(|| a.target().cmp(b.target()))
    });
    endpoints.truncate(MAX_ENDPOINTS);
    Endpoints {
        list: endpoints.into(),
        is_stale: false,
    }
}

/// The records of the last name whose targets all other names have, too.
fn in_all(asked: &[Named]) -> Vec<Srv> {
    let Some((last, others)) = asked.split_last() else {
        return Vec::new();
    };
    let others: Vec<BTreeSet<&str>> = others
        .iter()
        .map(|named| named.srv.iter().map(|srv| &*srv.target).collect())
        .collect();
    let wanted = |srv: &&Srv| others.iter().all(|other| other.contains(&*srv.target));
    last.srv.iter().filter(wanted).cloned().collect()
}

/// TXT of instances by their ids, as namebeat writes it: `id=…` comes first.
fn by_id(txt: Vec<Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let mut by_id = BTreeMap::new();
    for mut strings in txt {
        if let Some(id) = strings.first().and_then(|it| it.strip_prefix("id=")) {
            let id = id.to_ascii_lowercase();
            strings.remove(0);
            by_id.insert(id, strings);
        }
    }
    by_id
}

/// Whether a name is a zone's or below it; both absolute and in lower case.
fn is_below(name: &str, zone: &str) -> bool {
    let above = name.strip_suffix(zone);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn away(name: &str, failed: &Failed) -> Ended {
    Ended::Failed(ResolveError::Away {
        name: name.to_owned(),
        cause: failed.to_string(),
    })
}
