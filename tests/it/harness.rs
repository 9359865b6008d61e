//! What the tests share: a real server on free ports, raw DNS, plain HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use namebeat::config::{Config, Settings};
use namebeat::server::{Addresses, Server};
use namebeat::telemetry::Telemetry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Longest time that anything under test may take; only failures get there.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A server of its own for one test. Stops, and is waited for, when dropped.
pub struct TestServer {
    client: Client,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Zone files that were made for it.
    _zones: Option<TempDir>,
}

impl TestServer {
    /// A server with nothing set.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// A server with these settings, on free ports of loopback.
    pub fn with(settings: Settings) -> Self {
        Self::with_telemetry(settings, Telemetry::off())
    }

    /// A server with static zones, each the name of its file and its text.
    pub fn with_zones(zones: &[(&str, &str)]) -> Self {
        let directory = TempDir::new("zones");
        for (file, text) in zones {
            directory.write(file, text);
        }
        let settings = Settings {
            zones: Some(directory.path().to_owned()),
            ..Settings::default()
        };
        let mut server = Self::with(settings);
        server._zones = Some(directory);
        server
    }

    /// A server that reports to `telemetry`.
    pub fn with_telemetry(settings: Settings, telemetry: Telemetry) -> Self {
        let local = || "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            dns: settings.dns.or(Some(vec![local()])),
            http: settings.http.or(Some(local())),
            // Nothing is kept but for a test of that.
            ephemeral: Some(settings.data_dir.is_none()),
            ..settings
        };
        // A test's own zones or none, not those of the checkout.
        let named = settings.zones.is_some();
        let mut config = Config::new(settings).unwrap();
        if !named {
            config.zones = None;
        }
        let stop = CancellationToken::new();
        let (send, addresses) = std::sync::mpsc::channel();
        let token = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Server::bind(config, telemetry.instruments()).unwrap();
                send.send(server.addresses().clone()).unwrap();
                server.run(token).await.unwrap();
            });
            telemetry.shutdown();
        });
        let addresses = addresses.recv_timeout(DEADLINE).unwrap();
        Self {
            client: Client { addresses },
            stop,
            thread: Some(thread),
            _zones: None,
        }
    }
}

impl Deref for TestServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Whoever asks a server, in this process or in another.
pub struct Client {
    pub addresses: Addresses,
}

impl Client {
    pub fn dns(&self) -> SocketAddr {
        self.addresses.dns[0]
    }

    /// Asks over UDP with EDNS.
    pub fn ask(&self, name: &str, rtype: RecordType) -> Answer {
        self.exchange(&query(name, rtype, Some(1232)))
    }

    /// Asks over TCP with EDNS.
    pub fn ask_tcp(&self, name: &str, rtype: RecordType) -> Answer {
        Answer::new(self.exchange_tcp(&query(name, rtype, Some(1232))))
    }

    pub fn exchange(&self, message: &[u8]) -> Answer {
        Answer::new(self.udp(message).expect("no response"))
    }

    /// Sends octets over UDP; `None` when nothing comes back before a query that
    /// was sent after them is answered.
    pub fn udp(&self, message: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.dns()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.send(message).unwrap();
        let mut octets = vec![0; 65_535];
        if message.len() < 12 || message[2] & 0x80 != 0 {
            let marker = query("marker.invalid.", RecordType::A, None);
            socket.send(&marker).unwrap();
            let len = receive(&socket, &mut octets);
            return (octets[..2] != marker[..2]).then(|| octets[..len].to_vec());
        }
        let len = receive(&socket, &mut octets);
        octets.truncate(len);
        Some(octets)
    }

    pub fn exchange_tcp(&self, message: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.dns()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        send_framed(&mut stream, message);
        receive_framed(&mut stream)
    }

    /// Registers from JSON with `PUT`, which must be taken.
    pub fn register(&self, id: &str, body: Value) -> Value {
        let answer = self.http("PUT", &format!("/v1/instances/{id}"), &body.to_string());
        assert!(answer.status == 200 || answer.status == 201, "{answer:?}");
        answer.json()
    }

    /// Registers `id` of service `web` at 10.0.0.N:8000+N.
    pub fn register_web(&self, id: &str, n: u8) -> Value {
        let body = serde_json::json!({
            "name": "web", "host": format!("10.0.0.{n}"), "port": 8000 + u16::from(n),
        });
        self.register(id, body)
    }

    /// One HTTP call.
    pub fn http(&self, method: &str, path: &str, body: &str) -> HttpAnswer {
        self.http_with(method, path, body, "")
    }

    /// One HTTP call with further header lines, each ended by CR LF.
    pub fn http_with(&self, method: &str, path: &str, body: &str, headers: &str) -> HttpAnswer {
        let answer = self.exchange_http(method, path, body, headers);
        answer.expect("no HTTP response")
    }

