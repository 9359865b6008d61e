//! The observable instruments: how the SDK finds the numbers of [`Counts`].
//!
//! Callbacks only load atomics, on the SDK's thread; those of DNS sum up the meters of
//! all workers before. What the SDK can't hold is in [`super::points`]. Names, units and attributes
//! are those of the table in [`super::instruments`].

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::counts::{self, CHECK_KINDS, Counts, QTYPES, RCODES, TRANSPORTS};

/// What a callback reports to.
type Observer<'a> = &'a dyn AsyncInstrument<u64>;

/// Shows the counts of DNS messages; combinations that never occurred are left out.
pub(super) fn dns(meter: &Meter, counts: &Arc<Counts>) {
    let name = "namebeat.dns.queries";
    counter(
        meter,
        counts,
        name,
        "{query}",
        "Queries answered",
        |counts, to| {
            let totals = counts.dns.totals();
            for (transport, carrier) in TRANSPORTS.into_iter().enumerate() {
                for (qtype, mnemonic) in QTYPES.into_iter().enumerate() {
                    observe_above_zero(to, totals.queries(transport, qtype), || {
                        [of_type(mnemonic), over(carrier)]
                    });
                }
            }
        },
    );
    let name = "namebeat.dns.responses";
    let meaning = "Responses, by what they say";
    counter(meter, counts, name, "{response}", meaning, |counts, to| {
        let totals = counts.dns.totals();
        for (transport, carrier) in TRANSPORTS.into_iter().enumerate() {
            for (qtype, mnemonic) in QTYPES.into_iter().enumerate() {
                for (rcode, code) in RCODES.into_iter().enumerate() {
                    let responses = totals.responses(transport, qtype, rcode);
                    observe_above_zero(to, responses, || {
                        let code = KeyValue::new("dns.response.code", code);
                        [of_type(mnemonic), code, over(carrier)]
                    });
                }
            }
        }
    });
    let name = "namebeat.dns.dropped";
    let meaning = "Queries that got no response, on purpose";
    counter(meter, counts, name, "{query}", meaning, |counts, to| {
        let totals = counts.dns.totals();
        for (transport, carrier) in TRANSPORTS.into_iter().enumerate() {
            observe_above_zero(to, totals.dropped(transport), || [over(carrier)]);
        }
    });
    let name = "namebeat.dns.limited";
    let meaning = "Queries whose response rate limiting held back";
    counter(meter, counts, name, "{query}", meaning, |counts, to| {
        let totals = counts.dns.totals();
        for (transport, carrier) in TRANSPORTS.into_iter().enumerate() {
            observe_above_zero(to, totals.limited(transport), || [over(carrier)]);
        }
    });
    let name = "namebeat.dns.prepared";
    let meaning = "Answers, by whether they were prepared or made anew";
    counter(meter, counts, name, "{answer}", meaning, |counts, to| {
        let totals = counts.dns.totals();
        for (result, hit) in [("hit", true), ("miss", false)] {
            to.observe(totals.prepared(hit), &[KeyValue::new("result", result)]);
        }
    });
}

/// Shows the counts and gauges of the registry.
pub(super) fn registry(meter: &Meter, counts: &Arc<Counts>) {
    let name = "namebeat.registry.registrations";
    let meaning = "Registrations asked for";
    counter(
        meter,
        counts,
        name,
        "{registration}",
        meaning,
        |counts, to| {
            let results = ["created", "replaced", "refused"];
            observe_each(to, "result", &results, &counts.registrations);
        },
    );
    let name = "namebeat.registry.deregistrations";
    let meaning = "Instances deregistered by a client";
    counter(
        meter,
        counts,
        name,
        "{deregistration}",
        meaning,
        |counts, to| {
            to.observe(counts::get(&counts.deregistrations), &[]);
        },
    );
    let name = "namebeat.registry.discoveries";
    let meaning = "Instances of a service asked for over HTTP";
    counter(meter, counts, name, "{discovery}", meaning, |counts, to| {
        to.observe(counts::get(&counts.discoveries), &[]);
    });
    let name = "namebeat.registry.heartbeats";
    let meaning = "Heartbeats, by whether there was a lease to renew";
    counter(meter, counts, name, "{heartbeat}", meaning, |counts, to| {
        observe_each(to, "result", &["renewed", "unknown"], &counts.heartbeats);
    });
    let name = "namebeat.registry.expiries";
    let meaning = "Leases that ended without a heartbeat";
    counter(meter, counts, name, "{lease}", meaning, |counts, to| {
        to.observe(counts::get(&counts.expiries), &[]);
    });
    let name = "namebeat.registry.publishes";
    let meaning = "Registry states made visible to DNS";
    counter(meter, counts, name, "{publish}", meaning, |counts, to| {
        to.observe(counts::get(&counts.publishes), &[]);
    });
    let name = "namebeat.zones.reloads";
    let meaning = "Times that the files of zones were read again, by whether they are in use";
    counter(meter, counts, name, "{reload}", meaning, |counts, to| {
        observe_each(to, "result", &["loaded", "failed"], &counts.zone_reloads);
    });
    let name = "namebeat.registry.watchers";
    let meaning = "Calls that wait for changes";
    gauge(meter, counts, name, "{call}", meaning, |counts, to| {
        to.observe(counts::get(&counts.watchers), &[]);
    });
    let name = "namebeat.registry.held";
    let meaning = "Leases that are held because too many run out together";
    gauge(meter, counts, name, "{lease}", meaning, |counts, to| {
        to.observe(counts::get(&counts.held), &[]);
    });
    let name = "namebeat.state.writes";
    let meaning = "Batches of changes written to disk, by whether they are there";
    counter(meter, counts, name, "{write}", meaning, |counts, to| {
        observe_each(to, "result", &["written", "failed"], &counts.state_writes);
    });
    let name = "namebeat.zones";
    let meaning = "Zones that DNS answers from";
    gauge(meter, counts, name, "{zone}", meaning, |counts, to| {
        to.observe(counts::get(&counts.zones), &[]);
    });
    let name = "namebeat.registry.instances";
    let meaning = "Instances registered, by whether DNS answers with them";
    gauge(meter, counts, name, "{instance}", meaning, |counts, to| {
        observe_each(to, "state", &["listed", "withdrawn"], &counts.instances);
    });
    let name = "namebeat.registry.services";
    let meaning = "Services with at least one instance registered";
    gauge(meter, counts, name, "{service}", meaning, |counts, to| {
        to.observe(counts::get(&counts.services), &[]);
    });
}

