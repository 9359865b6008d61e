//! RFC 2782: where a service is, by SRV. Its parts have titles and no numbers.

use serde_json::json;

use crate::check::check;
use crate::harness::TestServer;

/// The zone of "A fictional example".
const FICTIONAL: &str = "
$ORIGIN example.com.
@               60 SOA server.example.com. root.example.com. (
                    1995032001 3600 3600 604800 86400 )
                60 NS  server.example.com.
                60 NS  ns1.ip-provider.net.
                60 NS  ns2.ip-provider.net.
; foobar - use old-slow-box or new-fast-box if either is
; available, make three quarters of the logins go to
; new-fast-box.
_foobar._tcp     SRV 0 1 9 old-slow-box.example.com.
                 SRV 0 3 9 new-fast-box.example.com.
; if neither old-slow-box or new-fast-box is up, switch to
; using the sysdmin's box and the server
                 SRV 1 0 9 sysadmins-box.example.com.
                 SRV 1 0 9 server.example.com.
server           A   172.30.79.10
old-slow-box     A   172.30.79.11
sysadmins-box    A   172.30.79.12
new-fast-box     A   172.30.79.13
; NO other services are supported
*._tcp          SRV  0 0 0 .
*._udp          SRV  0 0 0 .
";

#[test]
fn a_fictional_example() {
    check(
        &TestServer::with_zones(&[("example.com.zone", FICTIONAL)]),
        "
        _foobar._tcp.example.com. SRV
        NOERROR aa
        an _foobar._tcp.example.com. 60 SRV 0 1 9 old-slow-box.example.com.
        an _foobar._tcp.example.com. 60 SRV 0 3 9 new-fast-box.example.com.
        an _foobar._tcp.example.com. 60 SRV 1 0 9 sysadmins-box.example.com.
        an _foobar._tcp.example.com. 60 SRV 1 0 9 server.example.com.
        ad old-slow-box.example.com. 60 A 172.30.79.11
        ad new-fast-box.example.com. 60 A 172.30.79.13
        ad sysadmins-box.example.com. 60 A 172.30.79.12
        ad server.example.com. 60 A 172.30.79.10

        _ldap._tcp.example.com. SRV
        NOERROR aa
        an _ldap._tcp.example.com. 60 SRV 0 0 0 .

        _dns._udp.example.com. SRV
        NOERROR aa
        an _dns._udp.example.com. 60 SRV 0 0 0 .
        ",
    );
}

const ZONE: &str = "
$ORIGIN example.
$TTL 60
@        SOA ns host 1 2 3 4 5
         NS ns
ns       A 192.0.2.1
both     A 192.0.2.2
         AAAA 2001:db8::2
alias    CNAME both
cut      NS ns.cut
ns.cut   A 192.0.2.3
_two._tcp      SRV 1 0 1 both
               SRV 2 0 1 www.elsewhere.test.
_alias._tcp    SRV 1 0 1 alias
_missing._tcp  SRV 1 0 1 nothing
_cut._tcp      SRV 1 0 1 ns.cut
_same._tcp     SRV 1 0 1 both
               SRV 1 0 2 both
";

/// Addresses come along for names that this server is asked for, and no others.
#[test]
fn the_format_of_the_srv_rr_target_addresses() {
    check(
        &TestServer::with_zones(&[("example.zone", ZONE)]),
        "
        _two._tcp.example. SRV
        NOERROR aa
        an _two._tcp.example. 60 SRV 1 0 1 both.example.
        an _two._tcp.example. 60 SRV 2 0 1 www.elsewhere.test.
        ad both.example. 60 A 192.0.2.2
        ad both.example. 60 AAAA 2001:db8::2

        _same._tcp.example. SRV
        NOERROR aa
        an _same._tcp.example. 60 SRV 1 0 1 both.example.
        an _same._tcp.example. 60 SRV 1 0 2 both.example.
        ad both.example. 60 A 192.0.2.2
        ad both.example. 60 AAAA 2001:db8::2

        _alias._tcp.example. SRV
        NOERROR aa
        an _alias._tcp.example. 60 SRV 1 0 1 alias.example.

        _missing._tcp.example. SRV
        NOERROR aa
        an _missing._tcp.example. 60 SRV 1 0 1 nothing.example.

        _cut._tcp.example. SRV
        NOERROR aa
        an _cut._tcp.example. 60 SRV 1 0 1 ns.cut.example.
        ",
    );
}

/// The target is written out, whatever stands before it in the message.
#[test]
fn the_format_of_the_srv_rr_target_is_not_compressed() {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    let answer = server.ask("_two._tcp.example.", hickory_proto::rr::RecordType::SRV);
    for rdata in [
        &b"\0\x01\0\0\0\x01\x04both\x07example\0"[..],
        b"\0\x02\0\0\0\x01\x03www\x09elsewhere\x04test\0",
    ] {
        let mut places = answer.octets.windows(rdata.len());
        assert!(places.any(|octets| octets == rdata), "{answer:?}");
    }
}

/// By the service's name, by the protocol's, by a named port's. Priority, weight and
/// port are the instance's own.
#[test]
fn the_format_of_the_srv_rr_service_proto_name() {
    let server = TestServer::start();
    let web = json!({
        "name": "web", "host": "10.0.0.1", "port": 80, "priority": 0, "weight": 65535,
        "ports": {"metrics": 9100},
    });
    server.register("web-1", web);
    let spare =
        json!({"name": "web", "host": "fd00::2", "port": 81, "priority": 65535, "weight": 0});
    server.register("web-2", spare);
    let voice = json!({"name": "voice", "host": "10.0.0.3", "port": 5060, "protocol": "udp"});
    server.register("voice-1", voice);
    let both = "
        NOERROR aa
        an NAME 5 SRV 0 65535 80 web-1.web.svc.internal.
        an NAME 5 SRV 65535 0 81 web-2.web.svc.internal.
        ad web-1.web.svc.internal. 5 A 10.0.0.1
        ad web-2.web.svc.internal. 5 AAAA fd00::2
    ";
    for name in [
        "_web._tcp.svc.internal.",
        "_http._tcp.web.svc.internal.",
        "web.svc.internal.",
    ] {
        check(
            &server,
            &format!("{name} SRV{}", both.replace("NAME", name)),
        );
    }
    check(
        &server,
        "
        _metrics._tcp.web.svc.internal. SRV
        NOERROR aa
        an _metrics._tcp.web.svc.internal. 5 SRV 0 65535 9100 web-1.web.svc.internal.
        ad web-1.web.svc.internal. 5 A 10.0.0.1

        _voice._udp.svc.internal. SRV
        NOERROR aa
        an _voice._udp.svc.internal. 5 SRV 10 256 5060 voice-1.voice.svc.internal.
        ad voice-1.voice.svc.internal. 5 A 10.0.0.3
        ",
    );
    for name in [
        "_web._udp",
        "_voice._tcp",
        "_grpc._tcp.web",
        "_http._udp.web",
    ] {
        let answer = server.ask(
            &format!("{name}.svc.internal."),
            hickory_proto::rr::RecordType::SRV,
        );
        let rcode = hickory_proto::op::ResponseCode::NXDomain;
        assert_eq!(answer.rcode(), rcode, "{name}");
    }
}
