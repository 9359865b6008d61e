//! Keeps the zones in use what the files say.
//!
//! Asked to, or when a file has changed, it reads all files and replaces all zones
//! at once. If one file is wrong, or a static name would stand where something is
//! registered, nothing changes, and the log, `/readyz` and a metric say so until
//! it's set right.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::dns::store::ZoneStore;
use crate::dns::zones::{ZoneSource, Zones};
use crate::registry::Registry;
use crate::registry::log::Keys;
use crate::reload::{Reloads, Requests};
use crate::telemetry::Instruments;

/// Time between two looks at the files. A change is taken up when two looks in
/// turn find the same, so that nobody is met while writing.
const LOOK: Duration = Duration::from_secs(1);

/// Most files that are looked at; changes of further ones aren't noticed.
const MAX_FILES: usize = 10_000;

/// How deep directories are looked through.
const MAX_DEPTH: usize = 8;

/// Whoever reloads zones.
pub(super) struct ZoneKeeper {
    pub(super) source: Arc<ZoneSource>,
    pub(super) store: ZoneStore,
    pub(super) registry: Registry,
    pub(super) instruments: Arc<Instruments>,
    pub(super) reloads: Reloads,
    /// File of the keys that the state is sealed with.
    pub(super) key_file: Option<PathBuf>,
    /// What the files looked like when they were read.
    pub(super) read: Files,
}

impl ZoneKeeper {
    /// Reloads whenever that is wanted, until `stop` is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(requests) = self.reloads.next() => self.reload(requests).await,
                _ = looks.tick(), if self.source.dir.is_some() => {
                    let now = self.look().await;
                    if now != self.read && before.as_ref() == Some(&now) {
                        self.reload(Requests::default()).await;
                    }
                    before = Some(now);
                }
            }
        }
    }

    async fn reload(&mut self, requests: Requests) {
        // What changes from here on is another change.
        self.read = self.look().await;
        let result = match self.rekey().await {
            Ok(()) => self.replace().await,
            Err(error) => Err(error),
        };
        self.instruments.zones_reloaded(result.is_ok());
        if let Ok(count) = result {
            self.instruments.set_zones(count as u64);
        }
        let at = self.registry.wall(self.registry.now());
        match self.reloads.done(requests, result, at) {
            Ok(()) => tracing::info!("the zones were loaded again"),
            Err(error) => tracing::error!("the zones stay as they were: {error}"),
        }
    }

    /// Reads the key file again, if there is one.
    async fn rekey(&self) -> Result<(), String> {
        let Some(file) = self.key_file.clone() else {
            return Ok(());
        };
        let read = tokio::task::spawn_blocking(move || Keys::read(&file)).await;
        let keys = read.map_err(|error| error.to_string())?;
        let keys = keys.map_err(|error| error.to_string())?;
        if self
            .registry
            .rekey(keys)
            .await
            .map_err(|error| error.to_string())?
        {
            tracing::info!("the state is sealed with another key from now on, and soon all of it");
        }
        Ok(())
    }

    /// Reads the files and puts what they make in place, if nothing speaks against it.
    async fn replace(&self) -> Result<usize, String> {
        let source = self.source.clone();
        let loaded = tokio::task::spawn_blocking(move || source.load()).await;
        let (zones, warnings) = loaded
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let (store, zones) = (self.store.clone(), Arc::new(zones));
        // Nobody may register between the look and the replacement.
        let replaced = self.registry.exclusively(move |directory| {
            if let Some(name) = zones.taken(directory) {
                return Err(format!(
                    "the static name {name} is that of something registered; \
                     take it out of the zone file, or deregister the instances"
                ));
            }
            let count = zones.count();
            store.replace(zones);
            Ok(count)
        });
        replaced.await.map_err(|error| error.to_string())?
    }

    async fn look(&self) -> Files {
        let source = self.source.clone();
        let look = move || source.dir.as_deref().map(Files::of).unwrap_or_default();
        // It ends early only when the server does.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

/// What files look like from outside: enough to see that one has changed.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Files(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Files {
    /// Those in a directory and below, hidden ones left out. Included files can
    /// have any name, so all count.
    pub(super) fn of(dir: &Path) -> Self {
        let mut files = Vec::new();
        let mut dirs = vec![(dir.to_owned(), 0)];
        while let Some((dir, depth)) = dirs.pop() {
            // What can't be read is missed when it's loaded.
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                // Links are followed: where they lead is what is read.
                let Ok(metadata) = std::fs::metadata(&path) else {
                    continue;
                };
                if hidden || files.len() == MAX_FILES {
                    continue;
                }
                if metadata.is_dir() && depth < MAX_DEPTH {
                    dirs.push((path, depth + 1));
                } else if metadata.is_file() {
                    files.push((path, metadata.len(), metadata.modified().ok()));
                }
            }
        }
        files.sort();
        Self(files)
    }
}

/// Loads the zones for the first time, and says what is odd about them.
pub(super) fn load(source: &ZoneSource) -> Result<Zones, crate::dns::zones::ZoneLoadError> {
    let (zones, warnings) = source.load()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(zones)
}
