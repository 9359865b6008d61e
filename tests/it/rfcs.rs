//! The table of RFCs in `src/dns/mod.rs` promises nothing that isn't tested here, and
//! nothing is tested by an RFC that the table doesn't have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const TABLE: &str = include_str!("../../src/dns/mod.rs");

/// The numbers in the table's first column.
fn promised() -> BTreeSet<u32> {
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("//! | "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let numbers = cells.flat_map(|cell| cell.split(", "));
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// The RFC that a module or a test is named by: `rfc1034`, `rfc9210_3_tcp`.
fn named(name: &str) -> Option<u32> {
    let number = name.strip_prefix("rfc")?;
    number.split('_').next()?.parse().ok()
}

/// How many tests each RFC has: those of its module, and those named by it elsewhere.
fn tested() -> BTreeMap<u32, usize> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut tested = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for two in lines.windows(2) {
            let ["#[test]", function] = two else {
                continue;
            };
            let name = function.strip_prefix("fn ").unwrap_or_default();
            // A test's own name says more than its module's.
            if let Some(number) = named(name).or(named(module)) {
                *tested.entry(number).or_default() += 1;
            }
        }
    }
    tested
}

#[test]
fn the_table_is_there() {
    let promised = promised();
    assert!(promised.contains(&1034) && promised.contains(&9619));
    assert!(promised.len() > 25, "{promised:?}");
}

#[test]
fn each_rfc_of_the_table_has_tests_named_by_it() {
    let tested = tested();
    let untested: Vec<u32> = promised()
        .into_iter()
        .filter(|number| !tested.contains_key(number))
        .collect();
    assert_eq!(untested, [0; 0], "no test in tests/it/ is named by these");
}

#[test]
fn each_rfc_with_tests_is_in_the_table() {
    let promised = promised();
    let unlisted: Vec<u32> = tested()
        .into_keys()
        .filter(|number| !promised.contains(number))
        .collect();
    assert_eq!(unlisted, [0; 0], "src/dns/mod.rs says nothing of these");
}
