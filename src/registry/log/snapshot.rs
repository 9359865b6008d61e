//! Snapshots: everything that is known, so that the logs before can go.
//!
//! One is written by a thread of its own, from the views that readers see, while the
//! writer goes on. It may hold some changes that come after its log's beginning:
//! that log is read after it, and each record in it is the whole of a thing, so they
//! agree. A snapshot has its name only once all of it is on the medium.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk::Disk;
use super::frame::{Cursor, Kind};
use super::load::{log_path, numbers, snapshot_path};
use super::record::{Record, Stored};
use super::seal::Keys;
use super::stored_settings::StoredSettings;
use crate::name::{InstanceId, ServiceName};
use crate::registry::directory::Directory;
use crate::time::Clock;

/// Octets of records in a frame, before the last one.
const FRAME_LEN: usize = 1 << 20;

/// Priority of the thread below that of the others: a tenth of the processor's time while
/// one of them wants it, too.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// What a snapshot is made of.
pub(in crate::registry) struct Source {
    /// Every instance, and what belongs to its service.
    pub(in crate::registry) directory: Arc<Directory>,
    /// Ids that are drained when they come back.
    pub(in crate::registry) drained: Vec<InstanceId>,
    /// For how long answers may be held whose TTL no setting has any more.
    pub(in crate::registry) held: Vec<(Option<ServiceName>, Duration)>,
    /// No revision above this one was published.
    pub(in crate::registry) ceiling: u64,
    /// What times of day are reckoned by.
    pub(in crate::registry) clock: Clock,
}

/// A snapshot that is being written. Ends when it's dropped, and is waited for.
#[derive(Debug)]
pub(super) struct Writing {
    thread: Option<JoinHandle<io::Result<u64>>>,
    stop: Arc<AtomicBool>,
}

impl Writing {
    /// Begins the snapshot that log `number` goes on from.
    pub(super) fn begin(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        keys: Option<Arc<Keys>>,
        number: u64,
        source: Source,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let job = Job {
            dir,
            disk,
            keys,
            number,
            stop: stop.clone(),
        };
        let builder = std::thread::Builder::new().name("snapshot".to_owned());
        let thread = builder.spawn(move || job.run(&source))?;
        Ok(Self {
            thread: Some(thread),
            stop,
        })
    }

    /// What came of it, once it's done: its length in octets.
    pub(super) fn finished(&mut self) -> Option<io::Result<u64>> {
        if !self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return None;
        }
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|_| Err(io::Error::other("it panicked"))))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it would say concerns nobody any more.
            let _ = thread.join();
        }
    }
}

struct Job {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    keys: Option<Arc<Keys>>,
    number: u64,
    stop: Arc<AtomicBool>,
}

impl Job {
    fn run(&self, source: &Source) -> io::Result<u64> {
        let path = snapshot_path(&self.dir, self.number);
        let part = path.with_extension("part");
        // One that wasn't finished.
        let _ = self.disk.remove(&part);
        let written = self.write(&part, source).and_then(|len| {
            self.disk.rename(&part, &path)?;
            self.disk.sync_dir(&self.dir)?;
            Ok(len)
        });
        if written.is_err() {
            let _ = self.disk.remove(&part);
        }
        let len = written?;
        self.clear()?;
        Ok(len)
    }

    fn write(&self, path: &std::path::Path, source: &Source) -> io::Result<u64> {
        let mut file = self.disk.create(path)?;
        let (mut cursor, header) = Cursor::begin(Kind::Snapshot, self.number);
        file.write(0, &header)?;
        let (mut payload, mut count) = (Vec::with_capacity(FRAME_LEN + 4096), 0);
        let mut frame = |payload: &mut Vec<u8>| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("the server is stopping"));
            }
            let place = super::place(Kind::Snapshot, self.number, cursor.sequence);
            let sealed = super::wrap(self.keys.as_deref(), payload, &place)?;
            let frame = cursor.frame(&sealed)?;
            file.write(cursor.len, &frame)?;
            cursor = cursor.behind(&frame);
            payload.clear();
            Ok(())
        };
        let ceiling = [Record::Ceiling(source.ceiling)];
        let drained = source.drained.iter().map(|id| Record::Gone {
            id: id.as_str(),
            drained: true,
        });
        let held = source.held.iter();
        let held = held.map(|(service, left)| Record::held(service.as_ref(), *left));
        for record in ceiling.into_iter().chain(drained).chain(held) {
            record.encode(&mut payload);
            count += 1;
        }
        let shown = source.clock.time_of_day();
        let views = source.directory.services();
        // It takes no lock from here on that another could wait for.
        step_back();
        for view in views {
            if !view.settings.is_empty() {
                let settings = StoredSettings::of(&view.service, &view.settings);
                Record::Settings(settings).encode(&mut payload);
                count += 1;
            }
            for member in view.registered() {
                Record::Registered(Stored::of(member, &shown)).encode(&mut payload);
                count += 1;
            }
            if FRAME_LEN <= payload.len() {
                frame(&mut payload)?;
            }
        }
        Record::End(count).encode(&mut payload);
        frame(&mut payload)?;
        file.sync()?;
        Ok(cursor.len)
    }

    /// Removes what the snapshot stands for.
    fn clear(&self) -> io::Result<()> {
        let (logs, snapshots) = numbers(&self.dir)?;
        for log in logs.iter().filter(|log| **log < self.number) {
            self.disk.remove(&log_path(&self.dir, *log))?;
        }
        for snapshot in snapshots.iter().filter(|known| **known < self.number) {
            self.disk.remove(&snapshot_path(&self.dir, *snapshot))?;
        }
        Ok(())
    }
}

/// Leaves the processor to those who answer, as long as they need it: of many instances
/// a snapshot takes seconds.
fn step_back() {
    // Elsewhere it would be that of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the snapshot has the priority of the rest");
    }
}
