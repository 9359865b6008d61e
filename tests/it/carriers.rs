//! Every way to an answer gives the same one: called directly, over UDP, over
//! TCP, and through hickory-server's adapter.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use namebeat::api::Registration;
use namebeat::dns::access::Access;
use namebeat::dns::answer::{Authority, Client};
use namebeat::dns::guard::Guard;
use namebeat::dns::hickory::Adapter;
use namebeat::dns::service::{Service, Workers};
use namebeat::dns::zones::Zones;
use namebeat::dns::{stream, udp};
use namebeat::limit::LimitConfig;
use namebeat::name::DomainName;
use namebeat::registry::Registry;
use namebeat::registry::condition::Condition;
use namebeat::registry::instance::Instance;
use namebeat::registry::policy::Policy;
use namebeat::registry::table::TableConfig;
use namebeat::telemetry::{Instruments, Transport};
use namebeat::time::Clock;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{DEADLINE, TempDir, query, receive, receive_framed, send_framed};
use crate::policy::examples;

const ZONE: &str = r"
@ 300 SOA ns host 1 2 3 4 60
@ 300 NS ns
ns 300 A 192.0.2.1
www 300 A 192.0.2.2
alias 300 CNAME web.svc.internal.
*.wild 300 TXT text
cut 300 NS ns.cut
ns.cut 300 A 192.0.2.3
old 300 DNAME new
";

/// How often a comparison is tried that changes came in between of.
const MAX_TRIES: usize = 1000;

/// One service behind three carriers.
struct Carriers {
    service: Arc<Service>,
    registry: Registry,
    runtime: tokio::runtime::Runtime,
    udp: SocketAddr,
    tcp: SocketAddr,
    hickory: SocketAddr,
    stop: CancellationToken,
    stop_udp: Arc<AtomicBool>,
    worker: Option<std::thread::JoinHandle<()>>,
    _zones: TempDir,
}

