//! RFC 3596: addresses of IPv6, and the way back from them.

use namebeat::config::Settings;
use serde_json::json;

use crate::check::check;
use crate::harness::TestServer;

fn server() -> TestServer {
    let networks = ["2001:db8::/32".parse().unwrap()];
    let server = TestServer::with(Settings {
        reverse_zones: Some(networks.to_vec()),
        ..Settings::default()
    });
    let addresses = ["192.0.2.1", "2001:db8:1:2:3:4:567:89ab"];
    server.register(
        "web-1",
        json!({"name": "web", "addresses": addresses, "port": 80}),
    );
    server
}

/// AAAA is asked for by itself; A isn't mixed in.
#[test]
fn section_2_3_aaaa_query() {
    check(
        &server(),
        "
        web.svc.internal. AAAA
        NOERROR aa
        an web.svc.internal. 5 AAAA 2001:db8:1:2:3:4:567:89ab

        web.svc.internal. A
        NOERROR aa
        an web.svc.internal. 5 A 192.0.2.1
        ",
    );
}

/// The nibbles of the address, the last one first: the RFC's own example, in the
/// network that documents have for theirs.
#[test]
fn section_2_5_ip6_arpa() {
    let name = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    check(
        &server(),
        &format!("{name} PTR\nNOERROR aa\nan {name} 5 PTR web-1.web.svc.internal."),
    );
}

/// What brings addresses along brings both kinds.
#[test]
fn section_3_additional_section_processing() {
    check(
        &server(),
        "
        web.svc.internal. SRV
        NOERROR aa
        an web.svc.internal. 5 SRV 10 256 80 web-1.web.svc.internal.
        ad web-1.web.svc.internal. 5 A 192.0.2.1
        ad web-1.web.svc.internal. 5 AAAA 2001:db8:1:2:3:4:567:89ab
        ",
    );
}
