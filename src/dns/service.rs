//! What every transport does with a query beside carrying it: answer, count, trace.
//!
//! A [`Worker`] is what one thread answers with: its prepared answers, its
//! counters, its random numbers. Workers share the [`Service`] and nothing else.
//! Transports with a thread of their own own a worker; tasks that move between
//! threads borrow one from [`Workers`] for as long as they don't wait.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::answer::{Authority, Client, Scratch, Source, Summary, Verdict};
use super::query::question;
use crate::name::DomainName;
use crate::telemetry::{Instruments, QueryMeter, QuerySampler, QuerySpan, Transport};
use crate::time::Moment;

/// How long answers given may go without being counted with their services.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// The authority, and how it's watched. Shared by all workers.
pub struct Service {
    /// What answers.
    pub authority: Authority,
    /// What is counted.
    pub instruments: Arc<Instruments>,
    /// One of how many queries gets a span; 0 for none.
    pub trace_queries: u64,
    /// Most octets of prepared answers that a worker keeps; 0 for none.
    pub cache: usize,
}

impl Service {
    /// One more worker.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker {
            service: self.clone(),
            scratch: Scratch::with_cache(self.cache),
            meter: self.instruments.query_meter(),
            sampler: QuerySampler::new(self.trace_queries),
            now: self.authority.now(),
            settle_at: self.authority.now(),
        }
    }
}

/// What one thread answers with.
pub struct Worker {
    service: Arc<Service>,
    scratch: Scratch,
    meter: QueryMeter,
    sampler: QuerySampler,
    /// When the last answer was ready, which is when the next query is looked at.
    now: Moment,
    /// When answers are counted with their services next, if not before.
    settle_at: Moment,
}

impl Worker {
    /// Answers queries that are there: `batch` calls [`Worker::answer`] for each.
    pub fn batch<R>(&mut self, batch: impl FnOnce(&mut Self) -> R) -> R {
        // The clock is read once here and once after each answer.
        self.now = self.service.authority.now();
        let result = batch(self);
        if self.now >= self.settle_at || self.scratch.is_unsettled() {
            self.settle();
        }
        result
    }

    /// Counts the answers given with their services, which else is done with the
    /// first batch after [`SETTLE_EVERY`]. To be called when nothing comes.
    pub fn settle(&mut self) {
        self.scratch.settle();
        self.settle_at = self.now.after(SETTLE_EVERY);
    }

    /// Has the memory that answers to these queries will need fetched. Worth it
    /// when there are several.
    pub fn expect<'a>(&mut self, queries: impl Iterator<Item = &'a [u8]>) {
        self.scratch.expect(queries);
    }

    /// Answers `query` into `reply`; says whether there is something to send.
    pub fn answer(
        &mut self,
        query: &[u8],
        client: Client,
        transport: Transport,
        reply: &mut Vec<u8>,
    ) -> bool {
        let span = self
            .sampler
            .sample()
            .then(|| open_span(query, client, transport));
        let authority = &self.service.authority;
        let started = self.now;
        let verdict = authority.answer(query, client, started, &mut self.scratch, reply);
        self.now = authority.now();
        match verdict {
            Verdict::Reply(Summary {
                qtype,
                rcode,
                source,
            }) => {
                let nanos = self.now.as_nanos() - started.as_nanos();
                self.meter
                    .answered(transport, qtype.0, rcode.0, nanos, reply.len());
                match source {
                    Source::Prepared => self.meter.prepared(true),
                    Source::Made => self.meter.prepared(false),
                    Source::HeldBack => self.meter.limited(transport),
                }
                if let Some(span) = span {
                    span.close(rcode.0);
                }
                true
            }
            Verdict::Drop => {
                self.meter.dropped(transport);
                false
            }
            Verdict::HoldBack => {
                self.meter.limited(transport);
                self.meter.dropped(transport);
                false
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.scratch.settle();
    }
}

/// Workers for tasks that move between threads.
pub struct Workers(Box<[Mutex<Worker>]>);

impl Workers {
    /// As many workers as threads answer.
    pub fn new(service: &Arc<Service>, threads: usize) -> Self {
        Self(
            (0..threads.max(1))
                .map(|_| Mutex::new(service.worker()))
                .collect(),
        )
    }

    /// Answers a batch with the running thread's worker. A lock is held
    /// meanwhile, which other threads want only when there are more of them than
    /// workers.
    pub fn batch<R>(&self, batch: impl FnOnce(&mut Worker) -> R) -> R {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        // A worker is whole after a panic: what it keeps is replaced entry by entry.
        self.0[MINE.get() % self.0.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .batch(|worker| {
                let result = batch(worker);
                // Nobody may come by for long.
                worker.settle();
                result
            })
    }
}

fn open_span(query: &[u8], client: Client, transport: Transport) -> QuerySpan {
    let asked = question(query)
        .and_then(|(name, qtype)| DomainName::from_wire(name).ok().map(|name| (name, qtype.0)));
    let (name, qtype) = asked.unwrap_or((DomainName::root(), 0));
    QuerySpan::open(name, qtype, transport, client.address)
}