impl Carriers {
    fn start() -> Self {
        let zones = TempDir::new("carriers");
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
        let registry = Registry::start(table, free, instruments.clone(), Clock::start()).unwrap();
        let service = Arc::new(Service {
            authority: Authority::new(
                Arc::new(loaded.0),
                registry.clone(),
                1232,
                Guard::new(Access::default(), LimitConfig::with_rate(0), true),
            ),
            instruments,
            trace_queries: 0,
            cache: 1 << 20,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = udp::bind(local, 1).unwrap().remove(0);
        let udp = socket.local_addr().unwrap();
        let (stop, stop_udp) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let (carrier, stopping) = (service.worker(), stop_udp.clone());
        let worker = std::thread::spawn(move || udp::run(&socket, carrier, &stopping));
        let listener = runtime.block_on(TcpListener::bind(local)).unwrap();
        let tcp = listener.local_addr().unwrap();
        let workers = Arc::new(Workers::new(&service, 1));
        runtime.spawn(stream::serve(listener, workers, stop.clone()));
        let socket = runtime
            .block_on(tokio::net::UdpSocket::bind(local))
            .unwrap();
        let hickory = socket.local_addr().unwrap();
        let adapter = Adapter(Workers::new(&service, 1));
        runtime.spawn(async move {
            let mut server = hickory_server::Server::new(adapter);
            server.register_socket(socket);
            server.block_until_done().await
        });
        Self {
            service,
            registry,
            runtime,
            udp,
            tcp,
            hickory,
            stop,
            stop_udp,
            worker: Some(worker),
            _zones: zones,
        }
    }

    fn register(&self, id: u8, service: u8, v6: bool, tag: &str) {
        let instances = vec![instance(id, service, v6, tag)];
        let registered = self.registry.register(instances, true);
        self.runtime
            .block_on(registered)
            .unwrap()
            .remove(0)
            .unwrap();
    }

    fn set_policy(&self, service: u8, policy: Option<Policy>) {
        let service = format!("s{service}").parse().unwrap();
        let set = (self.registry).set_policy(service, policy, Condition::default());
        // What isn't set can't be taken back, and nothing is the matter.
        let _ = self.runtime.block_on(set).unwrap();
    }

    fn direct(&self, message: &[u8], datagram: bool) -> Vec<u8> {
        let local = "127.0.0.1".parse().unwrap();
        let (client, transport) = match datagram {
            true => (Client::datagram(local), Transport::Udp),
            false => (Client::stream(local), Transport::Tcp),
        };
        let mut reply = Vec::new();
        let answered = (self.service.worker())
            .batch(|worker| worker.answer(message, client, transport, &mut reply));
        assert!(answered);
        reply
    }

    fn over_udp(&self, server: SocketAddr, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(server).unwrap();
        socket.send(message).unwrap();
        let mut octets = vec![0; 65_535];
        // Connected, it takes what comes from that address alone.
        let len = receive(&socket, &mut octets);
        octets.truncate(len);
        octets
    }

    fn over_tcp(&self, message: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        send_framed(&mut stream, message);
        receive_framed(&mut stream)
    }

    /// Whether all carriers give the same answer. Only what comes while the registry
    /// stays as it is can be compared.
    fn agree_on(&self, name: &str, qtype: u16, payload: Option<u16>) -> Result<(), TestCaseError> {
        let message = query(name, RecordType::from(qtype), payload);
        let mut compared = Ok(());
        for _ in 0..MAX_TRIES {
            let before = self.registry.directory().revision();
            compared = self.compare(name, &message, usize::from(payload.unwrap_or(512)));
            if compared.is_ok() {
                return compared;
            }
            // A TTL may have counted down in between: then once more will do.
            if before == self.registry.directory().revision() && compared.is_err() {
                compared = self.compare(name, &message, usize::from(payload.unwrap_or(512)));
                if compared.is_ok() || before == self.registry.directory().revision() {
                    return compared;
                }
            }
        }
        compared
    }

    fn compare(&self, name: &str, message: &[u8], limit: usize) -> Result<(), TestCaseError> {
        let direct = self.direct(message, true);
        let udp = self.over_udp(self.udp, message);
        prop_assert_eq!(essential(&udp), essential(&direct), "{}", name);
        let hickory = self.over_udp(self.hickory, message);
        prop_assert!(hickory.len() <= limit && udp.len() <= limit);
        // hickory-server's longer encoding may have to cut where we need not.
        if truncated(&hickory) == truncated(&udp) && !truncated(&udp) {
            prop_assert_eq!(essential(&hickory), essential(&direct), "{}", name);
        }
        // Which addresses go first for want of room is drawn; with room, none does.
        if direct.len() + 300 < limit {
            prop_assert_eq!(&meaning(&udp), &meaning(&direct), "{}", name);
            prop_assert_eq!(&meaning(&hickory), &meaning(&direct), "{}", name);
        }
        let stream = meaning(&self.direct(message, false));
        prop_assert_eq!(&meaning(&self.over_tcp(message)), &stream, "{}", name);
        Ok(())
    }
}

/// Registers, drains and deregisters as long as it's there.
struct Changes {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Changes {
    /// A change every few milliseconds.
    fn to(registry: Registry) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let change = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let mut rng = fastrand::Rng::with_seed(7);
            let (mut changes, policies) = (0, examples());
            let pause = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(1..8));
            while stopped.recv_timeout(pause(&mut rng)) == Err(RecvTimeoutError::Timeout) {
                let (id, service) = (rng.u8(1..20), rng.u8(1..4));
                let known = format!("i{id}").parse().unwrap();
                let change = async {
                    match rng.u8(0..5) {
                        4 => {
                            let service = format!("s{service}").parse().unwrap();
                            let policy = rng.choice(&policies).cloned();
                            let any = Condition::default();
                            drop(registry.set_policy(service, policy, any).await.unwrap());
                        }
                        0 => drop(registry.deregister(known).await.unwrap()),
                        1 => drop(registry.drain(known).await.unwrap()),
                        2 => drop(registry.resume(known).await.unwrap()),
                        _ => {
                            let instance = vec![instance(id, service, rng.bool(), "prod")];
                            drop(registry.register(instance, true).await.unwrap());
                        }
                    }
                };
                runtime.block_on(change);
                changes += 1;
            }
            changes
        };
        Self {
            stop: Some(stop),
            thread: Some(std::thread::spawn(change)),
        }
    }

