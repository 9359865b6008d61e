//! The same answers as NSD, Knot DNS and BIND, over generated zones and questions.
//!
//! Each round makes zones that all four load, starts the peers once with all of
//! them, and asks everybody the same. Our answer must be that of two peers at least,
//! in rcode, AA, answer, authority and additional, or differ in a way that
//! [`compare`] lists with its reason.
//!
//! ```text
//! NAMEBEAT_DIFFERENTIAL_CASES=1000000 NAMEBEAT_DIFFERENTIAL_SEED=7 cargo test --test it differential -- --nocapture
//! ```
//!
//! asks as many questions as one likes, of other zones.

mod compare;
mod generate;
mod peers;

use std::collections::BTreeMap;

use namebeat::config::Settings;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::compare::{Judgement, claims, judge};
use self::generate::{Case, Population, cases};
use self::peers::{Asked, Peer, PeerKind, ask_all};
use crate::harness::{TempDir, TestServer};

/// Questions of a run, unless `NAMEBEAT_DIFFERENTIAL_CASES` says otherwise.
const CASES: usize = 20_000;

/// Zones that are loaded together.
const ZONES: usize = 120;

/// Questions for each of them.
const QUESTIONS: usize = 40;

/// Differences that are shown when there are more.
const SHOWN: usize = 10;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

/// A source of zones and questions that begins the same for the same number.
fn runner(seed: u64) -> TestRunner {
    let mut octets = [0; 32];
    octets[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
    TestRunner::new_with_rng(Config::default(), rng)
}

#[test]
fn answers_are_those_of_nsd_knot_and_bind() {
    let wanted = variable("NAMEBEAT_DIFFERENTIAL_CASES").map_or(CASES, |cases| cases as usize);
    let (mut asked, mut round) = (0, 0);
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    while asked < wanted {
        // The same zones and questions in every run, so that what fails has changed.
        let seed = variable("NAMEBEAT_DIFFERENTIAL_SEED").unwrap_or_default() + round;
        asked += compare_one(seed, &mut fired);
        round += 1;
    }
    println!("{asked} questions in {round} rounds");
    for exception in compare::EXCEPTIONS {
        let times = fired.get(exception.name).copied().unwrap_or_default();
        println!("{times:6} {}: {}", exception.name, exception.reason);
    }
}

/// One round: zones, servers, questions. Says how many questions were asked.
fn compare_one(seed: u64, fired: &mut BTreeMap<&'static str, usize>) -> usize {
    let mut runner = runner(seed);
    let population = Population::generate(&mut runner, ZONES);
    let questions = cases(&mut runner, &population, QUESTIONS);
    let zones = TempDir::new("differential");
    for zone in &population.zones {
        let origin = zone.origin.trim_end_matches('.');
        zones.write(&format!("{origin}.zone"), &zone.text());
    }
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..Settings::default()
    });
    let peers = PeerKind::ALL.map(|kind| Peer::start(kind, &population, zones.path()));
    let ours = ask_all(server.dns(), &questions);
    let theirs = peers
        .each_ref()
        .map(|peer| ask_all(peer.address(), &questions));
    let mut differences = Vec::new();
    for (at, case) in questions.iter().enumerate() {
        let theirs = theirs.each_ref().map(|answers| &answers[at]);
        match judge(case, &ours[at], theirs) {
            Judgement::Same => {}
            Judgement::Excepted(name) => *fired.entry(name).or_default() += 1,
            Judgement::Different(why) => {
                differences.push(report(seed, &population, case, &why, &ours[at], theirs));
            }
        }
    }
    let (records, asked): (Vec<String>, Vec<Case>) = claims(&ours).into_iter().unzip();
    let told = peers.each_ref().map(|peer| ask_all(peer.address(), &asked));
    for (at, record) in records.iter().enumerate() {
        let agree = told
            .iter()
            .filter(|answers| answers[at].answer.contains(record));
        if agree.count() < 2 {
            let added = |ours: &&Asked| ours.additional.contains(record);
            let ours = ours.iter().find(added).unwrap();
            let why = format!("{record} is added to {ours}, and isn't so");
            let theirs = told.each_ref().map(|answers| &answers[at]);
            differences.push(report(seed, &population, &asked[at], &why, ours, theirs));
        }
    }
    let shown = &differences[..differences.len().min(SHOWN)];
    assert!(
        differences.is_empty(),
        "{} of {} answers differ; the first:\n\n{}",
        differences.len(),
        questions.len(),
        shown.join("\n")
    );
    questions.len()
}

/// All that it takes to see a difference.
fn report(
    seed: u64,
    population: &Population,
    case: &Case,
    why: &str,
    ours: &Asked,
    theirs: [&Asked; 3],
) -> String {
    let mut text = format!("seed {seed}: {case}: {why}\nnamebeat: {ours}\n");
    for (kind, answer) in PeerKind::ALL.iter().zip(theirs) {
        text += &format!("{kind:?}: {answer}\n");
    }
    for zone in population.zones_of(case) {
        text += &format!("\nzone {}\n{}", zone.origin, zone.text());
    }
    text
}
