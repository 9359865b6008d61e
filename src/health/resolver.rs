//! Asking others for the addresses of host names: the file of hosts, then name servers.
//!
//! Names are absolute, so no search list is gone through. Which name servers are asked
//! is set, or else `/etc/resolv.conf` says it, which is read again when it changes, as
//! `/etc/hosts` is. `localhost` is never asked for ([RFC 6761] §6.3). Nothing is kept
//! here: the TTL is told, and whoever asks again means it.
//!
//! [RFC 6761]: https://www.rfc-editor.org/rfc/rfc6761

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{Hosts, TokioResolver, system_conf};

use super::finding::{Asked, Finding};
use crate::name::DomainName;
use crate::time::Moment;

/// Longest time that asking for a name may take, all tries included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that a name server may take before another, or the same, is asked.
const TRY: Duration = Duration::from_secs(2);

/// Most requests at once over one connection to a name server.
const MAX_REQUESTS: usize = 1024;

/// Time between two looks at the system's files.
const LOOK: Duration = Duration::from_secs(2);

/// For how long what the file of hosts says is taken for good. It's looked at more often.
const HOSTS_TTL: Duration = Duration::from_secs(5);

/// For how long the addresses of `localhost` are good: they're always the same.
const LOCALHOST_TTL: Duration = Duration::from_secs(3600);

/// The system's files.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// What a file looks like from outside: enough to see that it has changed.
type Look = Option<(u64, SystemTime)>;

/// Whoever asks others.
pub(super) struct Resolver {
    /// The name servers that were set; none for those of the system.
    servers: Vec<SocketAddr>,
    system: Mutex<System>,
}

/// What the system's files say.
#[derive(Clone)]
struct System {
    looks: [Look; 2],
    look_again: Moment,
    /// What asks name servers, or why none can be asked.
    client: Result<TokioResolver, Arc<str>>,
    hosts: Arc<Hosts>,
}

/// What others said of a name.
#[derive(Debug)]
pub(super) struct Told {
    /// Its addresses.
    pub finding: Finding,
    /// The names that it's an alias of, in their order.
    pub aliases: Vec<DomainName>,
}

impl From<Finding> for Told {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            aliases: Vec::new(),
        }
    }
}

impl Resolver {
    /// One that asks `servers`, or those of the system when there are none.
    pub(super) fn new(servers: Vec<SocketAddr>, now: Moment) -> Self {
        let system = Mutex::new(System::read(&servers, now));
        Self { servers, system }
    }

    /// Asks for both families of addresses of `name`.
    pub(super) async fn ask(&self, name: &DomainName, now: Moment) -> Told {
        if is_localhost(name) {
            let addresses = [
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
                vec![IpAddr::V6(Ipv6Addr::LOCALHOST)],
            ];
            let found = addresses.map(|addresses| Asked::Found(addresses, LOCALHOST_TTL));
            return Finding::Asked(found).into();
        }
        let Some(absolute) = absolute(name) else {
            return Finding::Failed(format!("{name} can't be asked for")).into();
        };
        let system = self.system(now).await;
        if let Some(found) = in_hosts(&system.hosts, &absolute) {
            return Finding::Asked(found).into();
        }
        let client = match &system.client {
            Ok(client) => client,
            Err(why) => return Finding::Failed(why.to_string()).into(),
        };
        let (v4, v6) = tokio::join!(
            one(client, &absolute, RecordType::A),
            one(client, &absolute, RecordType::AAAA),
        );
        let aliases = if v4.aliases.is_empty() {
            v6.aliases
        } else {
            v4.aliases
        };
        // What doesn't exist has no addresses of the other family, either.
        let finding = match [v4.asked, v6.asked] {
            [asked @ Asked::Nothing(_), _] if v4.is_nxdomain => [asked.clone(), asked],
            [_, asked @ Asked::Nothing(_)] if v6.is_nxdomain => [asked.clone(), asked],
            both => both,
        };
        Told {
            finding: Finding::Asked(finding),
            aliases,
        }
    }

    /// What the system's files say, read again if they have changed.
    async fn system(&self, now: Moment) -> System {
        let current = || self.system.lock().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut system = current();
            if now < system.look_again {
                return system.clone();
            }
            // Whoever else comes meanwhile goes on with what is known.
            system.look_again = now.after(LOOK);
            system.clone()
        };
        let servers = self.servers.clone();
        let read = tokio::task::spawn_blocking(move || {
            (looks() != known.looks).then(|| System::read(&servers, now))
        });
        let mut system = current_after(read.await.ok().flatten(), current);
        system.look_again = system.look_again.max(now.after(LOOK));
        system
    }
}

/// The system as it was read just now, put in place, or the one that is in place.
fn current_after<'s>(
    read: Option<System>,
    current: impl FnOnce() -> std::sync::MutexGuard<'s, System>,
) -> System {
    let mut system = current();
    if let Some(read) = read {
        *system = read;
    }
    system.clone()
}

impl System {
    fn read(servers: &[SocketAddr], now: Moment) -> Self {
        // Before they are read: what changes meanwhile is a change.
        let looks = looks();
        Self {
            looks,
            look_again: now.after(LOOK),
            client: client(servers).map_err(Arc::from),
            hosts: Arc::new(Hosts::from_system().unwrap_or_default()),
        }
    }
}

