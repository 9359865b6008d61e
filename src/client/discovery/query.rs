//! What is looked for: a service and filters, as names that DNS is asked for.

use std::collections::BTreeSet;

use crate::name::{DomainName, Label, LabelError, NameError};

/// Most owner names that one query comes to: tags, version, locality and port.
pub(super) const MAX_NAMES: usize = 4;

/// A service, and which of its instances are looked for.
///
/// Text is a query, too: a service such as `web`, or, with a dot in it, a whole name
/// such as `_http._tcp.web.svc.internal` that is asked for as it is.
///
/// ```
/// use namebeat::client::Query;
///
/// let query = Query::service("web").tag("env", "prod").version("1.4");
/// assert_eq!(query.to_string(), "web env=prod version=1.4");
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Query {
    /// A service, or a whole name.
    pub(super) name: String,
    pub(super) tags: BTreeSet<(String, String)>,
    pub(super) version: Option<String>,
    pub(super) locality: Option<String>,
    /// Transport and name of a protocol or port.
    pub(super) port: Option<(&'static str, String)>,
    pub(super) txt: bool,
}

/// A query that can't be asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidQuery {
    /// A part of it is no label.
    #[error("{0} {1:?} {2}")]
    Label(&'static str, String, LabelError),
    /// It is no domain name.
    #[error("{0:?} can't be looked for: {1}")]
    Name(String, NameError),
    /// A whole name says all that there is to say.
    #[error("{0:?} is a whole name, which takes no filters; look for the service, such as \"web\"")]
    Filters(String),
}

impl From<&str> for Query {
    fn from(name: &str) -> Self {
        Self::service(name)
    }
}

impl From<String> for Query {
    fn from(name: String) -> Self {
        Self::service(name)
    }
}

impl Query {
    /// All instances of a service.
    pub fn service(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tags: BTreeSet::new(),
            version: None,
            locality: None,
            port: None,
            txt: false,
        }
    }

    /// Only those with this tag, and with those given before.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert((key.into(), value.into()));
        self
    }

    /// Only those of this version, or of one that begins with it: `1.4` is 1.4.2, too.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Only those in this locality.
    #[must_use]
    pub fn locality(mut self, locality: impl Into<String>) -> Self {
        self.locality = Some(locality.into());
        self
    }

    /// Only those with this protocol, or with a port of this name, which is then the one
    /// that is found. `udp` is over UDP, all others over TCP.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        let protocol: String = protocol.into();
        let transport = match protocol.eq_ignore_ascii_case("udp") {
            true => "_udp",
            false => "_tcp",
        };
        self.port = Some((transport, protocol));
        self
    }

    /// With what TXT says of each instance.
    #[must_use]
    pub fn with_txt(mut self) -> Self {
        self.txt = true;
        self
    }

    /// Whether it's a whole name.
    pub(super) fn is_whole(&self) -> bool {
        self.name.contains('.')
    }

    /// The names to ask for SRV: what all of them have is what is looked for. `zone` is
    /// absolute.
    pub(super) fn names(&self, zone: &str) -> Result<Vec<String>, InvalidQuery> {
        if self.is_whole() {
            if *self
                != (Self {
                    txt: self.txt,
                    ..Self::service(&*self.name)
                })
            {
                return Err(InvalidQuery::Filters(self.name.clone()));
            }
            return Ok(vec![absolute(&self.name)?]);
        }
        let service = label("service", &self.name)?;
        let base = format!("{service}.{zone}");
        let mut names = Vec::with_capacity(MAX_NAMES);
        if !self.tags.is_empty() {
            let mut name = String::new();
            for (key, value) in &self.tags {
                name += &format!("{}.{}.", label("tag", value)?, label("tag", key)?);
            }
            names.push(absolute(&format!("{name}tag.{base}"))?);
        }
        if let Some(version) = &self.version {
            for part in version.split('.') {
                label("version", part)?;
            }
            names.push(absolute(&format!("{version}.version.{base}"))?);
        }
        if let Some(locality) = &self.locality {
            let locality = label("locality", locality)?;
            names.push(absolute(&format!("{locality}.locality.{base}"))?);
        }
        if let Some((transport, port)) = &self.port {
            let port = label("protocol", port)?;
            names.push(absolute(&format!("_{port}.{transport}.{base}"))?);
        }
        if names.is_empty() {
            names.push(absolute(&base)?);
        }
        Ok(names)
    }

    /// The name at which each instance has TXT.
    pub(super) fn txt_name(&self, zone: &str) -> Result<String, InvalidQuery> {
        match self.is_whole() {
            true => absolute(&self.name),
            false => absolute(&format!("{}.{zone}", self.name)),
        }
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (key, value) in &self.tags {
            write!(f, " {key}={value}")?;
        }
        for (word, value) in [("version", &self.version), ("locality", &self.locality)] {
            if let Some(value) = value {
                write!(f, " {word}={value}")?;
            }
        }
        if let Some((_, port)) = &self.port {
            write!(f, " protocol={port}")?;
        }
        Ok(())
    }
}

fn label(what: &'static str, text: &str) -> Result<Label, InvalidQuery> {
    text.parse()
        .map_err(|error| InvalidQuery::Label(what, text.to_owned(), error))
}

/// A name with its final dot, in lower case.
pub(super) fn absolute(text: &str) -> Result<String, InvalidQuery> {
    let name = format!("{}.", text.strip_suffix('.').unwrap_or(text));
    match DomainName::parse(&name, None) {
        Ok(_) => Ok(name.to_ascii_lowercase()),
        Err(error) => Err(InvalidQuery::Name(text.to_owned(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_names() {
        let web = || Query::service("Web");
        for (query, expected) in [
            (web(), vec!["web.svc.internal."]),
            (
                "_http._TCP.web.example".into(),
                vec!["_http._tcp.web.example."],
            ),
            (
                web().tag("color", "Blue").tag("env", "prod"),
                vec!["blue.color.prod.env.tag.web.svc.internal."],
            ),
            (
                web()
                    .version("1.4")
                    .locality("eu-1")
                    .protocol("grpc")
                    .tag("a", "b"),
                vec![
                    "b.a.tag.web.svc.internal.",
                    "1.4.version.web.svc.internal.",
                    "eu-1.locality.web.svc.internal.",
                    "_grpc._tcp.web.svc.internal.",
                ],
            ),
            (web().protocol("udp"), vec!["_udp._udp.web.svc.internal."]),
        ] {
            assert_eq!(query.names("svc.internal.").unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        for (query, said) in [
            (Query::service("we_b"), "service \"we_b\" holds '_'"),
            (Query::service(""), "service \"\" is empty"),
            (Query::service("web").tag("env", ""), "tag \"\" is empty"),
            (
                Query::service("web").version("1..2"),
                "version \"\" is empty",
            ),
            (
                Query::service("web").locality("a b"),
                "locality \"a b\" holds ' '",
            ),
            (Query::service("a.b").version("1"), "whole name"),
            (Query::service("a..b"), "\"a..b\" can't be looked for"),
        ] {
            let error = query.names("svc.internal.").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
