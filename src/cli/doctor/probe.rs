//! Asks for the zone in each way there is, and compares: the server itself, the servers of
//! `/etc/resolv.conf`, and what programs on this machine use (`getaddrinfo`).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use namebeat::dns::rr::RecordType;
use namebeat::dns::text::message::{Said, said};
use namebeat::name::DomainName;
use serde::Serialize;

use crate::cli::ask::{DnsServer, ask, ask_any, query};
use crate::cli::output::harmless;
use crate::cli::{CommandError, progress, zone_name};

/// Longest time that the system's resolver may take; it has timeouts of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time to wait for a cache that holds what was before: its TTL, or this.
const MAX_AGE: Duration = Duration::from_secs(10);

/// How much later than a TTL is over caches still answer: `drained_at` has as much.
const LATE: Duration = Duration::from_millis(1500);

/// Most names of a browsing answer that are followed until one leads to an instance.
const MAX_FOLLOWED: usize = 8;

/// Port of the servers in `/etc/resolv.conf`, which has no ports.
const PORT: u16 = 53;

/// What one way of asking came to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Finding {
    /// Who was asked.
    pub(super) asked: String,
    /// Whether that was what the server says.
    pub(super) ok: bool,
    /// What was answered, for people.
    pub(super) answer: String,
}

/// What all of them came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Findings {
    /// The server itself.
    pub(super) server: Vec<Finding>,
    /// The servers of `/etc/resolv.conf`.
    pub(super) nameservers: Vec<Finding>,
    /// What programs on this machine get; nothing when no name of the zone has an address.
    pub(super) system: Vec<Finding>,
}

impl Findings {
    /// Whether programs on this machine find the zone. Without a name to look up, the
    /// first of the servers that answers decides, as it does for them.
    pub(super) fn is_found(&self) -> bool {
        let decides = self.system.first().or(self.nameservers.first());
        decides.is_some_and(|finding| finding.ok)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Finding> {
        let Self {
            server,
            nameservers,
            system,
        } = self;
        server.iter().chain(nameservers).chain(system)
    }
}

/// Asks everybody. `name` is looked up through the system; else one that is found by browsing.
pub(super) async fn probe(
    server: &DnsServer,
    nameservers: &[IpAddr],
    name: Option<DomainName>,
) -> Result<Findings, CommandError> {
    let mut findings = Findings::default();
    let asking = progress::since("asking this machine's resolvers");
    let (server, nameservers) = (server.clone(), nameservers.to_vec());
    let work = async {
        let direct = blocking({
            let server = server.clone();
            move || direct(&server)
        });
        findings.server.push(direct.await??);
        for nameserver in nameservers {
            let zone = server.zone.clone();
            let finding = blocking(move || through(SocketAddr::new(nameserver, PORT), &zone));
            findings.nameservers.push(finding.await?);
        }
        let name = match name {
            Some(name) => Some(name),
            None => {
                let server = server.clone();
                blocking(move || find_name(&server)).await??
            }
        };
        if let Some(name) = name {
            findings.system.push(compare(&server, &name).await?);
        }
        Ok(findings)
    };
    progress::shown(asking, work).await
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CommandError::Failed(error.to_string()))
}

/// Asks the server for the zone's SOA. That it has none is for the user to set right.
fn direct(server: &DnsServer) -> Result<Finding, CommandError> {
    let zone = &server.zone;
    let response = ask_any(&server.addresses, &query(zone, RecordType::SOA), false)?;
    let from = response.from;
    match serial(&response.octets, zone) {
        Ok(serial) => Ok(Finding {
            asked: from.to_string(),
            ok: true,
            answer: format!("answers for {zone}, serial {serial}"),
        }),
        Err(answer) => Err(CommandError::Refused(format!(
            "{from} answers {answer} for {zone}; name its zone with --zone, or the server with --server"
        ))),
    }
}

/// Asks a server of `/etc/resolv.conf` for the zone's SOA.
fn through(nameserver: SocketAddr, zone: &DomainName) -> Finding {
    let answer = match ask(nameserver, &query(zone, RecordType::SOA), false) {
        Ok((octets, _)) => serial(&octets, zone),
        Err(error) => Err(format!("nothing ({error})")),
    };
    Finding {
        asked: format!("{} of /etc/resolv.conf", nameserver.ip()),
        ok: answer.is_ok(),
        answer: match answer {
            Ok(serial) => format!("answers for {zone}, serial {serial}"),
            Err(answer) => format!("answers {answer} for {zone}"),
        },
    }
}

