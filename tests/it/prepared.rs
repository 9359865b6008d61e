//! Prepared answers say what answers made anew say: at every moment, for every
//! client, and while the registry changes.

mod desk;
mod steps;

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use namebeat::api::Registration;
use namebeat::api::policy::PolicyFields;
use namebeat::dns::answer::Scratch;
use namebeat::registry::condition::Condition;
use namebeat::registry::instance::Instance;
use proptest::prelude::*;

use self::desk::{Desk, client};
use self::steps::{Change, Step, apply, step};
use crate::harness::query;
use crate::policy::examples;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever happens in between and whenever it's asked, what one worker has
    /// kept says the same as what another one makes anew.
    #[test]
    fn prepared_is_as_made_anew(steps in prop::collection::vec(step(), 1..80), limit in prop::sample::select(vec![20_000usize, 1 << 20])) {
        let desk = Desk::new();
        let (mut keeps, mut makes) = (Scratch::with_cache(limit), Scratch::default());
        let mut later = Duration::ZERO;
        for step in &steps {
            match step {
                Step::Change(change) => apply(&desk, change),
                Step::Pass(millis) => later += Duration::from_millis(*millis),
                Step::Ask(name, qtype, number, payload) => {
                    let edns = payload.filter(|payload| *payload != 0);
                    let message = query(name, RecordType::from(*qtype), edns);
                    let client = client(*number, payload.is_some());
                    // The clock of leases is the real one; looking ahead of it
                    // shows what is answered when they come to their ends.
                    let now = desk.registry.now().after(later);
                    let revision = desk.registry.directory().revision();
                    let anew = desk.answer(&message, client, now, &mut makes);
                    let kept = desk.answer(&message, client, now, &mut keeps);
                    prop_assert!(!anew.prepared);
                    if desk.registry.directory().revision() != revision {
                        // A lease ended between the two.
                        continue;
                    }
                    prop_assert_eq!(kept.essential(), anew.essential(), "{} {}", name, qtype);
                    let limit = match payload {
                        None => 65_535,
                        Some(0) => 512,
                        Some(payload) => usize::from(*payload).min(1232),
                    };
                    prop_assert!(kept.octets.len() <= limit, "{} {}", name, qtype);
                    // Which addresses had room depends on the order that was drawn.
                    if !anew.is_cut() && anew.octets.len() + 200 < 512 {
                        prop_assert_eq!(kept.help(), anew.help(), "{} {}", name, qtype);
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_asked_again_is_prepared() {
    let desk = Desk::new();
    for id in 1..=40 {
        desk.register(&format!("i{id}"), "s1", &format!("10.0.0.{id}"), 256, "1h");
    }
    let mut scratch = Scratch::with_cache(1 << 20);
    let mut ask = |name: &str, qtype: RecordType, number: u8| {
        let message = query(name, qtype, Some(1232));
        let now = desk.registry.now();
        let client = client(number, true);
        let answer = desk.answer(&message, client, now, &mut scratch);
        (answer.prepared, answer.is_cut())
    };
    for (name, qtype, cut, kept) in [
        ("s1.svc.internal.", RecordType::A, false, true),
        ("s1.svc.internal.", RecordType::AAAA, false, true),
        ("s1.svc.internal.", RecordType::SRV, true, true),
        ("i1.s1.svc.internal.", RecordType::A, false, true),
        ("www.corp.example.", RecordType::A, false, true),
        ("corp.example.", RecordType::SOA, false, true),
        ("svc.internal.", RecordType::SOA, false, true),
        ("_http._tcp.svc.internal.", RecordType::PTR, true, true),
        ("_http._tcp.svc.internal.", RecordType::MX, false, true),
        ("_none._tcp.svc.internal.", RecordType::PTR, false, false),
        ("i1._http._tcp.svc.internal.", RecordType::SRV, false, true),
        (
            "_services._dns-sd._udp.svc.internal.",
            RecordType::PTR,
            false,
            true,
        ),
        ("1.0.0.10.in-addr.arpa.", RecordType::PTR, false, true),
        ("9.9.9.10.in-addr.arpa.", RecordType::PTR, false, false),
        ("0.0.10.in-addr.arpa.", RecordType::PTR, false, false),
        // Clients could ask for as many of these as they like.
        ("none.svc.internal.", RecordType::A, false, false),
        ("i99.s1.svc.internal.", RecordType::A, false, false),
        ("none.corp.example.", RecordType::A, false, false),
        ("x.wild.corp.example.", RecordType::A, false, false),
        ("x.cut.corp.example.", RecordType::A, false, false),
        ("i1.old.corp.example.", RecordType::A, false, false),
        ("x.any.svc.internal.", RecordType::TXT, false, false),
        ("s1.svc.internal.", RecordType::from(4711), false, false),
        ("elsewhere.", RecordType::A, false, false),
    ] {
        assert_eq!(ask(name, qtype, 1), (false, cut), "{name} {qtype}");
        assert_eq!(ask(name, qtype, 1), (kept, cut), "{name} {qtype}");
    }
    // Another client's part of a long answer is another one.
    assert_eq!(ask("s1.svc.internal.", RecordType::SRV, 2), (false, true));
    // Letter case makes no difference, and comes back as it was sent.
    let message = query("S1.SVC.internal.", RecordType::A, None);
    let now = desk.registry.now();
    let answer = desk.answer(&message, client(1, false), now, &mut scratch);
    assert!(answer.prepared);
    assert_eq!(answer.octets[12..29], message[12..29]);
}

/// With a limit of answers, each class of clients has a prepared answer of its own.
#[test]
fn subsets_are_prepared_for_each_class() {
    let desk = Desk::new();
    for id in 1..=40 {
        desk.register(&format!("i{id}"), "s1", &format!("10.0.0.{id}"), 256, "1h");
    }
    let limited = examples()
        .into_iter()
        .find(|policy| policy.max_answers == Some(3));
    let set = |policy: Option<_>| {
        let service = "s1".parse().unwrap();
        let set = desk
            .registry
            .set_policy(service, policy, Condition::default());
        desk.runtime.block_on(set).unwrap().unwrap();
    };
    set(limited);
    let mut scratch = Scratch::with_cache(1 << 20);
    let mut ask = |qtype: RecordType, number: u8, payload: Option<u16>| {
        let message = query("s1.svc.internal.", qtype, payload);
        let client = client(number, payload.is_some());
        let answer = desk.answer(&message, client, desk.registry.now(), &mut scratch);
        assert!(!answer.is_cut());
        (answer.prepared, answer.essential().1)
    };
    let mut subsets = BTreeSet::new();
    for number in 1..=40 {
        for qtype in [RecordType::A, RecordType::SRV, RecordType::TXT] {
            let (prepared, anew) = ask(qtype, number, Some(1232));
            assert!(!prepared, "{number} {qtype}");
            assert_eq!(ask(qtype, number, Some(1232)), (true, anew.clone()));
            subsets.insert(anew);
        }
    }
    assert!(subsets.len() > 100, "{}", subsets.len());
    // What everybody is answered with is there for everybody.
    set(None);
    assert!(!ask(RecordType::A, 1, Some(1232)).0);
    let whole = ask(RecordType::A, 2, Some(1232));
    assert!(whole.0 && whole.1.len() > 40);
}

/// The end of the last listed lease changes answers that don't show it.
#[test]
fn what_the_last_lease_keeps_from_being_said_is_said_in_time() {
    for (when, name, qtype, before, after) in [
        ("all", "i1.s1.svc.internal.", RecordType::A, 0, Some(1)),
        ("all", "s1.svc.internal.", RecordType::A, 1, Some(1)),
        ("nxdomain", "i1.s1.svc.internal.", RecordType::A, 0, None),
        ("nxdomain", "s1.svc.internal.", RecordType::TXT, 1, None),
        ("nxdomain", "s1.svc.internal.", RecordType::MX, 0, None),
    ] {
        let desk = Desk::new();
        desk.register("i1", "s1", "10.0.0.1", 256, "1h");
        apply(&desk, &Change::Report(1, true));
        desk.register("i2", "s1", "10.0.0.2", 256, "20s");
        let body = serde_json::json!({"when_none_healthy": when, "txt": {"strings": ["x"]}});
        let fields: PolicyFields = serde_json::from_value(body).unwrap();
        let policy = Some(fields.try_into().unwrap());
        let set = (desk.registry).set_policy("s1".parse().unwrap(), policy, Condition::default());
        desk.runtime.block_on(set).unwrap().unwrap();
        let mut scratch = Scratch::with_cache(1 << 20);
        let mut ask = |later: u64| {
            let now = desk.registry.now().after(Duration::from_secs(later));
            let message = query(name, qtype, Some(1232));
            desk.answer(&message, client(1, true), now, &mut scratch)
        };
        for prepared in [false, true] {
            let answer = ask(0);
            assert_eq!(answer.prepared, prepared, "{when} {name} {qtype}");
            assert_eq!(
                answer.message().answers.len(),
                before,
                "{when} {name} {qtype}"
            );
        }
        let message = ask(30).message();
        let is_there = message.metadata.response_code == ResponseCode::NoError;
        let told = is_there.then_some(message.answers.len());
        assert_eq!(told, after, "{when} {name} {qtype}");
    }
}

/// The first record is drawn anew for every response, by weight, though the
/// answer is a prepared one.
#[test]
fn first_places_go_by_weight() {
    const ROUNDS: u32 = 8_000;
    let desk = Desk::new();
    for (id, weight) in [(1, 100), (2, 200), (3, 500)] {
        desk.register(
            &format!("i{id}"),
            "s1",
            &format!("10.0.0.{id}"),
            weight,
            "1h",
        );
    }
    let mut scratch = Scratch::with_cache(1 << 20);
    for (qtype, shares) in [
        (RecordType::A, [1.0, 2.0, 5.0]),
        (RecordType::SRV, [8.0 / 3.0; 3]),
    ] {
        let mut first = [0u32; 3];
        for round in 0..ROUNDS {
            let message = query("s1.svc.internal.", qtype, None);
            let now = desk.registry.now();
            let answer = desk.answer(&message, client(1, true), now, &mut scratch);
            assert_eq!(answer.prepared, round != 0);
            let message = answer.message();
            assert_eq!(message.answers.len(), 3);
            let place = match &message.answers[0].data {
                RData::A(a) => a.octets()[3] - 1,
                RData::SRV(srv) => srv.target.to_string().as_bytes()[1] - b'1',
                other => panic!("{other:?}"),
            };
            first[usize::from(place)] += 1;
        }
        for (count, share) in first.into_iter().zip(shares) {
            let expected = f64::from(ROUNDS) * share / 8.0;
            // Five standard deviations at least.
            assert!(
                (f64::from(count) - expected).abs() < 230.0,
                "{qtype}: {first:?}"
            );
        }
    }
}

/// While others change the registry without end, each change is in the next
/// answer of a worker that keeps answers (promise 1).
#[test]
fn changes_show_at_once_among_others() {
    const THREADS: u8 = 3;
    const ROUNDS: usize = 300;
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let desk = &desk;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                let mut scratch = Scratch::with_cache(1 << 20);
                let (id, host) = (format!("own{thread}"), format!("10.1.0.{thread}"));
                let message = query("s1.svc.internal.", RecordType::A, None);
                let mut is_answered = || {
                    let now = desk.registry.now();
                    let answer = desk.answer(&message, client(1, false), now, &mut scratch);
                    let answers = answer.message().answers;
                    answers.iter().any(|record| record.data.to_string() == host)
                };
                for _ in 0..ROUNDS {
                    let body = serde_json::json!({
                        "id": id, "name": "s1", "host": host, "port": 80, "lease": "1h",
                    });
                    let registration: Registration = serde_json::from_value(body).unwrap();
                    let instance = Instance::try_from(registration).unwrap();
                    let registered = desk.registry.register(vec![instance], true);
                    runtime.block_on(registered).unwrap().remove(0).unwrap();
                    assert!(is_answered(), "registered and not there");
                    assert!(is_answered(), "registered and not there any more");
                    let gone = desk.registry.deregister(id.parse().unwrap());
                    runtime.block_on(gone).unwrap();
                    assert!(!is_answered(), "deregistered and still there");
                }
            });
        }
    });
}