    /// One HTTP call to a server that may be gone, or go while it's made.
    pub fn try_http(&self, method: &str, path: &str, body: &str) -> Option<HttpAnswer> {
        self.exchange_http(method, path, body, "")
    }

    fn exchange_http(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &str,
    ) -> Option<HttpAnswer> {
        let mut stream = TcpStream::connect(self.addresses.http).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = self.addresses.http;
        let len = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        // A body that is too large may be refused before it's all sent.
        let _ = stream.write_all(body.as_bytes());
        let mut octets = Vec::new();
        let _ = stream.read_to_end(&mut octets);
        HttpAnswer::parse(&octets)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// Receives a datagram; a signal that comes meanwhile is no failure.
pub fn receive(socket: &UdpSocket, octets: &mut [u8]) -> usize {
    loop {
        match socket.recv(octets) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received.unwrap(),
        }
    }
}

pub fn send_framed(stream: &mut TcpStream, message: &[u8]) {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).unwrap();
}

pub fn receive_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).unwrap();
    message
}

/// The octets of a query: id 0x4e42, RD clear, class IN, EDNS with `payload`.
pub fn query(name: &str, rtype: RecordType, payload: Option<u16>) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    query_wire(&wire, rtype.into(), payload)
}

/// The same for a name as it stands in a message.
pub fn query_wire(name: &[u8], rtype: u16, payload: Option<u16>) -> Vec<u8> {
    let mut octets = vec![0x4e, 0x42, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    octets.extend_from_slice(name);
    octets.extend_from_slice(&rtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    if let Some(payload) = payload {
        octets[11] = 1;
        octets.extend_from_slice(&[0, 0, 41]);
        octets.extend_from_slice(&payload.to_be_bytes());
        octets.extend_from_slice(&[0; 6]);
    }
    octets
}

/// A response: its octets and what they say.
#[derive(Debug)]
pub struct Answer {
    pub octets: Vec<u8>,
    pub message: Message,
}

impl Answer {
    pub fn new(octets: Vec<u8>) -> Self {
        let message = Message::from_vec(&octets).unwrap();
        Self { octets, message }
    }

    pub fn rcode(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    pub fn truncated(&self) -> bool {
        self.message.metadata.truncation
    }

    /// The answer section as sorted texts of type and rdata.
    pub fn answers(&self) -> Vec<String> {
        texts(&self.message.answers)
    }

    /// The additional section likewise, with owners.
    pub fn additionals(&self) -> Vec<String> {
        let mut texts: Vec<String> = self
            .message
            .additionals
            .iter()
            .map(|record| format!("{} {}", record.name, record.data))
            .collect();
        texts.sort();
        texts
    }

    /// The TTL that all answers have.
    pub fn ttl(&self) -> u32 {
        let ttls: Vec<u32> = self.message.answers.iter().map(|r| r.ttl).collect();
        assert!(ttls.windows(2).all(|two| two[0] == two[1]), "{ttls:?}");
        *ttls.first().expect("no answer")
    }

    /// Owner and TTL of the one SOA of a negative answer, and its minimum.
    pub fn negative_soa(&self) -> (String, u32, u32) {
        assert!(self.message.answers.is_empty(), "{self:?}");
        assert!(self.message.metadata.authoritative);
        let [soa] = &self.message.authorities[..] else {
            panic!("not one authority record: {self:?}");
        };
        let RData::SOA(data) = &soa.data else {
            panic!("no SOA: {self:?}");
        };
        (soa.name.to_string(), soa.ttl, data.minimum)
    }

    /// INFO-CODE and EXTRA-TEXT of the extended error.
    pub fn extended_error(&self) -> Option<(u16, String)> {
        let options = self.message.edns.as_ref()?.options().as_ref().to_vec();
        options.into_iter().find_map(|(code, option)| {
            let octets: Vec<u8> = Vec::try_from(&option).unwrap();
            (u16::from(code) == 15).then(|| {
                let code = u16::from_be_bytes([octets[0], octets[1]]);
                (code, String::from_utf8(octets[2..].to_vec()).unwrap())
            })
        })
    }
}

fn texts(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records
        .iter()
        .map(|record| format!("{} {}", record.record_type(), record.data))
        .collect();
    texts.sort();
    texts
}

/// What an HTTP call came to.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl HttpAnswer {
    fn parse(octets: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(octets);
        let (headers, body) = text.split_once("\r\n\r\n")?;
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Self {
            status,
            headers: headers.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Tries `done` again and again until it gives something, at most [`DEADLINE`].
pub fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = std::time::SystemTime::now();
    while start.elapsed().unwrap_or_default() < DEADLINE {
        if let Some(value) = done() {
            return value;
        }
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("not within {DEADLINE:?}: {what}");
}

/// A directory of its own for one test, removed when dropped.
pub struct TempDir(std::path::PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "{name}-{}-{:x}",
            std::process::id(),
            fastrand::u64(..)
        ));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
