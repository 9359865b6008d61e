//! DNS over TCP ([RFC 7766]): framing, pipelining, limits, drain.
//!
//! ```text
//! accept (caps) ─▶ read ─▶ frames ─▶ answer each ─▶ write ─▶ read …
//! ```
//!
//! One task a connection. Whatever queries have come are answered before more is
//! read, so pipelining costs one write for many; a client that doesn't read its
//! responses isn't read from either. Answers are made in memory at once, so none
//! overtakes another and none holds another up.
//!
//! Each connection holds at most [`MAX_INPUT`] octets of queries and
//! [`MAX_OUTPUT`] and a message of responses.
//!
//! [RFC 7766]: https://www.rfc-editor.org/rfc/rfc7766

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::Client;
use super::service::{Worker, Workers};
use crate::accept::serve_connections;
use crate::telemetry::Transport;

/// Most connections at once; further ones wait in the system's queue.
pub const MAX_CONNECTIONS: usize = 4096;

/// Most connections of one address elsewhere; further ones are closed. Clients
/// on this machine, such as a forwarder for all of it, have [`MAX_CONNECTIONS`].
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;

/// Time after which a connection without a query is closed ([RFC 7766](https://www.rfc-editor.org/rfc/rfc7766) §6.2.3).
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that the rest of a query may take, once some of it is there.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that a client may take to make room for responses.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Most octets of queries read ahead: one of the largest size and its length.
const MAX_INPUT: usize = 2 + 65_535;

/// Octets of responses from which on they're written before more is answered.
const MAX_OUTPUT: usize = 64 << 10;

/// Connections that the system holds until they're taken.
const BACKLOG: i32 = 1024;

/// Binds a socket that is nobody else's, so that two servers never share an
/// address unnoticed.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A former server's connections that linger are no reason not to start.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // As for UDP: `[::]` and `0.0.0.0` can stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Takes connections until `stop` is cancelled, then until each has its answers.
pub async fn serve(listener: TcpListener, workers: Arc<Workers>, stop: CancellationToken) {
    let addresses = Arc::new(Addresses::default());
    serve_connections(listener, MAX_CONNECTIONS, &stop, |stream, peer| {
        let counted = addresses.clone().count(peer.ip());
        if counted.is_none() {
            tracing::debug!(%peer, "closed: the address has its number of connections");
        }
        let connection = Connection::new(stream, peer, workers.clone());
        let stop = stop.clone();
        counted.map(|counted| async move {
            if let Err(error) = connection.serve(stop).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(counted);
        })
    })
    .await;
}

/// How many connections each address has; bounded by their total.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

impl Addresses {
    /// Counts one more, unless the address has its number.
    fn count(self: Arc<Self>, address: IpAddr) -> Option<Counted> {
        let address = address.to_canonical();
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= MAX_CONNECTIONS_PER_ADDRESS && !address.is_loopback() {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Counted {
            addresses: self,
            address,
        })
    }
}

/// One connection in the count of its address.
struct Counted {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self
            .addresses
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// One connection and what is under way on it.
struct Connection {
    stream: TcpStream,
    client: Client,
    workers: Arc<Workers>,
    input: Vec<u8>,
    /// Octets of `input` that were answered.
    taken: usize,
    output: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream, peer: SocketAddr, workers: Arc<Workers>) -> Self {
        // Responses are written whole, so waiting to fill segments only delays.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            client: Client::stream(peer.ip()),
            workers,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            reply: Vec::new(),
        }
    }

    /// Answers until the client ends, is silent for too long, or `stop` is
    /// cancelled. What has come until then is answered.
    async fn serve(mut self, stop: CancellationToken) -> io::Result<()> {
        // When the rest of a query that has begun must be there.
        let mut rest_by = None;
        loop {
            while self.next_frame().is_some() {
                let workers = self.workers.clone();
                workers.batch(|worker| self.answer_batch(worker));
                self.flush().await?;
            }
            if self.taken > 0 {
                rest_by = None;
            }
            self.input.drain(..self.taken);
            self.taken = 0;
            let until = match self.input.is_empty() {
                true => Instant::now() + IDLE_TIMEOUT,
                false => *rest_by.get_or_insert_with(|| Instant::now() + READ_TIMEOUT),
            };
            // A half-closed connection still gets its answers: they're out by now.
            let read = stop
                .run_until_cancelled(timeout_at(until, self.read()))
                .await;
            let more = match read {
                Some(Ok(read)) => read?,
                // It was silent for too long, or the server stops.
                Some(Err(_)) | None => false,
            };
            if !more {
                return self.stream.shutdown().await;
            }
        }
    }

    /// Where the next whole message lies in `input`.
    fn next_frame(&self) -> Option<(usize, usize)> {
        let rest = &self.input[self.taken..];
        let len = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let start = self.taken + 2;
        (rest.len() >= 2 + len).then_some((start, start + len))
    }

    /// Answers what has come whole, as far as its responses may wait together.
    fn answer_batch(&mut self, worker: &mut Worker) {
        while let Some((start, end)) = self.next_frame() {
            self.taken = end;
            let (query, reply) = (&self.input[start..end], &mut self.reply);
            if worker.answer(query, self.client, Transport::Tcp, reply) {
                // Composed for a limit of 65 535 octets.
                self.output
                    .extend_from_slice(&(self.reply.len() as u16).to_be_bytes());
                self.output.extend_from_slice(&self.reply);
            }
            if self.output.len() >= MAX_OUTPUT {
                return;
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            timeout(WRITE_TIMEOUT, self.stream.write_all(&self.output)).await??;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads what there is; `false` at the client's end.
    async fn read(&mut self) -> io::Result<bool> {
        let mut room = (&mut self.stream).take((MAX_INPUT - self.input.len()) as u64);
        Ok(room.read_buf(&mut self.input).await? != 0)
    }
}
