//! What each DNS worker counts, and their sum.
//!
//! A worker owns a [`QueryMeter`]: cells in an allocation of its own that only
//! this worker writes. Counting an answer is a handful of relaxed loads and
//! stores to memory no other processor writes; there is no locked instruction, no
//! lock, no allocation and no search.
//!
//! A reader sums the cells of all meters under a lock that workers take only when
//! they begin and end. It may miss what is being counted meanwhile, and finds it
//! the next time. A meter that is dropped adds its cells to those of all its
//! predecessors, in the same critical section in which it leaves the list: no
//! reader sees it twice or not at all, totals never fall, and the list is as long
//! as there are workers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buckets::{Bounds, Distribution, Tally};
use super::counts::{self, QTYPES, RCODES, TRANSPORTS, Transport};

/// Upper bounds of the buckets for DNS answers, nanoseconds: a prepared answer takes about 1 µs.
pub(super) const ANSWER_NANOS: Bounds<17> = Bounds::new(&[
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
]);

/// Upper bounds of the buckets for sizes, octets; 512 and 1232 are limits over UDP.
pub(super) const ANSWER_OCTETS: Bounds<12> = Bounds::new(&[
    64, 128, 256, 512, 1232, 2048, 4096, 8192, 16384, 32768, 65535,
]);

/// How long answers took, nanoseconds.
pub(super) type Durations = Distribution<17>;

/// How large responses were, octets.
pub(super) type Sizes = Distribution<12>;

/// The numbers of one worker, or of several summed up.
///
/// 128 octets, because processors fetch cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Cells {
    over: [OfTransport; TRANSPORTS.len()],
    /// Made anew, given from prepared ones.
    prepared: [Tally; 2],
}

/// What came over one transport.
#[derive(Debug, Default)]
struct OfTransport {
    /// By type, then rcode.
    responses: [[Tally; RCODES.len()]; QTYPES.len()],
    durations: Durations,
    sizes: Sizes,
    dropped: Tally,
    limited: Tally,
}

impl Cells {
    /// Responses, by indexes of transport, type and rcode.
    pub(super) fn responses(&self, transport: usize, qtype: usize, rcode: usize) -> u64 {
        self.over[transport].responses[qtype][rcode].get()
    }

    /// Responses of any rcode, by indexes of transport and type.
    pub(super) fn queries(&self, transport: usize, qtype: usize) -> u64 {
        let of_type = &self.over[transport].responses[qtype];
        of_type.iter().map(Tally::get).sum()
    }

    /// Queries without a response, by index of transport.
    pub(super) fn dropped(&self, transport: usize) -> u64 {
        self.over[transport].dropped.get()
    }

    /// Queries whose response was held back, by index of transport.
    pub(super) fn limited(&self, transport: usize) -> u64 {
        self.over[transport].limited.get()
    }

    /// Answers given from prepared ones if `hit`, else those made anew.
    pub(super) fn prepared(&self, hit: bool) -> u64 {
        self.prepared[usize::from(hit)].get()
    }

    /// How long answers took, by index of transport.
    pub(super) fn durations(&self, transport: usize) -> &Durations {
        &self.over[transport].durations
    }

    /// How large responses were, by index of transport.
    pub(super) fn sizes(&self, transport: usize) -> &Sizes {
        &self.over[transport].sizes
    }

    /// Adds all of another's numbers.
    fn absorb(&self, other: &Self) {
        let add_each = |own: &[Tally], others: &[Tally]| {
            for (own, others) in own.iter().zip(others) {
                own.add(others.get());
            }
        };
        for (own, others) in self.over.iter().zip(&other.over) {
            add_each(
                own.responses.as_flattened(),
                others.responses.as_flattened(),
            );
            own.durations.absorb(&others.durations);
            own.sizes.absorb(&others.sizes);
            own.dropped.add(others.dropped.get());
            own.limited.add(others.limited.get());
        }
        add_each(&self.prepared, &other.prepared);
    }
}

/// All meters, those that are gone too.
#[derive(Debug, Default)]
pub(super) struct Meters(Mutex<Registered>);

#[derive(Debug, Default)]
struct Registered {
    live: Vec<Arc<Cells>>,
    /// The sum of those that were dropped; written under the lock alone.
    retired: Cells,
}

impl Meters {
    /// Makes a meter that the totals include from now on.
    pub(super) fn register(self: &Arc<Self>) -> QueryMeter {
        let cells = Arc::new(Cells::default());
        self.lock().live.push(Arc::clone(&cells));
        QueryMeter {
            cells,
            meters: Arc::clone(self),
        }
    }

    /// The sum of all meters there are and were.
    pub(super) fn totals(&self) -> Cells {
        let totals = Cells::default();
        let registered = self.lock();
        totals.absorb(&registered.retired);
        for cells in &registered.live {
            totals.absorb(cells);
        }
        totals
    }

