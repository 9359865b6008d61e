//! A DNS query ([RFC 1035]) over UDP, and over TCP when the answer is truncated
//! ([RFC 7766] §5).
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 7766]: https://www.rfc-editor.org/rfc/rfc7766

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::datagram::socket;
use super::{MAX_RESPONSE_LEN, ProbeError, ProbeResult, Target};
use crate::name::DomainName;

/// Asks, and looks for a record of the type, with the data that is expected.
pub(super) async fn probe(
    target: &Target,
    name: &DomainName,
    rtype: &str,
    expect: Option<&str>,
) -> Result<ProbeResult, ProbeError> {
    let rtype: RecordType = rtype.parse()?;
    let name = Name::from_labels(name.labels())?;
    let id = fastrand::u16(..);
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, rtype));
    let octets = query.to_vec()?;
    let mut response = over_udp(target, &octets, &query).await?;
    if response.metadata.truncation {
        response = over_tcp(target, &octets, &query).await?;
    }
    let rcode = response.metadata.response_code;
    if rcode != ResponseCode::NoError {
        return Ok(ProbeResult::failed(rcode.to_str()));
    }
    let found: Vec<String> = response
        .answers
        .iter()
        .filter(|record| record.record_type() == rtype)
        .map(|record| record.data.to_string())
        .collect();
    let passes = |data: &String| expect.is_none_or(|expect| data.eq_ignore_ascii_case(expect));
    Ok(match found.iter().find(|data| passes(data)) {
        Some(data) => ProbeResult::passed(data),
        None if found.is_empty() => ProbeResult::failed(format!("no {rtype} record")),
        None => ProbeResult::failed(format!("not what is expected, but {}", found.join(", "))),
    })
}

async fn over_udp(target: &Target, octets: &[u8], query: &Message) -> Result<Message, ProbeError> {
    let socket = socket(target).await?;
    socket.send(octets).await?;
    let mut buffer = vec![0; MAX_RESPONSE_LEN];
    loop {
        let len = socket.recv(&mut buffer).await?;
        // What isn't the answer may have been sent by anybody: it's waited for until
        // the probe's time is over.
        if let Some(response) = read(&buffer[..len], query) {
            return Ok(response);
        }
    }
}

async fn over_tcp(target: &Target, octets: &[u8], query: &Message) -> Result<Message, ProbeError> {
    let mut stream = TcpStream::connect(target.address).await?;
    let mut framed = u16::try_from(octets.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(octets);
    stream.write_all(&framed).await?;
    let mut buffer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut buffer).await?;
    read(&buffer, query).ok_or_else(|| "an answer to another question".into())
}

/// The response in `octets`, if it's one to `query`.
fn read(octets: &[u8], query: &Message) -> Option<Message> {
    let response = Message::from_bytes(octets).ok()?;
    let is_answer = response.metadata.id == query.metadata.id
        && response.metadata.message_type == MessageType::Response
        && response.queries == query.queries;
    is_answer.then_some(response)
}
