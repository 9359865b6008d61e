//! Questions and answers as octets. Pure.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// Octets of UDP that we take: what fits a path whose MTU is 1280.
pub(super) const PAYLOAD: u16 = 1232;

/// Most CNAMEs that are followed in one answer.
const MAX_ALIASES: usize = 8;

/// Code of an extended error ([RFC 8914](https://www.rfc-editor.org/rfc/rfc8914) §5).
const EXTENDED_ERROR: u16 = 15;

/// A question that was sent.
#[derive(Debug)]
pub(super) struct Asked {
    id: u16,
    query: Query,
    /// The whole message.
    pub(super) octets: Vec<u8>,
}

impl Asked {
    /// A question with an id that can't be guessed.
    pub(super) fn new(name: &str, rtype: RecordType, recursion: bool) -> Result<Self, String> {
        let owner = Name::from_ascii(name)
            .map_err(|error| format!("can't be asked for {name}: {error}"))?;
        // SipHash with keys of the system's random source.
        let id = RandomState::new().hash_one(0_u8).to_le_bytes();
        let id = u16::from_le_bytes([id[0], id[1]]);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = recursion;
        let query = Query::query(owner, rtype);
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        message.set_edns(edns);
        let octets = message
            .to_vec()
            .map_err(|error| format!("can't be asked for {name}: {error}"))?;
        Ok(Self { id, query, octets })
    }

    /// The response in `octets`, if it is one to this question.
    pub(super) fn accept(&self, octets: &[u8]) -> Option<Message> {
        let message = Message::from_vec(octets).ok()?;
        let metadata = &message.metadata;
        let is_ours = metadata.id == self.id
            && metadata.message_type == MessageType::Response
            && metadata.op_code == OpCode::Query
            && message.queries.len() == 1
            && message.queries[0] == self.query;
        is_ours.then_some(message)
    }

    /// What a response says; an error if it says nothing that can be used.
    pub(super) fn read(&self, response: &Message) -> Result<Answer, String> {
        let exists = match response.metadata.response_code {
            ResponseCode::NoError => true,
            ResponseCode::NXDomain => false,
            code => return Err(format!("answered {code}{}", why(response))),
        };
        let (owner, mut ttl) = self.follow(response);
        let mut found = Found::default();
        for record in of(&response.answers, &owner, self.query.query_type) {
            ttl = ttl.min(record.ttl);
            found.take(&record.data);
        }
        if found.is_empty() {
            return Ok(Answer {
                ttl: negative_ttl(response).unwrap_or(0),
                outcome: Outcome::Negative(Negative {
                    exists,
                    why: extended_error(response),
                }),
            });
        }
        for record in &response.additionals {
            if let RData::A(_) | RData::AAAA(_) = record.data {
                found.take_additional(record);
            }
        }
        Ok(Answer {
            ttl,
            outcome: Outcome::Found(found),
        })
    }

    /// The name that the aliases in an answer lead to, and the lowest TTL on the way.
    fn follow(&self, response: &Message) -> (Name, u32) {
        let (mut owner, mut ttl) = (self.query.name.clone(), u32::MAX);
        for _ in 0..MAX_ALIASES {
            let alias = of(&response.answers, &owner, RecordType::CNAME).next();
            let Some((record, RData::CNAME(target))) = alias.map(|it| (it, &it.data)) else {
                break;
            };
            ttl = ttl.min(record.ttl);
            owner = target.0.clone();
        }
        (owner, ttl)
    }
}

/// Records of an owner and a type.
fn of<'a>(
    records: &'a [Record],
    owner: &'a Name,
    rtype: RecordType,
) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| {
        record.dns_class == DNSClass::IN && record.record_type() == rtype && record.name == *owner
    })
}

/// What a server said.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) struct Answer {
    /// Seconds for which it may be cached; of a negative answer without SOA 0.
    pub(in crate::client) ttl: u32,
    /// The records, or that there are none.
    pub(in crate::client) outcome: Outcome,
}

/// Whether there are records.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) enum Outcome {
    /// There are.
    Found(Found),
    /// There are none.
    Negative(Negative),
}

/// NODATA or NXDOMAIN.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::client) struct Negative {
    /// Whether the name exists: NODATA.
    pub(in crate::client) exists: bool,
    /// The text of an extended error, in which namebeat says why nobody is listed.
    pub(in crate::client) why: Option<String>,
}

/// Records that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::client) struct Found {
    pub(in crate::client) srv: Vec<Srv>,
    /// In the order of A and AAAA records.
    pub(in crate::client) addresses: Vec<IpAddr>,
    /// The strings of each TXT record.
    pub(in crate::client) txt: Vec<Vec<String>>,
    /// Addresses of targets that came along, with their TTL, by lower-case name.
    pub(in crate::client) additional: BTreeMap<String, (Vec<IpAddr>, u32)>,
}

/// An SRV record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::client) struct Srv {
    pub(in crate::client) priority: u16,
    pub(in crate::client) weight: u16,
    pub(in crate::client) port: u16,
    /// Absolute, in lower case.
    pub(in crate::client) target: String,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.srv.is_empty() && self.addresses.is_empty() && self.txt.is_empty()
    }

    fn take(&mut self, data: &RData) {
        match data {
            // The root as a target says that there's no service (RFC 2782).
            RData::SRV(srv) if !srv.target.is_root() => self.srv.push(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: text(&srv.target),
            }),
            RData::A(address) => self.addresses.push(address.0.into()),
            RData::AAAA(address) => self.addresses.push(address.0.into()),
            RData::TXT(txt) => {
                let strings = txt.txt_data.iter();
                let strings = strings.map(|octets| String::from_utf8_lossy(octets).into_owned());
                self.txt.push(strings.collect());
            }
            _ => {}
        }
    }

    fn take_additional(&mut self, record: &Record) {
        let ip = match &record.data {
            RData::A(address) => IpAddr::from(address.0),
            RData::AAAA(address) => IpAddr::from(address.0),
            _ => return,
        };
        // Only of those that were asked about, so that no others can be slipped in.
        let owner = text(&record.name);
        if self.srv.iter().any(|srv| srv.target == owner) {
            let known = self.additional.entry(owner);
            let (addresses, ttl) = known.or_insert((Vec::new(), u32::MAX));
            addresses.push(ip);
            *ttl = record.ttl.min(*ttl);
        }
    }
}

/// A name as text, in lower case.
fn text(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// How long a negative answer may be cached (RFC 2308 §5); not at all without SOA.
fn negative_ttl(response: &Message) -> Option<u32> {
    response
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
}

/// The text of an extended error.
fn extended_error(response: &Message) -> Option<String> {
    let edns = response.edns.as_ref()?;
    let option = edns.option(EdnsCode::Unknown(EXTENDED_ERROR))?;
    let octets: Vec<u8> = option.try_into().ok()?;
    // Two octets of a code come first.
    let text = String::from_utf8_lossy(octets.get(2..)?).into_owned();
    Some(text).filter(|text| !text.is_empty())
}

fn why(response: &Message) -> String {
    extended_error(response).map_or(String::new(), |text| format!(" ({text})"))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
