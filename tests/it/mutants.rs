//! Queries with octets changed, cut and added: each has a well-formed answer or none,
//! and no number of them costs memory.
//!
//! ```text
//! NAMEBEAT_MUTANTS=10000000 cargo test --release --test it mutants -- --nocapture
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use namebeat::api::Registration;
use namebeat::dns::access::Access;
use namebeat::dns::answer::{Authority, Client, Scratch, Verdict};
use namebeat::dns::guard::Guard;
use namebeat::dns::text::message::message;
use namebeat::dns::zones::Zones;
use namebeat::limit::LimitConfig;
use namebeat::name::DomainName;
use namebeat::registry::Registry;
use namebeat::registry::instance::Instance;
use namebeat::registry::table::TableConfig;
use namebeat::telemetry::Instruments;
use namebeat::time::Clock;

use crate::harness::{TempDir, query};

/// Queries of a run, unless `NAMEBEAT_MUTANTS` says otherwise.
const MUTANTS: u64 = 300_000;

/// Octets of prepared answers that may be kept.
const CACHE: usize = 1 << 20;

/// What memory may grow by after the first tenth: the cache, and an allocator's noise.
const GROWTH_KIB: u64 = 4096;

const ZONE: &str = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.wild CNAME ns\ncut NS ns.cut\n\
                    ns.cut A 192.0.2.2\nold DNAME wild\na.b TXT x\n";

fn authority() -> (Authority, TempDir) {
    let zones = TempDir::new("mutants");
    zones.write("corp.example.zone", ZONE);
    let origin = DomainName::parse("svc.internal.", None).unwrap();
    let negative_ttl = Duration::from_secs(2);
    let loaded = Zones::load(Some(zones.path()), &origin, &[], negative_ttl).unwrap();
    let table = TableConfig {
        ttl: Duration::from_secs(5),
        negative_ttl,
        max_instances: 1000,
        ..TableConfig::default()
    };
    let instruments = Arc::new(Instruments::off());
    let free = Arc::new(|_: &Instance| None);
    let registry = Registry::start(table, free, instruments, Clock::start()).unwrap();
    let instance = |n: u8| {
        let body = serde_json::json!({
            "id": format!("web-{n}"), "name": "web", "host": format!("10.0.0.{n}"), "port": 80,
            "tags": {"env": "prod"}, "version": "1.4", "lease": "24h",
        });
        let registration: Registration = serde_json::from_value(body).unwrap();
        Instance::try_from(registration).unwrap()
    };
    let instances = (1..=40).map(instance).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let registered = runtime
        .block_on(registry.register(instances, true))
        .unwrap();
    assert!(registered.iter().all(Result::is_ok));
    let guard = Guard::new(Access::default(), LimitConfig::with_rate(0), true);
    (
        Authority::new(Arc::new(loaded.0), registry, 1232, guard),
        zones,
    )
}

/// Good queries to begin with.
fn queries() -> Vec<Vec<u8>> {
    let names = [
        "web.svc.internal.",
        "_http._tcp.web.svc.internal.",
        "web-1.web.svc.internal.",
        "prod.env.tag.web.svc.internal.",
        "1.4.version.web.svc.internal.",
        "svc.internal.",
        "x.wild.corp.example.",
        "x.cut.corp.example.",
        "x.old.corp.example.",
        "b.corp.example.",
        "corp.example.",
    ];
    let types = [
        RecordType::A,
        RecordType::SRV,
        RecordType::TXT,
        RecordType::SOA,
        RecordType::ANY,
    ];
    let mut queries = Vec::new();
    for name in names {
        for rtype in types {
            queries.push(query(name, rtype, None));
            queries.push(query(name, rtype, Some(1232)));
            let mut with_cookie = query(name, rtype, Some(4096));
            *with_cookie.last_mut().unwrap() = 12;
            with_cookie.extend_from_slice(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
            queries.push(with_cookie);
        }
    }
    queries
}

fn mutate(octets: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    for _ in 0..rng.u8(1..5) {
        let at = rng.usize(0..=octets.len());
        match rng.u8(0..8) {
            0 => octets.truncate(at),
            1 => octets.insert(at, rng.u8(..)),
            2 => drop((at < octets.len()).then(|| octets.remove(at))),
            3 => octets.extend_from_within(at.min(octets.len())..),
            // Lengths, pointers and counts are what is believed too easily.
            4 => set(
                octets,
                at,
                *rng.choice(&[0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xc1, 0xff])
                    .unwrap(),
            ),
            5 => set(octets, rng.usize(4..12), rng.u8(0..4)),
            _ => set(octets, at, rng.u8(..)),
        }
    }
}

fn set(octets: &mut [u8], at: usize, with: u8) {
    if let Some(octet) = octets.get_mut(at) {
        *octet = with;
    }
}

/// Resident memory of this process, KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn mutants_neither_panic_nor_cost_memory() {
    let wanted = std::env::var("NAMEBEAT_MUTANTS").map_or(MUTANTS, |text| text.parse().unwrap());
    let (authority, _zones) = authority();
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (queries, mut scratch, mut reply) = (queries(), Scratch::with_cache(CACHE), Vec::new());
    let (mut answered, mut before) = (0u64, 0);
    for nth in 0..wanted {
        if nth == wanted / 10 {
            before = resident();
        }
        let mut octets = rng.choice(&queries).unwrap().clone();
        mutate(&mut octets, &mut rng);
        let address = IpAddr::from([192, 0, 2, rng.u8(..)]);
        let client = match rng.bool() {
            true => Client::datagram(address),
            false => Client::stream(address),
        };
        let verdict = authority.answer(&octets, client, authority.now(), &mut scratch, &mut reply);
        if let Verdict::Reply(_) = verdict {
            answered += 1;
            let shown = || format!("seed {seed}, query {}", octets.escape_ascii());
            assert!(
                message(&reply).is_ok(),
                "{}: {}",
                shown(),
                reply.escape_ascii()
            );
            assert_eq!(reply[..2], octets[..2], "{}", shown());
            assert!(!client.datagram || reply.len() <= 1232, "{}", shown());
        }
    }
    let grown = resident().saturating_sub(before);
    println!("{answered} of {wanted} answered, {grown} KiB more (seed {seed})");
    assert!(answered > wanted / 2 && answered < wanted);
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
}
