//! Zone files: every `*.zone` of a directory, read and built.
//!
//! A file that is no zone leaves the others as they are: each has a result of
//! its own. Nothing outside of the directory is read by `$INCLUDE`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::{Zone, ZoneError, ZoneKind, ZoneWarning};
use crate::dns::master::{self, IncludeError, MAX_TEXT_LEN, MasterError, Record};
use crate::dns::rr::RecordType;
use crate::name::{DomainName, NameError};

/// One file of the directory.
#[derive(Debug)]
pub struct ZoneFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds, with what is odd about it.
    pub zone: Result<(Zone, Vec<ZoneWarning>), LoadError>,
}

/// Why zones can't be loaded, in a sentence that names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory can't be listed.
    #[error("cannot read the zone directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be read.
    #[error("cannot read the zone file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: IncludeError,
    },
    /// The name of a file isn't the name of a zone and `.zone`.
    #[error("the zone file {} is not called after a zone: {source}", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NameError,
    },
    /// The text is no master file.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The records have no SOA.
    #[error("{}: {}", _0.display(), ZoneError::NoSoa)]
    NoSoa(PathBuf),
    /// The records are no zone.
    #[error(transparent)]
    Zone(ZoneError),
    /// An earlier file holds the same zone.
    #[error("{}: the zone {origin} is in {} already", path.display(), first.display())]
    SameZone {
        /// The file.
        path: PathBuf,
        /// The zone.
        origin: DomainName,
        /// The earlier file.
        first: PathBuf,
    },
}

/// Loads each `*.zone` file of `dir`, in the order of their names.
///
/// Names in `example.internal.zone` are relative to `example.internal.`. The
/// file of the `discovery` zone, by its name or its SOA, becomes an overlay.
pub fn load_dir(dir: &Path, discovery: &DomainName) -> Result<Vec<ZoneFile>, LoadError> {
    let unlisted = |source| LoadError::Directory {
        path: dir.to_owned(),
        source,
    };
    let root = dir.canonicalize().map_err(unlisted)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unlisted)? {
        let path = entry.map_err(unlisted)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "zone")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files: Vec<ZoneFile> = Vec::new();
    for path in paths {
        let origin = called_after(&path);
        let zone = origin.and_then(|origin| load(&path, &origin, &root, discovery));
        let zone = zone.and_then(|loaded| {
            let origin = loaded.0.origin();
            let same =
                |file: &&ZoneFile| matches!(&file.zone, Ok((zone, _)) if zone.origin() == origin);
            match files.iter().find(same) {
                Some(first) => Err(LoadError::SameZone {
                    path: path.clone(),
                    origin: origin.clone(),
                    first: first.path.clone(),
                }),
                None => Ok(loaded),
            }
        });
        files.push(ZoneFile { path, zone });
    }
    Ok(files)
}

/// Loads one file, which may include those beside it. Names in it are relative to
/// `origin`, or else to what it's called, as [`load_dir`] has it.
pub fn load_file(
    path: &Path,
    origin: Option<&DomainName>,
    discovery: &DomainName,
) -> Result<(Zone, Vec<ZoneWarning>), LoadError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let root = dir.canonicalize().map_err(|source| LoadError::Directory {
        path: dir.to_owned(),
        source,
    })?;
    match origin {
        Some(origin) => load(path, origin, &root, discovery),
        None => load(path, &called_after(path)?, &root, discovery),
    }
}

/// The zone that a file is called after.
fn called_after(path: &Path) -> Result<DomainName, LoadError> {
    let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
    DomainName::parse_octets(stem, Some(&DomainName::root())).map_err(|source| {
        LoadError::FileName {
            path: path.to_owned(),
            source,
        }
    })
}

fn load(
    path: &Path,
    origin: &DomainName,
    root: &Path,
    discovery: &DomainName,
) -> Result<(Zone, Vec<ZoneWarning>), LoadError> {
    let text = read_text(path).map_err(|source| LoadError::File {
        path: path.to_owned(),
        source,
    })?;
    let records = master::parse(&text, path, origin, &|wanted| include(root, wanted))?;
    let is_overlay = |name: &DomainName| name.folded() == discovery.folded();
    let has_soa = |record: &Record| record.rtype == RecordType::SOA && is_overlay(&record.owner);
    let kind = match is_overlay(origin) || records.iter().any(has_soa) {
        true => ZoneKind::Overlay(discovery.clone()),
        false => ZoneKind::Whole,
    };
    Zone::build(&records, &kind).map_err(|error| match error {
        ZoneError::NoSoa => LoadError::NoSoa(path.to_owned()),
        error => LoadError::Zone(error),
    })
}

/// Reads a file that is in the directory `root`, of which all links are resolved.
fn include(root: &Path, wanted: &Path) -> Result<Vec<u8>, IncludeError> {
    let mut parts = wanted.components();
    if !parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(IncludeError::Outside);
    }
    let path = root.join(wanted).canonicalize()?;
    if !path.starts_with(root) {
        return Err(IncludeError::Outside);
    }
    read_text(&path)
}

/// Reads a plain file of at most [`MAX_TEXT_LEN`] octets.
fn read_text(path: &Path) -> Result<Vec<u8>, IncludeError> {
    // Reading a pipe could wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file").into());
    }
    // 64 MiB fit 64 bits.
    let limit = MAX_TEXT_LEN as u64;
    let mut text = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut text)?;
    match text.len() > MAX_TEXT_LEN {
        true => Err(IncludeError::TooLong),
        false => Ok(text),
    }
}
