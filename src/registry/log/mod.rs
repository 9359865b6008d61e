//! The log: what the registry knows, on disk.
//!
//! ```text
//! batch ─▶ append: one frame, one sync ─▶ log-8
//!                        long enough ─▶ log-9, and snapshot-9 in the background
//! start: snapshot-9 ─▶ log-9, log-10 … ─▶ the end is cut where it's torn
//! ```
//!
//! [`StateDir`] is a directory that this process alone has; loading it gives a
//! [`Log`], which the registry's writer appends to. A frame that can't be written or
//! synced is cut off before anything else is written, so that a file never holds
//! what somebody was told isn't there.
//!
//! Nothing here knows the table, and nothing decides what is kept.

pub mod disk;
mod frame;
pub(super) mod load;
pub(super) mod record;
mod seal;
pub(super) mod snapshot;
mod stored_check;
pub(super) mod stored_settings;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::disk::{Disk, DiskFile, FileSystem};
use self::frame::{Cursor, Kind};
pub use self::load::LoadError;
use self::load::{Loaded, log_path};
use self::record::Known;
pub use self::seal::{KeyFileError, Keys};
use self::snapshot::{Source, Writing};
use crate::time::Clock;

/// Octets that a log grows by beyond what is appended, for what comes next.
///
/// With each sync of a file that has grown its new length is written, too, in another
/// place of the medium. In room that is there already a sync is one write.
const ROOM: usize = 256 << 10;

/// Octets of logs after which a snapshot is made, if the last one isn't longer.
const SNAPSHOT_AFTER: u64 = 64 << 20;

/// A state directory, locked. Others that want it are refused until it's dropped.
#[derive(Debug)]
pub struct StateDir {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    keys: Option<Arc<Keys>>,
    snapshot_after: u64,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if it isn't there, and takes it. With a `key_file` what is
    /// written is sealed.
    pub fn open(dir: &Path, key_file: Option<&Path>) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Unusable(dir.to_owned(), error);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(dir).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .append(true)
            .open(dir.join("lock"))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => OpenError::InUse(dir.to_owned()),
            fs::TryLockError::Error(error) => failed(error),
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            disk: Arc::new(FileSystem),
            keys: key_file.map(Keys::read).transpose()?.map(Arc::new),
            snapshot_after: SNAPSHOT_AFTER,
            _lock: lock,
        })
    }

    /// With another way to write files.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// With a snapshot after that many octets of logs.
    #[must_use]
    pub fn with_snapshot_after(mut self, octets: u64) -> Self {
        self.snapshot_after = octets;
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether nothing was ever written to it.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let (logs, snapshots) = load::numbers(&self.dir)?;
        Ok(logs.is_empty() && snapshots.is_empty())
    }

    /// Reads everything; `take` is given what was known as `amend` makes it, in order.
    pub(super) fn load(
        self,
        clock: &Clock,
        amend: &(dyn Fn(Known) -> Known + Sync),
        take: impl FnMut(Known),
    ) -> Result<(Log, Summary), LoadError> {
        let loaded = load::load(&self.dir, self.keys.as_deref(), clock, amend, take)?;
        let summary = Summary {
            records: loaded.records,
            torn: loaded.torn,
        };
        let path = self.dir.clone();
        let log = Log::go_on(self, loaded);
        let log = log.map_err(|error| LoadError::Unreadable(path, error))?;
        Ok((log, summary))
    }
}

/// What was found in a state directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    /// Records.
    pub(super) records: u64,
    /// Octets at the end that weren't written whole, and are cut.
    pub(super) torn: u64,
}

/// Why a state directory can't be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "data_dir {dir} is in use by another namebeat; stop that, or choose another with --data-dir",
        dir = .0.display()
    )]
    InUse(PathBuf),
    /// It can't be made or written to.
    #[error(
        "data_dir {dir} can't be used: {1}; choose another with --data-dir, or keep nothing with --ephemeral",
        dir = .0.display()
    )]
    Unusable(PathBuf, io::Error),
    /// The keys can't be had.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

/// The log that changes are appended to.
#[derive(Debug)]
pub(super) struct Log {
    state: StateDir,
    number: u64,
    file: Box<dyn DiskFile>,
    cursor: Cursor,
    /// Octets of the file, of which those behind the cursor are 0.
    room: u64,
    /// Whether something behind the cursor has to be cut first.
    torn: bool,
    /// Octets of logs since the last snapshot.
    grown: u64,
    /// Octets of the last snapshot.
    snapshot_len: u64,
    writing: Option<Writing>,
    /// Whether a snapshot is wanted whatever the length.
    is_rekeyed: bool,
}

impl Log {
    /// Goes on where loading came to: cuts what is torn, or begins the first log.
    fn go_on(state: StateDir, loaded: Loaded) -> io::Result<Self> {
        let Loaded {
            last,
            snapshot_len,
            log_len,
            ..
        } = loaded;
        let (number, file, cursor) = match last {
            Some((number, Some(cursor))) => {
                let mut file = state.disk.open(&log_path(&state.dir, number))?;
                if loaded.torn != 0 {
                    file.cut(cursor.len)?;
                    file.sync()?;
                }
                (number, file, cursor)
            }
            // It has no header yet, or there is none at all.
            unbegun => {
                let number = unbegun.map_or(1, |(number, _)| number);
                let (file, cursor) = state.begin_log(number)?;
                (number, file, cursor)
            }
        };
        Ok(Self {
            state,
            number,
            file,
            room: cursor.len,
            cursor,
            torn: false,
            grown: log_len,
            snapshot_len,
            writing: None,
            is_rekeyed: false,
        })
    }

