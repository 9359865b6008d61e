//! A registry whose disk fails: nothing is changed that can't be kept, reads go on, and
//! it recovers by itself.

use std::sync::Arc;
use std::time::Duration;

use super::Registry;
use super::check::Health;
use super::feed::Verdict;
use super::instance::Instance;
use super::log::StateDir;
use super::log::record::Record;
use super::log::tests::{Fault, Faulty, TempDir};
use super::objections::CollisionTest;
use super::storage::Unavailable;
use super::table::TableConfig;
use crate::api::Registration;
use crate::telemetry::Instruments;
use crate::time::Clock;

/// A registry that keeps its state in `dir`, on a disk that fails when it's told to.
async fn registry(dir: &TempDir, disk: &Faulty) -> Registry {
    start(state(dir, disk).await).await
}

/// The directory, once the registry before has let go of it.
async fn state(dir: &TempDir, disk: &Faulty) -> StateDir {
    loop {
        match StateDir::open(&dir.0, None) {
            Ok(state) => return state.with_disk(Arc::new(disk.clone())),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn start(state: StateDir) -> Registry {
    let config = TableConfig::default();
    let free: CollisionTest = Arc::new(|_: &Instance| None);
    let instruments = Arc::new(Instruments::off());
    let registry = Registry::start_with(
        config,
        Some(state),
        &[],
        free.into(),
        instruments,
        Clock::start(),
    );
    let registry = registry.unwrap();
    registry.storage().is_loaded().await.unwrap();
    registry
}

fn instance(id: &str, port: u16) -> Instance {
    let body = serde_json::json!({
        "id": id, "name": "web", "host": "10.0.0.1", "port": port, "health_check": {"kind": "tcp"},
    });
    let registration: Registration = serde_json::from_value(body).unwrap();
    registration.try_into().unwrap()
}

fn port(registry: &Registry, id: &str) -> Option<u16> {
    Some(registry.directory().entry(id)?.instance.port)
}

#[tokio::test]
async fn what_the_disk_refuses_is_refused_and_changes_nothing() {
    let (dir, disk) = (TempDir::new(), Faulty::default());
    let registry = registry(&dir, &disk).await;
    let put = |id, port| registry.register(vec![instance(id, port)], true);
    put("a", 1).await.unwrap()[0].as_ref().unwrap();
    let entry = registry.directory().entry("a").unwrap();

    disk.fails(&[Fault::Short(5), Fault::Cut, Fault::Cut]);
    let refused = put("a", 2).await.err();
    assert!(
        matches!(refused, Some(Unavailable::Storage(_))),
        "{refused:?}"
    );
    assert!(matches!(put("b", 1).await, Err(Unavailable::Storage(_))));
    let drained = registry.drain("a".parse().unwrap()).await;
    assert!(matches!(drained, Err(Unavailable::Storage(_))));
    let left = registry.deregister("a".parse().unwrap()).await;
    assert!(matches!(left, Err(Unavailable::Storage(_))));
    assert_eq!(
        (port(&registry, "a"), port(&registry, "b")),
        (Some(1), None)
    );
    assert!(registry.storage().failure().is_some());
    // Heartbeats go on, and so does what checks find out.
    registry.heartbeat("a").unwrap();
    let verdict = Verdict {
        entry,
        health: Health::Passing,
        output: "open".into(),
    };
    assert_eq!(registry.set_health(vec![verdict]).await, Ok(true));
    let member = registry.directory().member("a").unwrap();
    assert_eq!((member.health, member.draining), (Health::Passing, false));

    // It tries again by itself, and then takes changes again.
    while registry.storage().failure().is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    put("b", 2).await.unwrap()[0].as_ref().unwrap();
    drop((registry, disk));
    let registry = self::registry(&dir, &Faulty::default()).await;
    assert_eq!(
        (port(&registry, "a"), port(&registry, "b")),
        (Some(1), Some(2))
    );
    let health = registry.directory().member("a").unwrap().health;
    assert_eq!(
        health,
        Health::Passing,
        "though it was found while the disk failed"
    );
}

#[tokio::test]
async fn the_revision_never_goes_back() {
    let dir = TempDir::new();
    let mut before = 0;
    for round in 0..4 {
        let registry = registry(&dir, &Faulty::default()).await;
        for port in 1..20 {
            let taken = registry.register(vec![instance("a", port)], true).await;
            taken.unwrap()[0].as_ref().unwrap();
            let now = registry.directory().revision();
            assert!(before < now, "round {round}: {now} after {before}");
            before = now;
        }
        drop(registry);
        // As if it had run for years, at more than a change a second, and the clock had
        // been set back since.
        before += 100_000_000;
        let state = state(&dir, &Faulty::default()).await;
        let (mut log, _) = state.load(&Clock::start(), &|known| known, |_| {}).unwrap();
        let mut octets = Vec::new();
        Record::Ceiling(before).encode(&mut octets);
        log.append(&octets).unwrap();
    }
}

#[tokio::test]
async fn snapshots_replace_logs() {
    let dir = TempDir::new();
    let files = || {
        let names = std::fs::read_dir(&dir.0).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    };
    {
        let state = state(&dir, &Faulty::default()).await;
        let registry = start(state.with_snapshot_after(20_000)).await;
        assert_eq!(files(), ["log-0000000001"]);
        registry
            .register(vec![instance("drained", 1)], true)
            .await
            .unwrap()[0]
            .as_ref()
            .unwrap();
        registry
            .drain("drained".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let mut port = 0;
        while files() != ["log-0000000002", "snapshot-0000000002"] {
            port = port % 60_000 + 1;
            for id in ["a", "b", "c"] {
                let taken = registry.register(vec![instance(id, port)], true).await;
                taken.unwrap()[0].as_ref().unwrap();
            }
        }
        registry
            .deregister("b".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let taken = registry.register(vec![instance("c", 61_000)], true).await;
        taken.unwrap()[0].as_ref().unwrap();
    }
    let registry = registry(&dir, &Faulty::default()).await;
    assert!(port(&registry, "a").is_some_and(|port| port <= 60_000));
    assert_eq!(
        (port(&registry, "b"), port(&registry, "c")),
        (None, Some(61_000))
    );
    assert!(registry.directory().member("drained").unwrap().draining);
}
