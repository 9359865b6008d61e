//! What a lookup costs that the client's cache answers, alone and with a balancer.

#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use namebeat::client::{
    Client, ConsistentHash, Discovery, LeastLoaded, Query, Registration, RoundRobin, Weighted,
};
use namebeat::config::{Config, Settings};
use namebeat::server::Server;
use namebeat::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

type Error = Box<dyn std::error::Error>;

/// Instances of the service.
const INSTANCES: u16 = 10;

fn lookups(criterion: &mut Criterion) {
    if let Err(error) = measure(criterion) {
        panic!("{error}");
    }
}

fn measure(criterion: &mut Criterion) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let stop = CancellationToken::new();
    let settings = Settings {
        dns: Some(vec!["127.0.0.1:0".parse()?]),
        http: Some("127.0.0.1:0".parse()?),
        ephemeral: Some(true),
        // Long, so that only the cache is measured.
        ttl: Some("1h".parse()?),
        ..Settings::default()
    };
    let mut config = Config::new(settings)?;
    config.zones = None;
    let _inside = runtime.enter();
    let server = Server::bind(config, Telemetry::off().instruments())?;
    let addresses = server.addresses().clone();
    let running = runtime.spawn(server.run(stop.clone()));
    let client: Client = addresses.http.to_string().parse()?;
    let discovery = Discovery::builder().server(addresses.dns[0]).build()?;
    runtime.block_on(async {
        for port in 1..=INSTANCES {
            let instance = Registration::of("web", format!("web-{port}"))
                .address([127, 0, 0, 1].into())
                .port(port)
                .tag("env", "prod")
                .lease(Duration::from_secs(24 * 3600));
            // Kept: dropped, they'd be deregistered.
            std::mem::forget(instance.register(&client).await?);
        }
        Ok::<_, Error>(())
    })?;
    let mut group = criterion.benchmark_group("lookup");
    let local = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    group.bench_function("cached", |bencher| {
        bencher.iter(|| local.block_on(discovery.resolve(black_box("web"))));
    });
    let filtered = Query::service("web").tag("env", "prod");
    group.bench_function("cached, by a tag", |bencher| {
        bencher.iter(|| local.block_on(discovery.resolve(black_box(&filtered).clone())));
    });
    let pool = discovery.pool("web", RoundRobin::default());
    group.bench_function("round robin of 10", |bencher| {
        bencher.iter(|| local.block_on(pool.pick()));
    });
    let pool = discovery.pool("web", Weighted);
    group.bench_function("weighted of 10", |bencher| {
        bencher.iter(|| local.block_on(pool.pick()));
    });
    let pool = discovery.pool("web", LeastLoaded);
    group.bench_function("least loaded of 10", |bencher| {
        bencher.iter(|| local.block_on(pool.pick()));
    });
    let pool = discovery.pool("web", ConsistentHash);
    group.bench_function("consistent hash of 10", |bencher| {
        bencher.iter(|| local.block_on(pool.pick_for(Some(black_box(b"user 7")), &[])));
    });
    group.finish();
    stop.cancel();
    runtime.block_on(running)??;
    Ok(())
}

criterion_group!(benches, lookups);
criterion_main!(benches);
