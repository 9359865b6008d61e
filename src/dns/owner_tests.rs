//! Tests of the grammar of names.

use super::*;
use proptest::prelude::*;

fn parse(name: &str) -> Owner<'_> {
    let labels: Vec<&[u8]> = name
        .split('.')
        .filter(|label| !label.is_empty())
        .map(str::as_bytes)
        .collect();
    Owner::parse(&labels)
}

fn of_web(selection: Selection<'_>) -> Owner<'_> {
    Owner::Service {
        service: "web",
        selection,
    }
}

#[test]
fn reads_the_table_of_names() {
    assert_eq!(parse(""), Owner::Apex);
    assert_eq!(parse("_tcp"), Owner::Transports);
    assert_eq!(parse("web"), of_web(Selection::All));
    assert_eq!(
        parse("_web._tcp"),
        of_web(Selection::Transport(Transport::Tcp))
    );
    assert_eq!(
        parse("_web._udp"),
        of_web(Selection::Transport(Transport::Udp))
    );
    assert_eq!(
        parse("_http._tcp.web"),
        of_web(Selection::Port(Transport::Tcp, "http"))
    );
    assert_eq!(
        parse("web-1.web"),
        Owner::Instance {
            service: "web",
            id: "web-1"
        }
    );
    assert_eq!(parse("_config.web"), Owner::Config("web"));
    assert_eq!(parse("_grpc_config.web"), Owner::GrpcConfig("web"));
    for nothing in ["x._config.web", "_config.x.web", "x._grpc_config.web"] {
        assert_eq!(parse(nothing), Owner::Unknown, "{nothing}");
    }
    assert_eq!(
        parse("prod.env.blue.color.tag.web"),
        of_web(Selection::Tags(
            vec![("color", "blue"), ("env", "prod")],
            None
        ))
    );
    assert_eq!(
        parse("1.4.version.web"),
        of_web(Selection::Version(vec!["1", "4"]))
    );
    assert_eq!(
        parse("eu-1.locality.web"),
        of_web(Selection::Locality("eu-1"))
    );
}

#[test]
fn reads_the_names_in_between() {
    assert_eq!(parse("tag.web"), of_web(Selection::Tags(vec![], None)));
    assert_eq!(
        parse("env.tag.web"),
        of_web(Selection::Tags(vec![], Some("env")))
    );
    assert_eq!(
        parse("version.web"),
        of_web(Selection::Between(Between::Version))
    );
    assert_eq!(
        parse("locality.web"),
        of_web(Selection::Between(Between::Locality))
    );
    assert_eq!(
        parse("_udp.web"),
        of_web(Selection::Between(Between::Transport(Transport::Udp)))
    );
}

#[test]
fn reads_the_names_for_browsing() {
    let of_kind = |transport, kind, id| Owner::OfKind {
        transport,
        kind,
        id,
    };
    assert_eq!(parse("_services._dns-sd._udp"), Owner::Kinds);
    for label in ["b", "db", "lb"] {
        let name = format!("{label}._dns-sd._udp");
        assert_eq!(parse(&name), Owner::BrowsingDomain(label));
    }
    assert_eq!(
        parse("web-1._http._tcp"),
        of_kind(Transport::Tcp, "http", "web-1")
    );
    assert_eq!(
        parse("r._dns-sd._udp"),
        of_kind(Transport::Udp, "dns-sd", "r")
    );
    // Only the one over UDP is special.
    assert_eq!(
        parse("_services._dns-sd._tcp"),
        of_kind(Transport::Tcp, "dns-sd", "_services")
    );
    assert_eq!(
        parse("b._dns-sd._tcp"),
        of_kind(Transport::Tcp, "dns-sd", "b")
    );
}

#[test]
fn knows_nothing_else() {
    for name in [
        "a.b.web",
        "x._http._tcp.web",
        "http._tcp.web",
        "web._tcp",
        "a.b._web._tcp",
        "a.web._tcp",
        "_x._services._dns-sd._udp",
        "x.b._dns-sd._udp",
    ] {
        assert_eq!(parse(name), Owner::Unknown, "{name}");
    }
    assert_eq!(Owner::parse(&[b"\xff", b"web"]), Owner::Unknown);
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?".prop_filter("no reserved word", |l| {
        !crate::name::RESERVED.contains(&l.as_str())
    })
}

proptest! {
    /// Whatever is written by the table of names reads back as what was meant.
    #[test]
    fn names_read_as_they_are_written(
        service in label(), id in label(), pairs in prop::collection::vec((label(), label()), 1..4),
        parts in prop::collection::vec("[0-9]{1,3}", 1..4), locality in label(),
    ) {
        let selection = |selection| Owner::Service { service: &service, selection };
        let name = format!("{id}.{service}");
        prop_assert_eq!(parse(&name), Owner::Instance { service: &service, id: &id });
        let name = pairs.iter().fold(format!("tag.{service}"), |name, (key, value)| {
            format!("{value}.{key}.{name}")
        });
        let tags = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        prop_assert_eq!(parse(&name), selection(Selection::Tags(tags, None)));
        let version = parts.iter().map(String::as_str).collect();
        let name = format!("{}.version.{service}", parts.join("."));
        prop_assert_eq!(
            parse(&name),
            selection(Selection::Version(version)));
        let name = format!("{locality}.locality.{service}");
        prop_assert_eq!(
            parse(&name),
            selection(Selection::Locality(&locality)));
    }

    #[test]
    fn no_labels_panic(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5), 0..8)) {
        let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
        let _ = Owner::parse(&labels);
    }
}
