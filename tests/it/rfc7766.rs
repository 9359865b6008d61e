//! RFC 7766: DNS over TCP; and RFC 9210, which wants it.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType::{A, TXT};
use socket2::SockRef;

use crate::harness::{Answer, Client, DEADLINE, TestServer, query, receive_framed, send_framed};
use crate::raw::{Opt, WEB, web, web_with, with_record};

fn connect(client: &Client) -> TcpStream {
    let stream = TcpStream::connect(client.dns()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A query with its length before it.
fn framed(id: u16, name: &str, rtype: hickory_proto::rr::RecordType) -> Vec<u8> {
    let mut message = query(name, rtype, None);
    message[..2].copy_from_slice(&id.to_be_bytes());
    let mut octets = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(&message);
    octets
}

/// Wants a whole answer to [`framed`] for [`WEB`]; says its id.
#[track_caller]
fn answered(stream: &mut TcpStream) -> u16 {
    let answer = Answer::new(receive_framed(stream));
    assert_eq!(answer.answers(), ["A 10.0.0.1"]);
    answer.message.metadata.id
}

/// Whether the server has ended the connection, cleanly and without a word more.
fn ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 512]), Ok(0))
}

/// A zone with one answer of about 60 000 octets, `big.example.`.
fn big() -> TestServer {
    let mut zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    for n in 100..330 {
        zone += &format!("big TXT {n}{}\n", "x".repeat(245));
    }
    let server = TestServer::with_zones(&[("example.zone", &zone)]);
    server.register_web("web-1", 1);
    server
}

/// TCP is as good as UDP, and needn't come after it (§5).
#[test]
fn rfc9210_3_tcp_without_udp_before() {
    let server = web();
    let mut stream = connect(&server);
    stream.write_all(&framed(1, WEB, A)).unwrap();
    assert_eq!(answered(&mut stream), 1);
}

#[test]
fn section_6_2_1_a_connection_is_used_again() {
    let server = web();
    let mut stream = connect(&server);
    for id in 0..50 {
        stream.write_all(&framed(id, WEB, A)).unwrap();
        assert_eq!(answered(&mut stream), id);
    }
}

/// Queries needn't wait for the answers before them, which may come in any order
/// (§7): the id tells them apart.
#[test]
fn section_6_2_1_1_pipelining() {
    let server = web();
    let mut stream = connect(&server);
    let queries: Vec<u8> = (0..500).flat_map(|id| framed(id, WEB, A)).collect();
    stream.write_all(&queries).unwrap();
    let ids: BTreeSet<u16> = (0..500).map(|_| answered(&mut stream)).collect();
    assert_eq!(ids.len(), 500);
}

/// A client that is silent has 10 s, and 5 s in the middle of a query; none of them
/// keeps the server from others.
#[test]
fn section_6_2_3_idle_connections_are_closed() {
    let server = web();
    let mut silent = connect(&server);
    let mut half = connect(&server);
    half.write_all(&framed(1, WEB, A)[..20]).unwrap();
    let mut used = connect(&server);
    let started = Instant::now();
    // Not right after the first answer.
    for id in 0..2 {
        used.write_all(&framed(id, WEB, A)).unwrap();
        assert_eq!(answered(&mut used), id);
    }
    assert!(ended(&mut half));
    let took = started.elapsed();
    assert!((4..9).contains(&took.as_secs()), "{took:?}");
    // It's still there, and a query begins its time anew.
    used.write_all(&framed(9, WEB, A)).unwrap();
    assert_eq!(answered(&mut used), 9);
    assert!(ended(&mut silent));
    let took = started.elapsed();
    assert!((9..14).contains(&took.as_secs()), "{took:?}");
    used.write_all(&framed(10, WEB, A)).unwrap();
    assert_eq!(answered(&mut used), 10);
}

#[test]
fn section_6_2_3_idle_clients_do_not_stop_another() {
    let server = web();
    let half = framed(1, WEB, A);
    let idle: Vec<TcpStream> = (0..300)
        .map(|n| {
            let mut stream = connect(&server);
            stream.write_all(&half[..n % 30]).unwrap();
            stream
        })
        .collect();
    let mut stream = connect(&server);
    stream.write_all(&framed(2, WEB, A)).unwrap();
    assert_eq!(answered(&mut stream), 2);
    assert_eq!(server.ask(WEB, A).answers(), ["A 10.0.0.1"]);
    drop(idle);
}

/// A client that has sent all it wants still gets its answers, then the end.
#[test]
fn section_6_2_4_half_closed_connections() {
    let server = web();
    let mut stream = connect(&server);
    let mut queries: Vec<u8> = (0..20).flat_map(|id| framed(id, WEB, A)).collect();
    // The last one isn't whole, and never will be.
    queries.truncate(queries.len() - 1);
    stream.write_all(&queries).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for id in 0..19 {
        assert_eq!(answered(&mut stream), id);
    }
    assert!(ended(&mut stream));
}

