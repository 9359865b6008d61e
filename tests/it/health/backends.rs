//! Servers that checks are tried against, each with a switch: well or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use crate::harness::{TempDir, TestServer};

/// The name that certificates here are for.
pub(super) const NAME: &str = "web.example";

/// A server that is well until it's told otherwise.
pub(super) trait Backend {
    /// Makes it well, or not.
    fn set(&self, well: bool);
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// The check that goes with it, without times and rows.
    fn check(&self) -> Value;
}

/// Says `+PONG` to whoever says `PING`; when it isn't well, `-LOADING`.
pub(super) struct Stream {
    address: SocketAddr,
    well: Arc<AtomicBool>,
}

impl Stream {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let well = Arc::new(AtomicBool::new(true));
        let says = well.clone();
        // Ends with the test's process; it holds nothing but its listener.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .unwrap();
                let mut said = [0; 6];
                if stream.read_exact(&mut said).is_ok() && said == *b"PING\r\n" {
                    let answer = answer(&says);
                    // In parts, as a stream may have it.
                    let (head, tail) = answer.split_at(3);
                    let _ = stream.write_all(head).and_then(|()| stream.write_all(tail));
                }
            }
        });
        Self { address, well }
    }
}

fn answer(well: &AtomicBool) -> &'static [u8] {
    match well.load(Ordering::SeqCst) {
        true => b"+PONG\r\n",
        false => b"-LOADING\r\n",
    }
}

impl Backend for Stream {
    fn set(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn check(&self) -> Value {
        json!({"kind": "tcp", "send": "PING\r\n", "expect": "+PONG"})
    }
}

/// The same by datagrams.
pub(super) struct Datagram {
    address: SocketAddr,
    well: Arc<AtomicBool>,
}

impl Datagram {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let well = Arc::new(AtomicBool::new(true));
        let says = well.clone();
        std::thread::spawn(move || {
            let mut said = [0; 64];
            while let Ok((len, client)) = socket.recv_from(&mut said) {
                if said[..len] == *b"\0PING" {
                    let _ = socket.send_to(answer(&says), client);
                }
            }
        });
        Self { address, well }
    }
}

impl Backend for Datagram {
    fn set(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn check(&self) -> Value {
        json!({"kind": "udp", "send": "hex:0050494e47", "expect": "+PONG"})
    }
}

/// A gRPC server with tonic's health service.
pub(super) struct Grpc {
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
    reporter: HealthReporter,
}

impl Grpc {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (reporter, health) = tonic_health::server::health_reporter();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(health);
        runtime.spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let grpc = Self {
            address,
            runtime,
            reporter,
        };
        grpc.set(true);
        grpc
    }
}

impl Backend for Grpc {
    fn set(&self, well: bool) {
        use tonic_health::ServingStatus::{NotServing, Serving};
        let status = if well { Serving } else { NotServing };
        let set = self.reporter.set_service_status("shop.Cart", status);
        self.runtime.block_on(set);
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn check(&self) -> Value {
        json!({"kind": "grpc", "service": "shop.Cart"})
    }
}

/// Another namebeat, of which a service is asked for.
pub(super) struct Dns(TestServer);

impl Dns {
    pub(super) fn start() -> Self {
        let dns = Self(TestServer::start());
        dns.set(true);
        dns
    }
}

impl Backend for Dns {
    fn set(&self, well: bool) {
        let host = if well { "192.0.2.7" } else { "192.0.2.8" };
        let body = json!({"name": "probe", "host": host, "port": 1});
        self.0.register("probe-1", body);
    }

    fn address(&self) -> SocketAddr {
        self.0.dns()
    }

    fn check(&self) -> Value {
        json!({"kind": "dns", "query": "probe.svc.internal. A", "expect": "192.0.2.7"})
    }
}

/// nginx with TLS, and a certificate for [`NAME`] by an authority of its own. What
/// it answers at `/health` is a file; all else is passed to `grpc`, if there is one.
pub(super) struct Nginx {
    home: TempDir,
    address: SocketAddr,
    child: Child,
    check: Value,
}

impl Nginx {
    /// Starts one whose check is by `check`, which may pass on to a gRPC server.
    pub(super) fn start(check: Value, grpc: Option<SocketAddr>) -> Self {
        let home = TempDir::new("nginx");
        let mut authority = rcgen::CertificateParams::new([]).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        home.write("ca.pem", &authority.self_signed(&key).unwrap().pem());
        let issuer = rcgen::Issuer::new(authority, key);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
        home.write("own.pem", &own.signed_by(&key, &issuer).unwrap().pem());
        home.write("key.pem", &key.serialize_pem());
        // nginx is given the socket, so that the port is free for certain.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let grpc = grpc.map_or(String::new(), |address| {
            format!("location / {{ grpc_pass grpc://{address}; }}")
        });
        let dir = home.path().display();
        home.write(
            "nginx.conf",
            &format!(
                "daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;\n\
                 events {{}}\n\
                 http {{\n access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b;\n\
                 fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;\n\
                 server {{\n listen {address} ssl http2; server_name {NAME};\n\
                 ssl_certificate {dir}/own.pem; ssl_certificate_key {dir}/key.pem;\n\
                 root {dir}; location = /health {{ try_files /up =503; }}\n{grpc}\n}}\n}}\n"
            ),
        );
        let usual = std::path::Path::new("/usr/sbin/nginx");
        let program = if usual.exists() {
            usual
        } else {
            std::path::Path::new("nginx")
        };
        let child = Command::new(program)
            .args([
                "-p",
                &dir.to_string(),
                "-c",
                "nginx.conf",
                "-e",
                "error.log",
            ])
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx: {error}; install Debian's nginx-light"));
        let nginx = Self {
            home,
            address,
            child,
            check,
        };
        nginx.set(true);
        nginx
    }

    /// The file of its authority's certificate.
    pub(super) fn ca(&self) -> std::path::PathBuf {
        self.home.path().join("ca.pem")
    }
}

impl Backend for Nginx {
    fn set(&self, well: bool) {
        match well {
            true => self.home.write("up", "all is fine here\n"),
            false => std::fs::remove_file(self.home.path().join("up")).unwrap(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn check(&self) -> Value {
        self.check.clone()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked to, for its worker is to end with it.
        let kill = format!("kill {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.child.wait();
    }
}

/// Answers each connection over TCP by a function of the test's.
pub(super) fn answering(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            answer(&mut stream);
        }
    });
    address
}