/// The serial of the zone's SOA, or what the response says instead.
fn serial(response: &[u8], zone: &DomainName) -> Result<u32, String> {
    let said = said(response).map_err(|error| error.to_string())?;
    let of_zone = |line: &&String| {
        let mut words = line.split(' ');
        let owner = words.next().and_then(|owner| zone_name(owner).ok());
        owner.is_some_and(|owner| owner.folded() == zone.folded()) && words.nth(2) == Some("SOA")
    };
    let soa = said.sections[0].iter().find(of_zone);
    let serial = soa.and_then(|line| line.split(' ').nth(6)?.parse().ok());
    serial.ok_or_else(|| match (&*said.rcode, said.error) {
        ("NOERROR", _) => "no SOA".to_owned(),
        (rcode, Some(error)) => format!("{rcode} ({})", harmless(&error)),
        (rcode, None) => rcode.to_owned(),
    })
}

/// Asks the server for something that's said in lines.
fn said_by(server: &DnsServer, name: &DomainName, rtype: RecordType) -> Result<Said, CommandError> {
    let response = ask_any(&server.addresses, &query(name, rtype), false)?;
    said(&response.octets).map_err(|error| CommandError::Failed(error.to_string()))
}

/// The names that records of this type have as their last word.
fn targets(
    server: &DnsServer,
    name: &DomainName,
    rtype: RecordType,
) -> Result<Vec<DomainName>, CommandError> {
    let said = said_by(server, name, rtype)?;
    let target = |line: &String| zone_name(line.rsplit(' ').next()?).ok();
    let targets = said.sections[0].iter().filter_map(target);
    Ok(targets.take(MAX_FOLLOWED).collect())
}

/// A name of the zone that has an address, found by browsing (RFC 6763): types, their
/// instances, the targets of those.
fn find_name(server: &DnsServer) -> Result<Option<DomainName>, CommandError> {
    let Ok(types) = DomainName::parse("_services._dns-sd._udp", Some(&server.zone)) else {
        return Ok(None);
    };
    for kind in targets(server, &types, RecordType::PTR)? {
        for instance in targets(server, &kind, RecordType::PTR)? {
            for target in targets(server, &instance, RecordType::SRV)? {
                if target.is_within(&server.zone) && !addresses(server, &target)?.0.is_empty() {
                    return Ok(Some(target));
                }
            }
        }
    }
    Ok(None)
}

/// What the server says of a name: its addresses, and for how long.
fn addresses(
    server: &DnsServer,
    name: &DomainName,
) -> Result<(BTreeSet<IpAddr>, Duration), CommandError> {
    let (mut found, mut age) = (BTreeSet::new(), Duration::ZERO);
    for rtype in [RecordType::A, RecordType::AAAA] {
        let said = said_by(server, name, rtype)?;
        let address = |line: &String| line.rsplit(' ').next()?.parse::<IpAddr>().ok();
        found.extend(said.sections[0].iter().filter_map(address));
        age = age.max(Duration::from_secs(said.ttl.unwrap_or(0).into()));
    }
    Ok((found, age))
}

/// Looks `name` up as programs do, and compares with what the server says. A cache may
/// hold what was before, for as long as that may be held: then it's asked once more.
async fn compare(server: &DnsServer, name: &DomainName) -> Result<Finding, CommandError> {
    let mut is_second = false;
    loop {
        let system = system(name).await?;
        let (direct, age) = {
            let (server, name) = (server.clone(), name.clone());
            blocking(move || addresses(&server, &name)).await??
        };
        let found = system.clone().unwrap_or_default();
        // With an answer that is a subset there are different ones.
        let agrees = !found.is_empty() && found.is_subset(&direct);
        if agrees || is_second || found.is_empty() {
            let from_server = listed(&direct);
            let (server, rest) = (server.addresses[0], format!("{name} is"));
            let answer = match &system {
                Ok(_) if agrees => format!("{rest} {}, as {server} says", listed(&found)),
                Ok(_) => format!("{rest} {}, but {server} says {from_server}", listed(&found)),
                Err(error) => format!("{name}: {error}, but {server} says {from_server}"),
            };
            let asked = "this machine's resolver".to_owned();
            return Ok(Finding {
                asked,
                ok: agrees,
                answer,
            });
        }
        is_second = true;
        tokio::time::sleep(age.min(MAX_AGE) + LATE).await;
    }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    match texts.is_empty() {
        true => "nothing".to_owned(),
        false => texts.join(" "),
    }
}

/// What `getaddrinfo` gives for a name; the text is its error.
async fn system(name: &DomainName) -> Result<Result<BTreeSet<IpAddr>, String>, CommandError> {
    // With its final dot, no search list is tried.
    let name = name.to_string();
    let lookup = blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        found.map(|all| all.map(|one| one.ip()).collect::<BTreeSet<IpAddr>>())
    });
    match tokio::time::timeout(PATIENCE, lookup).await {
        Ok(found) => Ok(found?.map_err(|error| {
            let text = error.to_string();
            let cause = text.rsplit(": ").next().unwrap_or(&text);
            cause.to_owned()
        })),
        Err(_) => Ok(Err(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
