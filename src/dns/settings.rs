//! What operators set of a service, as DNS tells it.
//!
//! ```text
//! S.Z               TXT  the policy's fixed strings, whoever is listed
//! _config.S.Z       TXT  one record for each configuration value: key=value
//! _grpc_config.S.Z  TXT  grpc_config=[...], as gRPC's resolver wants it (gRFC A2)
//! ```
//!
//! What is longer than a character-string goes on in the next one of its record
//! ([RFC 1035] §3.3.14), and is put together again by those who read it.
//!
//! While nobody of a service is listed, its policy decides (`when_none_healthy`).
//! With `all` it's answered as if those that fail or are starting were listed. With
//! `nxdomain` it's answered as if it weren't there, below its name as at it, since
//! resolvers take NXDOMAIN to hold for all that is below ([RFC 8020]): so only when
//! nothing below has a record, neither an instance that leaves and still has its own
//! name, nor a configuration value.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 8020]: https://www.rfc-editor.org/rfc/rfc8020

use super::discovery::{Registered, tally};
use super::message::ExtendedError;
use super::records::Source;
use super::rr::{RecordType, RrSet};
use super::step::Step;
use super::ttl::Ttl;
use crate::name::DomainName;
use crate::registry::policy::{ServiceTxt, WhenNoneHealthy};
use crate::registry::view::{Member, ServiceView};

/// Most octets of a character-string (RFC 1035 §3.3).
const STRING_LEN: usize = 255;

impl Registered<'_> {
    /// `_config.S.Z`: the configuration values of a service but for gRPC's.
    pub(super) fn config(
        &mut self,
        service: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        let Some(view) = self.basis.view(self.directory, service) else {
            return Step::NxDomain;
        };
        let values = view.settings.plain_config();
        let texts = values.map(|(key, value)| text(&format!("{key}={value}")));
        described(&view, texts, qname, qtype)
    }

    /// `_grpc_config.S.Z`: gRPC's service config.
    pub(super) fn grpc_config(
        &mut self,
        service: &str,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'static> {
        let Some(view) = self.basis.view(self.directory, service) else {
            return Step::NxDomain;
        };
        let value = view.settings.grpc_config();
        let texts = value.map(|value| text(&format!("grpc_config={value}")));
        described(&view, texts.into_iter(), qname, qtype)
    }

    /// The fixed strings at a service's name, where they answer `qtype`.
    pub(super) fn fixed_strings(
        view: &ServiceView,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Option<Step<'static>> {
        let ServiceTxt::Strings(strings) = &view.settings.policy()?.txt else {
            return None;
        };
        if !matches!(qtype, RecordType::TXT | RecordType::ANY) {
            return None;
        }
        let mut rdata = Vec::new();
        for string in strings {
            push_string(&mut rdata, string.as_bytes());
        }
        Some(described(view, std::iter::once(rdata), qname, qtype))
    }

    /// Whether TXT at a service's name has nothing to say.
    pub(super) fn is_untold(view: &ServiceView, qtype: RecordType) -> bool {
        let policy = view.settings.policy();
        qtype == RecordType::TXT && policy.is_some_and(|policy| policy.txt == ServiceTxt::Nothing)
    }

    /// Those of `members`, of a service of which nobody is listed, that are answered
    /// for want of others; nobody where the policy doesn't have it so.
    pub(super) fn unlisted<'m>(
        &mut self,
        view: &ServiceView,
        members: impl Iterator<Item = &'m Member> + Clone,
    ) -> Option<Source<'m>> {
        if view.settings.when_none_healthy() != WhenNoneHealthy::All {
            return None;
        }
        let listed = view
            .members
            .iter()
            .filter(|member| member.withdrawn(self.now).is_none())
            .filter_map(|member| member.answers_for(self.now));
        if let Some(last) = listed.max() {
            // It's another answer from when the last lease of them has ended.
            self.basis.ttl_holds(self.now, Ttl::ZERO, last);
            return None;
        }
        let mut source = Source::unlisted(view.ttl, members.clone(), self.now, self.basis);
        if source.is_empty() {
            return None;
        }
        let tally = tally(members, self.now, self.basis);
        source.error = Some(ExtendedError {
            code: ExtendedError::OTHER,
            text: format!("{tally}; those failing or starting are answered"),
        });
        Some(source)
    }

    /// NXDOMAIN for a name of a service that is taken for one that isn't there.
    pub(super) fn denied(&mut self, view: &ServiceView) -> Option<Step<'static>> {
        let policy = view.settings.when_none_healthy();
        if policy != WhenNoneHealthy::NxDomain || !view.settings.config.is_empty() {
            return None;
        }
        let answering = view
            .members
            .iter()
            .filter_map(|member| member.answers_for(self.now));
        if let Some(last) = answering.max() {
            self.basis.ttl_holds(self.now, Ttl::ZERO, last);
            return None;
        }
        let tally = tally(view.members.iter(), self.now, self.basis);
        Some(Step::Absent {
            error: Some(ExtendedError {
                code: ExtendedError::OTHER,
                text: tally.to_string(),
            }),
            negative_ttl: view.negative_ttl,
        })
    }
}

/// TXT at a name that is there when it has such a record.
fn described(
    view: &ServiceView,
    texts: impl Iterator<Item = Vec<u8>>,
    qname: &DomainName,
    qtype: RecordType,
) -> Step<'static> {
    let ttl = Ttl::from_duration(view.ttl);
    let mut set = RrSet::new(qname.clone(), RecordType::TXT, ttl);
    for rdata in texts {
        // They begin with different keys.
        set.push_distinct(&rdata);
    }
    match qtype {
        _ if set.is_empty() => Step::absent(view.negative_ttl),
        RecordType::TXT => Step::record_set(set),
        RecordType::ANY => Step::any(qname, ttl),
        _ => Step::no_data_for(view.negative_ttl),
    }
}

/// The rdata of a TXT record with one text.
fn text(text: &str) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(text.len() + 1 + text.len() / STRING_LEN);
    for string in text.as_bytes().chunks(STRING_LEN) {
        push_string(&mut rdata, string);
    }
    rdata
}

/// Writes a character-string of at most [`STRING_LEN`] octets.
fn push_string(rdata: &mut Vec<u8>, string: &[u8]) {
    rdata.push(string.len() as u8);
    rdata.extend_from_slice(string);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1035_3_3_14_long_texts_go_on_in_the_next_string() {
        for len in [1, 254, 255, 256, 510, 511, 4160] {
            let whole = "x".repeat(len);
            let rdata = text(&whole);
            let (mut rest, mut joined) = (&rdata[..], Vec::new());
            while let [len, tail @ ..] = rest {
                let (string, tail) = tail.split_at(usize::from(*len));
                assert!(tail.is_empty() || string.len() == STRING_LEN);
                joined.extend_from_slice(string);
                rest = tail;
            }
            assert_eq!(joined, whole.as_bytes());
        }
    }
}
