//! The adapter between hickory-server, which carries UDP and TCP for now, and
//! [`Authority::answer`].
//!
//! hickory-server takes a response as records, not as octets, so what was
//! composed is decoded here and encoded again there. Nothing is decided in
//! between: the same records in the same sections, the same flags, the same OPT.
//! hickory-server's encoding doesn't point at the question's name, so a datagram
//! may get longer there by as much; room for that is left free.
//! What never gets here is a message that hickory-proto can't decode (it answers
//! FORMERR itself) and one with QR set (it stays silent).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Message, MessageType, Metadata};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};

use super::answer::{Authority, Client, Scratch, Summary, Verdict};
use crate::telemetry::{Instruments, Transport};
use crate::telemetry::{QuerySampler, QuerySpan};

thread_local! {
    /// What this worker keeps between queries. No `.await` happens while it's borrowed.
    static WORKER: RefCell<(Scratch, Vec<u8>)> = RefCell::default();
}

/// Answers hickory-server's requests by [`Authority::answer`].
pub struct Adapter {
    /// What answers.
    pub authority: Arc<Authority>,
    /// What is counted.
    pub instruments: Arc<Instruments>,
    /// Which queries get a span.
    pub sampler: Arc<QuerySampler>,
}

#[async_trait]
impl RequestHandler for Adapter {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        match self.answer(request) {
            Some(octets) => send(&octets, response).await,
            None => None,
        }
        .unwrap_or_else(|| nothing_sent(request))
    }
}

impl Adapter {
    /// The response's octets; none when the query is dropped.
    fn answer(&self, request: &Request) -> Option<Vec<u8>> {
        let transport = match request.protocol() {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        };
        let client = Client {
            address: request.src().ip(),
            datagram: request.protocol() == Protocol::Udp,
            // The first name is written whole, though the question has it already.
            reserve: u8::try_from(request.queries.as_bytes().len()).unwrap_or(u8::MAX),
        };
        let span = self.sampler.sample().then(|| open_span(request, transport));
        #[expect(
            clippy::disallowed_methods,
            reason = "measures the answer, decides nothing"
        )]
        let started = Instant::now();
        WORKER.with_borrow_mut(|(scratch, out)| {
            match self
                .authority
                .answer(request.as_slice(), client, scratch, out)
            {
                Verdict::Reply(Summary { qtype, rcode }) => {
                    let (took, len) = (started.elapsed(), out.len());
                    self.instruments
                        .query_answered(transport, qtype.0, rcode.0, took, len);
                    if let Some(span) = span {
                        span.close(rcode.0);
                    }
                    Some(out.clone())
                }
                Verdict::Drop => {
                    self.instruments.query_dropped(transport);
                    None
                }
            }
        })
    }
}

fn open_span(request: &Request, transport: Transport) -> QuerySpan {
    let question = request.queries.queries().first();
    let name = question
        .map(|q| q.original().name().to_string())
        .unwrap_or_default();
    let qtype = question.map_or(0, |q| q.query_type().into());
    QuerySpan::open(&name, qtype, transport, request.src().ip())
}

/// Has hickory-server send a composed response; `None` when it can't.
async fn send(octets: &[u8], mut response: impl ResponseHandler) -> Option<ResponseInfo> {
    let message = Message::from_vec(octets).ok()?;
    let mut decoder = BinDecoder::new(octets);
    let header = Header::read(&mut decoder).ok()?;
    let queries = Queries::read(&mut decoder, header.counts.queries.into()).ok()?;
    let built = MessageResponseBuilder::new(&queries, message.edns.as_ref()).build(
        message.metadata,
        &message.answers,
        &message.authorities,
        [],
        &message.additionals,
    );
    match response.send_response(built).await {
        Ok(info) => Some(info),
        Err(error) => {
            tracing::debug!(%error, "response not sent");
            None
        }
    }
}

/// What hickory-server wants to be told when nothing was sent.
fn nothing_sent(request: &Request) -> ResponseInfo {
    let metadata = Metadata::new(
        request.metadata.id,
        MessageType::Response,
        request.metadata.op_code,
    );
    Header {
        metadata,
        counts: HeaderCounts::default(),
    }
    .into()
}