/// Shows the counts of probes and of changes of health; kinds that aren't used are left out.
pub(super) fn checks(meter: &Meter, counts: &Arc<Counts>) {
    let name = "namebeat.check.requests";
    counter(
        meter,
        counts,
        name,
        "{request}",
        "Probes made",
        |counts, to| {
            observe_kinds(to, counts, &counts.check_requests);
        },
    );
    let name = "namebeat.check.failures";
    counter(
        meter,
        counts,
        name,
        "{request}",
        "Probes failed",
        |counts, to| {
            observe_kinds(to, counts, &counts.check_failures);
        },
    );
    let name = "namebeat.check.transitions";
    let meaning = "Changes of an instance's health";
    counter(
        meter,
        counts,
        name,
        "{transition}",
        meaning,
        |counts, to| {
            let healths = ["passing", "warning", "failing"];
            observe_each(to, "to", &healths, &counts.check_transitions);
        },
    );
    let name = "namebeat.check.damped";
    let meaning = "Times that an instance was held back because it flaps";
    counter(meter, counts, name, "{instance}", meaning, |counts, to| {
        to.observe(counts::get(&counts.check_damped), &[]);
    });
    let name = "namebeat.check.probes";
    let meaning = "Probes under way, and due without room to run";
    gauge(meter, counts, name, "{probe}", meaning, |counts, to| {
        observe_each(to, "state", &["running", "waiting"], &counts.check_probes);
    });
}

/// Makes a counter that `read` observes; the SDK keeps it for as long as its provider lives.
fn counter(
    meter: &Meter,
    counts: &Arc<Counts>,
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    read: fn(&Counts, Observer<'_>),
) {
    let counts = Arc::clone(counts);
    let instrument = meter.u64_observable_counter(name);
    instrument
        .with_unit(unit)
        .with_description(meaning)
        .with_callback(move |to| read(&counts, to))
        .build();
}

/// Makes a gauge, as [`counter`] does.
fn gauge(
    meter: &Meter,
    counts: &Arc<Counts>,
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    read: fn(&Counts, Observer<'_>),
) {
    let counts = Arc::clone(counts);
    let instrument = meter.u64_observable_gauge(name);
    instrument
        .with_unit(unit)
        .with_description(meaning)
        .with_callback(move |to| read(&counts, to))
        .build();
}

/// Observes one number for each value of an attribute, zeros too: a rate needs its beginning.
fn observe_each(to: Observer<'_>, key: &'static str, values: &[&'static str], cells: &[AtomicU64]) {
    for (value, cell) in values.iter().zip(cells) {
        to.observe(counts::get(cell), &[KeyValue::new(key, *value)]);
    }
}

/// Observes `cells` for each kind that has been probed, so failures begin at 0 with the requests.
fn observe_kinds(to: Observer<'_>, counts: &Counts, cells: &[AtomicU64]) {
    let kinds = CHECK_KINDS.iter().zip(cells).zip(&counts.check_requests);
    for ((kind, cell), requests) in kinds {
        if counts::get(requests) != 0 {
            to.observe(counts::get(cell), &[KeyValue::new("kind", *kind)]);
        }
    }
}

fn observe_above_zero<const N: usize>(
    to: Observer<'_>,
    number: u64,
    attributes: impl FnOnce() -> [KeyValue; N],
) {
    if number != 0 {
        to.observe(number, &attributes());
    }
}

fn of_type(mnemonic: &'static str) -> KeyValue {
    KeyValue::new("dns.question.type", mnemonic)
}

fn over(carrier: &'static str) -> KeyValue {
    KeyValue::new("network.transport", carrier)
}
