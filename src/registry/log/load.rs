//! Loading: from the files of a state directory to what was known.
//!
//! ```text
//! snapshot-7   everything as of log 7's beginning, or a little later
//! log-7 log-8  what changed since, in order
//! ```
//!
//! The newest snapshot and each log from its number on are read. The last log may
//! end in a frame that wasn't written whole: nobody was told that it's durable, so
//! it's cut. Whatever else isn't as it was written ends the loading, with its file
//! and offset: nothing is passed over in silence.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::frame::{Cursor, Fault, Kind, Reader};
use super::record::{Known, Record};
use super::seal::Keys;
use crate::time::Clock;

/// Frames that are read and not yet taken: no more than it takes to have one at hand, since
/// what they're made of is used again for the next ones.
const AHEAD: usize = 1;

/// Octets that most records have at least.
const RECORD_LEN: usize = 64;

/// Path of a log.
pub(super) fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("log-{number:010}"))
}

/// Path of a snapshot.
pub(super) fn snapshot_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("snapshot-{number:010}"))
}

/// Numbers of the logs and of the snapshots in a directory, each in order.
pub(super) fn numbers(dir: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut logs, mut snapshots) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some((kind, number)) = name.to_str().and_then(|name| name.split_once('-')) else {
            continue;
        };
        match (kind, number.parse()) {
            ("log", Ok(number)) => logs.push(number),
            ("snapshot", Ok(number)) => snapshots.push(number),
            _ => {}
        }
    }
    logs.sort_unstable();
    snapshots.sort_unstable();
    Ok((logs, snapshots))
}

/// What was loaded.
#[derive(Debug, Default)]
pub(in crate::registry) struct Loaded {
    /// Number of the last log, and where it goes on; `None` when it has no header.
    pub(in crate::registry) last: Option<(u64, Option<Cursor>)>,
    /// Number of the snapshot, 0 when there is none.
    pub(super) snapshot: u64,
    /// Octets at the end of the last log that weren't written whole.
    pub(in crate::registry) torn: u64,
    /// Octets of the snapshot and of all logs, without what is torn.
    pub(super) snapshot_len: u64,
    /// The same of the logs.
    pub(super) log_len: u64,
    /// Records read.
    pub(in crate::registry) records: u64,
}

/// Why a state can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file can't be read.
    #[error("{file} can't be read: {1}", file = .0.display())]
    Unreadable(PathBuf, io::Error),
    /// A file is damaged where it was on the medium already.
    #[error(
        "{file} is damaged at offset {offset}: {what}; nothing was changed. Put the directory back from a \
         copy, or keep what is before the damage: namebeat state dump --until-damage, then state restore \
         into an empty directory",
        file = .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Octets of it that are good.
        offset: u64,
        /// What is wrong behind them.
        what: String,
    },
    /// A file is sealed and can't be opened.
    #[error("{file} can't be opened with these keys: {what}", file = .file.display())]
    Sealed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file that others go on from isn't there.
    #[error("{file} is missing, and the others go on from it; put it back from a copy", file = .0.display())]
    Missing(PathBuf),
    /// The system has no thread to give.
    #[error("can't load: {0}")]
    System(io::Error),
}

