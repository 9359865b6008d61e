//! The peers: how each is set up, started, asked and stopped.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use namebeat::name::DomainName;

use super::generate::{Case, Population};
use crate::harness::{DEADLINE, TempDir, query, receive_framed, send_framed};

/// Questions that are under way at once.
const WINDOW: usize = 32;

/// How long a datagram may take before it's sent again.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it's sent.
const TRIES: usize = 20;

/// Another authoritative server, from Debian's package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PeerKind {
    Nsd,
    Knot,
    Bind,
}

impl PeerKind {
    pub(super) const ALL: [Self; 3] = [Self::Nsd, Self::Knot, Self::Bind];

    /// Its program, and the package that has it.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nsd => ("nsd", "nsd"),
            Self::Knot => ("knotd", "knot"),
            Self::Bind => ("named", "bind9"),
        }
    }

    /// Where Debian has it, or else whatever the search path finds.
    fn path(self) -> PathBuf {
        let (program, _) = self.program();
        let usual = Path::new("/usr/sbin").join(program);
        if usual.exists() {
            usual
        } else {
            program.into()
        }
    }

    fn command(self, home: &Path, port: u16, population: &Population, zones: &Path) -> Command {
        let (home_text, zones) = (home.display(), zones.display());
        let each = |line: &dyn Fn(&str, &str) -> String| -> String {
            let origins = population.zones.iter().map(|zone| &*zone.origin);
            origins
                .map(|origin| {
                    line(
                        origin,
                        &format!("{zones}/{}.zone", origin.trim_end_matches('.')),
                    )
                })
                .collect()
        };
        let mut command = Command::new(self.path());
        let (name, text) = match self {
            Self::Nsd => {
                let zones =
                    each(&|origin, file| format!("zone:\n  name: {origin}\n  zonefile: {file}\n"));
                command.args(["-d", "-c", "peer.conf"]);
                (
                    "peer.conf",
                    format!(
                        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  \
                     chroot: \"\"\n  zonesdir: \"{home_text}\"\n  database: \"\"\n  pidfile: \"{home_text}/pid\"\n  \
                     zonelistfile: \"{home_text}/zone.list\"\n  xfrdfile: \"{home_text}/xfrd\"\n  \
                     rrl-ratelimit: 0\n  minimal-responses: yes\nremote-control:\n  control-enable: no\n{zones}"
                    ),
                )
            }
            Self::Knot => {
                let zones = each(&|origin, file| {
                    format!(
                        "  - domain: {origin}\n    file: {file}\n    zonefile-sync: -1\n    journal-content: none\n"
                    )
                });
                command.args(["-c", "peer.conf"]);
                (
                    "peer.conf",
                    format!(
                        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {home_text}\n  udp-workers: 1\n  \
                     tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: warning\n\
                     database:\n  storage: {home_text}\nzone:\n{zones}"
                    ),
                )
            }
            Self::Bind => {
                let zones = each(&|origin, file| {
                    format!("zone \"{origin}\" {{ type primary; file \"{file}\"; }};\n")
                });
                command.args(["-g", "-n", "1", "-c", "peer.conf"]);
                (
                    "peer.conf",
                    format!(
                        "options {{ directory \"{home_text}\"; listen-on port {port} {{ 127.0.0.1; }}; \
                     listen-on-v6 {{ none; }}; recursion no; minimal-responses no-auth; pid-file \"{home_text}/pid\"; \
                     session-keyfile \"{home_text}/key\"; check-names primary ignore; check-integrity no; \
                     check-mx ignore; check-mx-cname ignore; check-srv-cname ignore; check-sibling no; \
                     check-wildcard no; check-dup-records ignore; notify no; dnssec-validation no; \
                     empty-zones-enable no; zero-no-soa-ttl no; }};\ncontrols {{ }};\n{zones}"
                    ),
                )
            }
        };
        std::fs::write(home.join(name), text).unwrap();
        command.current_dir(home);
        command
    }
}

