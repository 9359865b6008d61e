//! What the library fits into: feature sets, tower, reqwest, OpenTelemetry.

use std::process::Command;
use std::sync::Arc;

use futures_util::StreamExt as _;
use namebeat::client::{Discovery, Resolver, Weighted};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tower::discover::Change;

use super::calls::run;
use super::discovery::with_ttl;
use crate::harness::TestServer;
use crate::relay::nobody;

/// A program that is a client alone doesn't build a server.
#[test]
fn the_client_brings_no_server() {
    for features in ["client", "reqwest,tower,tonic"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--no-default-features"])
            .args(["--features", features, "-e", "normal", "--prefix", "none"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let crates: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(
            crates.contains(&"namebeat") && crates.contains(&"reqwest"),
            "{text}"
        );
        for server in [
            "axum",
            "hickory-server",
            "clap",
            "opentelemetry_sdk",
            "papaya",
        ] {
            assert!(
                !crates.contains(&server),
                "{features}: {server} is in\n{text}"
            );
        }
    }
}

#[test]
fn tower_is_told_who_comes_and_goes() {
    let server = with_ttl("0s");
    server.register_web("web-1", 1);
    let discovery = Discovery::builder().server(server.dns()).build().unwrap();
    run(async {
        let mut changes = discovery.changes("web", |endpoint| endpoint.address().port());
        let mut next = async || changes.next().await.unwrap().unwrap();
        assert!(matches!(next().await, Change::Insert(_, 8001)));
        server.register_web("web-2", 2);
        assert!(matches!(next().await, Change::Insert(_, 8002)));
        server.http("DELETE", "/v1/instances/web-1", "");
        let Change::Remove(gone) = next().await else {
            panic!("nobody went");
        };
        assert_eq!(gone.port(), 8001);
    });
}

/// One instance that is listed isn't there: a connection goes on to the other, whether
/// reqwest opens it by the resolver or the pool does.
#[test]
fn reqwest_goes_on_to_another_instance() {
    let server = TestServer::start();
    let port = nobody().port();
    // The other one is the server's own API.
    for (id, port) in [("api-1", port), ("api-2", server.addresses.http.port())] {
        let body = serde_json::json!({"name": "api", "host": "127.0.0.1", "port": port});
        server.register(id, body);
    }
    let discovery = Discovery::builder().server(server.dns()).build().unwrap();
    run(async {
        let resolver = Arc::new(Resolver::new(discovery.clone()));
        let url = "http://api.svc.internal/healthz";
        for _ in 0..10 {
            let http = reqwest::Client::builder().no_proxy();
            let http = http.dns_resolver(resolver.clone()).build().unwrap();
            assert_eq!(http.get(url).send().await.unwrap().status(), 200);
        }
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let pool = discovery.pool("api", Weighted);
        for _ in 0..10 {
            let request = http.get(url).build().unwrap();
            let response = pool.execute(&http, request).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        let endpoints = discovery.resolve("api").await.unwrap();
        let ejected: Vec<bool> = endpoints.iter().map(|it| it.is_ejected()).collect();
        let is_away = endpoints.iter().map(|it| it.address().port() == port);
        // The one that is away was tried in ten draws of two, but for one time in 1024.
        let away: Vec<bool> = is_away.collect();
        assert!(ejected == away || ejected == [false, false], "{ejected:?}");
        // A host elsewhere is the system's business.
        let http = reqwest::Client::builder().no_proxy();
        let http = http.dns_resolver(resolver).build().unwrap();
        let local = format!("http://localhost:{}/healthz", server.addresses.http.port());
        assert_eq!(http.get(local).send().await.unwrap().status(), 200);
    });
}

#[test]
fn lookups_are_measured() {
    let server = with_ttl("1h");
    server.register_web("web-1", 1);
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_periodic_exporter(exporter.clone())
        .build();
    let builder = Discovery::builder().server(server.dns());
    let discovery = builder.meter(provider.meter("test")).build().unwrap();
    run(async {
        // The second is answered by the cache, and is no lookup.
        for query in ["web", "web", "nobody"] {
            let _ = discovery.resolve(query).await;
        }
    });
    provider.force_flush().unwrap();
    let metrics = exporter.get_finished_metrics().unwrap();
    let metrics: Vec<_> = metrics
        .iter()
        .flat_map(|metrics| metrics.scope_metrics())
        .flat_map(|scope| scope.metrics())
        .collect();
    let [metric] = &metrics[..] else {
        panic!("{metrics:?}");
    };
    assert_eq!((metric.name(), metric.unit()), ("dns.lookup.duration", "s"));
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("{metric:?}");
    };
    let mut points: Vec<(u64, Vec<String>)> = histogram
        .data_points()
        .map(|point| {
            let attributes = point.attributes();
            let mut texts: Vec<String> = attributes
                .map(|it| format!("{}={}", it.key, it.value))
                .collect();
            texts.sort();
            (point.count(), texts)
        })
        .collect();
    points.sort();
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|&text| text.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        points,
        [
            (
                1,
                texts(&[
                    "dns.question.name=nobody.svc.internal.",
                    "error.type=host_not_found"
                ])
            ),
            (1, texts(&["dns.question.name=web.svc.internal."])),
        ]
    );
}
