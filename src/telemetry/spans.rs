//! Spans of DNS queries: one query in so many, with the name it asks for.
//!
//! A span costs a few allocations, so the answer path opens one only when its
//! [`QuerySampler`] says so. What a span costs when nobody listens is a load.
//!
//! | field | value |
//! |---|---|
//! | name | `DNS` and the question's type, as in `DNS SRV` |
//! | kind | server; error when the response is SERVFAIL |
//! | `dns.question.name` | as asked, letter case too |
//! | `dns.question.type` | mnemonic, or `TYPE` and the code ([RFC 3597] §5) |
//! | `dns.response.code` | mnemonic, or the code |
//! | `network.transport` | as on the metrics |
//! | `client.address` | address without port |
//!
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use tracing::Span;
use tracing::field::Empty;

use super::counts::{self, QTYPES, RCODES, Transport};

/// The response code of a server that failed ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §4.1.1).
const SERVFAIL: u16 = 2;

/// Picks the queries of one worker that get a span.
#[derive(Debug)]
pub struct QuerySampler {
    one_in: u64,
    /// Queries until the next one that gets a span.
    left: u64,
}

impl QuerySampler {
    /// Picks the first and then one of `one_in` queries; none if that is 0.
    pub const fn new(one_in: u64) -> Self {
        Self { one_in, left: 0 }
    }

    /// Whether the query at hand gets a span.
    pub const fn sample(&mut self) -> bool {
        if self.one_in == 0 {
            return false;
        }
        if self.left == 0 {
            self.left = self.one_in;
        }
        self.left -= 1;
        self.left == self.one_in - 1
    }
}

/// The span of one DNS query; dropped without a response, it ends without an rcode.
#[derive(Debug)]
pub struct QuerySpan(Span);

impl QuerySpan {
    /// Opens the span of a query that asks for `qname` and the RR type with code `qtype`.
    pub fn open(
        qname: impl fmt::Display,
        qtype: u16,
        transport: Transport,
        client: IpAddr,
    ) -> Self {
        let qtype = mnemonic(&QTYPES, counts::qtype_index(qtype))
            .map_or_else(|| Cow::Owned(format!("TYPE{qtype}")), Cow::Borrowed);
        Self(tracing::info_span!(
            target: "namebeat::dns",
            "query",
            otel.name = %format_args!("DNS {qtype}"),
            otel.kind = "server",
            otel.status_code = Empty,
            dns.question.name = %qname,
            dns.question.type = &*qtype,
            dns.response.code = Empty,
            network.transport = transport.as_str(),
            client.address = %client,
        ))
    }

    /// The span, to enter or to add to.
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// Ends the span with the response's code, the extended bits included.
    pub fn close(self, rcode: u16) {
        match mnemonic(&RCODES, counts::rcode_index(rcode)) {
            Some(name) => self.0.record("dns.response.code", name),
            None => self
                .0
                .record("dns.response.code", tracing::field::display(rcode)),
        };
        if rcode == SERVFAIL {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}

/// The name at `index`, unless it is the last, which stands for all the rest.
fn mnemonic(names: &[&'static str], index: usize) -> Option<&'static str> {
    let (_, named) = names.split_last()?;
    named.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_one_in_so_many() {
        for (one_in, picked) in [(0, 0), (1, 10), (3, 4), (10, 1), (99, 1)] {
            let mut sampler = QuerySampler::new(one_in);
            let picks = (0..10).filter(|_| sampler.sample()).count();
            assert_eq!(picks, picked, "one in {one_in}");
        }
    }

    #[test]
    fn costs_nothing_without_a_listener() {
        let span = QuerySpan::open("a.example.", 999, Transport::Udp, [127, 0, 0, 1].into());
        assert!(span.span().is_disabled());
        span.close(0);
    }
}
