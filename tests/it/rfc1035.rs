//! RFC 1035: messages, and the files that zones are read from.

use std::io::Write;
use std::net::TcpStream;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, SRV, TXT};

use crate::check::{check, check_tcp};
use crate::harness::{Answer, TempDir, TestServer, query, receive_framed};
use crate::raw::{WEB, web};

/// A name of `len` octets on the wire, of labels as long as they may be.
fn name_of(len: usize, zone: &str) -> String {
    let mut left = len - zone.len() - 1;
    let mut name = String::new();
    while left > 0 {
        let label = (left - 1).min(63);
        // One octet alone is no label.
        let label = if left - label - 1 == 1 {
            label - 1
        } else {
            label
        };
        name += &format!("{}.", "n".repeat(label));
        left -= label + 1;
    }
    name + zone
}

#[test]
fn section_2_3_4_size_limits() {
    let server = web();
    let longest = name_of(255, "svc.internal.");
    assert_eq!(server.ask(&longest, A).rcode(), ResponseCode::NXDomain);
    let longer = query(&name_of(256, "svc.internal."), A, None);
    assert_eq!(server.exchange(&longer).octets[3], 1, "FORMERR");
    // Length octets of 64 to 191 are of no kind that anybody defined.
    for length in [0x40, 0x80, 0xbf] {
        let mut message = query(WEB, A, None);
        message[12] = length;
        assert_eq!(server.exchange(&message).octets[3], 1, "{length:#x}");
    }
}

#[test]
fn section_4_1_1_header() {
    let server = web();
    let mut message = query(WEB, A, None);
    message[2] = 0x01; // RD
    let answer = server.exchange(&message);
    let head = [0x4e, 0x42, 0x85, 0x00];
    assert_eq!(answer.octets[..4], head, "QR AA RD, not RA");
    message[2] = 0x00;
    message[3] = 0x30; // AD and CD, which are not copied
    assert_eq!(server.exchange(&message).octets[2..4], [0x84, 0x00]);
}

#[test]
fn section_4_1_1_a_response_is_not_answered() {
    let server = web();
    for opcode in 0..16 {
        let mut response = query(WEB, A, Some(1232));
        response[2] = 0x80 | opcode << 3;
        assert_eq!(server.udp(&response), None, "{opcode}");
    }
    assert_eq!(
        server.udp(&query(WEB, A, None)[..11]),
        None,
        "half a header"
    );
}

#[test]
fn section_4_1_2_classes() {
    let server = web();
    for class in [2, 3, 4, 254, 255] {
        let mut message = query(WEB, A, Some(1232));
        let at = query(WEB, A, None).len() - 1;
        message[at] = class;
        let answer = server.exchange(&message);
        assert_eq!(answer.rcode(), ResponseCode::Refused, "{class}");
        assert!(!answer.message.metadata.authoritative);
        assert_eq!(answer.extended_error().unwrap().0, 21, "Not Supported");
    }
}

#[test]
fn section_4_1_4_compression() {
    let server = web();
    let asked = query(WEB, A, None);
    let answer = server.exchange(&asked).octets;
    assert_eq!(
        answer[asked.len()..][..2],
        [0xc0, 12],
        "the question's name"
    );
    // Pointers in a question: to itself, ahead, into the header, past the end.
    for pointer in [[0xc0, 12], [0xc0, 14], [0xc0, 0], [0xff, 0xff]] {
        let mut message = asked[..12].to_vec();
        message.extend_from_slice(&pointer);
        message.extend_from_slice(&[0, 1, 0, 1]);
        let answer = server.exchange(&message).octets;
        assert_eq!(answer[3] & 0xf, 1, "{pointer:x?} is FORMERR");
    }
}

/// A pointer has 14 bits, so a name behind the first 16 KiB can't be pointed at: it's
/// written again, and nothing points astray.
#[test]
fn section_4_1_4_compression_behind_16_kib() {
    let mut zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    let mut case = "_s._tcp.example. SRV\nNOERROR aa\n".to_owned();
    let rest = format!("{0}.{0}.{0}", "x".repeat(59));
    // 64 records of 260 octets, then the addresses of 64 names of 242.
    for n in 100..164 {
        let target = format!("{n}{}.{rest}", "y".repeat(50));
        zone += &format!("_s._tcp SRV 0 0 {n} {target}\n{target} A 192.0.2.{n}\n");
        case += &format!("an _s._tcp.example. 60 SRV 0 0 {n} {target}.example.\n");
        case += &format!("ad {target}.example. 60 A 192.0.2.{n}\n");
    }
    let server = TestServer::with_zones(&[("example.zone", &zone)]);
    check_tcp(&server, &case);
    let answer = server.ask_tcp("_s._tcp.example.", SRV).octets;
    assert!(answer.len() > 2 * 0x4000 - 1000, "{}", answer.len());
}

/// A zone with an RRset of 40 texts, about 1600 octets.
fn long() -> TestServer {
    let mut zone = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n".to_owned();
    for n in 10..50 {
        zone += &format!("long 60 TXT {n}{}\n", "x".repeat(26));
    }
    TestServer::with_zones(&[("example.zone", &zone)])
}

