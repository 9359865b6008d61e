//! The kinds of checks, and which fields go with each.

use std::fmt::Write as _;
use std::str::FromStr as _;

use hickory_proto::rr::RecordType;

use super::http::HttpCheck;
use crate::api;
use crate::name::DomainName;
use crate::registry::instance::Protocol;
use crate::registry::registration::InvalidField;

/// Most octets of `send` and of `expect`.
const MAX_PAYLOAD_LEN: usize = 1024;
/// Most octets of a gRPC service's name.
const MAX_SERVICE_LEN: usize = 255;
/// What octets that are no text are written after.
const HEX: &str = "hex:";

/// What a probe does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckKind {
    /// A request over HTTP, plain or in TLS.
    Http(HttpCheck),
    /// `grpc.health.v1.Health/Check`; serving passes.
    Grpc {
        /// The service that is asked about; empty is the server as a whole.
        service: Box<str>,
        /// Whether it's over TLS.
        tls: Option<Tls>,
    },
    /// A TCP connection that opens; then what is sent, and what must come back.
    Tcp {
        /// Sent once it's open; nothing when empty.
        send: Box<[u8]>,
        /// Must be in what comes back, if anything must.
        expect: Box<[u8]>,
    },
    /// A datagram, and one that comes back.
    Udp {
        /// The datagram; never empty.
        send: Box<[u8]>,
        /// Must be in the answer; when empty, any answer passes.
        expect: Box<[u8]>,
    },
    /// A DNS query over UDP, over TCP when the answer is truncated.
    Dns {
        /// The name that is asked for.
        name: DomainName,
        /// The type.
        rtype: Box<str>,
        /// Data that a record of the answer must have, as master files write it;
        /// when `None`, any record of the type passes.
        expect: Option<Box<str>>,
    },
}

/// How TLS is done. Without a name, the server is asked for by the instance's host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    /// Whether the certificate must be valid, and for that name.
    pub verify: bool,
    /// Name that is asked for (SNI) and verified.
    pub name: Option<Box<str>>,
}

impl CheckKind {
    /// Its name in JSON and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http(HttpCheck { tls: None, .. }) => "http",
            Self::Http(_) => "https",
            Self::Grpc { .. } => "grpc",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Dns { .. } => "dns",
        }
    }

    /// Takes the kind and its fields; refuses those of other kinds. `None` is no check.
    pub(super) fn from_api(
        from: &mut api::HealthCheck,
        protocol: Protocol,
    ) -> Result<Option<Self>, InvalidField> {
        let name = from.kind.take();
        let name = name.as_deref().unwrap_or(protocol.as_str());
        let kind = match name {
            "http" => Some(Self::Http(HttpCheck::from_api(from, None)?)),
            "https" => {
                let tls = tls(from)?;
                Some(Self::Http(HttpCheck::from_api(from, Some(tls))?))
            }
            "grpc" => Some(Self::grpc(from)?),
            "tcp" => Some(Self::Tcp {
                send: payload("send", from.send.take())?,
                expect: payload("expect", from.expect.take())?,
            }),
            "udp" => Some(Self::udp(from)?),
            "dns" => Some(Self::dns(from)?),
            "none" => None,
            _ => {
                return Err(InvalidField::new(
                    "health_check.kind",
                    format!(
                        "{name:?} is unknown; allowed are \"http\", \"https\", \"grpc\", \
                         \"tcp\", \"udp\", \"dns\" and \"none\""
                    ),
                ));
            }
        };
        match left_over(from) {
            None => Ok(kind),
            Some(field) => {
                let detail =
                    format!("is given, but a check of kind \"{name}\" has none; leave it out");
                Err(InvalidField::new(format!("health_check.{field}"), detail))
            }
        }
    }

    fn grpc(from: &mut api::HealthCheck) -> Result<Self, InvalidField> {
        let service = from.service.take().unwrap_or_default();
        if MAX_SERVICE_LEN < service.len() {
            let len = service.len();
            let detail = format!("has {len} octets; at most {MAX_SERVICE_LEN} are allowed");
            return Err(InvalidField::new("health_check.service", detail));
        }
        let has_tls = from.tls.take().unwrap_or(false);
        Ok(Self::Grpc {
            service: service.into(),
            tls: if has_tls { Some(tls(from)?) } else { None },
        })
    }

    fn udp(from: &mut api::HealthCheck) -> Result<Self, InvalidField> {
        let send = from.send.take();
        if send
            .as_deref()
            .is_none_or(|send| send.is_empty() || send == HEX)
        {
            return Err(InvalidField::new(
                "health_check.send",
                "is missing; a check of kind \"udp\" needs something to send that is answered",
            ));
        }
        Ok(Self::Udp {
            send: payload("send", send)?,
            expect: payload("expect", from.expect.take())?,
        })
    }

    fn dns(from: &mut api::HealthCheck) -> Result<Self, InvalidField> {
        let wrong = |detail: String| InvalidField::new("health_check.query", detail);
        let Some(text) = from.query.take() else {
            return Err(wrong(
                "is missing; a check of kind \"dns\" needs a name and a type, such as \
                 \"health.example. A\""
                    .to_owned(),
            ));
        };
        let mut words = text.split_whitespace();
        let name = words
            .next()
            .and_then(|name| DomainName::parse(name, Some(&DomainName::root())).ok());
        let rtype = words.next().unwrap_or("A").to_ascii_uppercase();
        let rtype_code = RecordType::from_str(&rtype).map(u16::from);
        // What no record of an answer has (RFC 6895 §3.1), and OPT.
        let is_type = rtype_code.is_ok_and(|code| code != 41 && !(128..256).contains(&code));
        let Some(name) = name.filter(|_| is_type && words.next().is_none()) else {
            return Err(wrong(format!(
                "{text:?} is no question; write a name and a type, such as \"health.example. A\""
            )));
        };
        let expect = from.expect.take();
        if expect
            .as_ref()
            .is_some_and(|text| text.is_empty() || MAX_PAYLOAD_LEN < text.len())
        {
            let detail = format!("is empty or too long; allowed are 1 to {MAX_PAYLOAD_LEN} octets");
            return Err(InvalidField::new("health_check.expect", detail));
        }
        Ok(Self::Dns {
            name: name.folded(),
            rtype: rtype.into(),
            expect: expect.map(Into::into),
        })
    }

    /// Gives back the fields that it took.
    pub(super) fn to_api(&self) -> api::HealthCheck {
        let mut to = match self {
            Self::Http(http) => http.to_api(),
            _ => api::HealthCheck::default(),
        };
        to.kind = Some(self.as_str().to_owned());
        match self {
            Self::Http(HttpCheck { tls, .. }) => tls_to_api(tls.as_ref(), &mut to),
            Self::Grpc { service, tls } => {
                to.service = Some(service.to_string());
                to.tls = Some(tls.is_some());
                tls_to_api(tls.as_ref(), &mut to);
            }
            Self::Tcp { send, expect } | Self::Udp { send, expect } => {
                to.send = written(send);
                to.expect = written(expect);
            }
            Self::Dns {
                name,
                rtype,
                expect,
            } => {
                to.query = Some(format!("{name} {rtype}"));
                to.expect = expect.as_deref().map(str::to_owned);
            }
        }
        to
    }
}

