//! Queries octet by octet, for what no text case says.

use hickory_proto::rr::RecordType;

use crate::harness::{Answer, Client, TestServer, query};

/// The service that [`web`] has.
pub const WEB: &str = "web.svc.internal.";

/// A server with one instance, at 10.0.0.1.
pub fn web() -> TestServer {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    server
}

/// A client's OPT record.
pub struct Opt<'a> {
    pub payload: u16,
    pub version: u8,
    pub flags: u16,
    /// Code and data of each.
    pub options: &'a [(u16, &'a [u8])],
}

impl Default for Opt<'_> {
    fn default() -> Self {
        Self {
            payload: 1232,
            version: 0,
            flags: 0,
            options: &[],
        }
    }
}

impl Opt<'_> {
    /// The whole record.
    pub fn octets(&self) -> Vec<u8> {
        let mut rdata = Vec::new();
        for (code, data) in self.options {
            rdata.extend_from_slice(&code.to_be_bytes());
            rdata.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            rdata.extend_from_slice(data);
        }
        let mut octets = vec![0, 0, 41];
        let [flags_0, flags_1] = self.flags.to_be_bytes();
        octets.extend_from_slice(&self.payload.to_be_bytes());
        octets.extend_from_slice(&[0, self.version, flags_0, flags_1]);
        octets.extend_from_slice(&u16::try_from(rdata.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(&rdata);
        octets
    }
}

/// A message with this record behind it, in the additional section.
pub fn with_record(mut message: Vec<u8>, record: &[u8]) -> Vec<u8> {
    message[11] += 1;
    message.extend_from_slice(record);
    message
}

/// The question for A of [`WEB`] with this OPT.
pub fn web_with(opt: &Opt<'_>) -> Vec<u8> {
    with_record(query(WEB, RecordType::A, None), &opt.octets())
}

/// The question for A of [`WEB`] with these options.
pub fn web_with_options(options: &[(u16, &[u8])]) -> Vec<u8> {
    web_with(&Opt {
        options,
        ..Opt::default()
    })
}

/// The responses over UDP and over TCP.
pub fn both(client: &Client, message: &[u8]) -> [Answer; 2] {
    let udp = client.exchange(message);
    [udp, Answer::new(client.exchange_tcp(message))]
}
