//! What a client would dial for a name: its SRV records with their addresses, the chance
//! of each, and one that was drawn by them ([RFC 2782]).
//!
//! [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use namebeat::client::Weighted;
use namebeat::dns::rr::RecordType;
use namebeat::dns::text::message::{Said, said};
use namebeat::name::DomainName;
use serde::Serialize;

use super::output::{Cell, Paint, Table, Tone};
use super::{CommandError, ask, zone_name};

/// Most targets whose addresses are asked for one by one, when they didn't come along.
const MAX_ASKED: usize = 64;

/// What a name leads to.
#[derive(Debug, Serialize)]
pub(super) struct Endpoints {
    /// The name that was asked for.
    name: String,
    /// Who answered.
    server: SocketAddr,
    /// Seconds that this may be kept.
    ttl: u32,
    /// By priority, then by target.
    endpoints: Vec<Endpoint>,
    /// The place in `endpoints` of the one that was drawn for this run.
    pick: usize,
}

/// One SRV record and its addresses.
#[derive(Debug, Serialize)]
struct Endpoint {
    target: String,
    addresses: Vec<IpAddr>,
    port: u16,
    priority: u16,
    weight: u16,
    /// Percent of first choices; 0 where it's the choice once those of a lower priority value fail.
    chance: f64,
}

/// Asks for them.
pub(super) fn find(
    servers: &[SocketAddr],
    name: &DomainName,
    tcp: bool,
) -> Result<Endpoints, CommandError> {
    let ask = |name: &DomainName, rtype| -> Result<(Said, SocketAddr), CommandError> {
        let response = ask::ask_any(servers, &ask::query(name, rtype), tcp)?;
        let said = said(&response.octets).map_err(|error| {
            CommandError::System(io::Error::new(io::ErrorKind::InvalidData, error))
        })?;
        Ok((said, response.from))
    };
    let (response, server) = ask(name, RecordType::SRV)?;
    let mut endpoints: Vec<Endpoint> = response.sections[0]
        .iter()
        .filter_map(|line| endpoint(line))
        .collect();
    if endpoints.is_empty() {
        return Err(nobody(name, &response));
    }
    endpoints.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
    for endpoint in &mut endpoints {
        endpoint.addresses = addresses(&response.sections[2], &endpoint.target);
    }
    let missing = endpoints.iter_mut().filter(|one| one.addresses.is_empty());
    for endpoint in missing.take(MAX_ASKED) {
        let Ok(target) = zone_name(&endpoint.target) else {
            continue;
        };
        for rtype in [RecordType::A, RecordType::AAAA] {
            let (said, _) = ask(&target, rtype)?;
            let found = addresses(&said.sections[0], &endpoint.target);
            endpoint.addresses.extend(found);
        }
    }
    weigh(&mut endpoints);
    Ok(Endpoints {
        name: name.to_string(),
        server,
        ttl: response.ttl.unwrap_or(0),
        pick: pick(&endpoints, &mut |below| fastrand::u64(..below.max(1))),
        endpoints,
    })
}

/// Why there's no endpoint.
fn nobody(name: &DomainName, response: &Said) -> CommandError {
    let why = response
        .error
        .as_deref()
        .map_or(String::new(), |error| format!(", {error}"));
    CommandError::Nobody(format!(
        "{name} leads to no endpoint: {}{why}; name a type to see the answer, such as {name} A",
        response.rcode
    ))
}

/// Reads `OWNER TTL IN SRV PRIORITY WEIGHT PORT TARGET`.
fn endpoint(line: &str) -> Option<Endpoint> {
    let mut words = line.split(' ').skip(3);
    if words.next()? != "SRV" {
        return None;
    }
    let mut number = || words.next()?.parse().ok();
    let (priority, weight, port) = (number()?, number()?, number()?);
    Some(Endpoint {
        target: words.next()?.to_owned(),
        addresses: Vec::new(),
        port,
        priority,
        weight,
        chance: 0.0,
    })
}

/// The addresses of `target` among these records.
fn addresses(records: &[String], target: &str) -> Vec<IpAddr> {
    let address = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        let [owner, _, _, "A" | "AAAA", address] = words[..] else {
            return None;
        };
        owner
            .eq_ignore_ascii_case(target)
            .then(|| address.parse().ok())
            .flatten()
    };
    let mut found: Vec<IpAddr> = records.iter().filter_map(address).collect();
    found.sort();
    found
}

