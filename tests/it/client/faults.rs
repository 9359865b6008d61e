//! Networks that lose, delay and garble, and servers that go and come back.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use namebeat::client::{Discovery, ResolveError};

use super::calls::run;
use super::discovery::{ports, with_ttl};
use crate::harness::TestServer;
use crate::relay::Behind;

/// A proxy for DNS over UDP that treats queries as it's told, by their number.
pub(super) struct Proxy {
    /// Whether the query of that number gets through.
    lets_through: Box<dyn Fn(usize) -> bool + Send>,
    delay: Duration,
    /// Sends before an answer others that aren't one.
    forges: bool,
    seen: Arc<AtomicUsize>,
}

impl Proxy {
    fn new(lets_through: impl Fn(usize) -> bool + Send + 'static) -> Self {
        Self {
            lets_through: Box::new(lets_through),
            delay: Duration::ZERO,
            forges: false,
            seen: Arc::default(),
        }
    }

    /// Lets all through, and counts them.
    pub(super) fn counting() -> (Self, Arc<AtomicUsize>) {
        let proxy = Self::new(|_| true);
        let seen = proxy.seen.clone();
        (proxy, seen)
    }

    /// Holds back each answer for so long.
    pub(super) fn delaying(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::new(|_| true)
        }
    }

    /// Starts it in front of a server; its address. It ends with the tests. With nobody
    /// behind it, queries are lost.
    pub(super) fn start(self, server: impl Into<Behind>) -> SocketAddr {
        let server = server.into();
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = front.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            loop {
                let Ok((len, client)) = front.recv_from(&mut octets) else {
                    continue;
                };
                let number = self.seen.fetch_add(1, Relaxed);
                if let Some(server) = server.get()
                    && (self.lets_through)(number)
                {
                    let query = octets[..len].to_vec();
                    let front = front.try_clone().unwrap();
                    let (delay, forges) = (self.delay, self.forges);
                    std::thread::spawn(move || {
                        forward(&front, client, server, &query, delay, forges);
                    });
                }
            }
        });
        address
    }
}

fn forward(
    front: &UdpSocket,
    client: SocketAddr,
    server: SocketAddr,
    query: &[u8],
    delay: Duration,
    forges: bool,
) {
    let back = UdpSocket::bind("127.0.0.1:0").unwrap();
    back.connect(server).unwrap();
    back.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    back.send(query).unwrap();
    let mut octets = [0; 65_535];
    let Ok(len) = back.recv(&mut octets) else {
        return;
    };
    std::thread::park_timeout(delay);
    let answer = &octets[..len];
    if forges {
        // Another id, another question, the query itself, too short, no DNS at all.
        let mut other_id = answer.to_vec();
        other_id[0] ^= 1;
        let mut other_name = answer.to_vec();
        other_name[13] ^= 1;
        let others: [&[u8]; 5] = [&other_id, &other_name, query, &answer[..11], b"namebeat"];
        for other in others {
            let _ = front.send_to(other, client);
        }
        // And the right answer from another address, with what it shouldn't say.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut nxdomain = answer.to_vec();
        nxdomain[3] |= 3;
        let _ = stranger.send_to(&nxdomain, client);
    }
    let _ = front.send_to(answer, client);
}

#[test]
fn lost_packets_are_sent_again() {
    let server = with_ttl("0s");
    server.register_web("web-1", 1);
    // Two of three are lost.
    let proxy = Proxy::new(|number| number % 3 == 2).start(server.dns());
    let builder = Discovery::builder().server(proxy);
    let discovery = builder.timeout(Duration::from_millis(50)).build().unwrap();
    run(async {
        for _ in 0..5 {
            assert_eq!(discovery.resolve_anew("web").await.unwrap().len(), 1);
        }
    });
}

#[test]
fn rfc5452_forged_answers_are_read_over() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let mut proxy = Proxy::new(|_| true);
    proxy.forges = true;
    let proxy = proxy.start(server.dns());
    let discovery = Discovery::builder().server(proxy).build().unwrap();
    assert_eq!(ports(&run(discovery.resolve("web")).unwrap()), [8001]);
}

#[test]
fn the_next_dns_server_is_asked() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    // Nobody answers there: the socket is bound and never read.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let builder = Discovery::builder()
        .server(silent.local_addr().unwrap())
        .server(server.dns());
    let discovery = builder.timeout(Duration::from_millis(50)).build().unwrap();
    assert_eq!(run(discovery.resolve("web")).unwrap().len(), 1);
    let builder = Discovery::builder().server(silent.local_addr().unwrap());
    let discovery = builder.timeout(Duration::from_millis(10)).build().unwrap();
    let error = run(discovery.resolve("web")).unwrap_err();
    assert!(matches!(error, ResolveError::Away { .. }), "{error}");
    assert!(error.to_string().contains("no answer within"), "{error}");
}

/// RFC 8767: while DNS is away what was found last is used, up to the limit; when it's
/// back, what it says counts again.
#[test]
fn rfc8767_stale_answers_while_dns_is_away() {
    let server = with_ttl("1s");
    server.register_web("web-1", 1);
    let behind = Behind::from(server.dns());
    let proxy = Proxy::new(|_| true).start(behind.clone());
    let builder = || {
        let builder = Discovery::builder().server(proxy);
        builder.timeout(Duration::from_millis(300))
    };
    let discovery = builder().build().unwrap();
    let strict = builder().max_stale(Duration::ZERO).build().unwrap();
    run(async {
        for discovery in [&discovery, &strict] {
            assert!(!discovery.resolve("web").await.unwrap().is_stale());
        }
        behind.set(None);
        drop(server);
        // It's fresh until its TTL is over.
        while !discovery.resolve("web").await.unwrap().is_stale() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let error = strict.resolve("web").await.unwrap_err();
        assert!(matches!(error, ResolveError::Away { .. }), "{error}");
        let back = TestServer::start();
        back.register_web("web-2", 2);
        behind.set(Some(back.dns()));
        loop {
            let found = discovery.resolve("web").await.unwrap();
            if !found.is_stale() {
                assert_eq!(ports(&found), [8002]);
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}