    /// Ends them; says how many there were.
    fn end(mut self) -> usize {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Carriers {
    fn drop(&mut self) {
        self.stop.cancel();
        self.stop_udp.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            assert!(worker.join().is_ok() || std::thread::panicking());
        }
    }
}

fn instance(id: u8, service: u8, v6: bool, tag: &str) -> Instance {
    let host = match v6 {
        true => format!("fd00::{id}"),
        false => format!("10.0.0.{id}"),
    };
    let body = serde_json::json!({
        "id": format!("i{id}"), "name": format!("s{service}"), "host": host,
        "port": 80, "tags": {"env": tag}, "version": format!("1.{id}"),
    });
    let registration: Registration = serde_json::from_value(body).unwrap();
    Instance::try_from(registration).unwrap()
}

/// What a response says, but for the order of records, which is drawn.
fn meaning(octets: &[u8]) -> (Vec<u8>, BTreeMap<String, usize>) {
    let message = Message::from_vec(octets).unwrap();
    let mut records = BTreeMap::new();
    for (section, all) in [
        ("an", &message.answers),
        ("au", &message.authorities),
        ("ad", &message.additionals),
    ] {
        for record in all {
            *records.entry(format!("{section} {record}")).or_default() += 1;
        }
    }
    let edns = message
        .edns
        .map(|edns| format!("{edns:?}"))
        .unwrap_or_default();
    records.insert(edns, 1);
    (octets[..6].to_vec(), records)
}

/// All of the meaning but the additional section.
fn essential(octets: &[u8]) -> (Vec<u8>, BTreeMap<String, usize>) {
    let (header, mut records) = meaning(octets);
    records.retain(|text, _| !text.starts_with("ad "));
    (header, records)
}

fn truncated(octets: &[u8]) -> bool {
    octets[2] & 0x02 != 0
}

fn qname() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("s1"),
        Just("s2"),
        Just("s3"),
        Just("i1"),
        Just("I2"),
        Just("tag"),
        Just("env"),
        Just("prod"),
        Just("version"),
        Just("1"),
        Just("_tcp"),
        Just("_config"),
        Just("_s1"),
        Just("_http"),
        Just("www"),
        Just("alias"),
        Just("wild"),
        Just("cut"),
        Just("old"),
        Just("*"),
        Just("x"),
    ];
    let zone = prop_oneof![
        4 => Just("svc.internal."), 1 => Just("SVC.Internal."), 3 => Just("corp.example."),
        1 => Just("example."),
    ];
    (prop::collection::vec(label, 0..4), zone).prop_map(|(labels, zone)| {
        [labels.join("."), zone.to_owned()]
            .join(".")
            .trim_start_matches('.')
            .to_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn all_carriers_agree(
        registrations in prop::collection::vec((1u8..20, 1u8..4, any::<bool>(), "prod|test"), 0..8),
        policies in prop::collection::vec((1u8..4, prop::option::of(prop::sample::select(examples()))), 0..3),
        questions in prop::collection::vec((qname(), prop::sample::select(vec![1u16, 2, 5, 6, 16, 28, 33, 43, 255])), 1..20),
        payload in prop::option::of(512u16..2000),
    ) {
        thread_local! {
            static CARRIERS: Carriers = Carriers::start();
        }
        CARRIERS.with(|carriers| {
            for (id, service, v6, tag) in &registrations {
                carriers.register(*id, *service, *v6, tag);
            }
            for (service, policy) in &policies {
                carriers.set_policy(*service, policy.clone());
            }
            for (name, qtype) in &questions {
                carriers.agree_on(name, *qtype, payload)?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}

#[test]
fn all_carriers_agree_while_the_registry_changes() {
    let carriers = Carriers::start();
    let changes = Changes::to(carriers.registry.clone());
    let mut runner = TestRunner::deterministic();
    let types = prop::sample::select(vec![1u16, 6, 16, 28, 33, 255]);
    let questions = (qname(), types, prop::option::of(512u16..2000));
    for _ in 0..1500 {
        let (name, qtype, payload) = questions.new_tree(&mut runner).unwrap().current();
        carriers.agree_on(&name, qtype, payload).unwrap();
    }
    assert!(changes.end() > 50);
}
