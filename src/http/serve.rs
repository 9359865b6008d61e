//! Connections of the side port: how many, for how long, and their end.
//!
//! At most so many are open as the settings have it; further ones wait in the system's
//! queue until one ends. A connection on which no request begins within
//! [`IDLE_TIMEOUT`] is closed, and so is one whose client makes no room for a
//! response within [`WRITE_TIMEOUT`]: those that say or hear nothing can't keep
//! others out, nor memory in use.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::admit::{refused, unloaded};
use super::hot::Hot;
use super::{Api, router, trace};
use crate::accept::serve_connections;

/// Longest time until a request's head is there, from the start of the
/// connection or from the end of the request before.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that a client may take to make room for more of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the API on at most `connections` at once, until `stop` is cancelled, then
/// until its requests are answered.
pub async fn serve(listener: TcpListener, connections: usize, api: Api, stop: CancellationToken) {
    let router = router(api.clone());
    serve_connections(listener, connections, &stop, |stream, peer| {
        let (api, router) = (api.clone(), router.clone());
        let callee = Arc::new(Callee { api, router, peer });
        Some(connection(stream, callee, stop.clone()))
    })
    .await;
}

async fn connection(stream: TcpStream, callee: Arc<Callee>, stop: CancellationToken) {
    let peer = callee.peer;
    let service = service_fn(move |request| answer(callee.clone(), request));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .serve_connection(TokioIo::new(Impatient::new(stream)), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// What answers the requests of one connection.
struct Callee {
    api: Api,
    router: Router,
    peer: SocketAddr,
}

async fn answer(callee: Arc<Callee>, request: Request<Incoming>) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let span = trace::open(&head, || callee.api.route(head.uri.path()), callee.peer);
    Ok(trace::traced(span, callee.answer(head, body)).await)
}

impl Callee {
    /// Answers a request when nothing speaks against it.
    async fn answer(&self, head: Parts, body: Incoming) -> Response {
        if let Some(problem) = refused(&self.api, self.peer.ip(), &head) {
            return problem.into_response();
        }
        if let Some(problem) = unloaded(&self.api, head.uri.path()).await {
            return problem.into_response();
        }
        if let Some(hot) = Hot::of(&head) {
            let answer = hot.answer(self.api.clone(), self.peer, body);
            return answer.await.into_response();
        }
        let mut request = Request::from_parts(head, Body::new(body));
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let Ok(response) = self.router.clone().call(request).await;
        response
    }
}

/// A stream on which a write fails that makes no progress for [`WRITE_TIMEOUT`].
struct Impatient {
    stream: TcpStream,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: None,
        }
    }

    /// What a write came to, or the end of patience.
    fn timed<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        waiting
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        self.timed(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.timed(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(polled, context)
    }
}
