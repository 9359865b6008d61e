//! Whether our answer is theirs, and the differences that are meant.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::generate::Case;
use super::peers::Asked;

/// What is to be said of one question.
pub(super) enum Judgement {
    /// As two peers at least.
    Same,
    /// Different in a way that is meant.
    Excepted(&'static str),
    /// Different.
    Different(String),
}

/// A difference that is meant.
pub(super) struct Exception {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// Whether this is it: the question, our answer, theirs.
    applies: fn(&Case, &Asked, [&Asked; 3]) -> bool,
}

pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        name: "any",
        reason: "ANY has one HINFO for an answer (RFC 8482 §4.2); they give all records, or one RRset",
        applies: |case, ours, theirs| {
            case.qtype == RecordType::ANY
                && ours.answer.iter().any(|record| record.contains("hinfo"))
                && theirs
                    .iter()
                    .filter(|their| their.rcode == ours.rcode)
                    .count()
                    >= 2
        },
    },
    Exception {
        name: "endless aliases",
        reason: "a DNAME into itself makes ever longer names: NSD stops after 1, Knot after 5, BIND after a \
                 dozen with SERVFAIL, we after 16 (RFC 6672 says nothing)",
        applies: |_, ours, theirs| {
            let aliases = ours
                .answer
                .iter()
                .filter(|record| record.contains(" in cname "));
            aliases.count() > 16
                && theirs
                    .iter()
                    .all(|their| their.answer.is_subset(&ours.answer))
        },
    },
    Exception {
        name: "aliases across zones",
        reason: "an alias is followed into the closest zone of this server, as one of them does at least; \
                 others stop there, or look in the zone that they came from (RFC 1034 §4.3.2 steps 2, 3a)",
        applies: |_, ours, theirs| {
            let aliases = |asked: &Asked| {
                asked
                    .answer
                    .iter()
                    .any(|record| record.contains(" in cname "))
            };
            let agrees = |their: &&Asked| essence(their) == essence(ours);
            let stops = |their: &&Asked| {
                their.answer.is_subset(&ours.answer) && their.authoritative == ours.authoritative
            };
            let stopped = theirs
                .into_iter()
                .filter(|their| !agrees(their) && stops(their))
                .count();
            aliases(ours) && (theirs.iter().any(agrees) && stopped >= 1 || stopped >= 2)
        },
    },
    Exception {
        name: "DS behind an alias",
        reason: "an alias that leads to the origin of a zone: its DS is asked of the zone above, as it is when \
                 asked for directly (RFC 4035 §3.1.4.1); BIND and Knot ask the zone that the alias is in",
        applies: |case, ours, theirs| {
            let alias = |asked: &Asked| (asked.authoritative, asked.answer.clone());
            let same = theirs
                .iter()
                .filter(|their| alias(their) == alias(ours))
                .count();
            case.qtype == RecordType::DS && !ours.answer.is_empty() && same >= 2
        },
    },
    Exception {
        name: "name servers by wildcard",
        reason: "addresses of a name server that only a wildcard has are no glue that anybody must give \
                 (RFC 9471 §2): NSD and Knot make some up below cuts, Knot gives those of a literal \"*\", \
                 BIND none; ours are among those of one of them",
        applies: |_, ours, theirs| {
            let but_glue = |asked: &Asked| {
                (
                    asked.rcode,
                    asked.authoritative,
                    asked.answer.clone(),
                    asked.authority.clone(),
                )
            };
            let same = theirs
                .iter()
                .filter(|their| but_glue(their) == but_glue(ours))
                .count();
            let gives_all = |their: &Asked| ours.additional.is_subset(&their.additional);
            is_referral(ours) && same >= 2 && theirs.iter().any(|their| gives_all(their))
        },
    },
];

/// What of an answer is compared. The addresses that come with an answer are a
/// help that each server chooses by itself, so they are compared in referrals alone,
/// where nothing goes on without them; of others see [`claims`].
fn essence(
    asked: &Asked,
) -> (
    ResponseCode,
    bool,
    &BTreeSet<String>,
    &BTreeSet<String>,
    Option<&BTreeSet<String>>,
) {
    let glue = is_referral(asked).then_some(&asked.additional);
    (
        asked.rcode,
        asked.authoritative,
        &asked.answer,
        &asked.authority,
        glue,
    )
}

/// Whether it leads to other servers, at once or behind an alias.
fn is_referral(asked: &Asked) -> bool {
    asked
        .authority
        .iter()
        .any(|record| record.contains(" in ns "))
}

pub(super) fn judge(case: &Case, ours: &Asked, theirs: [&Asked; 3]) -> Judgement {
    if ours.odd_flags != 0 {
        return Judgement::Different("RA, Z, AD or CD is set".to_owned());
    }
    if ours.repeats {
        return Judgement::Different("a record stands in a section twice".to_owned());
    }
    if !ours.echoes {
        return Judgement::Different("the question isn't the one that was asked".to_owned());
    }
    if ours.edns != case.edns {
        return Judgement::Different("OPT comes with EDNS and not without".to_owned());
    }
    let same = theirs
        .iter()
        .filter(|their| essence(their) == essence(ours))
        .count();
    if same >= 2 {
        return Judgement::Same;
    }
    let exception = EXCEPTIONS
        .iter()
        .find(|exception| (exception.applies)(case, ours, theirs));
    match exception {
        Some(exception) => Judgement::Excepted(exception.name),
        None => Judgement::Different(format!("the same as {same} of 3")),
    }
}

/// The addresses that come with our answers, each with the question that shows whether
/// it's true: a server may add what it likes, but nothing else than it answers.
pub(super) fn claims(ours: &[Asked]) -> Vec<(String, Case)> {
    let helps = ours.iter().filter(|asked| !is_referral(asked));
    let records: BTreeSet<&String> = helps.flat_map(|asked| &asked.additional).collect();
    let claim = |record: &String| {
        let mut words = record.split(' ');
        let name = words.next()?.to_owned();
        let qtype = match words.nth(2)? {
            "a" => RecordType::A,
            _ => RecordType::AAAA,
        };
        let case = Case {
            name,
            qtype,
            edns: true,
        };
        Some((record.clone(), case))
    };
    records.into_iter().filter_map(claim).collect()
}
