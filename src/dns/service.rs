//! What every transport does with a query beside carrying it: answer, count, trace.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{Authority, Client, Scratch, Summary, Verdict};
use super::query::question;
use crate::name::DomainName;
use crate::telemetry::{Instruments, QuerySampler, QuerySpan, Transport};

/// The authority with its counters. Shared by all transports.
pub struct Service {
    /// What answers.
    pub authority: Authority,
    /// What is counted.
    pub instruments: Arc<Instruments>,
    /// Which queries get a span.
    pub sampler: QuerySampler,
}

impl Service {
    /// Answers `query` into `reply`; says whether there is something to send.
    pub fn answer(
        &self,
        query: &[u8],
        client: Client,
        transport: Transport,
        scratch: &mut Scratch,
        reply: &mut Vec<u8>,
    ) -> bool {
        let span = self
            .sampler
            .sample()
            .then(|| open_span(query, client, transport));
        #[expect(
            clippy::disallowed_methods,
            reason = "measures the answer, decides nothing"
        )]
        let started = Instant::now();
        match self.authority.answer(query, client, scratch, reply) {
            Verdict::Reply(Summary { qtype, rcode }) => {
                let (took, len) = (started.elapsed(), reply.len());
                self.instruments
                    .query_answered(transport, qtype.0, rcode.0, took, len);
                if let Some(span) = span {
                    span.close(rcode.0);
                }
                true
            }
            Verdict::Drop => {
                self.instruments.query_dropped(transport);
                false
            }
        }
    }
}

fn open_span(query: &[u8], client: Client, transport: Transport) -> QuerySpan {
    let asked = question(query)
        .and_then(|(name, qtype)| DomainName::from_wire(name).ok().map(|name| (name, qtype.0)));
    let (name, qtype) = asked.unwrap_or((DomainName::root(), 0));
    QuerySpan::open(name, qtype, transport, client.address)
}
