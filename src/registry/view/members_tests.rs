//! Members in chunks against a plain sorted map, and what is shared between copies.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::api::Registration;
use crate::registry::table::{Table, TableConfig};
use crate::time::Moment;

/// A member of that id and port.
fn member(id: &str, port: u16) -> Member {
    let body = serde_json::json!({"id": id, "name": "web", "host": "10.0.0.1", "port": port});
    let registration: Registration = serde_json::from_value(body).unwrap();
    let mut table = Table::new(TableConfig::default());
    let registered = table.register(registration.try_into().unwrap(), true, Moment::default());
    registered.unwrap().member
}

/// The id of that number.
fn id(number: u16) -> String {
    format!("i{number:04}")
}

/// Ids with the ports of their members.
fn facts<'m>(members: impl Iterator<Item = &'m Member>) -> Vec<(&'m str, u16)> {
    let fact = |member: &'m Member| (member.instance().id.as_str(), member.instance().port);
    members.map(fact).collect()
}

/// How many members two copies don't share.
fn unshared(former: &Members, current: &Members) -> usize {
    let mut count = 0;
    each_unshared(former, current, |_, _| count += 1);
    count
}

/// Asserts that chunks are as they should be: full enough, and in order.
fn is_tidy(members: &Members) {
    let Chunks::Many(chunks) = &members.0 else {
        assert!(members.len() <= CHUNK);
        return;
    };
    assert!(chunks.len() > 1);
    assert!(
        chunks
            .iter()
            .all(|chunk| (1..=CHUNK).contains(&chunk.len()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is put and taken, they're what a map says, and so is each copy of them.
    #[test]
    fn members_are_what_was_put(
        changes in prop::collection::vec((0u16..300, any::<bool>(), 0u8..40), 0..1500),
    ) {
        let (mut members, mut known) = (Members::default(), BTreeMap::new());
        let mut copy = (members.clone(), known.clone());
        for (at, (number, puts, turn)) in changes.into_iter().enumerate() {
            let (id, port) = (id(number), 1 + at as u16);
            // Now many come, now many go.
            if puts || at / 400 % 2 == 0 {
                members.insert(member(&id, port));
                known.insert(id, port);
            } else {
                let taken = members.remove(&id.parse().unwrap());
                let taken = taken.map(|member| member.instance().port);
                prop_assert_eq!(taken, known.remove(&id));
            }
            is_tidy(&members);
            prop_assert_eq!((members.len(), members.is_empty()), (known.len(), known.is_empty()));
            if turn == 0 {
                let expected: Vec<_> = known.iter().map(|(id, port)| (&**id, *port)).collect();
                prop_assert_eq!(facts(members.iter()), expected.clone());
                let last = members.last().map(|last| last.instance().id.as_str());
                prop_assert_eq!(last, expected.last().map(|(id, _)| *id));
                for (id, port) in expected {
                    prop_assert_eq!(members.get(id).map(|found| found.instance().port), Some(port));
                }
                // What differs from the copy is shown, and the copy is as it was.
                let (former, former_known) = &copy;
                let mut shown = former_known.clone();
                each_unshared(former, &members, |was, is| {
                    if let Some(was) = was {
                        let was = was.instance();
                        assert_eq!(shown.remove(was.id.as_str()), Some(was.port));
                    }
                    if let Some(is) = is {
                        shown.insert(is.instance().id.to_string(), is.instance().port);
                    }
                });
                prop_assert_eq!(&shown, &known);
                let as_it_was: Vec<_> = former_known.iter().map(|(id, port)| (&**id, *port)).collect();
                prop_assert_eq!(facts(former.iter()), as_it_was);
                copy = (members.clone(), known.clone());
            }
        }
    }
}

#[test]
fn a_change_copies_one_chunk() {
    let mut members = Members::default();
    for number in 0..6_400 {
        members.insert(member(&id(number), 80));
    }
    assert_eq!(
        members.chunks().len(),
        100,
        "those that come in order fill their chunks"
    );
    let copy = members.clone();
    assert_eq!(unshared(&copy, &members), 0);
    members.insert(member(&id(700), 81));
    assert_eq!(unshared(&copy, &members), CHUNK);
    members.remove(&id(5_000).parse().unwrap());
    assert_eq!(unshared(&copy, &members), 2 * CHUNK);
    // A chunk that becomes two is shown in both.
    members.insert(member("i0064a", 80));
    assert_eq!(unshared(&copy, &members), 3 * CHUNK + 1);
    assert_eq!(copy.get(&id(700)).unwrap().instance().port, 80);
    assert_eq!(unshared(&copy, &Members::default()), 6_400);
}
