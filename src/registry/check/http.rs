//! What a probe over HTTP asks for, and what passes.
//!
//! A registration can have the server send requests, so these are kept to what asking
//! after health needs: no credentials, and nothing that changes where a request goes
//! or how long it is.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use hyper::http::uri::PathAndQuery;

use super::{StatusRanges, Tls};
use crate::api;
use crate::registry::registration::InvalidField;

/// Path unless given.
const DEFAULT_ENDPOINT: &str = "/health";
/// Most octets of `endpoint`.
const MAX_ENDPOINT_LEN: usize = 1024;
/// Most octets of `expected_body`.
const MAX_BODY_LEN: usize = 1024;
/// Most headers.
const MAX_HEADERS: usize = 16;
/// Most octets of all headers' names and values together.
const MAX_HEADERS_LEN: usize = 2048;
/// Methods that ask and don't change.
const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Headers that would hand over credentials.
const CREDENTIALS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
];
/// Headers that the request's own framing has ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)).
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header's name and value.
type Header = (Box<str>, Box<str>);

/// Several of them.
pub type Headers = Box<[Header]>;

/// A request over HTTP, and the responses that pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpCheck {
    /// Whether it's over TLS, and how that's verified.
    pub tls: Option<Tls>,
    /// Path and query.
    pub path: Box<str>,
    /// `GET`, `HEAD` or `OPTIONS`.
    pub method: Box<str>,
    /// Names, lower case and each once, and values.
    pub headers: Headers,
    /// Status codes that pass.
    pub expected: StatusRanges,
    /// Status codes that pass with a warning.
    pub warning: StatusRanges,
    /// What the body must hold.
    pub body: Option<Box<str>>,
}

impl HttpCheck {
    /// `GET` of a path, as a check has it that says no more.
    pub(in crate::registry) fn plain(path: &str, tls: Option<Tls>) -> Self {
        Self {
            tls,
            path: path.into(),
            method: METHODS[0].into(),
            headers: Box::default(),
            expected: StatusRanges::one(200, 299),
            warning: StatusRanges::one(429, 429),
            body: None,
        }
    }

    /// Takes the fields of a request over HTTP.
    pub(super) fn from_api(
        from: &mut api::HealthCheck,
        tls: Option<Tls>,
    ) -> Result<Self, InvalidField> {
        let plain = Self::plain(DEFAULT_ENDPOINT, tls);
        let http = Self {
            path: from.endpoint.take().map_or(Ok(plain.path), endpoint)?,
            method: from.method.take().map_or(Ok(plain.method), method)?,
            headers: headers(from.headers.take().unwrap_or_default())?,
            expected: statuses("expected_status", &mut from.expected_status, plain.expected)?,
            warning: statuses("warning_status", &mut from.warning_status, plain.warning)?,
            body: from.expected_body.take().map(body).transpose()?,
            tls: plain.tls,
        };
        if http.body.is_some() && *http.method == *"HEAD" {
            return Err(InvalidField::new(
                "health_check.expected_body",
                "is given, but a response to HEAD has no body; ask with GET",
            ));
        }
        Ok(http)
    }

    /// Gives back the fields that it took.
    pub(super) fn to_api(&self) -> api::HealthCheck {
        let pair = |(name, value): &Header| (name.to_string(), value.to_string());
        let headers: BTreeMap<String, String> = self.headers.iter().map(pair).collect();
        api::HealthCheck {
            endpoint: Some(self.path.to_string()),
            method: Some(self.method.to_string()),
            headers: (!headers.is_empty()).then_some(headers),
            expected_status: Some(self.expected.to_string()),
            warning_status: Some(self.warning.to_string()),
            expected_body: self.body.as_deref().map(str::to_owned),
            ..api::HealthCheck::default()
        }
    }
}

fn endpoint(text: String) -> Result<Box<str>, InvalidField> {
    // What would end the request line or leave the path can't be in it.
    let clean =
        PathAndQuery::from_str(&text).is_ok_and(|path| path.as_str() == text) && text.is_ascii();
    if !text.starts_with('/') || text.starts_with("//") || !clean || text.len() > MAX_ENDPOINT_LEN {
        return Err(InvalidField::new(
            "health_check.endpoint",
            format!(
                "{text:?} is no path; write one that begins with a single \"/\", in the ASCII that \
                 a URL may have, without \"#\", of at most {MAX_ENDPOINT_LEN} octets"
            ),
        ));
    }
    Ok(text.into())
}

fn method(text: String) -> Result<Box<str>, InvalidField> {
    let known = METHODS.into_iter().find(|known| *known == text);
    known.map(Into::into).ok_or_else(|| {
        let detail = format!(
            "{text:?} can't be asked with; allowed are {}",
            METHODS.join(", ")
        );
        InvalidField::new("health_check.method", detail)
    })
}

fn headers(map: BTreeMap<String, String>) -> Result<Headers, InvalidField> {
    let field = "health_check.headers";
    let len: usize = map
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if MAX_HEADERS < map.len() || MAX_HEADERS_LEN < len {
        let detail = format!(
            "has {} entries of {len} octets in all; allowed are {MAX_HEADERS} of \
             {MAX_HEADERS_LEN} octets",
            map.len()
        );
        return Err(InvalidField::new(field, detail));
    }
    let mut headers: Vec<Header> = Vec::with_capacity(map.len());
    for (name, value) in map {
        let refused = |why: &str| Err(InvalidField::new(format!("{field}.{name}"), why));
        let folded = name.to_ascii_lowercase();
        // RFC 9110 §5.6.2 and §5.5.
        let is_token = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_token {
            return refused("is no name of a header; write letters, digits and hyphens");
        }
        if CREDENTIALS.contains(&&*folded) {
            return refused(
                "would hand over credentials, which probes don't: everybody who may read \
                 instances would see them; leave it out, and let the health check answer without",
            );
        }
        if FRAMING.contains(&&*folded) {
            return refused("is made by the probe itself; leave it out");
        }
        let is_text = value.bytes().all(|b| (0x20..=0x7e).contains(&b));
        if !is_text || value.trim() != value {
            return refused(
                "has a value with other than printable ASCII, or with blanks around it",
            );
        }
        if headers.iter().any(|(known, _)| **known == *folded) {
            return refused("is given twice; header names don't differ by letter case");
        }
        headers.push((folded.into(), value.into()));
    }
    Ok(headers.into())
}

fn statuses(
    field: &str,
    text: &mut Option<String>,
    default: StatusRanges,
) -> Result<StatusRanges, InvalidField> {
    let Some(text) = text.take() else {
        return Ok(default);
    };
    text.parse().map_err(|error| {
        InvalidField::new(format!("health_check.{field}"), format!("{text:?} {error}"))
    })
}

fn body(text: String) -> Result<Box<str>, InvalidField> {
    match text.len() {
        1..=MAX_BODY_LEN => Ok(text.into()),
        len => {
            let detail = format!("has {len} octets; allowed are 1 to {MAX_BODY_LEN}");
            Err(InvalidField::new("health_check.expected_body", detail))
        }
    }
}