#[test]
fn section_4_2_1_udp_has_512_octets() {
    let server = long();
    let message = query("long.example.", TXT, None);
    let cut = server.exchange(&message);
    assert!(cut.truncated() && cut.octets.len() <= 512);
    let whole = Answer::new(server.exchange_tcp(&message));
    assert!(!whole.truncated());
    assert_eq!(whole.message.answers.len(), 40);
}

/// A message that comes octet by octet is as good as one in one piece.
#[test]
fn section_4_2_2_tcp_has_a_length_before_each_message() {
    let server = long();
    let mut stream = TcpStream::connect(server.dns()).unwrap();
    stream.set_nodelay(true).unwrap();
    let message = query("long.example.", TXT, None);
    let len = u16::try_from(message.len()).unwrap();
    for octet in len.to_be_bytes().iter().chain(&message) {
        stream.write_all(&[*octet]).unwrap();
    }
    let answer = Answer::new(receive_framed(&mut stream));
    assert_eq!(answer.message.answers.len(), 40);
}

/// The file of §5.3, which lists the mailboxes of its subsystem in another one.
const ISI: &str = "
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33


$INCLUDE isi-mailboxes.txt
";

const MAILBOXES: &str = "
MOE     MB      A.ISI.EDU.
LARRY   MB      A.ISI.EDU.
CURLEY  MB      A.ISI.EDU.
STOOGES MG      MOE
        MG      LARRY
        MG      CURLEY
";

#[test]
fn section_5_3_master_file_example() {
    let zones = TempDir::new("isi");
    zones.write("isi.edu.zone", ISI);
    zones.write("isi-mailboxes.txt", MAILBOXES);
    let server = TestServer::with(namebeat::config::Settings {
        zones: Some(zones.path().to_owned()),
        ..Default::default()
    });
    check(
        &server,
        r"
        isi.edu. SOA
        NOERROR aa
        an isi.edu. 60 SOA VENERA.isi.edu. Action\.domains.isi.edu. 20 7200 600 3600000 60

        isi.edu. MX
        NOERROR aa
        an isi.edu. 60 MX 10 VENERA.isi.edu.
        an isi.edu. 60 MX 20 VAXA.isi.edu.
        ad VENERA.isi.edu. 60 A 10.1.0.52
        ad VENERA.isi.edu. 60 A 128.9.0.32
        ad VAXA.isi.edu. 60 A 10.2.0.27
        ad VAXA.isi.edu. 60 A 128.9.0.33

        stooges.isi.edu. MG
        NOERROR aa
        an stooges.isi.edu. 60 MG MOE.isi.edu.
        an stooges.isi.edu. 60 MG LARRY.isi.edu.
        an stooges.isi.edu. 60 MG CURLEY.isi.edu.
        ",
    );
}

/// A file as editors of other systems leave it, with most of what may be written in more
/// than one way. What it says, and no more, is what is answered; errors and the rest of
/// the syntax are in the unit tests of `dns::master`.
#[test]
fn section_5_1_a_file_with_all_sorts_of_entries() {
    let lines = [
        "$TTL 1h30m ; of all that have none",
        "@ IN SOA ns host ( 1 ; serial",
        "   2h 10m",
        "  1w 1M ) ; minimum",
        "\tNS ns",
        "ns in 5m a 192.0.2.1",
        "   5m in a 192.0.2.2",
        "TXT TXT \"a;b\" ( c\\;d",
        "  \"\" \"two\\\"quotes\" ) ; the owner is called TXT",
        "300 A 192.0.2.3",
        "IN A 192.0.2.4",
        "split A 192.0.2.5",
        "$ORIGIN deep.example.",
        "a.b TXT below",
        "  TXT again",
        "$ORIGIN example.",
        "SPLIT A 192.0.2.6",
        "split A 192.0.2.5",
        "dot\\.ted A 192.0.2.7",
        "\\065\\066c A 192.0.2.8",
        "octets TYPE1 \\# 4 c0 00 02 09",
        "last A 192.0.2.10",
    ];
    let server = TestServer::with_zones(&[("example.zone", &lines.join("\r\n"))]);
    check(
        &server,
        r#"
        example. SOA
        NOERROR aa
        an example. 5400 SOA ns.example. host.example. 1 7200 600 604800 60

        example. NS
        NOERROR aa
        an example. 5400 NS ns.example.
        ad ns.example. 300 A 192.0.2.1
        ad ns.example. 300 A 192.0.2.2

        txt.example. TXT
        NOERROR aa
        an txt.example. 5400 TXT "a;b" "c;d" "" "two\"quotes"

        300.example. A
        NOERROR aa
        an 300.example. 5400 A 192.0.2.3

        in.example. A
        NOERROR aa
        an in.example. 5400 A 192.0.2.4

        split.example. A
        NOERROR aa
        an split.example. 5400 A 192.0.2.5
        an split.example. 5400 A 192.0.2.6

        a.b.deep.example. TXT
        NOERROR aa
        an a.b.deep.example. 5400 TXT "below"
        an a.b.deep.example. 5400 TXT "again"

        dot\.ted.example. A
        NOERROR aa
        an dot\.ted.example. 5400 A 192.0.2.7

        abc.example. A
        NOERROR aa
        an abc.example. 5400 A 192.0.2.8

        octets.example. A
        NOERROR aa
        an octets.example. 5400 A 192.0.2.9

        last.example. A
        NOERROR aa
        an last.example. 5400 A 192.0.2.10
        "#,
    );
}
