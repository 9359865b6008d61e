//! An endpoint: what a client may dial, and how it did lately.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::balance::ejection::Ejection;
use crate::time::{Clock, Moment};

/// An instance that can be dialled; cheap to clone.
///
/// How it does is remembered by its address, so that the same endpoint of a later
/// lookup knows it, too.
#[derive(Clone)]
pub struct Endpoint(Arc<Data>);

/// What is known of an endpoint.
pub(super) struct Data {
    /// At least one.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) target: String,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) txt: Option<Vec<String>>,
    pub(super) is_local: bool,
    pub(super) record: Arc<Record>,
    pub(super) clock: Clock,
}

/// What became of a request to an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered.
    Ok,
    /// It wasn't: no connection, a broken one, no answer in time.
    Failed,
}

impl Endpoint {
    pub(super) fn new(data: Data) -> Self {
        Self(Arc::new(data))
    }

    /// An endpoint for tests of what chooses between them.
    #[cfg(test)]
    pub(super) fn test(port: u16, priority: u16, weight: u16, is_local: bool) -> Self {
        Self::new(Data {
            addresses: vec![([127, 0, 0, 1], port).into()],
            target: format!("i{port}.web.svc.internal."),
            priority,
            weight,
            txt: None,
            is_local,
            record: Arc::default(),
            clock: Clock::start(),
        })
    }

    /// The address and port to dial: the first IPv4 address, or else the first IPv6 one.
    pub fn address(&self) -> SocketAddr {
        self.0.addresses[0]
    }

    /// All of its addresses, those of IPv4 first.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// The target of its SRV record: a name with a final dot.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// SRV priority; the lowest goes first.
    pub fn priority(&self) -> u16 {
        self.0.priority
    }

    /// SRV weight.
    pub fn weight(&self) -> u16 {
        self.0.weight
    }

    /// What TXT says of it, such as `version=1.4.2`; empty unless it was asked for.
    pub fn txt(&self) -> &[String] {
        self.0.txt.as_deref().unwrap_or_default()
    }

    /// The value of a pair in TXT.
    pub fn txt_value(&self, key: &str) -> Option<&str> {
        let pairs = self.txt().iter().filter_map(|pair| pair.split_once('='));
        let mut of_key = pairs.filter(|(known, _)| known.eq_ignore_ascii_case(key));
        of_key.next().map(|(_, value)| value)
    }

    /// Whether it's in the locality that the discovery was told to prefer.
    pub fn is_local(&self) -> bool {
        self.0.is_local
    }

    /// Says how a request went. One that failed ejects the endpoint for a while, which
    /// grows with each further failure; one that went well has it forgiven.
    pub fn report(&self, outcome: Outcome) {
        self.report_at(outcome, self.0.clock.now(), fastrand::f64());
    }

    pub(super) fn report_at(&self, outcome: Outcome, now: Moment, random: f64) {
        let record = &self.0.record;
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let lock = record.ejection.lock();
        let mut ejection = lock.unwrap_or_else(PoisonError::into_inner);
        ejection.report(outcome, now, random);
        record.until.store(ejection.until().as_nanos(), Relaxed);
    }

    /// Whether requests keep away from it for now.
    pub fn is_ejected(&self) -> bool {
        self.0.clock.now() < self.ejected_until()
    }

    pub(super) fn ejected_until(&self) -> Moment {
        Moment::from_nanos(self.0.record.until.load(Relaxed))
    }

    /// Requests that it was picked for and that aren't over.
    pub fn in_flight(&self) -> u32 {
        self.0.record.in_flight.load(Relaxed)
    }

    /// It's picked: a request is on its way until that is dropped.
    pub(super) fn picked(self) -> Picked {
        self.0.record.in_flight.fetch_add(1, Relaxed);
        Picked(self)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address())
            .field("target", &self.target())
            .field("priority", &self.priority())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Endpoint {
    /// Whether it's the same instance, as clients see it.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        a.addresses == b.addresses && a.target == b.target
    }
}

impl Eq for Endpoint {}

/// An endpoint that was picked for a request; hold it until that is over.
#[derive(Debug)]
pub struct Picked(Endpoint);

impl Deref for Picked {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.0
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.0.0.record.in_flight.fetch_sub(1, Relaxed);
    }
}

/// How an address did lately.
#[derive(Debug, Default)]
pub(super) struct Record {
    ejection: Mutex<Ejection>,
    /// End of its ejection, as in `ejection`, for those who only look.
    until: AtomicU64,
    in_flight: AtomicU32,
}

/// The records of all addresses that some endpoint has. No more are kept than twice the
/// endpoints that there are.
#[derive(Debug, Default)]
pub(super) struct Records(Mutex<HashMap<SocketAddr, Weak<Record>>>);

impl Records {
    /// The record of an address.
    pub(super) fn of(&self, address: SocketAddr) -> Arc<Record> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = records.get(&address).and_then(Weak::upgrade) {
            return record;
        }
        if records.len() == records.capacity() {
            records.retain(|_, record| record.strong_count() > 0);
        }
        let record = Arc::<Record>::default();
        records.insert(address, Arc::downgrade(&record));
        record
    }
}
