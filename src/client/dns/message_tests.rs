//! What is taken for an answer, and what isn't.

use hickory_proto::rr::rdata::{A, CNAME, SOA, SRV};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn asked() -> Asked {
    Asked::new("web.svc.internal.", RecordType::SRV, false).unwrap()
}

/// A response to `asked` with these answers.
fn response(asked: &Asked, answers: Vec<Record>) -> Message {
    let mut message = Message::from_vec(&asked.octets).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.add_answers(answers);
    message
}

fn srv(owner: &str, ttl: u32, target: &str) -> Record {
    let data = SRV::new(10, 256, 8080, name(target));
    Record::from_rdata(name(owner), ttl, RData::SRV(data))
}

fn address(owner: &str, ttl: u32) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(A::new(10, 0, 0, 1)))
}

#[test]
fn rfc5452_9_only_what_was_asked_is_taken() {
    let asked = asked();
    let good = response(
        &asked,
        vec![srv("web.svc.internal.", 5, "a.web.svc.internal.")],
    );
    assert!(asked.accept(&good.to_vec().unwrap()).is_some());
    let change: [fn(&mut Message); 6] = [
        |message| message.metadata.id = message.metadata.id.wrapping_add(1),
        |message| message.metadata.message_type = MessageType::Query,
        |message| message.metadata.op_code = OpCode::Notify,
        |message| message.queries.clear(),
        |message| message.queries[0].query_type = RecordType::A,
        |message| message.queries[0].name = name("www.svc.internal."),
    ];
    for (index, change) in change.into_iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(asked.accept(&bad.to_vec().unwrap()).is_none(), "{index}");
    }
    // The letter case of a name makes no other question of it.
    let mut upper = good;
    upper.queries[0].name = name("WEB.svc.internal.");
    assert!(asked.accept(&upper.to_vec().unwrap()).is_some());
}

#[test]
fn the_lowest_ttl_counts() {
    let asked = asked();
    let alias = CNAME(name("b.svc.internal."));
    let alias = Record::from_rdata(name("web.svc.internal."), 3, RData::CNAME(alias));
    let mut message = response(
        &asked,
        vec![
            alias,
            srv("b.svc.internal.", 5, "x.b.svc.internal."),
            srv("B.svc.internal.", 7, "Y.b.svc.internal."),
            // Not what the alias leads to, and no service at all.
            srv("c.svc.internal.", 1, "z.c.svc.internal."),
            srv("b.svc.internal.", 5, "."),
        ],
    );
    message.add_additionals(vec![
        address("X.b.svc.internal.", 2),
        address("evil.example.", 1),
    ]);
    let answer = asked.read(&message).unwrap();
    assert_eq!(answer.ttl, 3);
    let Outcome::Found(found) = answer.outcome else {
        panic!("nothing found");
    };
    let targets: Vec<&str> = found.srv.iter().map(|srv| &*srv.target).collect();
    assert_eq!(targets, ["x.b.svc.internal.", "y.b.svc.internal."]);
    let additional: Vec<_> = found.additional.into_iter().collect();
    let ip: IpAddr = [10, 0, 0, 1].into();
    assert_eq!(
        additional,
        [("x.b.svc.internal.".to_owned(), (vec![ip], 2))]
    );
}

#[test]
fn rfc2308_5_a_negative_answer_is_cached_as_its_soa_says() {
    let asked = asked();
    let soa = |ttl, minimum| {
        let data = SOA::new(name("ns."), name("hm."), 1, 2, 3, 4, minimum);
        Record::from_rdata(name("svc.internal."), ttl, RData::SOA(data))
    };
    for (code, exists) in [
        (ResponseCode::NoError, true),
        (ResponseCode::NXDomain, false),
    ] {
        for (records, ttl) in [
            (vec![soa(2, 60)], 2),
            (vec![soa(60, 2)], 2),
            // Without SOA it isn't cached.
            (vec![], 0),
        ] {
            let mut message = response(&asked, vec![]);
            message.metadata.response_code = code;
            message.add_authorities(records);
            let answer = asked.read(&message).unwrap();
            let negative = Negative { exists, why: None };
            assert_eq!(
                answer,
                Answer {
                    ttl,
                    outcome: Outcome::Negative(negative)
                }
            );
        }
    }
    for code in [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::FormErr,
    ] {
        let mut message = response(&asked, vec![]);
        message.metadata.response_code = code;
        assert!(asked.read(&message).is_err(), "{code}");
    }
}

#[test]
fn aliases_in_a_circle_end() {
    let asked = asked();
    let alias =
        |from: &str, to: &str| Record::from_rdata(name(from), 5, RData::CNAME(CNAME(name(to))));
    let circle = vec![
        alias("web.svc.internal.", "b.svc.internal."),
        alias("b.svc.internal.", "web.svc.internal."),
    ];
    let answer = asked.read(&response(&asked, circle)).unwrap();
    assert!(matches!(answer.outcome, Outcome::Negative(_)));
}

proptest! {
    /// Nothing that a server sends has this panic.
    #[test]
    fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let asked = asked();
        let mut answer = asked.octets.clone();
        answer[2] |= 0x80;
        answer.extend_from_slice(&octets);
        for octets in [&octets, &answer] {
            if let Some(message) = asked.accept(octets) {
                let _ = asked.read(&message);
            }
        }
    }
}
