//! RFC 1034: names, zones, and how a question is looked up.

use hickory_proto::rr::RecordType;

use crate::check::check;
use crate::harness::TestServer;

/// The zones of §6.1, which C.ISI.EDU serves.
const ROOT: &str = "
.                 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400
.                 86400 NS A.ISI.EDU.
.                 86400 NS C.ISI.EDU.
.                 86400 NS SRI-NIC.ARPA.
MIL.              86400 NS SRI-NIC.ARPA.
                  86400 NS A.ISI.EDU.
EDU.              86400 NS SRI-NIC.ARPA.
                  86400 NS C.ISI.EDU.
SRI-NIC.ARPA.     86400 A 26.0.0.73
                  86400 A 10.0.0.51
                  86400 MX 0 SRI-NIC.ARPA.
                  86400 HINFO DEC-2060 TOPS20
ACC.ARPA.         86400 A 26.6.0.65
                  86400 HINFO PDP-11/70 UNIX
                  86400 MX 10 ACC.ARPA.
USC-ISIC.ARPA.    86400 CNAME C.ISI.EDU.
73.0.0.26.IN-ADDR.ARPA. 86400 PTR SRI-NIC.ARPA.
A.ISI.EDU.        86400 A 26.3.0.103
C.ISI.EDU.        86400 A 10.0.0.52
";

const EDU: &str = "
$ORIGIN EDU.
@                 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870729 1800 300 604800 86400
                  86400 NS SRI-NIC.ARPA.
                  86400 NS C.ISI.EDU.
UCI               172800 NS ICS.UCI
                  172800 NS ROME.UCI
ICS.UCI           172800 A 192.5.19.1
ROME.UCI          172800 A 192.5.19.31
ISI               172800 NS VAXA.ISI
                  172800 NS A.ISI
VAXA.ISI          172800 A 10.2.0.27
                  172800 A 128.9.0.33
A.ISI             172800 A 26.3.0.103
";

fn c_isi_edu() -> TestServer {
    TestServer::with_zones(&[("root.zone", ROOT), ("edu.zone", EDU)])
}

/// §6.2, each with what has changed since: ANY is RFC 8482's, an answer without
/// records has an SOA (RFC 2308 §2), and a target outside of this server's zones is
/// where the chase ends.
#[test]
fn section_6_2_example_queries() {
    check(
        &c_isi_edu(),
        "
        SRI-NIC.ARPA. A
        NOERROR aa
        an SRI-NIC.ARPA. 86400 A 26.0.0.73
        an SRI-NIC.ARPA. 86400 A 10.0.0.51

        SRI-NIC.ARPA. MX
        NOERROR aa
        an SRI-NIC.ARPA. 86400 MX 0 SRI-NIC.ARPA.
        ad SRI-NIC.ARPA. 86400 A 26.0.0.73
        ad SRI-NIC.ARPA. 86400 A 10.0.0.51

        SRI-NIC.ARPA. NS
        NOERROR aa
        au . 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400

        SIR-NIC.ARPA. A
        NXDOMAIN aa
        au . 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400

        BRL.MIL. A
        NOERROR
        au MIL. 86400 NS SRI-NIC.ARPA.
        au MIL. 86400 NS A.ISI.EDU.
        ad A.ISI.EDU. 86400 A 26.3.0.103
        ad SRI-NIC.ARPA. 86400 A 26.0.0.73
        ad SRI-NIC.ARPA. 86400 A 10.0.0.51

        USC-ISIC.ARPA. A
        NOERROR aa
        an USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.
        au ISI.EDU. 172800 NS VAXA.ISI.EDU.
        au ISI.EDU. 172800 NS A.ISI.EDU.
        ad VAXA.ISI.EDU. 172800 A 10.2.0.27
        ad VAXA.ISI.EDU. 172800 A 128.9.0.33
        ad A.ISI.EDU. 172800 A 26.3.0.103

        USC-ISIC.ARPA. CNAME
        NOERROR aa
        an USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.
        ",
    );
}

const CORP: &str = "
$ORIGIN corp.example.
$TTL 300
@        SOA ns hostmaster 7 3600 600 86400 60
         NS  ns
         MX  10 www
ns       A   192.0.2.53
www      A   192.0.2.1
         AAAA 2001:db8::1
alias    CNAME www
chain    CNAME alias
away     CNAME www.elsewhere.test.
below    CNAME www.child
svc      CNAME web.svc.internal.
dangle   CNAME nothing
loop1    CNAME loop2
loop2    CNAME loop1
self     CNAME self
a.b.ent  A   192.0.2.2
child    NS  ns.child
         NS  ns
         NS  ns.elsewhere.test.
ns.child A   192.0.2.4
         AAAA 2001:db8::4
hidden.child TXT occluded
lower.child NS ns
deep.er  NS  ns.grand.deep.er
ns.grand.deep.er A 192.0.2.5
_s._tcp  SRV 1 2 3 www
";

const SUB: &str = "
$ORIGIN sub.corp.example.
$TTL 300
@        SOA ns hostmaster 9 3600 600 86400 30
         NS  ns
ns       A   192.0.2.54
";

fn corp() -> TestServer {
    let zones = [("corp.example.zone", CORP), ("sub.corp.example.zone", SUB)];
    let server = TestServer::with_zones(&zones);
    server.register_web("web-1", 1);
    server
}