fn looks() -> [Look; 2] {
    FILES.map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

/// What asks these servers, or those of the system when there are none.
fn client(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let (config, mut options) = match servers {
        [] => system_conf::read_system_conf()
            .map_err(|error| format!("{}: {error}; name a server with --resolver", FILES[0]))?,
        servers => {
            let servers = servers.iter().map(server).collect();
            (
                ResolverConfig::from_parts(None, Vec::new(), servers),
                ResolverOpts::default(),
            )
        }
    };
    options.timeout = options.timeout.min(TRY);
    options.max_active_requests = MAX_REQUESTS;
    // The file of hosts is looked at before, and nothing is remembered.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.preserve_intermediates = true;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| error.to_string())
}

/// A name server at an address and port, over UDP, and over TCP for what is too long.
fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        let ConnectionConfig { port, .. } = connection;
        *port = address.port();
    }
    server
}

/// Whether it's `localhost`, or a name under it.
fn is_localhost(name: &DomainName) -> bool {
    name.labels().last() == Some(b"localhost")
}

fn absolute(name: &DomainName) -> Option<Name> {
    let mut absolute = Name::from_labels(name.labels()).ok()?;
    absolute.set_fqdn(true);
    Some(absolute)
}

/// What the file of hosts says of a name, if anything: then nobody is asked.
fn in_hosts(hosts: &Hosts, name: &Name) -> Option<[Asked; 2]> {
    let listed = [RecordType::A, RecordType::AAAA].map(|rtype| {
        let lookup = hosts.lookup_static_host(&Query::query(name.clone(), rtype));
        let records = lookup.iter().flat_map(|lookup| lookup.answers());
        let addresses: Vec<IpAddr> = records.filter_map(|record| record.data.ip_addr()).collect();
        addresses
    });
    if listed.iter().all(Vec::is_empty) {
        return None;
    }
    Some(listed.map(|addresses| match addresses.is_empty() {
        true => Asked::Nothing(format!("{} has no such address of it", FILES[1])),
        false => Asked::Found(addresses, HOSTS_TTL),
    }))
}

/// What was said to one question.
struct One {
    asked: Asked,
    aliases: Vec<DomainName>,
    is_nxdomain: bool,
}

/// Asks one question.
async fn one(client: &TokioResolver, name: &Name, rtype: RecordType) -> One {
    let lookup = tokio::time::timeout(TIMEOUT, client.lookup(name.clone(), rtype)).await;
    let mut one = One {
        asked: Asked::Nothing(format!("{name} has no address")),
        aliases: Vec::new(),
        is_nxdomain: false,
    };
    match lookup {
        Ok(Ok(lookup)) => {
            let records = lookup.answers();
            let ttl = records.iter().map(|record| record.ttl).min();
            let addresses: Vec<IpAddr> = records
                .iter()
                .filter_map(|record| record.data.ip_addr())
                .collect();
            let aliases = records.iter().filter_map(|record| match &record.data {
                RData::CNAME(target) => own(target),
                _ => None,
            });
            one.aliases = aliases.collect();
            if !addresses.is_empty() {
                let ttl = Duration::from_secs(ttl.unwrap_or(0).into());
                one.asked = Asked::Found(addresses, ttl);
            }
        }
        Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
            one.is_nxdomain = none.response_code == ResponseCode::NXDomain;
            if one.is_nxdomain {
                one.asked = Asked::Nothing(format!("{name} doesn't exist (NXDOMAIN)"));
            }
        }
        Ok(Err(NetError::Dns(DnsError::ResponseCode(code)))) => {
            one.asked = Asked::Failed(format!("the name server answers {}", code.to_str()));
        }
        Ok(Err(NetError::Timeout)) | Err(_) => {
            one.asked = Asked::Failed("no name server answers in time".to_owned());
        }
        Ok(Err(error)) => one.asked = Asked::Failed(error.to_string()),
    }
    one
}

/// A name of a message as we have them.
fn own(name: &Name) -> Option<DomainName> {
    let wire = name.to_bytes().ok()?;
    DomainName::from_wire(&wire).ok().map(|name| name.folded())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text, None).unwrap()
    }

    #[test]
    fn rfc6761_6_3_localhost_and_below() {
        for (text, is) in [
            ("localhost.", true),
            ("web.localhost.", true),
            ("localhost.example.", false),
            ("mylocalhost.", false),
            (".", false),
        ] {
            assert_eq!(is_localhost(&name(text)), is, "{text}");
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for text in ["a.example.", "_x\\.y.example.", "\\000\\255.example."] {
            assert_eq!(own(&absolute(&name(text)).unwrap()), Some(name(text)));
        }
    }

    #[tokio::test]
    async fn localhost_is_asked_of_nobody() {
        let nobody = vec!["192.0.2.1:1".parse().unwrap()];
        let resolver = Resolver::new(nobody, Moment::default());
        let told = resolver.ask(&name("a.localhost."), Moment::default()).await;
        let Finding::Asked([Asked::Found(v4, _), Asked::Found(v6, _)]) = told.finding else {
            panic!("{told:?}");
        };
        assert_eq!(
            [v4, v6].concat(),
            ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap())
        );
    }
}