    /// Appends records as one frame, and returns once that is on the medium. After an
    /// error nothing of them is there.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.mend()?;
        let place = place(Kind::Log, self.number, self.cursor.sequence);
        let payload = wrap(self.state.keys.as_deref(), records, &place)?;
        let mut frame = self.cursor.frame(&payload)?;
        let behind = self.cursor.behind(&frame);
        if self.room < behind.len {
            frame.resize(frame.len() + ROOM, 0);
        }
        self.torn = true;
        self.file.write(self.cursor.len, &frame)?;
        self.file.sync()?;
        self.torn = false;
        self.room = self.room.max(self.cursor.len + frame.len() as u64);
        self.grown += behind.len - self.cursor.len;
        self.cursor = behind;
        Ok(())
    }

    /// Cuts off the room that nothing will come into.
    fn trim(&mut self) -> io::Result<()> {
        if self.cursor.len < self.room {
            self.file.cut(self.cursor.len)?;
            self.room = self.cursor.len;
        }
        Ok(())
    }

    /// Cuts off what an append has left that failed.
    ///
    /// The file is opened anew, since a handle that a sync failed on may say that all
    /// is well when it isn't; and everything behind the cursor is written anew.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            let path = log_path(&self.state.dir, self.number);
            self.file = self.state.disk.open(&path)?;
            self.file.cut(self.cursor.len)?;
            self.file.sync()?;
            self.room = self.cursor.len;
            self.torn = false;
        }
        Ok(())
    }

    /// Whether it's time for a snapshot.
    pub(super) fn wants_snapshot(&self) -> bool {
        let is_long = self.grown > self.state.snapshot_after.max(self.snapshot_len);
        self.writing.is_none() && (is_long || self.is_rekeyed)
    }

    /// Begins the next log, and a snapshot for it in the background. Everything that
    /// was appended has to be published.
    pub(super) fn rotate(&mut self, source: Source) -> io::Result<()> {
        self.mend()?;
        self.trim()?;
        let number = self.number + 1;
        (self.file, self.cursor) = self.state.begin_log(number)?;
        self.room = self.cursor.len;
        self.number = number;
        self.grown = 0;
        self.is_rekeyed = false;
        let StateDir {
            dir, disk, keys, ..
        } = &self.state;
        let (dir, disk, keys) = (dir.clone(), disk.clone(), keys.clone());
        self.writing = Some(Writing::begin(dir, disk, keys, number, source)?);
        Ok(())
    }

    /// Seals from now on with the newest of `keys`; `false` when that's done already.
    pub(super) fn rekey(&mut self, keys: Keys) -> bool {
        let known = self.state.keys.as_deref();
        if known.is_some_and(|known| known.is_same(&keys)) {
            return false;
        }
        self.state.keys = Some(Arc::new(keys));
        self.is_rekeyed = true;
        true
    }

    /// What came of the snapshot, once it's done.
    pub(super) fn snapshot_finished(&mut self) -> Option<io::Result<u64>> {
        let result = self.writing.as_mut()?.finished()?;
        self.writing = None;
        if let Ok(len) = result {
            self.snapshot_len = len;
        }
        Some(result)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.torn {
            // Room that stays is read as such.
            let _ = self.trim();
        }
    }
}

impl StateDir {
    /// Makes the log of that number, with nothing in it.
    fn begin_log(&self, number: u64) -> io::Result<(Box<dyn DiskFile>, Cursor)> {
        let path = log_path(&self.dir, number);
        // One that was begun and never written to.
        let _ = self.disk.remove(&path);
        let mut file = self.disk.create(&path)?;
        let (cursor, header) = Cursor::begin(Kind::Log, number);
        let begun = file
            .write(0, &header)
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = begun {
            // So that it can be tried again.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok((file, cursor))
    }
}

/// What is authenticated with a sealed frame beside its contents.
fn place(kind: Kind, number: u64, sequence: u64) -> [u8; 17] {
    let mut place = [kind as u8; 17];
    place[1..9].copy_from_slice(&number.to_le_bytes());
    place[9..].copy_from_slice(&sequence.to_le_bytes());
    place
}

/// First octet of a payload that is as it was given.
const PLAIN: u8 = 0;

/// First octet of a payload that is sealed.
const SEALED: u8 = 1;

/// A frame's payload of these records.
fn wrap(keys: Option<&Keys>, records: &[u8], place: &[u8]) -> io::Result<Vec<u8>> {
    match keys {
        None => Ok([&[PLAIN], records].concat()),
        Some(keys) => {
            let sealed = keys.seal(records, place).map_err(io::Error::other)?;
            Ok([&[SEALED][..], &sealed].concat())
        }
    }
}

/// The records of a frame's payload.
fn unwrap(keys: Option<&Keys>, mut payload: Vec<u8>, place: &[u8]) -> Result<Vec<u8>, String> {
    match (payload.first(), keys) {
        (Some(&PLAIN), _) => {
            payload.remove(0);
            Ok(payload)
        }
        (Some(&SEALED), Some(keys)) => {
            let opened = keys.open(&payload[1..], place);
            opened.map_err(|error| error.to_string())
        }
        (Some(&SEALED), None) => {
            Err("it's sealed, and no key file is given (--key-file)".to_owned())
        }
        _ => Err("it's of an unknown kind".to_owned()),
    }
}

#[cfg(test)]
pub(in crate::registry) mod tests;
