//! DNS's sockets, and the threads that answer on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::GRACE;
use crate::dns::service::{Service, Worker, Workers};
use crate::dns::{stream, udp};

/// How often another free port is tried when UDP's is taken where TCP's is free.
const PORT_TRIES: usize = 32;

/// The sockets of one DNS address.
pub(super) struct DnsSockets {
    pub(super) address: SocketAddr,
    /// One for each worker.
    pub(super) udp: Vec<std::net::UdpSocket>,
    pub(super) tcp: std::net::TcpListener,
}

impl DnsSockets {
    /// Binds TCP and then UDP to the same port. TCP's socket is not shared, so a
    /// second server finds the address in use before it could take the first one's
    /// datagrams.
    pub(super) fn bind(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let tcp = stream::bind(address)?;
            let bound = tcp.local_addr()?;
            match udp::bind(bound, workers) {
                Ok(udp) => {
                    return Ok(Self {
                        address: bound,
                        udp,
                        tcp,
                    });
                }
                Err(error) => {
                    tries += 1;
                    if address.port() != 0 || tries == PORT_TRIES {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// The threads that answer DNS.
#[derive(Default)]
pub(super) struct DnsThreads {
    stop: CancellationToken,
    stop_udp: Arc<AtomicBool>,
    /// Cancelled by the first thread that ends, however it does.
    pub(super) ended: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl DnsThreads {
    pub(super) fn spawn_udp(
        &mut self,
        socket: std::net::UdpSocket,
        worker: Worker,
    ) -> io::Result<()> {
        let stop = self.stop_udp.clone();
        self.spawn("dns-udp", move || udp::run(&socket, worker, &stop))
    }

    pub(super) fn spawn_tcp(
        &mut self,
        listeners: Vec<std::net::TcpListener>,
        service: &Arc<Service>,
        threads: usize,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("dns-tcp")
            .enable_all()
            .build()?;
        let workers = Arc::new(Workers::new(service, threads));
        let mut serving = JoinSet::new();
        let inside = runtime.enter();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            serving.spawn(stream::serve(listener, workers.clone(), self.stop.clone()));
        }
        drop(inside);
        self.spawn("dns-tcp", move || {
            runtime.block_on(async { while serving.join_next().await.is_some() {} });
            runtime.shutdown_background();
        })
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let ended = self.ended.clone().drop_guard();
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || {
            let _ended = ended;
            work();
        })?);
        Ok(())
    }

    /// Ends them, and waits until what was asked before is answered.
    pub(super) async fn join(mut self) {
        let threads = std::mem::take(&mut self.threads);
        drop(self);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // One that panicked has said so.
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(GRACE, joined).await.is_err() {
            tracing::warn!("DNS connections that take longer than {GRACE:?} were ended");
        }
    }
}

impl Drop for DnsThreads {
    /// Tells the threads to end, whoever drops them and why.
    fn drop(&mut self) {
        self.stop.cancel();
        self.stop_udp.store(true, Ordering::Relaxed);
    }
}
