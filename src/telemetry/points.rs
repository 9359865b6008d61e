//! Metrics that the SDK can't hold, as OTLP has them.
//!
//! The SDK makes histograms from single values, and takes nothing that was counted
//! elsewhere; and all points of one of its counters have the same start. So the
//! histograms of DNS and the counters of services are made here, from the cells of
//! the meters and the table of services, and appended to each request beside the
//! metrics of the SDK.
//!
//! All are cumulative, whatever `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`
//! says: exact totals, which a lost request doesn't spoil. Transports without a
//! value are left out.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics,
    Sum, metric::Data, number_data_point,
};

use super::buckets::{Bounds, Distribution};
use super::counts::{Counts, TRANSPORTS};
use super::instruments::SCOPE;
use super::meter::{ANSWER_NANOS, ANSWER_OCTETS};
use super::services::Series;

/// Nanoseconds in a second.
const NANOS: f64 = 1e9;

/// Appends our metrics at a time in nanoseconds since 1970 began.
pub(super) fn append(request: &mut ExportMetricsServiceRequest, counts: &Counts, now: u64) {
    // A clock that is set back makes no point end before it begins.
    let metrics = metrics(counts, now.max(counts.epoch.started()));
    // A request made from the SDK's metrics is of one resource.
    let Some(of_resource) = request.resource_metrics.first_mut() else {
        return;
    };
    let scopes = &mut of_resource.scope_metrics;
    let is_ours = |of: &ScopeMetrics| of.scope.as_ref().is_some_and(|scope| scope.name == SCOPE);
    match scopes.iter_mut().find(|of| is_ours(of)) {
        Some(ours) => ours.metrics.extend(metrics),
        None => scopes.push(ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: SCOPE.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Default::default()
            }),
            metrics,
            ..Default::default()
        }),
    }
}

fn metrics(counts: &Counts, now: u64) -> Vec<Metric> {
    let totals = counts.dns.totals();
    let span = (counts.epoch.started(), now);
    let transports = || TRANSPORTS.into_iter().enumerate();
    let durations = transports().filter_map(|(transport, carrier)| {
        point(
            &ANSWER_NANOS,
            totals.durations(transport),
            NANOS,
            carrier,
            span,
        )
    });
    let sizes = transports().filter_map(|(transport, carrier)| {
        point(&ANSWER_OCTETS, totals.sizes(transport), 1.0, carrier, span)
    });
    let services = counts.services_asked.collect(span.0, now);
    [
        metric(
            "namebeat.dns.answer.duration",
            "s",
            "From reading a query to having its response",
            histogram(durations.collect()),
        ),
        metric(
            "namebeat.dns.answer.size",
            "By",
            "Size of a response, without the framing of its transport",
            histogram(sizes.collect()),
        ),
        metric(
            "namebeat.dns.service.queries",
            "{query}",
            "Queries answered for a service, those asked for most by name",
            counter(services, now),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A metric, unless it has no data.
fn metric(name: &str, unit: &str, description: &str, data: Option<Data>) -> Option<Metric> {
    Some(Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data?),
        ..Default::default()
    })
}

fn histogram(data_points: Vec<HistogramDataPoint>) -> Option<Data> {
    (!data_points.is_empty()).then(|| {
        Data::Histogram(Histogram {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        })
    })
}

/// The values of one transport, in a unit that has `scale` of theirs; nothing if there is none.
fn point<const N: usize>(
    bounds: &Bounds<N>,
    values: &Distribution<N>,
    scale: f64,
    carrier: &str,
    (started, now): (u64, u64),
) -> Option<HistogramDataPoint> {
    // Both are whole numbers, so this rounds once.
    let scaled = |value: u64| value as f64 / scale;
    let buckets = values.buckets();
    let (min, max) = values.extremes()?;
    Some(HistogramDataPoint {
        attributes: vec![attribute("network.transport", carrier)],
        start_time_unix_nano: started,
        time_unix_nano: now,
        count: buckets.iter().sum(),
        sum: Some(scaled(values.sum())),
        bucket_counts: buckets.to_vec(),
        explicit_bounds: bounds.finite().iter().copied().map(scaled).collect(),
        min: Some(scaled(min)),
        max: Some(scaled(max)),
        ..Default::default()
    })
}

fn counter(series: Vec<Series>, now: u64) -> Option<Data> {
    let data_points: Vec<_> = series
        .into_iter()
        .map(|series| NumberDataPoint {
            attributes: vec![attribute("namebeat.service", &series.name)],
            // The clock may have been set back since.
            start_time_unix_nano: series.since.min(now),
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsInt(
                i64::try_from(series.queries).unwrap_or(i64::MAX),
            )),
            ..Default::default()
        })
        .collect();
    (!data_points.is_empty()).then(|| {
        Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })
    })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..Default::default()
    }
}
