//! The house: a part imports only from those below it, and every file keeps to
//! its size and says first what it is for.

use std::path::Path;

/// Every part and its floor, as `src/lib.rs` has them. Parts on one floor don't
/// know each other.
///
/// Two floors of that table are split here: `telemetry` and `limit` may use `name` and
/// `time`, and `registry` uses `api`.
const FLOORS: [(&str, u8); 18] = [
    ("main", 8),
    ("cli", 7),
    ("server", 6),
    ("config", 5),
    ("dns", 4),
    ("http", 4),
    ("health", 4),
    ("registry", 3),
    ("reload", 3),
    ("client", 3),
    ("api", 2),
    ("telemetry", 1),
    ("limit", 1),
    ("accept", 0),
    ("name", 0),
    ("network", 0),
    ("time", 0),
    // The map itself: it names the parts and uses none.
    ("lib", 0),
];

/// Most lines of a source file.
const MAX_LINES: usize = 450;

/// A source file, its path relative to `src`.
struct Source {
    path: String,
    text: String,
}

/// Every source file, in the order of their paths.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                sources.push(Source {
                    path: name.to_owned(),
                    text: std::fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        sources.len() > 50,
        "only {} files in {root:?}",
        sources.len()
    );
    sources
}

impl Source {
    /// The part it belongs to: its folder in `src`, or itself.
    fn part(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Modules between it and the crate's root.
    fn depth(&self) -> usize {
        let slashes = self.path.matches('/').count();
        let is_folder = self.path.ends_with("/mod.rs");
        let is_root = matches!(&*self.path, "lib.rs" | "main.rs");
        slashes + usize::from(!is_folder && !is_root)
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|name| {
            let name = name.strip_suffix(".rs").unwrap_or(name);
            name == "tests" || name.ends_with("_tests")
        })
    }

    /// Its code with line numbers: without comments and without the tests at its end.
    fn code(&self) -> Vec<(usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins_tests = |number: usize| {
            // `mod tests;` may stand anywhere; `mod tests {` is the end.
            lines[number] == "#[cfg(test)]"
                && lines[number..]
                    .iter()
                    .find(|line| line.starts_with("mod ") || line.starts_with("pub"))
                    .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        };
        (0..lines.len())
            .take_while(|number| !begins_tests(*number))
            .map(|number| (number + 1, lines[number].split("//").next().unwrap()))
            .collect()
    }

    /// The parts it names, with the line of each.
    fn uses(&self) -> Vec<(usize, String)> {
        let mut uses = Vec::new();
        let code = self.code();
        let joined = code
            .iter()
            .map(|(_, line)| *line)
            .collect::<Vec<_>>()
            .join("\n");
        let first = code.first().map_or(1, |(number, _)| *number);
        // The program names the library's parts through the crate's name.
        let mut roots = vec!["crate::".to_owned(), "namebeat::".to_owned()];
        roots.push("super::".repeat(self.depth()));
        for root in roots.iter().filter(|root| !root.is_empty()) {
            for (at, _) in joined.match_indices(root.as_str()) {
                let before = joined[..at].chars().next_back();
                // Not within another path, and not in a text.
                if before.is_some_and(|c| c.is_alphanumeric() || "_:\"".contains(c)) {
                    continue;
                }
                let line = first + joined[..at].matches('\n').count();
                let named = names(&joined[at + root.len()..]);
                uses.extend(named.into_iter().map(|name| (line, name)));
            }
        }
        uses
    }
}

/// The first names of a path: one, or those of a group in braces.
fn names(path: &str) -> Vec<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn floor(part: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(known, _)| *known == part)
        .map(|(_, floor)| *floor)
}

/// Asserts that there is nothing to complain about.
#[track_caller]
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn parts_import_from_below() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|source| !source.is_test()) {
        let (path, part) = (&source.path, source.part());
        let Some(own) = floor(part) else {
            complaints.push(format!(
                "src/{path}:1: {part} has no floor; give it one in src/lib.rs and here"
            ));
            continue;
        };
        for (line, used) in source.uses() {
            seen += 1;
            // What isn't a part is a name of the crate's root or of the part itself.
            let allowed = used == part || floor(&used).is_none_or(|below| below < own);
            if !allowed {
                complaints.push(format!(
                    "src/{path}:{line}: {part} uses {used}, which isn't below it"
                ));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports are seen");
    assert_none(complaints);
}

/// The reader of imports itself: were it blind, the test above would be content.
#[test]
fn imports_are_seen() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    for (path, text, expected) in [
        ("dns/a.rs", "use crate::http;", vec![(1, "http")]),
        (
            "dns/a.rs",
            "//! use crate::http;\n/// crate::http::x\n// crate::http",
            vec![],
        ),
        (
            "dns/a.rs",
            "\nuse crate::{\n    http::{self, Api},\n    name, time::Moment,\n};",
            vec![(2, "http"), (2, "name"), (2, "time")],
        ),
        (
            "dns/a.rs",
            "fn a() -> crate::http::Api {\n    crate::time::now()\n}",
            vec![(1, "http"), (2, "time")],
        ),
        (
            "dns/a.rs",
            "pub(crate) use super::super::http; use super::b;",
            vec![(1, "http")],
        ),
        (
            "dns/mod.rs",
            "use super::http; use self::a;",
            vec![(1, "http")],
        ),
        (
            "dns/zone/mod.rs",
            "use super::super::http; use super::rr;",
            vec![(1, "http")],
        ),
        ("server.rs", "use super::cli;", vec![(1, "cli")]),
        (
            "cli/serve.rs",
            "use namebeat::server::Server;",
            vec![(1, "server")],
        ),
        (
            "dns/a.rs",
            "#[cfg(test)]\nmod tests;\nuse crate::http;",
            vec![(3, "http")],
        ),
        (
            "dns/a.rs",
            "#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\nuse crate::http;",
            vec![(4, "http")],
        ),
        ("dns/a.rs", "target: \"namebeat::http\"", vec![]),
        (
            "dns/a.rs",
            "#[cfg(test)]\nmod tests {\nuse crate::http;",
            vec![],
        ),
    ] {
        let source = source(path, text);
        let uses = source.uses();
        let uses: Vec<(usize, &str)> = uses
            .iter()
            .map(|(line, name)| (*line, name.as_str()))
            .collect();
        assert_eq!(uses, expected, "{path} {text:?}");
    }
}

#[test]
fn the_map_names_every_part() {
    let sources = sources();
    let map = sources
        .iter()
        .find(|source| source.path == "lib.rs")
        .unwrap();
    let head = map.text.split("pub mod").next().unwrap();
    let complaints = sources
        .iter()
        .filter(|source| source.part() != "lib")
        .filter(|source| !head.contains(&format!("`{}`", source.part())))
        .map(|source| format!("src/lib.rs:1: the map doesn't name `{}`", source.part()))
        .collect();
    assert_none(complaints);
}

#[test]
fn files_are_short() {
    let complaints = sources()
        .iter()
        .map(|source| (&source.path, source.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| {
            format!("src/{path}:{MAX_LINES}: {lines} lines; split it by what it does")
        })
        .collect();
    assert_none(complaints);
}

#[test]
fn files_say_first_what_they_are_for() {
    let complaints = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("src/{}:1: no head comment", source.path))
        .collect();
    assert_none(complaints);
}

#[test]
fn nothing_is_left_to_do() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            for left in ["todo!(", "unimplemented!(", "dbg!("] {
                if line.contains(left) {
                    complaints.push(format!("src/{}:{number}: {left}", source.path));
                }
            }
        }
    }
    assert_none(complaints);
}
