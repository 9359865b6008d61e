//! Lookups through caching resolvers: unbound and dnsmasq, from Debian's packages.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use namebeat::client::{Client, Discovery, Query};
use serde_json::json;

use super::calls::{run, url};
use super::discovery::{ports, with_ttl};
use crate::harness::{DEADLINE, TempDir, TestServer, query};

/// A resolver that forwards the discovery zone, until it's dropped.
struct Resolver {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Resolver {
    fn unbound(server: &TestServer) -> Self {
        Self::start("unbound", |home, port| {
            let dns = server.dns();
            home.write(
                "unbound.conf",
                &format!(
                    "server:\n interface: 127.0.0.1@{port}\n do-daemonize: no\n username: \"\"\n \
                     chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n num-threads: 1\n \
                     module-config: \"iterator\"\n do-not-query-localhost: no\n \
                     local-zone: \"internal.\" nodefault\n\
                     remote-control:\n control-enable: no\n\
                     stub-zone:\n name: \"svc.internal.\"\n stub-addr: {}@{}\n",
                    dns.ip(),
                    dns.port()
                ),
            );
            vec!["-d".to_owned(), "-c".to_owned(), "unbound.conf".to_owned()]
        })
    }

    fn dnsmasq(server: &TestServer) -> Self {
        Self::start("dnsmasq", |_, port| {
            let dns = server.dns();
            [
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--pid-file=",
                "--user=",
                &format!("--port={port}"),
                &format!("--server=/svc.internal/{}#{}", dns.ip(), dns.port()),
            ]
            .map(str::to_owned)
            .to_vec()
        })
    }

    fn start(program: &str, arguments: impl Fn(&TempDir, u16) -> Vec<String>) -> Self {
        let home = TempDir::new(program);
        let log = home.path().join("log");
        let usual = std::path::Path::new("/usr/sbin").join(program);
        // The port is free now; should it be taken meanwhile, another one is.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let output = std::fs::File::create(&log).unwrap();
            let child = Command::new(&usual)
                .args(arguments(&home, address.port()))
                .current_dir(home.path())
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap_or_else(|error| panic!("{usual:?}: {error}; apt-get install it"));
            let mut resolver = Self {
                child,
                address,
                _home: TempDir::new("unused"),
            };
            if resolver.answers() {
                resolver._home = home;
                return resolver;
            }
        }
        panic!("{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// Waits until it answers; false when it has ended.
    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Some(Duration::from_millis(50));
        socket.set_read_timeout(wait).unwrap();
        socket.connect(self.address).unwrap();
        let until = Instant::now() + DEADLINE;
        let mut octets = [0; 1500];
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let mut asked = query("svc.internal.", RecordType::SOA, None);
            // Resolvers are to ask others.
            asked[2] |= 1;
            let sent = socket.send(&asked);
            if matches!(sent.and_then(|_| socket.recv(&mut octets)), Ok(len) if len > 12) {
                return true;
            }
        }
        false
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What holds behind any resolver.
fn check(start: impl Fn(&TestServer) -> Resolver) {
    let server = with_ttl("1s");
    let items: Vec<_> = (1..=60)
        .map(|n| {
            let env = if n <= 2 { "prod" } else { "test" };
            json!({"id": format!("web-{n}"), "name": "web", "host": format!("10.0.0.{n}"),
                   "port": n, "tags": {"env": env}, "lease": "1h"})
        })
        .collect();
    server.http("POST", "/v1/instances", &json!(items).to_string());
    let resolver = start(&server);
    let builder = || Discovery::builder().resolver(resolver.address);
    let discovery = builder().build().unwrap();
    let client: Client = url(&server).parse().unwrap();
    let watching = builder().watch(&client).build().unwrap();
    run(async {
        // More than a datagram holds.
        let all = discovery
            .resolve(Query::service("web").with_txt())
            .await
            .unwrap();
        assert_eq!(all.len(), 60);
        assert!(all.iter().all(|it| it.txt_value("env").is_some()));
        let prod = Query::service("web").tag("env", "prod");
        assert_eq!(
            ports(&discovery.resolve(prod.clone()).await.unwrap()),
            [1, 2]
        );
        assert_eq!(
            ports(&watching.resolve(prod.clone()).await.unwrap()),
            [1, 2]
        );
        server.http("DELETE", "/v1/instances/web-1", "");
        // A stream tells it before the resolver has asked again.
        let started = Instant::now();
        while ports(&watching.resolve(prod.clone()).await.unwrap()) != [2] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
        // The others know it when the resolver's TTL is over.
        while ports(&discovery.resolve(prod.clone()).await.unwrap()) != [2] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.http("DELETE", "/v1/instances/web-2", "");
        while discovery.resolve(prod.clone()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn through_unbound() {
    check(Resolver::unbound);
}

#[test]
fn through_dnsmasq() {
    check(Resolver::dnsmasq);
}
