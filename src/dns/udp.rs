//! DNS over UDP: a socket and a thread per core.
//!
//! Each worker takes a batch of datagrams, answers each in place, and sends the
//! replies as a batch. Workers share an address (SO_REUSEPORT) and nothing else,
//! so the kernel spreads clients over them. A worker holds its batch of buffers
//! and no queue: what it can't keep up with waits in its socket's buffer, and is
//! dropped there when that is full, as UDP's clients expect.
//!
//! Most of an answer's cost is the system's, and of that a good part is waking up
//! for a few datagrams and waking their clients for a few answers. So a worker that
//! is busy, which it sees by how many came at once, but not so busy that its batches
//! are full, pauses before the next one. Whoever asks alone never waits for that.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::answer::Client;
use super::mmsg::{Batch, note_destinations};
use super::service::Worker;
use crate::telemetry::Transport;

/// Datagrams of one batch: enough to spread the cost of a system call, few
/// enough that the first reply isn't held up.
const BATCH: usize = 32;

/// A batch of at least so many shows a load of some hundred thousand queries a
/// second, at which datagrams are worth gathering.
const GATHER_FROM: usize = 6;

/// How long they gather. Linux adds its timer slack of 50 µs, so it's a tenth of a
/// millisecond. Measured beside going on at once: 8 % less CPU a query and 10 % more
/// queries answered, for 16 clients with 500 queries under way.
const GATHER: Duration = Duration::from_micros(50);

/// Longest wait for a datagram, after which a worker looks whether to stop.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Pause after an error that isn't about one datagram.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Most batches that are answered after a worker was told to stop: what a socket's
/// buffer holds, so that nobody who goes on asking keeps it.
const LAST_BATCHES: usize = 1024;

/// Octets of a socket's receive buffer that are asked for; the system may give less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Binds `workers` sockets to one address. Port 0 takes a free one for all.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    let first = bind_one(address)?;
    let bound = first.local_addr()?;
    let rest = (1..workers).map(|_| bind_one(bound));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        // Of IPv6 alone, so that `[::]` and `0.0.0.0` can stand side by side.
        socket.set_only_v6(true)?;
    }
    // A smaller buffer is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    let socket = UdpSocket::from(socket);
    if address.ip().is_unspecified() {
        note_destinations(&socket)?;
    }
    Ok(socket)
}

/// Answers what comes to `socket` until `stop` is set, and what has come until then.
pub fn run(socket: &UdpSocket, mut worker: Worker, stop: &AtomicBool) {
    let mut batch = Batch::new(BATCH);
    while !stop.load(Ordering::Relaxed) {
        match batch.receive(socket) {
            Ok(count) => {
                answer_all(socket, &mut batch, count, &mut worker);
                if (GATHER_FROM..BATCH).contains(&count) {
                    gather();
                }
            }
            Err(error) if is_quiet(&error) => worker.settle(),
            Err(error) => {
                tracing::warn!(%error, "no datagrams could be taken");
                std::thread::park_timeout(ERROR_PAUSE);
            }
        }
    }
    if socket.set_nonblocking(true).is_ok() {
        for _ in 0..LAST_BATCHES {
            match batch.receive(socket) {
                Ok(count) => answer_all(socket, &mut batch, count, &mut worker),
                Err(_) => return,
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what is waited for is that a time passes in which datagrams gather"
)]
fn gather() {
    std::thread::sleep(GATHER);
}

fn answer_all(socket: &UdpSocket, batch: &mut Batch, count: usize, worker: &mut Worker) {
    worker.batch(|worker| {
        if count > 1 {
            worker.expect(batch.queries());
        }
        for index in 0..count {
            answer(batch, index, worker);
        }
    });
    batch.send(socket);
}

/// Nothing came in time, a signal did, or an earlier reply found nobody.
fn is_quiet(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        WouldBlock | TimedOut | Interrupted | ConnectionRefused
    )
}

fn answer(batch: &mut Batch, index: usize, worker: &mut Worker) {
    let Some((query, peer, reply)) = batch.exchange(index) else {
        return;
    };
    // A reply to port 0 can't be sent.
    let client = Client::datagram(peer.ip());
    if peer.port() != 0 && worker.answer(query, client, Transport::Udp, reply) {
        batch.mark(index);
    }
}
