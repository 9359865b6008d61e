//! A registry and an authority in one process, asked without transports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use namebeat::api::Registration;
use namebeat::dns::access::Access;
use namebeat::dns::answer::{Authority, Client, Scratch, Source, Verdict};
use namebeat::dns::guard::Guard;
use namebeat::dns::reverse::ReverseNetworks;
use namebeat::dns::zones::ZoneSource;
use namebeat::limit::LimitConfig;
use namebeat::name::DomainName;
use namebeat::registry::Registry;
use namebeat::registry::instance::Instance;
use namebeat::registry::table::TableConfig;
use namebeat::telemetry::Instruments;
use namebeat::time::{Clock, Moment};

use crate::harness::TempDir;

const ZONE: &str = r"
www 300 CNAME s1.svc.internal.
srv 300 SRV 1 1 80 i1.s1.svc.internal.
mx 300 MX 10 s2.svc.internal.
mx 300 MX 20 s1.svc.internal.
*.wild 300 A 192.0.2.1
cut 300 NS ns.cut
ns.cut 300 A 192.0.2.3
old 300 DNAME s1.svc.internal.
";

/// A registry and an authority without transports.
pub(super) struct Desk {
    pub(super) registry: Registry,
    authority: Authority,
    pub(super) runtime: tokio::runtime::Runtime,
    _zones: TempDir,
}

impl Desk {
    pub(super) fn new() -> Self {
        let zones = TempDir::new("prepared");
        let apex = "@ 300 SOA ns host 1 2 3 4 60\n@ 300 NS ns\nns 300 A 192.0.2.1\n";
        zones.write("corp.example.zone", &format!("{apex}{ZONE}"));
        zones.write(
            "svc.internal.zone",
            "fixed 300 A 192.0.2.9\n*.any 300 TXT x\n",
        );
        let origin = DomainName::parse("svc.internal.", None).unwrap();
        let negative_ttl = Duration::from_secs(2);
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let reverse = ReverseNetworks::new(networks.to_vec()).unwrap();
        let source = ZoneSource {
            dir: Some(zones.path().to_owned()),
            origin,
            nameservers: Vec::new(),
            negative_ttl,
            reverse: reverse.clone(),
        };
        let loaded = source.load().unwrap();
        let table = TableConfig {
            ttl: Duration::from_secs(5),
            negative_ttl,
            max_instances: 10_000,
            ..TableConfig::default()
        };
        let registry = Registry::start(
            table,
            Arc::new(|_: &Instance| None),
            Arc::new(Instruments::off()),
            Clock::start(),
        )
        .unwrap();
        assert!(registry.directory().index_addresses(reverse.ranges()));
        Self {
            authority: Authority::new(
                Arc::new(loaded.0),
                registry.clone(),
                1232,
                Guard::new(Access::default(), LimitConfig::with_rate(0), true),
            ),
            registry,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            _zones: zones,
        }
    }

    pub(super) fn register(&self, id: &str, service: &str, host: &str, weight: u16, lease: &str) {
        // Some are of other kinds than the rest.
        let (protocol, port) = match weight {
            0 => ("grpc", "http"),
            1 => ("udp", "http"),
            _ => ("http", "admin"),
        };
        let body = serde_json::json!({
            "id": id, "name": service, "host": host, "port": 80, "weight": weight,
            "protocol": protocol, "ports": {port: 81},
            "tags": {"env": "prod"}, "version": "1.4", "lease": lease,
        });
        let registration: Registration = serde_json::from_value(body).unwrap();
        let instance = Instance::try_from(registration).unwrap();
        let registered = self.registry.register(vec![instance], true);
        (self.runtime.block_on(registered).unwrap().remove(0)).unwrap();
    }

    pub(super) fn answer(
        &self,
        message: &[u8],
        client: Client,
        now: Moment,
        by: &mut Scratch,
    ) -> Answer {
        let mut octets = Vec::new();
        let verdict = self.authority.answer(message, client, now, by, &mut octets);
        match verdict {
            Verdict::Reply(summary) => Answer {
                prepared: summary.source == Source::Prepared,
                octets,
            },
            other => panic!("{message:?}: {other:?}"),
        }
    }
}

pub(super) struct Answer {
    pub(super) prepared: bool,
    pub(super) octets: Vec<u8>,
}

impl Answer {
    pub(super) fn message(&self) -> Message {
        Message::from_vec(&self.octets).unwrap()
    }

    /// Header but for the counts, answer, authority and OPT, in no order.
    pub(super) fn essential(&self) -> (Vec<u8>, BTreeSet<String>) {
        let message = self.message();
        let records = message.answers.iter().chain(&message.authorities);
        let edns = message.edns.as_ref().map(|edns| format!("{edns:?}"));
        let texts = records.map(ToString::to_string).chain(edns).collect();
        (self.octets[..6].to_vec(), texts)
    }

    /// The additional section, in no order.
    pub(super) fn help(&self) -> BTreeSet<String> {
        let message = self.message();
        message
            .additionals
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.octets[2] & 0x02 != 0
    }
}

pub(super) fn client(number: u8, datagram: bool) -> Client {
    let address = [192, 0, 2, number].into();
    match datagram {
        true => Client::datagram(address),
        false => Client::stream(address),
    }
}
