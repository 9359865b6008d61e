//! A question of gRPC's health checking protocol, `grpc.health.v1.Health/Check`.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::tls::{Inside, TlsClients};
use super::{MAX_RESPONSE_LEN, ProbeError, ProbeResult, Target};
use crate::registry::check::Tls;

/// What the probe says of itself.
const USER_AGENT: &str = concat!("namebeat-check/", env!("CARGO_PKG_VERSION"));

/// Most octets of a connection that are read: a response, and what HTTP/2 has around it.
const MAX_STREAM_LEN: u64 = 2 * MAX_RESPONSE_LEN as u64;

/// Asks after `service`; only one that serves passes.
pub(super) async fn probe(
    target: &Target,
    service: &str,
    tls: Option<(&Tls, &TlsClients)>,
    trace_parent: Option<&str>,
) -> Result<ProbeResult, ProbeError> {
    let channel = connect(target, tls).await?;
    let mut client = HealthClient::new(channel).max_decoding_message_size(MAX_RESPONSE_LEN);
    let mut request = Request::new(HealthCheckRequest {
        service: service.to_owned(),
    });
    if let Some(trace_parent) = trace_parent {
        let parent = trace_parent.parse()?;
        request.metadata_mut().insert("traceparent", parent);
    }
    let status = match client.check(request).await {
        Ok(response) => response.into_inner().status(),
        Err(status) if status.code() == Code::NotFound => {
            return Ok(ProbeResult::failed(format!(
                "NOT_FOUND: the server knows no service {service:?}"
            )));
        }
        Err(status) => {
            let said = format!("{:?}: {}", status.code(), status.message());
            return Ok(ProbeResult::failed(said));
        }
    };
    Ok(match status {
        ServingStatus::Serving => ProbeResult::passed(status.as_str_name()),
        _ => ProbeResult::failed(status.as_str_name()),
    })
}

/// Opens one connection; the channel never opens a second one.
async fn connect(target: &Target, tls: Option<(&Tls, &TlsClients)>) -> Result<Channel, ProbeError> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let name = tls.and_then(|(tls, _)| tls.name.as_deref());
    let authority = name.map_or_else(
        || target.authority(),
        |name| format!("{name}:{}", target.address.port()),
    );
    let origin: Uri = format!("{scheme}://{authority}").parse()?;
    // TLS is this side's: to the channel it's a plain connection.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))?
        .user_agent(USER_AGENT)?
        .origin(origin);
    let channel = match tls {
        None => once(endpoint, TcpStream::connect(target.address).await?).await?,
        Some((how, clients)) => {
            once(endpoint, clients.connect(target, how, Inside::Http2).await?).await?
        }
    };
    Ok(channel)
}

/// A channel over this connection.
async fn once<S>(endpoint: Endpoint, stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // The codec bounds a message, this all of them.
    let (read, write) = tokio::io::split(stream);
    let mut stream = Some(tokio::io::join(read.take(MAX_STREAM_LEN), write));
    endpoint
        .connect_with_connector(service_fn(move |_: Uri| {
            let stream = stream.take().map(TokioIo::new);
            let ended = || std::io::Error::other("the connection has ended");
            std::future::ready(stream.ok_or_else(ended))
        }))
        .await
}
