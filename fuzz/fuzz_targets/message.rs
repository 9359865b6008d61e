//! Any octets as a query, to an authority with static zones and registered instances.
#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use namebeat::api::Registration;
use namebeat::dns::access::Access;
use namebeat::dns::answer::{Authority, Client, Scratch, Verdict};
use namebeat::dns::guard::Guard;
use namebeat::limit::LimitConfig;
use namebeat::dns::master;
use namebeat::dns::text::message::message;
use namebeat::dns::zone::{Zone, ZoneKind};
use namebeat::dns::reverse::ReverseNetworks;
use namebeat::dns::zones::{ZoneSource, Zones};
use namebeat::name::DomainName;
use namebeat::registry::Registry;
use namebeat::registry::instance::Instance;
use namebeat::registry::table::TableConfig;
use namebeat::telemetry::Instruments;
use namebeat::time::Clock;

const ZONE: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n*.w 60 CNAME ns\n\
                    cut 60 NS ns.cut\nns.cut 60 A 192.0.2.2\nold 60 DNAME w\na.b 60 TXT x\n";

struct Desk {
    authority: Authority,
    scratch: Scratch,
    reply: Vec<u8>,
}

static DESK: Mutex<Option<Desk>> = Mutex::new(None);

fn start() -> Desk {
    let origin = DomainName::parse("a.", None).unwrap();
    let records = master::parse(ZONE.as_bytes(), "z".as_ref(), &origin, &master::no_include).unwrap();
    let zone = Zone::build(&records, &ZoneKind::Whole).unwrap().0;
    let discovery = DomainName::parse("z.", None).unwrap();
    let negative_ttl = Duration::from_secs(2);
    let source = ZoneSource {
        dir: None,
        origin: discovery,
        nameservers: Vec::new(),
        negative_ttl,
        reverse: ReverseNetworks::default(),
    };
    let zones = Zones::of(vec![zone], &source).unwrap();
    let table = TableConfig {
        ttl: Duration::from_secs(5),
        negative_ttl,
        max_instances: 100,
        ..TableConfig::default()
    };
    let instruments = Arc::new(Instruments::off());
    let free = Arc::new(|_: &Instance| None);
    let registry = Registry::start(table, free, instruments, Clock::start()).unwrap();
    let registration = Registration {
        id: Some("i".to_owned()),
        name: Some("s".to_owned()),
        host: Some("192.0.2.3".to_owned()),
        port: Some(80),
        ..Registration::default()
    };
    let instance = Instance::try_from(registration).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(registry.register(vec![instance], true)).unwrap();
    let guard = Guard::new(Access::default(), LimitConfig::with_rate(0), true);
    Desk {
        authority: Authority::new(Arc::new(zones), registry, 1232, guard),
        scratch: Scratch::with_cache(1 << 16),
        reply: Vec::new(),
    }
}

fuzz_target!(|octets: &[u8]| {
    let mut desk = DESK.lock().unwrap();
    let Desk { authority, scratch, reply } = desk.get_or_insert_with(start);
    let address = IpAddr::from([192, 0, 2, 9]);
    for client in [Client::datagram(address), Client::stream(address)] {
        let verdict = authority.answer(octets, client, authority.now(), scratch, reply);
        if let Verdict::Reply(_) = verdict {
            // What we say is a message, and no longer than it may be.
            message(reply).unwrap();
            assert!(!client.datagram || reply.len() <= 1232);
        }
    }
    scratch.settle();
});
