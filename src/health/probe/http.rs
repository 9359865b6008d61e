//! A request over HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)), plain or in TLS.

use std::convert::Infallible;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::{Inside, TlsClients};
use super::{MAX_RESPONSE_LEN, Outcome, ProbeError, ProbeResult, Target, holds};
use crate::registry::check::HttpCheck;

/// What the probe says of itself.
const USER_AGENT: &str = concat!("namebeat-check/", env!("CARGO_PKG_VERSION"));

/// Asks, and judges the response by its status and, if that is asked for, its body.
pub(super) async fn probe(
    target: &Target,
    check: &HttpCheck,
    tls: &TlsClients,
    trace_parent: Option<&str>,
) -> Result<ProbeResult, ProbeError> {
    let request = request(target, check, trace_parent)?;
    match &check.tls {
        None => {
            let stream = TcpStream::connect(target.address).await?;
            exchange(stream, request, check).await
        }
        Some(how) => {
            let stream = tls.connect(target, how, Inside::Http1).await?;
            exchange(stream, request, check).await
        }
    }
}

fn request(
    target: &Target,
    check: &HttpCheck,
    trace_parent: Option<&str>,
) -> Result<Request<Empty<Bytes>>, ProbeError> {
    let mut request = Request::builder()
        .method(&*check.method)
        .uri(&*check.path)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    let own_host = check.headers.iter().any(|(name, _)| **name == *"host");
    if !own_host {
        request = request.header(header::HOST, target.authority());
    }
    if let Some(trace_parent) = trace_parent {
        request = request.header("traceparent", trace_parent);
    }
    let mut request = request.body(Empty::new())?;
    for (name, value) in &check.headers {
        let name: header::HeaderName = name.parse()?;
        request.headers_mut().insert(name, value.parse()?);
    }
    Ok(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Empty<Bytes>>,
    check: &HttpCheck,
) -> Result<ProbeResult, ProbeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_LEN)
        .handshake(TokioIo::new(stream))
        .await?;
    // Moves octets for as long as the exchange below takes.
    let moving = async {
        // What went wrong is told to the exchange, too.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let exchange = async { judge(sender.send_request(request).await?, check).await };
    tokio::select! {
        biased;
        result = exchange => result,
        never = moving => match never {},
    }
}

async fn judge(response: Response<Incoming>, check: &HttpCheck) -> Result<ProbeResult, ProbeError> {
    let status = response.status();
    let outcome = match status.as_u16() {
        code if check.warning.contains(code) && !check.expected.contains(code) => Outcome::Warned,
        code if check.expected.contains(code) => Outcome::Passed,
        _ if status.is_redirection() => {
            return Ok(ProbeResult::failed(format!(
                "{status}, which isn't followed"
            )));
        }
        _ => return Ok(ProbeResult::failed(status.to_string())),
    };
    if let Some(needle) = &check.body
        && !has(response.into_body(), needle.as_bytes()).await?
    {
        let expected = format!("{status}, without {needle:?} in its first 64 KiB");
        return Ok(ProbeResult::failed(expected));
    }
    Ok(ProbeResult::new(outcome, &status.to_string()))
}

/// Whether `needle` is in what is read of a body.
async fn has(mut body: Incoming, needle: &[u8]) -> Result<bool, ProbeError> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let before = read.len();
        let room = MAX_RESPONSE_LEN - before;
        read.extend_from_slice(&data[..data.len().min(room)]);
        if holds(&read, before, needle) {
            return Ok(true);
        }
        if read.len() == MAX_RESPONSE_LEN {
            return Ok(false);
        }
    }
    Ok(false)
}