/// The first field that belongs to a kind and wasn't taken.
fn left_over(from: &api::HealthCheck) -> Option<&'static str> {
    let fields = [
        ("endpoint", from.endpoint.is_some()),
        ("method", from.method.is_some()),
        ("headers", from.headers.is_some()),
        ("expected_status", from.expected_status.is_some()),
        ("warning_status", from.warning_status.is_some()),
        ("expected_body", from.expected_body.is_some()),
        ("service", from.service.is_some()),
        ("tls", from.tls.is_some()),
        ("tls_verify", from.tls_verify.is_some()),
        ("tls_server_name", from.tls_server_name.is_some()),
        ("send", from.send.is_some()),
        ("expect", from.expect.is_some()),
        ("query", from.query.is_some()),
    ];
    fields
        .into_iter()
        .find_map(|(field, given)| given.then_some(field))
}

fn tls(from: &mut api::HealthCheck) -> Result<Tls, InvalidField> {
    let name = from.tls_server_name.take().map(|text| {
        let is_name = DomainName::parse(&text, Some(&DomainName::root()))
            .is_ok_and(|name| name.labels().next().is_some());
        let is_host = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        match is_name && is_host {
            true => Ok(text.trim_end_matches('.').to_ascii_lowercase().into()),
            false => Err(InvalidField::new(
                "health_check.tls_server_name",
                format!("{text:?} is no host name; write one such as \"web.example\""),
            )),
        }
    });
    Ok(Tls {
        verify: from.tls_verify.take().unwrap_or(false),
        name: name.transpose()?,
    })
}

fn tls_to_api(tls: Option<&Tls>, to: &mut api::HealthCheck) {
    if let Some(tls) = tls {
        to.tls_verify = Some(tls.verify);
        to.tls_server_name = tls.name.as_deref().map(str::to_owned);
    }
}

/// Reads octets that are written as text, or after `hex:` in digits.
fn payload(field: &str, text: Option<String>) -> Result<Box<[u8]>, InvalidField> {
    let wrong =
        |detail: &str| InvalidField::new(format!("health_check.{field}"), detail.to_owned());
    let text = text.unwrap_or_default();
    let octets = match text.strip_prefix(HEX) {
        None => text.into_bytes(),
        Some(digits) => {
            let digits: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
            let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
            let digits = digits
                .ok_or_else(|| wrong("is no hexadecimal number; write two digits an octet"))?;
            let octet = |pair: &[u32]| (pair[0] << 4 | pair[1]) as u8;
            digits.chunks_exact(2).map(octet).collect()
        }
    };
    match octets.len() {
        0..=MAX_PAYLOAD_LEN => Ok(octets.into()),
        _ => Err(wrong("is too long; at most 1024 octets are allowed")),
    }
}

/// Writes octets the way [`payload`] reads them; none when there are none.
fn written(octets: &[u8]) -> Option<String> {
    if octets.is_empty() {
        return None;
    }
    match std::str::from_utf8(octets) {
        Ok(text) if !text.starts_with(HEX) => Some(text.to_owned()),
        _ => Some(octets.iter().fold(HEX.to_owned(), |mut text, octet| {
            // A string takes everything.
            let _ = write!(text, "{octet:02x}");
            text
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_written_as_they_are_read() {
        for (text, octets) in [
            ("PING\r\n", &b"PING\r\n"[..]),
            ("hex:00ff", &[0, 255]),
            ("hex:6865783a", b"hex:"),
            ("", b""),
        ] {
            let read = payload("send", Some(text.to_owned())).unwrap();
            assert_eq!(&*read, octets);
            assert_eq!(written(&read).unwrap_or_default(), text);
        }
        for text in ["hex:0", "hex:0g", &"x".repeat(1025)] {
            assert!(payload("send", Some(text.to_owned())).is_err(), "{text}");
        }
    }
}
