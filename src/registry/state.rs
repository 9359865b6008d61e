//! The state on disk without a server: whether it's sound, as text, and back.
//!
//! As text it has a JSON object a line, each the whole of one thing, in the form of the
//! log's records. Reading changes nothing, and takes no lock: of a server that runs it
//! shows what was written until then.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;

use super::log::load::{self, Loaded};
use super::log::record::{Known, Malformed, Record, Stored};
use super::log::stored_settings::StoredSettings;
use super::log::{KeyFileError, Keys, LoadError, OpenError, StateDir};
use super::table::{Table, TableConfig};
use crate::time::Clock;

/// Octets of records that are written as one frame.
const FRAME_LEN: usize = 1 << 20;

/// Why a state can't be read, or be made.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory can't be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The keys can't be had.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The state can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no state.
    #[error("{dir} holds no state; name its directory with --data-dir", dir = .0.display())]
    None(PathBuf),
    /// There is a state already.
    #[error("{dir} holds a state already; restore into an empty directory", dir = .0.display())]
    NotEmpty(PathBuf),
    /// A line of text is no record.
    #[error("line {0} is no record of namebeat state dump: {1}; nothing was restored from it on")]
    Line(usize, String),
    /// The text can't be read or written.
    #[error("{0}")]
    Text(#[from] io::Error),
}

/// What a state directory holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Instances that are registered.
    pub instances: usize,
    /// Records that say so.
    pub records: u64,
    /// Octets at the end of the log that weren't written whole: they're no damage, and
    /// are cut when the server starts.
    pub torn: u64,
}

/// Reads all of a state.
///
/// # Errors
///
/// There is none, or it can't be loaded.
pub fn verify(dir: &Path, key_file: Option<&Path>) -> Result<Report, StateError> {
    let (state, loaded) = State::read(dir, key_file, false)?;
    Ok(state.report(&loaded))
}

/// Writes a state as text. With `until_damage` what can be read before a damage is
/// written, and the damage given back.
///
/// # Errors
///
/// There is no state, it can't be loaded, or `out` takes no more.
pub fn dump(
    dir: &Path,
    key_file: Option<&Path>,
    until_damage: bool,
    out: &mut impl Write,
) -> Result<(Report, Option<LoadError>), StateError> {
    let (state, outcome) = State::read(dir, key_file, until_damage)?;
    let report = state.report(&outcome);
    let mut line = |record: &Record<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *out, record)?;
        out.write_all(b"\n")
    };
    let shown = state.clock.time_of_day();
    line(&Record::Ceiling(state.ceiling))?;
    for member in state.table.all_registered() {
        line(&Record::Registered(Stored::of(member, &shown)))?;
    }
    for (service, settings) in state.table.all_settings() {
        line(&Record::Settings(StoredSettings::of(service, settings)))?;
    }
    for (service, left) in state.table.held_for(state.clock.now()) {
        line(&Record::held(service.as_ref(), left))?;
    }
    for id in state.table.drained() {
        let id = id.as_str();
        line(&Record::Gone { id, drained: true })?;
    }
    Ok((report, outcome.damage))
}

/// Makes a state of text, in a directory without one.
///
/// # Errors
///
/// There is a state, a line is wrong, or it can't be written.
pub fn restore(
    dir: &Path,
    key_file: Option<&Path>,
    text: impl BufRead,
) -> Result<Report, StateError> {
    let state = StateDir::open(dir, key_file)?;
    if !state.is_empty()? {
        return Err(StateError::NotEmpty(dir.to_owned()));
    }
    let clock = Clock::start();
    let (mut log, _) = state.load(&clock, &|known| known, |_| {})?;
    let (mut records, mut table, mut count) = (Vec::new(), empty_table(), 0);
    for (at, line) in text.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |error: String| StateError::Line(at + 1, error);
        let value: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        let record = Record::deserialize(&value).map_err(|error| wrong(error.to_string()))?;
        record.encode(&mut records);
        let known = Known::of(record, &clock, None).and_then(|known| {
            known.map_err(|_| Malformed("the end of a snapshot has no place here".to_owned()))
        });
        table.take_in(known.map_err(|error| wrong(error.to_string()))?);
        count += 1;
        if FRAME_LEN <= records.len() {
            log.append(&records)?;
            records.clear();
        }
    }
    log.append(&records)?;
    Ok(Report {
        instances: table.counts().0,
        records: count,
        torn: 0,
    })
}

/// A state that was read.
struct State {
    table: Table,
    ceiling: u64,
    clock: Clock,
}

/// What came of reading.
struct Outcome {
    loaded: Loaded,
    damage: Option<LoadError>,
}

impl State {
    fn read(
        dir: &Path,
        key_file: Option<&Path>,
        until_damage: bool,
    ) -> Result<(Self, Outcome), StateError> {
        let keys = key_file.map(Keys::read).transpose()?;
        let mut state = Self {
            table: empty_table(),
            ceiling: 0,
            clock: Clock::start(),
        };
        let clock = state.clock;
        let mut records = 0;
        let read = load::read(dir, keys.as_ref(), &clock, &mut |batch| {
            for known in batch {
                records += 1;
                state.ceiling = state.table.take_in(known).unwrap_or(state.ceiling);
            }
        });
        match read {
            Ok(loaded) if loaded.last.is_none() => Err(StateError::None(dir.to_owned())),
            Ok(loaded) => Ok((
                state,
                Outcome {
                    loaded,
                    damage: None,
                },
            )),
            Err(damage @ LoadError::Damaged { .. }) if until_damage => {
                let mut loaded = Loaded::default();
                loaded.records = records;
                let damage = Some(damage);
                Ok((state, Outcome { loaded, damage }))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, outcome: &Outcome) -> Report {
        Report {
            instances: self.table.counts().0,
            records: outcome.loaded.records,
            torn: outcome.loaded.torn,
        }
    }
}

/// A table that takes in whatever there is.
fn empty_table() -> Table {
    Table::new(TableConfig {
        max_instances: usize::MAX,
        ..TableConfig::default()
    })
}
