//! What the writer keeps on disk beside each batch: how far revisions have come, and
//! snapshots when the log has grown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::directory::Directory;
use super::log::record::Record;
use super::log::snapshot::Source;
use super::log::{Keys, Log};
use super::table::Table;
use crate::time::{Clock, Moment};

/// Time between two tries to make a snapshot.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(60);

/// Revisions that are noted ahead: so many may be published without a word to the
/// disk, and a restart without a clean end skips them.
const AHEAD: u64 = 1 << 16;

/// The log, and what is kept in it beside changes.
#[derive(Debug)]
pub(super) struct Keeper {
    log: Log,
    /// No revision above this one is published before it's noted.
    ceiling: u64,
    snapshot_not_before: Moment,
    /// Records on their way to the log, so that its room is used again.
    records: Vec<u8>,
}

impl Keeper {
    /// Goes on with a log in which revisions up to `ceiling` are noted.
    pub(super) fn new(log: Log, ceiling: u64) -> Self {
        Self {
            log,
            ceiling,
            snapshot_not_before: Moment::default(),
            records: Vec::new(),
        }
    }

    /// Whether the next note of revisions is due, in good time before they run out.
    pub(super) fn wants_ceiling(&self, revision: u64) -> bool {
        self.ceiling < revision.saturating_add(AHEAD / 2)
    }

    /// Writes what changed in the table, with revisions ahead if that is due. Says
    /// whether there was something to write.
    pub(super) fn write(
        &mut self,
        table: &Table,
        revision: u64,
        clock: &Clock,
    ) -> io::Result<bool> {
        self.records.clear();
        table.encode_unwritten(clock, &mut self.records);
        let ceiling = match self.wants_ceiling(revision) {
            true => {
                let ceiling = revision.saturating_add(AHEAD);
                Record::Ceiling(ceiling).encode(&mut self.records);
                ceiling
            }
            false => self.ceiling,
        };
        if !self.records.is_empty() {
            self.log.append(&self.records)?;
        }
        self.ceiling = ceiling;
        Ok(!self.records.is_empty())
    }

    /// Begins a snapshot when the log has grown, and looks after the one under way.
    pub(super) fn keep_snapshots(
        &mut self,
        table: &Table,
        directory: &Arc<Directory>,
        clock: &Clock,
    ) {
        match self.log.snapshot_finished() {
            Some(Ok(octets)) => tracing::info!(octets, "a snapshot of the state was written"),
            Some(Err(error)) => tracing::warn!("no snapshot of the state: {error}"),
            None => {}
        }
        let now = clock.now();
        if !self.log.wants_snapshot() || now < self.snapshot_not_before {
            return;
        }
        self.snapshot_not_before = now.after(SNAPSHOT_PAUSE);
        let source = Source {
            directory: directory.clone(),
            drained: table.drained(),
            held: table.held_for(now),
            ceiling: self.ceiling,
            clock: *clock,
        };
        if let Err(error) = self.log.rotate(source) {
            tracing::warn!("the log goes on without a snapshot: {error}");
        }
    }

    /// Seals what is written from now on with other keys, and soon has a snapshot that
    /// needs none of the former; `false` when they're the same.
    pub(super) fn rekey(&mut self, keys: Keys) -> bool {
        let changed = self.log.rekey(keys);
        if changed {
            self.snapshot_not_before = Moment::default();
        }
        changed
    }

    /// Notes the last revision, so that nothing is skipped.
    pub(super) fn end(mut self, revision: u64) {
        self.records.clear();
        Record::Ceiling(revision).encode(&mut self.records);
        if let Err(error) = self.log.append(&self.records) {
            tracing::warn!("the end isn't noted on disk: {error}");
        }
    }
}
