//! How files become zones.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A directory that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let path =
            std::env::temp_dir().join(format!("namebeat-zones-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }

    /// The zones and errors of the directory, with its path left out.
    fn load(&self) -> Vec<String> {
        let files = load_dir(&self.0, &name("svc.internal.")).unwrap();
        let show = |file: ZoneFile| match file.zone {
            Ok((zone, _)) => format!("{} x{}", zone.origin(), zone.name_count()),
            Err(error) => error
                .to_string()
                .replace(&format!("{}/", self.0.display()), ""),
        };
        files.into_iter().map(show).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bad_file_leaves_the_others() {
    let soa = "@ 1 SOA ns . 1 2 3 4 5\n";
    let directory = Directory::new(
        "files",
        &[
            ("a.example.zone", &format!("{soa}x A 192.0.2.1")),
            ("b.zone", &format!("{soa}x A 192.0.2")),
            ("c.zone", "x 1 A 192.0.2.1"),
            ("d.zone", &format!("{soa}x CNAME y\nx CNAME z")),
            ("e.zone", "$ORIGIN a.EXAMPLE.\n@ 1 SOA ns . 1 2 3 4 5\n"),
            ("f..g.zone", ""),
            ("svc.internal.zone", "x 1 A 192.0.2.1"),
            ("text.txt", "no zone"),
            (".hidden.zone", "no zone"),
        ],
    );
    fs::create_dir(directory.0.join("h.zone")).unwrap();
    assert_eq!(
        directory.load(),
        [
            "a.example. x2",
            "b.zone:2:5: found \"192.0.2\" where an IPv4 address was expected",
            "c.zone: the zone has no SOA record (RFC 1035 §5.2)",
            "d.zone:3:1: x.d. has a second CNAME; a name has one (RFC 2181 §10.1, RFC 6672 §2.4)",
            "e.zone: the zone a.example. is in a.example.zone already",
            "the zone file f..g.zone is not called after a zone: the name has an empty label",
            "cannot read the zone file h.zone: it is not a file",
            "svc.internal. x2",
        ]
    );
    let missing = directory.0.join("missing");
    let error = load_dir(&missing, &name("svc.internal."))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the zone directory "),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn includes_stay_in_the_directory() {
    let outside = Directory::new("outside", &[("secret", "s 1 A 192.0.2.1")]);
    let soa = "@ 1 SOA ns . 1 2 3 4 5\n";
    let directory = Directory::new("include", &[("hosts", "h 1 A 192.0.2.1")]);
    let secret = outside.0.join("secret");
    std::os::unix::fs::symlink(&secret, directory.0.join("link")).unwrap();
    std::os::unix::fs::symlink("hosts", directory.0.join("inner")).unwrap();
    for (file, included) in [
        ("a.zone", "hosts"),
        ("b.zone", "./inner"),
        ("c.zone", "link"),
        ("d.zone", "../hosts"),
        ("e.zone", secret.to_str().unwrap()),
        ("f.zone", "missing"),
    ] {
        fs::write(directory.0.join(file), format!("{soa}$INCLUDE {included}")).unwrap();
    }
    let results = directory.load();
    assert_eq!(results[..2], ["a. x2", "b. x2"]);
    for result in &results[2..5] {
        assert!(
            result.ends_with("the file is not in the directory of the zone files"),
            "{result}"
        );
    }
    assert!(
        results[5].contains("f.zone:2:10: found \"missing\""),
        "{}",
        results[5]
    );
}

#[test]
fn the_shipped_zone_is_faultless() {
    let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    for file in load_dir(&zones, &name("svc.internal.")).unwrap() {
        let (zone, warnings) = file.zone.unwrap();
        assert_eq!(warnings, []);
        let www = DomainName::parse("www", Some(zone.origin())).unwrap();
        let answer = zone.lookup(www.as_wire(), RecordType::A);
        assert_eq!(show(answer), "alias www.example.internal. CNAME x1");
    }
}