/// A server that gets resets for thanks goes on, over TCP and UDP.
#[test]
fn section_6_2_4_resets() {
    let server = big();
    for n in 0..300 {
        let mut stream = connect(&server);
        // Closed with a reset: there is something unread, or it's told so.
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let query = framed(n, "big.example.", TXT);
        let sent = usize::from(n) % (query.len() + 1);
        stream.write_all(&query[..sent]).unwrap();
    }
    let mut stream = connect(&server);
    stream.write_all(&framed(1, WEB, A)).unwrap();
    assert_eq!(answered(&mut stream), 1);
    assert_eq!(server.ask(WEB, A).answers(), ["A 10.0.0.1"]);
}

/// A message may come in any pieces: its length apart from it, octet by octet, several
/// at once, and the beginning of one with the end of another.
#[test]
fn section_8_segments() {
    let server = web();
    let mut stream = connect(&server);
    let queries: Vec<u8> = (0..6).flat_map(|id| framed(id, WEB, A)).collect();
    for size in [1, 2, 3, 13, 36, 37, 90, queries.len()] {
        for piece in queries.chunks(size) {
            stream.write_all(piece).unwrap();
        }
        for id in 0..6 {
            assert_eq!(answered(&mut stream), id, "pieces of {size}");
        }
    }
}

/// Nothing is said to a message without octets, to half a header, or to a response;
/// what comes after them is answered.
#[test]
fn section_8_messages_that_are_none() {
    let server = web();
    let mut stream = connect(&server);
    stream.write_all(&[0, 0]).unwrap();
    send_framed(&mut stream, &query(WEB, A, None)[..11]);
    let mut response = query(WEB, A, None);
    response[2] = 0x80;
    send_framed(&mut stream, &response);
    stream.write_all(&[0, 0, 0, 0]).unwrap();
    stream.write_all(&framed(7, WEB, A)).unwrap();
    assert_eq!(answered(&mut stream), 7);
}

/// The longest message there can be, once well formed and once not.
#[test]
fn section_8_messages_of_65535_octets() {
    let server = web();
    let mut stream = connect(&server);
    let shortest = web_with(&Opt {
        options: &[(65001, &[])],
        ..Opt::default()
    });
    let filler = vec![0xab; 65_535 - shortest.len()];
    let longest = web_with(&Opt {
        options: &[(65001, &filler)],
        ..Opt::default()
    });
    assert_eq!(longest.len(), 65_535);
    send_framed(&mut stream, &longest);
    assert_eq!(answered(&mut stream), 0x4e42);
    let mut record = b"\0\0\x10\0\x01\0\0\0\0\xff\xff".to_vec();
    record.resize(65_535 - query(WEB, A, None).len(), 0);
    send_framed(&mut stream, &with_record(query(WEB, A, None), &record));
    let malformed = receive_framed(&mut stream);
    assert_eq!(malformed[3] & 0xf, 1, "FORMERR");
    assert!(malformed.len() < 100);
    // A length that promises more than ever comes.
    stream.write_all(&[0xff, 0xff]).unwrap();
    stream.write_all(&framed(1, WEB, A)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(ended(&mut stream));
}

/// Who reads slowly isn't read from, and gets all answers in the end.
#[test]
fn section_6_2_1_1_a_slow_reader() {
    let server = big();
    let mut stream = connect(&server);
    SockRef::from(&stream).set_recv_buffer_size(16_384).unwrap();
    let mut sender = stream.try_clone().unwrap();
    // 6 MB of answers: more than is buffered on the way.
    let sending = std::thread::spawn(move || {
        for id in 0..100 {
            sender.write_all(&framed(id, "big.example.", TXT)).unwrap();
        }
    });
    // Others are served meanwhile.
    assert_eq!(server.ask_tcp(WEB, A).answers(), ["A 10.0.0.1"]);
    for id in 0..100 {
        let mut octets = Vec::new();
        // A little at a time.
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let len = usize::from(u16::from_be_bytes(len));
        while octets.len() < len {
            let mut some = [0; 1000];
            let wanted = some.len().min(len - octets.len());
            stream.read_exact(&mut some[..wanted]).unwrap();
            octets.extend_from_slice(&some[..wanted]);
        }
        let answer = Answer::new(octets);
        assert_eq!(answer.message.metadata.id, id);
        assert_eq!(answer.message.answers.len(), 230);
    }
    sending.join().unwrap();
}

/// Who doesn't read at all is given up after a while, and holds nobody up.
#[test]
fn section_6_2_1_1_a_client_that_does_not_read() {
    let server = big();
    let mut stream = connect(&server);
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let query = framed(1, "big.example.", TXT);
    let error = loop {
        if let Err(error) = stream.write_all(&query) {
            break error;
        }
        assert_eq!(server.ask(WEB, A).answers(), ["A 10.0.0.1"]);
    };
    let closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(closed.contains(&error.kind()), "{error}");
    assert_eq!(server.ask_tcp(WEB, A).answers(), ["A 10.0.0.1"]);
}
