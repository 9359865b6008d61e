//! The adapter between hickory-server and [`Workers`].
//!
//! UDP and TCP have transports of their own; this is for those that
//! hickory-server carries, QUIC and HTTP/3.
//!
//! hickory-server takes a response as records, not as octets, so what was
//! composed is decoded here and encoded again there. Nothing is decided in
//! between: the same records in the same sections, the same flags, the same OPT.
//! hickory-server's encoding doesn't point at the question's name, so a datagram
//! may get longer there by as much; room for that is left free. What never gets
//! here is a message that hickory-proto can't decode (it answers FORMERR itself)
//! and one with QR set (it stays silent).

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Message, MessageType, Metadata};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};

use super::answer::Client;
use super::service::Workers;
use crate::telemetry::Transport;

/// Answers hickory-server's requests with the workers that all transports have.
pub struct Adapter(pub Workers);

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
        let (transport, datagram) = match request.protocol() {
            Protocol::Udp => (Transport::Udp, true),
            _ => (Transport::Tcp, false),
        };
        let client = Client {
            address: request.src().ip(),
            datagram,
            // The first name is written whole, though the question has it already.
            reserve: u8::try_from(request.queries.as_bytes().len()).unwrap_or(u8::MAX),
        };
        let mut reply = Vec::new();
        self.0
            .batch(|worker| worker.answer(request.as_slice(), client, transport, &mut reply))
            .then_some(reply)
    }
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
