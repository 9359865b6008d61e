//! Tests of the log: what was appended is there, what is torn is cut, and what was
//! altered is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::frame::HEADER_LEN;
use super::record::Record;
use super::*;

/// A directory of its own for one test, removed when dropped.
pub(in crate::registry) struct TempDir(pub(in crate::registry) PathBuf);

impl TempDir {
    pub(in crate::registry) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("namebeat-log-{}-{unique}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self, number: u64) -> PathBuf {
        log_path(&self.0, number)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn gone(id: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    Record::Gone { id, drained: true }.encode(&mut octets);
    octets
}

/// Loads a directory: the ids in the order they were written, the log and what was cut.
fn load(state: StateDir) -> Result<(Vec<String>, Log, u64), LoadError> {
    let mut ids = Vec::new();
    let (log, summary) = state.load(&Clock::start(), &|known| known, |known| match known {
        Known::Gone(id, true) => ids.push(id.to_string()),
        known => panic!("{known:?}"),
    })?;
    Ok((ids, log, summary.torn))
}

fn open(dir: &TempDir) -> StateDir {
    StateDir::open(&dir.0, None).unwrap()
}

/// A log with these ids, one frame each, and where each frame begins.
fn written(dir: &TempDir, ids: &[&str]) -> Vec<u64> {
    let (_, mut log, _) = load(open(dir)).unwrap();
    let mut starts = Vec::new();
    for id in ids {
        starts.push(log.cursor.len);
        log.append(&gone(id)).unwrap();
    }
    starts
}

#[test]
fn what_is_appended_comes_back_in_order() {
    let dir = TempDir::new();
    written(&dir, &["a", "b"]);
    written(&dir, &["c"]);
    let (ids, _, torn) = load(open(&dir)).unwrap();
    assert_eq!(
        (&ids[..], torn),
        (&["a", "b", "c"].map(String::from)[..], 0)
    );
}

#[test]
fn one_process_has_a_directory() {
    let dir = TempDir::new();
    let first = open(&dir);
    let second = StateDir::open(&dir.0, None).unwrap_err().to_string();
    assert!(second.contains("is in use by another namebeat"), "{second}");
    drop(first);
    open(&dir);
}

#[test]
fn a_log_that_ends_anywhere_is_cut_after_its_last_whole_frame() {
    let dir = TempDir::new();
    let starts = written(&dir, &["a", "b", "c"]);
    let whole = fs::read(dir.log(1)).unwrap();
    for len in 0..whole.len() {
        fs::write(dir.log(1), &whole[..len]).unwrap();
        let (ids, mut log, torn) = load(open(&dir)).unwrap();
        let frames = starts
            .iter()
            .skip(1)
            .filter(|start| **start <= len as u64)
            .count();
        assert_eq!(ids.len(), frames, "of {len} octets");
        assert!(torn < whole.len() as u64);
        log.append(&gone("d")).unwrap();
        drop(log);
        let (after, ..) = load(open(&dir)).unwrap();
        assert_eq!(
            after,
            [&ids[..], &["d".to_owned()]].concat(),
            "of {len} octets"
        );
    }
}

#[test]
fn room_behind_the_last_frame_is_no_part_of_it() {
    let (dir, killed) = (TempDir::new(), TempDir::new());
    let (_, mut log, _) = load(open(&dir)).unwrap();
    log.append(&gone("a")).unwrap();
    log.append(&gone("b")).unwrap();
    let end = log.cursor.len as usize;
    let octets = fs::read(dir.log(1)).unwrap();
    assert!(octets.len() > end && octets[end..].iter().all(|octet| *octet == 0));
    drop(log);
    assert_eq!(fs::read(dir.log(1)).unwrap(), octets[..end]);
    // As it is when the server is killed.
    fs::write(killed.log(1), &octets).unwrap();
    let (ids, mut log, torn) = load(open(&killed)).unwrap();
    assert_eq!((ids.len(), torn), (2, 0));
    log.append(&gone("c")).unwrap();
    drop(log);
    let (ids, log, torn) = load(open(&killed)).unwrap();
    assert_eq!(
        (&ids[..], torn),
        (&["a", "b", "c"].map(String::from)[..], 0)
    );
    drop(log);
    // Something is in it: that was to be a frame.
    let mut torn_in = octets.clone();
    torn_in[end + 5000] = 1;
    fs::write(killed.log(1), &torn_in).unwrap();
    let (ids, log, torn) = load(open(&killed)).unwrap();
    assert_eq!((ids.len(), torn as usize), (2, octets.len() - end));
    drop(log);
    assert_eq!(fs::read(killed.log(1)).unwrap(), octets[..end]);
    // A frame that's lost is no room.
    let mut lost = octets;
    let middle = end - (end - HEADER_LEN) / 2;
    lost[HEADER_LEN..middle].fill(0);
    fs::write(killed.log(1), &lost).unwrap();
    let error = load(open(&killed)).unwrap_err().to_string();
    assert!(error.contains("damaged at offset 28"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is altered: the loading ends with the place, or it gives back a
    /// beginning of what was written, and says how much it cut.
    #[test]
    fn what_is_altered_is_told_or_cut(
        at in 0usize..400, with in 1u8.., swap in any::<bool>(), sealed in any::<bool>(),
    ) {
        let dir = TempDir::new();
        let key_file = dir.0.join("keys");
        fs::write(&key_file, KEY).unwrap();
        let open = || StateDir::open(&dir.0, sealed.then_some(&*key_file)).unwrap();
        let ids: Vec<String> = (0..6).map(|n| format!("id-{n}")).collect();
        let mut starts = Vec::new();
        let (_, mut log, _) = load(open()).unwrap();
        for id in &ids {
            starts.push(log.cursor.len as usize);
            log.append(&gone(id)).unwrap();
        }
        drop(log);
        let mut octets = fs::read(dir.log(1)).unwrap();
        let at = at % octets.len();
        let len = starts[1] - starts[0];
        match swap {
            // Two frames of the same length, in each other's place.
            true => {
                let first = at % 5;
                let frames = &mut octets[starts[first]..][..2 * len];
                frames.rotate_left(len);
            }
            false => octets[at] ^= with,
        }
        fs::write(dir.log(1), &octets).unwrap();
        match load(open()) {
            Ok((found, _, torn)) => {
                prop_assert!(!swap && starts[5] <= at, "altered at {}", at);
                prop_assert_eq!(&found[..], &ids[..5]);
                prop_assert_eq!(torn as usize, len);
            }
            Err(LoadError::Damaged { offset, .. }) => {
                let altered = if swap { starts[at % 5] } else { at };
                let frame = starts.iter().rev().find(|start| **start <= altered);
                prop_assert_eq!(offset as usize, frame.copied().unwrap_or(0));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

#[test]
fn a_payload_cant_pass_for_a_frame() {
    let dir = TempDir::new();
    let starts = written(&dir, &["a"]);
    let frame = fs::read(dir.log(1)).unwrap()[starts[0] as usize..].to_vec();
    // In another file the same octets are no frame, for its salt is another.
    let other = TempDir::new();
    let (_, mut log, _) = load(open(&other)).unwrap();
    let start = log.cursor.len;
    log.append(&frame).unwrap();
    drop(log);
    let octets = fs::read(other.log(1)).unwrap();
    fs::write(other.log(1), &octets[..octets.len() - 1]).unwrap();
    let (_, _, torn) = load(open(&other)).unwrap();
    assert_eq!(torn, octets.len() as u64 - 1 - start);
}

#[test]
fn keys_are_wanted_and_can_be_changed() {
    let dir = TempDir::new();
    let key_file = dir.0.join("keys");
    let newer = KEY.replace("0001", "ffff");
    let sealed = || StateDir::open(&dir.0, Some(&key_file)).unwrap();
    written(&dir, &["plain"]);
    fs::write(&key_file, KEY).unwrap();
    let (_, mut log, _) = load(sealed()).unwrap();
    log.append(&gone("secret")).unwrap();
    drop(log);
    assert!(
        !fs::read(dir.log(1))
            .unwrap()
            .windows(6)
            .any(|part| part == b"secret")
    );
    fs::write(&key_file, format!("{newer}\n{KEY}")).unwrap();
    let (ids, mut log, _) = load(sealed()).unwrap();
    assert_eq!(ids, ["plain", "secret"]);
    log.append(&gone("newer")).unwrap();
    drop(log);
    let error = load(open(&dir)).unwrap_err().to_string();
    assert!(
        error.contains("no key file is given (--key-file)"),
        "{error}"
    );
    fs::write(&key_file, KEY).unwrap();
    let error = load(sealed()).unwrap_err().to_string();
    assert!(
        error.contains("a key that isn't in the key file"),
        "{error}"
    );
}

#[test]
fn files_that_are_missing_or_of_another_version_are_named() {
    let dir = TempDir::new();
    written(&dir, &["a"]);
    fs::copy(dir.log(1), dir.log(3)).unwrap();
    let error = load(open(&dir)).unwrap_err().to_string();
    assert!(error.contains("log-0000000002 is missing"), "{error}");
    fs::rename(dir.log(3), dir.log(2)).unwrap();
    let error = load(open(&dir)).unwrap_err().to_string();
    assert!(
        error.contains("log-0000000002 is damaged at offset 0: it's another state file"),
        "{error}"
    );
    let mut octets = fs::read(dir.log(1)).unwrap();
    octets[8] = 2;
    let crc = crc32c::crc32c(&octets[..24]).to_le_bytes();
    octets[24..28].copy_from_slice(&crc);
    fs::write(dir.log(1), octets).unwrap();
    let error = load(open(&dir)).unwrap_err().to_string();
    assert!(error.contains("of another version of namebeat"), "{error}");
}

/// A disk on which what is asked for fails, now and then half-way.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Faulty(Arc<Mutex<Vec<Fault>>>);

/// What is to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::registry) enum Fault {
    /// Nothing this time.
    None,
    /// A write, after so many octets.
    Short(usize),
    /// A sync.
    Sync,
    /// Cutting what a write has left.
    Cut,
}

impl Faulty {
    /// Has these fail from now on, the first of them first.
    pub(in crate::registry) fn fails(&self, faults: &[Fault]) {
        let mut coming = self.0.lock().unwrap();
        coming.extend(faults.iter().rev());
    }

    fn next(&self, is_due: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap();
        let due = faults.last().copied().filter(|fault| is_due(*fault));
        due.and_then(|_| faults.pop())
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = FileSystem.create(path)?;
        Ok(Box::new(FaultyFile(self.clone(), file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = FileSystem.open(path)?;
        Ok(Box::new(FaultyFile(self.clone(), file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        FileSystem.sync_dir(dir)
    }
}

#[derive(Debug)]
struct FaultyFile(Faulty, Box<dyn DiskFile>);

impl DiskFile for FaultyFile {
    fn write(&mut self, at: u64, octets: &[u8]) -> io::Result<()> {
        match self
            .0
            .next(|fault| matches!(fault, Fault::Short(_) | Fault::None))
        {
            Some(Fault::Short(len)) => {
                self.1.write(at, &octets[..len.min(octets.len())])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            _ => self.1.write(at, octets),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.0.next(|fault| fault == Fault::Sync) {
            Some(_) => Err(io::Error::other("input/output error")),
            None => self.1.sync(),
        }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        match self.0.next(|fault| fault == Fault::Cut) {
            Some(_) => Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)),
            None => self.1.cut(len),
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => Just(Fault::None),
        2 => (0usize..80).prop_map(Fault::Short),
        1 => Just(Fault::Sync),
        1 => Just(Fault::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever fails: exactly what was acknowledged is there, in order, but for the
    /// last one, which may be there without having been acknowledged.
    #[test]
    fn exactly_what_was_acknowledged_is_there(faults in prop::collection::vec(fault(), 0..30)) {
        let dir = TempDir::new();
        let disk = Faulty::default();
        let state = open(&dir).with_disk(Arc::new(disk.clone()));
        let (_, mut log, _) = load(state).unwrap();
        disk.fails(&faults);
        let mut acknowledged = Vec::new();
        let mut last = None;
        for n in 0..40 {
            let id = format!("id-{n}");
            last = match log.append(&gone(&id)) {
                Ok(()) => {
                    acknowledged.push(id);
                    None
                }
                Err(_) => Some(id),
            };
        }
        // As if it were killed here.
        drop(log);
        let (found, ..) = load(open(&dir)).unwrap();
        let with_last: Vec<String> = acknowledged.iter().cloned().chain(last).collect();
        prop_assert!(found == acknowledged || found == with_last, "{:?}", found);
    }
}