    fn lock(&self) -> MutexGuard<'_, Registered> {
        // No critical section can leave numbers that contradict each other.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the queries of one worker, a few nanoseconds each.
///
/// Have one for each thread that answers; sharing one behind a lock works, but
/// makes threads wait. Dropping it keeps what it counted.
#[derive(Debug)]
pub struct QueryMeter {
    cells: Arc<Cells>,
    meters: Arc<Meters>,
}

impl QueryMeter {
    /// Counts a query and its response: its RR type's code, its rcode with the
    /// extended bits, the time it took in nanoseconds, and its size in octets
    /// without transport framing.
    #[inline]
    pub fn answered(
        &mut self,
        transport: Transport,
        qtype: u16,
        rcode: u16,
        nanos: u64,
        octets: usize,
    ) {
        let of = &self.cells.over[transport as usize];
        of.responses[counts::qtype_index(qtype)][counts::rcode_index(rcode)].add(1);
        of.durations.record(&ANSWER_NANOS, nanos);
        of.sizes.record(&ANSWER_OCTETS, octets as u64);
    }

    /// Counts a query that gets no response.
    #[inline]
    pub fn dropped(&mut self, transport: Transport) {
        self.cells.over[transport as usize].dropped.add(1);
    }

    /// Counts a query whose response rate limiting holds back.
    #[inline]
    pub fn limited(&mut self, transport: Transport) {
        self.cells.over[transport as usize].limited.add(1);
    }

    /// Counts an answer: given from a prepared one if `hit`, else made anew.
    #[inline]
    pub fn prepared(&mut self, hit: bool) {
        self.cells.prepared[usize::from(hit)].add(1);
    }
}

impl Drop for QueryMeter {
    fn drop(&mut self) {
        let mut registered = self.meters.lock();
        registered.retired.absorb(&self.cells);
        registered
            .live
            .retain(|cells| !Arc::ptr_eq(cells, &self.cells));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn every_bound_is_the_last_of_its_bucket() {
        let meters = Arc::<Meters>::default();
        let mut meter = meters.register();
        let mut sum = 0;
        for nanos in ANSWER_NANOS.finite() {
            for value in [nanos - 1, *nanos, nanos + 1] {
                meter.answered(Transport::Udp, 1, 0, value, 0);
                sum += value;
            }
        }
        let totals = meters.totals();
        let durations = totals.durations(0);
        // Two of the first bound, one of the last; else one of the bound before, too.
        let mut expected = [3; 17];
        (expected[0], expected[16]) = (2, 1);
        assert_eq!(durations.buckets(), expected);
        assert_eq!(durations.sum(), sum);
        assert_eq!(durations.extremes(), Some((999, 100_000_001)));

        for octets in ANSWER_OCTETS.finite() {
            for value in [octets - 1, *octets, octets + 1] {
                let octets = usize::try_from(value).unwrap();
                meter.answered(Transport::Tcp, 1, 0, 0, octets);
            }
        }
        let mut expected = [3; 12];
        (expected[0], expected[11]) = (2, 1);
        assert_eq!(meters.totals().sizes(1).buckets(), expected);
    }

    #[test]
    fn a_meter_that_is_gone_still_counts() {
        let meters = Arc::<Meters>::default();
        let mut first = meters.register();
        let mut second = meters.register();
        first.answered(Transport::Udp, 33, 0, 10, 100);
        first.dropped(Transport::Quic);
        second.answered(Transport::Udp, 33, 0, 30, 300);
        second.limited(Transport::Udp);
        second.prepared(true);
        second.prepared(false);
        second.prepared(true);
        let check = || {
            let totals = meters.totals();
            assert_eq!((totals.queries(0, 2), totals.responses(0, 2, 0)), (2, 2));
            assert_eq!((totals.dropped(4), totals.limited(0)), (1, 1));
            assert_eq!((totals.prepared(true), totals.prepared(false)), (2, 1));
            assert_eq!(totals.durations(0).sum(), 40);
            assert_eq!(totals.durations(0).extremes(), Some((10, 30)));
            assert_eq!(totals.sizes(0).sum(), 400);
        };
        check();
        drop(first);
        check();
        assert_eq!(meters.lock().live.len(), 1);
        drop(second);
        check();
        assert!(meters.lock().live.is_empty());
        for _ in 0..1000 {
            meters.register().dropped(Transport::Quic);
        }
        assert_eq!(meters.totals().dropped(4), 1001);
        assert!(meters.lock().live.is_empty());
    }

    #[test]
    fn totals_never_fall() {
        let meters = Arc::<Meters>::default();
        let workers = (0..4).map(|_| {
            let meters = Arc::clone(&meters);
            thread::spawn(move || {
                for _ in 0..50 {
                    let mut meter = meters.register();
                    for _ in 0..100 {
                        meter.answered(Transport::Tcp, 1, 0, 1, 1);
                    }
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        let mut last = 0;
        while workers.iter().any(|worker| !worker.is_finished()) {
            let now = meters.totals().queries(1, 0);
            assert!(last <= now, "{last}, then {now}");
            last = now;
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(meters.totals().queries(1, 0), 4 * 50 * 100);
    }

    #[test]
    fn cells_share_no_cache_line() {
        assert_eq!(align_of::<Cells>(), 128);
        assert_eq!(size_of::<Cells>() % 128, 0);
    }
}