#[test]
fn section_3_6_2_aliases() {
    check(
        &corp(),
        "
        alias.corp.example. A
        NOERROR aa
        an alias.corp.example. 300 CNAME www.corp.example.
        an www.corp.example. 300 A 192.0.2.1

        chain.corp.example. AAAA
        NOERROR aa
        an chain.corp.example. 300 CNAME alias.corp.example.
        an alias.corp.example. 300 CNAME www.corp.example.
        an www.corp.example. 300 AAAA 2001:db8::1

        chain.corp.example. CNAME
        NOERROR aa
        an chain.corp.example. 300 CNAME alias.corp.example.

        alias.corp.example. TXT
        NOERROR aa
        an alias.corp.example. 300 CNAME www.corp.example.
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        away.corp.example. A
        NOERROR aa
        an away.corp.example. 300 CNAME www.elsewhere.test.

        below.corp.example. A
        NOERROR aa
        an below.corp.example. 300 CNAME www.child.corp.example.
        au child.corp.example. 300 NS ns.child.corp.example.
        au child.corp.example. 300 NS ns.corp.example.
        au child.corp.example. 300 NS ns.elsewhere.test.
        ad ns.child.corp.example. 300 A 192.0.2.4
        ad ns.child.corp.example. 300 AAAA 2001:db8::4
        ad ns.corp.example. 300 A 192.0.2.53
        ",
    );
}

#[test]
fn section_3_6_2_aliases_that_lead_nowhere_but_round() {
    check(
        &corp(),
        "
        loop1.corp.example. A
        NOERROR aa
        an loop1.corp.example. 300 CNAME loop2.corp.example.
        an loop2.corp.example. 300 CNAME loop1.corp.example.

        self.corp.example. A
        NOERROR aa
        an self.corp.example. 300 CNAME self.corp.example.

        self.corp.example. CNAME
        NOERROR aa
        an self.corp.example. 300 CNAME self.corp.example.
        ",
    );
}

#[test]
fn section_3_6_2_an_alias_of_a_service() {
    let server = corp();
    check(
        &server,
        "
        svc.corp.example. A
        NOERROR aa
        an svc.corp.example. 300 CNAME web.svc.internal.
        an web.svc.internal. 5 A 10.0.0.1
        ",
    );
    server.http("POST", "/v1/instances/web-1/drain", "");
    let drained = server.ask("svc.corp.example.", RecordType::A);
    assert_eq!(drained.answers(), ["CNAME web.svc.internal."]);
    assert_eq!(
        drained.message.authorities[0].record_type(),
        RecordType::SOA
    );
}

#[test]
fn section_4_3_2_step_2_the_closest_zone() {
    check(
        &corp(),
        r"
        sub.corp.example. NS
        NOERROR aa
        an sub.corp.example. 300 NS ns.sub.corp.example.
        ad ns.sub.corp.example. 300 A 192.0.2.54

        x.sub.corp.example. A
        NXDOMAIN aa
        au sub.corp.example. 30 SOA ns.sub.corp.example. hostmaster.sub.corp.example. 9 3600 600 86400 30

        xsub.corp.example. A
        NXDOMAIN aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        xcorp.example. A
        REFUSED ede=20

        x\.corp.example. A
        REFUSED ede=20

        example. A
        REFUSED ede=20
        ",
    );
}

#[test]
fn section_4_3_2_step_3a_records() {
    check(
        &corp(),
        "
        www.corp.example. A
        NOERROR aa
        an www.corp.example. 300 A 192.0.2.1

        www.corp.example. TXT
        NOERROR aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        corp.example. SOA
        NOERROR aa
        an corp.example. 300 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        corp.example. MX
        NOERROR aa
        an corp.example. 300 MX 10 www.corp.example.
        ad www.corp.example. 300 A 192.0.2.1
        ad www.corp.example. 300 AAAA 2001:db8::1

        _s._tcp.corp.example. SRV
        NOERROR aa
        an _s._tcp.corp.example. 300 SRV 1 2 3 www.corp.example.
        ad www.corp.example. 300 A 192.0.2.1
        ad www.corp.example. 300 AAAA 2001:db8::1
        ",
    );
}

#[test]
fn section_4_3_2_step_3b_referrals() {
    let server = corp();
    let to_child = "
        NOERROR
        au child.corp.example. 300 NS ns.child.corp.example.
        au child.corp.example. 300 NS ns.corp.example.
        au child.corp.example. 300 NS ns.elsewhere.test.
        ad ns.child.corp.example. 300 A 192.0.2.4
        ad ns.child.corp.example. 300 AAAA 2001:db8::4
        ad ns.corp.example. 300 A 192.0.2.53
    ";
    for question in [
        "child.corp.example. A",
        "child.corp.example. NS",
        "child.corp.example. SOA",
        "ns.child.corp.example. A",
        "www.child.corp.example. A",
        // There in the file, but not this zone's to tell.
        "hidden.child.corp.example. TXT",
        "below.hidden.child.corp.example. TXT",
        // The topmost cut counts.
        "lower.child.corp.example. NS",
        "www.lower.child.corp.example. A",
    ] {
        check(&server, &format!("{question}{to_child}"));
    }
    check(
        &server,
        "
        er.corp.example. A
        NOERROR aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        deep.er.corp.example. MX
        NOERROR
        au deep.er.corp.example. 300 NS ns.grand.deep.er.corp.example.
        ad ns.grand.deep.er.corp.example. 300 A 192.0.2.5
        ",
    );
}

#[test]
fn section_4_3_2_step_3c_names_that_are_not_there() {
    check(
        &corp(),
        "
        nothing.corp.example. A
        NXDOMAIN aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        below.www.corp.example. A
        NXDOMAIN aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        dangle.corp.example. A
        NXDOMAIN aa
        an dangle.corp.example. 300 CNAME nothing.corp.example.
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60

        b.ent.corp.example. A
        NOERROR aa
        au corp.example. 60 SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 60
        ",
    );
}
