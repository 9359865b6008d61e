//! RFC 1034: names, zones, and how a question is looked up.

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