/// Sets the chances: by weight among the lowest priority value, alike when all weigh
/// nothing. What the RFC leaves to those that weigh nothing beside others, one in some
/// hundred, isn't shown.
fn weigh(endpoints: &mut [Endpoint]) {
    let Some(lowest) = endpoints.iter().map(|one| one.priority).min() else {
        return;
    };
    let first = || endpoints.iter().filter(|one| one.priority == lowest);
    let sum: f64 = first().map(|one| f64::from(one.weight)).sum();
    let count = first().count() as f64;
    for endpoint in endpoints.iter_mut().filter(|one| one.priority == lowest) {
        endpoint.chance = match sum > 0.0 {
            true => 100.0 * f64::from(endpoint.weight) / sum,
            false => 100.0 / count,
        };
    }
}

/// The place of the one that a client of the library would pick of these, which are in
/// the order of their priorities.
fn pick(endpoints: &[Endpoint], random: &mut dyn FnMut(u64) -> u64) -> usize {
    let lowest = endpoints.first().map(|one| one.priority);
    let first = endpoints
        .iter()
        .take_while(|one| Some(one.priority) == lowest);
    Weighted::draw(first.map(|one| one.weight), random)
}

impl Endpoints {
    /// Prints them, the one that was drawn with a star.
    pub(super) fn print(&self, paint: Paint, out: &mut impl Write) -> io::Result<()> {
        let Self {
            name, server, ttl, ..
        } = self;
        writeln!(out, "{name} SRV, TTL {ttl} s, from {server}")?;
        let titles = ["", "ENDPOINT", "PRIORITY", "WEIGHT", "CHANCE", "TARGET"];
        let mut table = Table::new(&titles);
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            let is_picked = place == self.pick;
            let tone = if is_picked { Tone::Good } else { Tone::Plain };
            let star = if is_picked { "*" } else { "" };
            let mut dialled: Vec<String> = endpoint
                .addresses
                .iter()
                .map(|address| SocketAddr::new(*address, endpoint.port).to_string())
                .collect();
            if dialled.is_empty() {
                dialled.push(format!("{}:{}", endpoint.target, endpoint.port));
            }
            table.row([
                Cell::toned(tone, star),
                Cell::toned(tone, dialled.join(" ")),
                endpoint.priority.into(),
                endpoint.weight.into(),
                format!("{:.0} %", endpoint.chance).into(),
                (&endpoint.target).into(),
            ]);
        }
        table.print(paint, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn srv(priority: u16, weight: u16) -> Endpoint {
        endpoint(&format!("web. 5 IN SRV {priority} {weight} 80 a.web.")).unwrap()
    }

    #[test]
    fn rfc2782_lowest_priority_by_weight() {
        let mut endpoints = vec![srv(1, 256), srv(1, 768), srv(2, 1000)];
        weigh(&mut endpoints);
        let chances: Vec<f64> = endpoints.iter().map(|one| one.chance).collect();
        assert_eq!(chances, [25.0, 75.0, 0.0]);
        let picked = [0, 255, 256, 1023].map(|drawn| pick(&endpoints, &mut |_| drawn));
        assert_eq!(picked, [0, 0, 1, 1]);
    }

    proptest! {
        #[test]
        fn chances_are_all_there_is(
            records in proptest::collection::vec((0u16..3, prop_oneof![Just(0), any::<u16>()]), 1..20),
            seed: u64,
        ) {
            let mut endpoints: Vec<Endpoint> =
                records.iter().map(|(priority, weight)| srv(*priority, *weight)).collect();
            endpoints.sort_by_key(|one| one.priority);
            weigh(&mut endpoints);
            let sum: f64 = endpoints.iter().map(|one| one.chance).sum();
            prop_assert!((sum - 100.0).abs() < 1e-6);
            let mut rng = fastrand::Rng::with_seed(seed);
            let picked = &endpoints[pick(&endpoints, &mut |below| rng.u64(..below.max(1)))];
            prop_assert!(picked.chance > 0.0 || picked.weight == 0);
            prop_assert_eq!(picked.priority, endpoints[0].priority);
        }
    }
}