/// Reads a state directory; `take` is given what was known as `amend` makes it, in
/// order. Reading and amending go on at the same time as taking.
pub(super) fn load(
    dir: &Path,
    keys: Option<&Keys>,
    clock: &Clock,
    amend: &(dyn Fn(Known) -> Known + Sync),
    mut take: impl FnMut(Known),
) -> Result<Loaded, LoadError> {
    let (send, taken) = std::sync::mpsc::sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("load".to_owned());
        let reader = builder.spawn_scoped(scope, move || {
            // Whoever takes them stays until all are read.
            read(dir, keys, clock, &mut |batch| {
                let amended: Vec<Known> = batch.into_iter().map(amend).collect();
                drop(send.send(amended));
            })
        });
        let reader = reader.map_err(LoadError::System)?;
        taken.into_iter().flatten().for_each(&mut take);
        match reader.join() {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads a state directory; `take` is given what each frame held.
pub(in crate::registry) fn read(
    dir: &Path,
    keys: Option<&Keys>,
    clock: &Clock,
    take: &mut dyn FnMut(Vec<Known>),
) -> Result<Loaded, LoadError> {
    let unreadable = |error| LoadError::Unreadable(dir.to_owned(), error);
    let (logs, snapshots) = numbers(dir).map_err(unreadable)?;
    let mut loaded = Loaded::default();
    if let Some(&number) = snapshots.last() {
        loaded.snapshot = number;
        let mut file = StateFile::open(snapshot_path(dir, number), Kind::Snapshot, number, keys)?;
        let mut whole = false;
        while let Some(payload) = file.next()? {
            let (known, records, end) = file.records(&payload, clock)?;
            loaded.records += records;
            whole = end.is_some_and(|end| end == loaded.records);
            take(known);
        }
        if !whole {
            return Err(file.damaged("it ends before its last record"));
        }
        loaded.snapshot_len = file.reader.cursor().len;
    }
    let first = loaded.snapshot.max(1);
    let Some(&last) = logs.last().filter(|last| first <= **last) else {
        return match loaded.snapshot {
            0 => Ok(loaded),
            // Its log was made before it.
            number => Err(LoadError::Missing(log_path(dir, number))),
        };
    };
    for number in first..=last {
        let path = log_path(dir, number);
        if !logs.contains(&number) {
            return Err(LoadError::Missing(path));
        }
        let is_last = number == last;
        loaded.last = Some((number, None));
        let mut file = match StateFile::open(path.clone(), Kind::Log, number, keys) {
            Ok(file) => file,
            Err(error) => {
                // A log whose header isn't whole was made when the server was killed.
                let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
                let is_short = len < super::frame::HEADER_LEN as u64;
                if is_last && is_short && matches!(error, LoadError::Damaged { .. }) {
                    loaded.torn = len;
                    return Ok(loaded);
                }
                return Err(error);
            }
        };
        loop {
            match file.next() {
                Ok(Some(payload)) => {
                    let (known, records, _) = file.records(&payload, clock)?;
                    loaded.records += records;
                    take(known);
                }
                Ok(None) => break,
                Err(error) => {
                    loaded.torn = file.torn(is_last, error)?;
                    break;
                }
            }
        }
        loaded.log_len += file.reader.cursor().len;
        loaded.last = Some((number, Some(file.reader.cursor())));
    }
    Ok(loaded)
}

/// A file while it's read.
struct StateFile<'k> {
    path: PathBuf,
    kind: Kind,
    number: u64,
    keys: Option<&'k Keys>,
    reader: Reader,
}

impl<'k> StateFile<'k> {
    fn open(
        path: PathBuf,
        kind: Kind,
        number: u64,
        keys: Option<&'k Keys>,
    ) -> Result<Self, LoadError> {
        match Reader::open(&path, kind, number) {
            Ok(Ok(reader)) => Ok(Self {
                path,
                kind,
                number,
                keys,
                reader,
            }),
            Ok(Err(Fault { offset, what })) => Err(LoadError::Damaged {
                file: path,
                offset,
                what: what.to_owned(),
            }),
            Err(error) => Err(LoadError::Unreadable(path, error)),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> LoadError {
        LoadError::Damaged {
            file: self.path.clone(),
            offset: self.reader.cursor().len,
            what: what.into(),
        }
    }

    /// What the next frame holds, opened if it was sealed.
    fn next(&mut self) -> Result<Option<Vec<u8>>, LoadError> {
        let sequence = self.reader.cursor().sequence;
        let payload = match self.reader.next() {
            Ok(Ok(payload)) => payload,
            Ok(Err(fault)) => return Err(self.damaged(fault.what)),
            Err(error) => return Err(LoadError::Unreadable(self.path.clone(), error)),
        };
        let Some(payload) = payload else {
            return Ok(None);
        };
        let place = super::place(self.kind, self.number, sequence);
        super::unwrap(self.keys, payload, &place)
            .map(Some)
            .map_err(|what| LoadError::Sealed {
                file: self.path.clone(),
                what,
            })
    }

    /// The records of a frame, how many they are, and the count that ends a snapshot.
    fn records(
        &self,
        payload: &[u8],
        clock: &Clock,
    ) -> Result<(Vec<Known>, u64, Option<u64>), LoadError> {
        let mut known = Vec::with_capacity(payload.len() / RECORD_LEN);
        let (mut count, mut end, mut rest) = (0, None, payload);
        while !rest.is_empty() {
            let (record, after) =
                Record::decode(rest).map_err(|error| self.damaged(error.to_string()))?;
            rest = after;
            match Known::of(record, clock, known.last())
                .map_err(|error| self.damaged(error.to_string()))?
            {
                Ok(thing) => {
                    count += 1;
                    known.push(thing);
                }
                Err(last) => end = Some(last),
            }
        }
        Ok((known, count, end))
    }

    /// How many octets at the end are torn, or `error` when that isn't what is wrong.
    fn torn(&mut self, is_last: bool, error: LoadError) -> Result<u64, LoadError> {
        if !is_last || !matches!(error, LoadError::Damaged { .. }) {
            return Err(error);
        }
        let unreadable = |error| LoadError::Unreadable(self.path.clone(), error);
        if let Some(whole) = self.reader.whole_frame_behind().map_err(unreadable)? {
            return Err(self.damaged(format!(
                "a frame is lost or altered, and a whole one follows at offset {whole}"
            )));
        }
        let len = fs::metadata(&self.path).map_err(unreadable)?.len();
        Ok(len.saturating_sub(self.reader.cursor().len))
    }
}