/// A peer that runs until it's dropped.
pub(super) struct Peer {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Peer {
    /// Starts it with these zones, and waits until it answers for all of them.
    pub(super) fn start(kind: PeerKind, population: &Population, zones: &Path) -> Self {
        let home = TempDir::new(kind.program().0);
        let log = home.path().join("log");
        // The port is free now; should it be taken meanwhile, another one is.
        for _ in 0..10 {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let output = std::fs::File::create(&log).unwrap();
            let spawned = kind
                .command(home.path(), address.port(), population, zones)
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn();
            let child = spawned.unwrap_or_else(|error| {
                let (program, package) = kind.program();
                panic!("{program} can't be started ({error}): apt-get install {package}")
            });
            let mut peer = Self {
                child,
                address,
                _home: TempDir::new("unused"),
            };
            if peer.answers_for_all(population, &log) {
                peer._home = home;
                return peer;
            }
        }
        panic!(
            "{kind:?} doesn't start: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until each zone has its SOA here; false when it has ended.
    fn answers_for_all(&mut self, population: &Population, log: &Path) -> bool {
        let mut missing: BTreeSet<&str> =
            population.zones.iter().map(|zone| &*zone.origin).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        socket.connect(self.address).unwrap();
        let until = Instant::now() + DEADLINE;
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            missing.retain(|origin| {
                let mut octets = [0; 1500];
                let sent = socket.send(&query(origin, RecordType::SOA, None));
                let got = sent.and_then(|_| socket.recv(&mut octets));
                // An authoritative answer with a record.
                !matches!(got, Ok(len) if len > 12 && octets[3] & 15 == 0 && octets[7] == 1)
            });
            if missing.is_empty() {
                return true;
            }
            assert!(
                Instant::now() < until,
                "{missing:?} aren't served: {}",
                std::fs::read_to_string(log).unwrap()
            );
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer in a form that can be compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) rcode: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) answer: BTreeSet<String>,
    pub(super) authority: BTreeSet<String>,
    pub(super) additional: BTreeSet<String>,
    /// What no server may set: RA, AD, CD, Z.
    pub(super) odd_flags: u8,
    /// Whether a section has the same record twice.
    pub(super) repeats: bool,
    /// Whether the question came back octet by octet.
    pub(super) echoes: bool,
    /// Whether OPT came back, as it was sent.
    pub(super) edns: bool,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} AA={}", self.rcode, self.authoritative)?;
        let sections = [
            ("an", &self.answer),
            ("au", &self.authority),
            ("ad", &self.additional),
        ];
        for (name, records) in sections {
            for record in records {
                write!(f, "\n    {name} {record}")?;
            }
        }
        Ok(())
    }
}

impl Asked {
    fn of(question: &[u8], response: &[u8]) -> Self {
        let message = Message::from_vec(response).unwrap_or_else(|error| {
            panic!("{error}: {}", response.escape_ascii());
        });
        let set = |records: &[Record]| records.iter().map(text).collect();
        let repeats = |records: &Vec<Record>| {
            let texts: BTreeSet<String> = records.iter().map(ToString::to_string).collect();
            texts.len() < records.len()
        };
        let sections = [&message.answers, &message.authorities, &message.additionals];
        let question_len = question[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
        let echoed = response.get(12..12 + question_len) == question.get(12..12 + question_len);
        Self {
            rcode: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            answer: set(&message.answers),
            authority: set(&message.authorities),
            additional: set(&message.additionals),
            repeats: sections.into_iter().any(repeats),
            odd_flags: response[3] & 0xf0,
            echoes: echoed,
            edns: message.edns.is_some(),
        }
    }
}

/// A record as text, names in lower case.
fn text(record: &Record) -> String {
    if let RData::Unknown { code, rdata } = &record.data
        && *code == RecordType::from(39)
    {
        let target = DomainName::from_wire(&rdata.anything).unwrap();
        let (owner, ttl) = (&record.name, record.ttl);
        return format!("{owner} {ttl} in dname {target}").to_ascii_lowercase();
    }
    record.to_string().to_ascii_lowercase()
}

/// Asks all, over UDP, over TCP where a response was cut.
pub(super) fn ask_all(server: SocketAddr, cases: &[Case]) -> Vec<Asked> {
    let messages: Vec<Vec<u8>> = cases.iter().map(Case::message).collect();
    let mut responses: Vec<Option<Vec<u8>>> = vec![None; cases.len()];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    let mut octets = vec![0; 65_535];
    for start in (0..cases.len()).step_by(WINDOW) {
        let window = start..(start + WINDOW).min(cases.len());
        for _ in 0..TRIES {
            let missing: Vec<usize> = window
                .clone()
                .filter(|at| responses[*at].is_none())
                .collect();
            if missing.is_empty() {
                break;
            }
            for at in &missing {
                let mut message = messages[*at].clone();
                message[..2].copy_from_slice(&((at - start) as u16).to_be_bytes());
                socket.send(&message).unwrap();
            }
            for _ in &missing {
                let Ok(len) = socket.recv(&mut octets) else {
                    break;
                };
                let at = start + usize::from(u16::from_be_bytes([octets[0], octets[1]]));
                let same = |known: &Vec<u8>| known[12..].starts_with(&octets[12..16]);
                if window.contains(&at) && len > 12 && messages.get(at).is_some_and(same) {
                    responses[at] = Some(octets[..len].to_vec());
                }
            }
        }
    }
    let finish = |(response, message): (Option<Vec<u8>>, &Vec<u8>)| {
        let mut response = response.expect("every question has a response");
        if response[2] & 2 != 0 {
            let mut stream = TcpStream::connect(server).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            send_framed(&mut stream, message);
            response = receive_framed(&mut stream);
        }
        Asked::of(message, &response)
    };
    responses.into_iter().zip(&messages).map(finish).collect()
}
