//! RFC 4035, of which there is only what servers without DNSSEC do; and RFC 3225.

use hickory_proto::rr::RecordType::A;

use crate::check::check;
use crate::harness::{TestServer, query};
use crate::raw::{Opt, WEB, both, web, with_record};

const PARENT: &str = "
$ORIGIN example.
$TTL 60
@        SOA ns.test. host.test. 1 2 3 4 5
         NS  ns.test.
signed   NS  ns.test.
         DS  1 8 2 00
unsigned NS  ns.test.
both     NS  ns.test.
         DS  1 8 2 0b
deep     NS  ns.test.
x.deep   DS  1 8 2 0d
";

const CHILD: &str = "
$ORIGIN both.example.
$TTL 60
@        SOA ns.test. host.test. 9 2 3 4 5
         NS  ns.test.
";

fn server() -> TestServer {
    TestServer::with_zones(&[("example.zone", PARENT), ("both.example.zone", CHILD)])
}

/// DS is the parent's to tell, all else of that name is the child's.
#[test]
fn section_3_1_4_1_ds() {
    check(
        &server(),
        "
        signed.example. DS
        NOERROR aa
        an signed.example. 60 DS 1 8 2 00

        unsigned.example. DS
        NOERROR aa
        au example. 5 SOA ns.test. host.test. 1 2 3 4 5

        signed.example. DNSKEY
        NOERROR
        au signed.example. 60 NS ns.test.

        both.example. DS
        NOERROR aa
        an both.example. 60 DS 1 8 2 0b

        both.example. SOA
        NOERROR aa
        an both.example. 60 SOA ns.test. host.test. 9 2 3 4 5

        x.both.example. DS
        NXDOMAIN aa
        au both.example. 5 SOA ns.test. host.test. 9 2 3 4 5

        x.deep.example. DS
        NOERROR
        au deep.example. 60 NS ns.test.

        example. DS
        NOERROR aa
        au example. 5 SOA ns.test. host.test. 1 2 3 4 5
        ",
    );
}

/// In a zone that isn't signed there are no signatures, which isn't an error.
#[test]
fn section_3_1_types_of_dnssec() {
    let server = server();
    for rtype in ["RRSIG", "NSEC", "DNSKEY", "NSEC3", "NSEC3PARAM", "CDS"] {
        let soa = "au example. 5 SOA ns.test. host.test. 1 2 3 4 5";
        check(&server, &format!("example. {rtype}\nNOERROR aa\n{soa}"));
    }
}

/// DO comes back as it was, whatever comes of the question.
#[test]
fn rfc3225_3_do_is_copied() {
    let server = web();
    for name in [WEB, "x.svc.internal.", "svc.internal.", "x.test."] {
        for dnssec_ok in [true, false] {
            let opt = Opt {
                flags: u16::from(dnssec_ok) << 15,
                ..Opt::default()
            };
            for answer in both(&server, &with_record(query(name, A, None), &opt.octets())) {
                let edns = answer.message.edns.as_ref().unwrap();
                assert_eq!(edns.flags().dnssec_ok, dnssec_ok, "{name}");
                assert!(!answer.message.metadata.authentic_data);
            }
        }
    }
}
