//! What one answer costs, without sockets: query octets in, response octets out.
//!
//! ```text
//! cargo bench --bench answer
//! cargo bench --bench answer -- srv
//! ```
//!
//! Each question is asked in three ways: as a *hit*, of a worker that keeps answers
//! and has answered it before; as a *miss*, of one that keeps none, so that it's
//! looked up and composed each time; and as a *kept* one, of a worker with so little
//! room that each answer is made, kept, and another one taken out. Of names that don't
//! exist so many are asked for in turn that none can be remembered. *parse* is what
//! reading a question costs, and writing a response without records.

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use namebeat::api::Registration;
use namebeat::dns::access::Access;
use namebeat::dns::answer::{Authority, Client, DEFAULT_UDP_PAYLOAD, Scratch, Verdict};
use namebeat::dns::guard::Guard;
use namebeat::dns::zones::Zones;
use namebeat::limit::LimitConfig;
use namebeat::name::DomainName;
use namebeat::registry::Registry;
use namebeat::registry::instance::Instance;
use namebeat::registry::table::TableConfig;
use namebeat::telemetry::Instruments;
use namebeat::time::Clock;

/// A static zone beside the discovery zone.
const STATIC_ZONE: &str = "
@   300 SOA ns host 1 3600 600 86400 60
@   300 NS  ns
ns  300 A   192.0.2.1
www 300 A   192.0.2.2
";

/// Services of five instances, so that answers come from more than one view.
const SERVICES: usize = 64;

/// Instances of the service whose addresses fill more than a datagram.
const MANY: usize = 1000;

/// Names that don't exist; more than a worker could remember by chance.
const RANDOM_NAMES: usize = 1 << 16;

const A: u16 = 1;
const MX: u16 = 15;
const TXT: u16 = 16;
const SRV: u16 = 33;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion) {
    let authority = authority();
    let each = |make: fn(usize) -> Vec<u8>| (0..SERVICES).map(make).collect::<Vec<_>>();
    let mut random = fastrand::Rng::with_seed(7);
    let mut random_names = |below: &str| -> Vec<Vec<u8>> {
        let name = |_| query(&format!("x{:x}{below}.svc.internal", random.u64(..)), A);
        (0..RANDOM_NAMES).map(name).collect()
    };
    let cases = [
        ("a", each(|s| query(&format!("s{s}.svc.internal"), A))),
        (
            "srv_with_glue",
            each(|s| query(&format!("_http._tcp.s{s}.svc.internal"), SRV)),
        ),
        ("txt", each(|s| query(&format!("s{s}.svc.internal"), TXT))),
        ("nodata", each(|s| query(&format!("s{s}.svc.internal"), MX))),
        ("nxdomain", random_names("")),
        ("nxdomain_below_service", random_names(".s1")),
        ("static_a", vec![query("www.corp.example", A)]),
        ("truncated_a_of_1000", vec![query("many.svc.internal", A)]),
        ("refused", vec![query("www.example.com", A)]),
        ("parse", vec![notify()]),
        ("formerr", vec![malformed()]),
    ];
    for (name, queries) in &cases {
        let mut group = criterion.benchmark_group(*name);
        ask(&mut group, "hit", 64 << 20, &authority, queries);
        ask(&mut group, "miss", 0, &authority, queries);
        // Room for a handful of answers.
        ask(&mut group, "kept", 8 << 10, &authority, queries);
        group.finish();
    }
}

/// One worker, that keeps so many octets of answers, answers all in turn.
fn ask(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    cache: usize,
    authority: &Authority,
    queries: &[Vec<u8>],
) {
    let mut scratch = Scratch::with_cache(cache);
    let mut reply = Vec::with_capacity(1 << 16);
    let mut queries = queries.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| answer(authority, queries.next(), &mut scratch, &mut reply));
    });
}

fn answer(
    authority: &Authority,
    query: Option<&Vec<u8>>,
    scratch: &mut Scratch,
    reply: &mut Vec<u8>,
) -> usize {
    let query = query.expect("a cycle over queries has no end");
    // Not on this machine: there the limit of a datagram is higher.
    let client = Client::datagram(IpAddr::from([192, 0, 2, 53]));
    let verdict = authority.answer(black_box(query), client, authority.now(), scratch, reply);
    assert!(matches!(verdict, Verdict::Reply(_)));
    black_box(reply.len())
}

/// The server's own parts, without sockets and telemetry.
fn authority() -> Authority {
    let zone_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-answer");
    std::fs::create_dir_all(&zone_dir).expect("the target directory can be written to");
    std::fs::write(zone_dir.join("corp.example.zone"), STATIC_ZONE)
        .expect("the target directory can be written to");
    let origin = DomainName::parse("svc.internal.", None).expect("it is a name");
    let negative_ttl = Duration::from_secs(2);
    let (zones, _) = Zones::load(Some(&zone_dir), &origin, &[], negative_ttl)
        .expect("the zone above has no errors");
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
    .expect("the system has a thread to give");
    let five = |s: usize| (0..5).map(move |i| instance(&format!("s{s}"), i, s * 5 + i));
    let many = (0..MANY).map(|i| instance("many", i, 1000 + i));
    let instances = (0..SERVICES).flat_map(five).chain(many).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("the system has a runtime to give");
    let registered = runtime
        .block_on(registry.register(instances, false))
        .expect("the registry runs");
    assert!(registered.iter().all(Result::is_ok));
    let guard = Guard::new(Access::default(), LimitConfig::with_rate(0), true);
    Authority::new(Arc::new(zones), registry, DEFAULT_UDP_PAYLOAD, guard)
}

fn instance(service: &str, index: usize, number: usize) -> Instance {
    let body = serde_json::json!({
        "id": format!("{service}-{index}"), "name": service, "version": format!("1.0.{index}"),
        "addresses": [
            format!("10.0.{}.{}", number / 256, number % 256),
            format!("fd00::{number:x}"),
        ],
        "port": 8000 + index, "tags": {"env": "production"}, "lease": "24h",
    });
    let registration: Registration = serde_json::from_value(body).expect("it is a registration");
    Instance::try_from(registration).expect("its fields are allowed")
}

/// A query with EDNS and room for 1232 octets, as resolvers send them.
fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut octets = vec![0x4e, 0x42, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).expect("labels are short"));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets.extend_from_slice(&qtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    // OPT: root, type 41, payload 1232, no flags, no options.
    octets.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    octets
}

/// Two questions in one message, which is refused before a name is looked up
/// ([RFC 9619](https://www.rfc-editor.org/rfc/rfc9619)): the least that an answer can cost.
fn malformed() -> Vec<u8> {
    let mut octets = query("s1.svc.internal", A);
    octets[5] = 2;
    octets
}

/// A query whose opcode is refused once its question and its OPT are read.
fn notify() -> Vec<u8> {
    let mut octets = query("_http._tcp.s1.svc.internal", SRV);
    octets[2] = 4 << 3;
    octets
}
