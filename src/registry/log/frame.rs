//! Frames: how records lie in a file, so that what is torn or altered shows.
//!
//! ```text
//! header   "namebeat" version:u16 kind:u8 0 number:u64 salt:u32 crc:u32
//! frame    marker:u32 len:u32 sequence:u64 crc:u32 payload
//! ```
//!
//! A log that wasn't ended may have octets of 0 behind its last frame: room for further
//! ones. Numbers are little endian. A frame's checksum (CRC-32C) begins with its file's
//! salt, which is drawn at random: so no payload can hold what passes for a frame.
//! Sequence numbers go up by one, so that frames that were lost or moved show, too.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Version of the format, of frames and of the records in them.
const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"namebeat";

/// Octets of a file's header.
pub(super) const HEADER_LEN: usize = 28;

/// First octets of a frame.
const MARKER: [u8; 4] = [0xa3, 0xf7, 0x42, 0x4e];

/// Octets of a frame before its payload.
pub(super) const HEAD_LEN: usize = 20;

/// Most octets of a payload. A batch has at most 1024 bodies of 1 MiB each, so it's
/// never met; a length above it is none that was written.
pub(super) const MAX_PAYLOAD_LEN: usize = 1 << 31;

/// What a file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Changes, in order.
    Log = 1,
    /// A whole state.
    Snapshot = 2,
}

/// Where writing of frames has come to in a file.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) struct Cursor {
    /// Octets of the file so far.
    pub(super) len: u64,
    /// Sequence number of the next frame.
    pub(super) sequence: u64,
    salt: u32,
}

impl Cursor {
    /// The header of a new file, and where its first frame comes.
    pub(super) fn begin(kind: Kind, number: u64) -> (Self, [u8; HEADER_LEN]) {
        // Seeded by the system; the low half is as random as all of it.
        let salt = RandomState::new().hash_one(number) as u32;
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10] = kind as u8;
        header[12..20].copy_from_slice(&number.to_le_bytes());
        header[20..24].copy_from_slice(&salt.to_le_bytes());
        let crc = crc32c::crc32c(&header[..24]);
        header[24..].copy_from_slice(&crc.to_le_bytes());
        let len = HEADER_LEN as u64;
        let cursor = Self {
            len,
            sequence: 0,
            salt,
        };
        (cursor, header)
    }

    /// A frame of `payload`, to be written at the cursor.
    pub(super) fn frame(&self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let len = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= MAX_PAYLOAD_LEN)
            .ok_or_else(|| io::Error::other("too much at once"))?;
        let mut frame = Vec::with_capacity(HEAD_LEN + payload.len());
        frame.extend_from_slice(&MARKER);
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(&self.sequence.to_le_bytes());
        frame.extend_from_slice(&checksum(self.salt, &frame[4..16], payload).to_le_bytes());
        frame.extend_from_slice(payload);
        Ok(frame)
    }

    /// The cursor behind `frame`, once that is written.
    pub(super) fn behind(&self, frame: &[u8]) -> Self {
        Self {
            len: self.len + frame.len() as u64,
            sequence: self.sequence + 1,
            salt: self.salt,
        }
    }
}

fn checksum(salt: u32, head: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, head), payload)
}

/// Something in a file that isn't what was written there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    /// Octets of the file that are good.
    pub(super) offset: u64,
    /// What is wrong behind them.
    pub(super) what: &'static str,
}

/// Reads the frames of a file, in order.
pub(super) struct Reader {
    file: BufReader<File>,
    len: u64,
    cursor: Cursor,
}

impl Reader {
    /// Opens a file, which must be of that kind and number.
    pub(super) fn open(path: &Path, kind: Kind, number: u64) -> io::Result<Result<Self, Fault>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it's no regular file"));
        }
        let len = metadata.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let fault = |what| Ok(Err(Fault { offset: 0, what }));
        let mut header = [0; HEADER_LEN];
        if len < HEADER_LEN as u64 {
            return fault("the header isn't whole");
        }
        file.read_exact(&mut header)?;
        if crc32c::crc32c(&header[..24]).to_le_bytes() != header[24..] || &header[..8] != MAGIC {
            return fault("the header isn't that of a state file, or was altered");
        }
        if header[8..10] != VERSION.to_le_bytes() {
            return fault("it's of another version of namebeat, which this one can't read");
        }
        if header[10] != kind as u8 || header[12..20] != number.to_le_bytes() {
            return fault("it's another state file, by a wrong name");
        }
        let (mut cursor, _) = Cursor::begin(kind, number);
        cursor.salt = u32::from_le_bytes([header[20], header[21], header[22], header[23]]);
        Ok(Ok(Self { file, len, cursor }))
    }

    /// Where the next frame begins, or would.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The payload of the next frame; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Result<Option<Vec<u8>>, Fault>> {
        let offset = self.cursor.len;
        let fault = |what| Ok(Err(Fault { offset, what }));
        let left = self.len - offset;
        if left == 0 || self.is_room()? {
            return Ok(Ok(None));
        }
        if left < HEAD_LEN as u64 {
            return fault("a frame's head isn't whole");
        }
        let mut head = [0; HEAD_LEN];
        self.file.read_exact(&mut head)?;
        let payload_len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head[..4] != MARKER || payload_len > MAX_PAYLOAD_LEN {
            return fault("no frame begins here");
        }
        if left < (HEAD_LEN + payload_len) as u64 {
            return fault("a frame isn't whole");
        }
        let mut payload = vec![0; payload_len];
        self.file.read_exact(&mut payload)?;
        let crc = checksum(self.cursor.salt, &head[4..16], &payload);
        if crc.to_le_bytes() != head[16..] {
            return fault("a frame's checksum is wrong");
        }
        if self.cursor.sequence.to_le_bytes() != head[8..16] {
            return fault("a frame isn't the one that was written here");
        }
        self.cursor.sequence += 1;
        self.cursor.len += (HEAD_LEN + payload_len) as u64;
        Ok(Ok(Some(payload)))
    }

    /// Whether nothing is in the file from here on but octets of 0, as no frame begins.
    fn is_room(&mut self) -> io::Result<bool> {
        if self.file.fill_buf()?.first() != Some(&0) {
            return Ok(false);
        }
        loop {
            let octets = self.file.fill_buf()?;
            if octets.is_empty() {
                return Ok(true);
            }
            if octets.iter().any(|octet| *octet != 0) {
                self.file.seek(SeekFrom::Start(self.cursor.len))?;
                return Ok(false);
            }
            let len = octets.len();
            self.file.consume(len);
        }
    }

    /// Where behind the cursor a whole frame begins, if there is one. Each frame is on
    /// the medium before the next is written: so one that isn't, with another behind
    /// it, was altered, and wasn't torn.
    pub(super) fn whole_frame_behind(&mut self) -> io::Result<Option<u64>> {
        let mut octets = Vec::new();
        self.file.seek(SeekFrom::Start(self.cursor.len))?;
        self.file.read_to_end(&mut octets)?;
        let found = (1..octets.len()).find(|at| is_frame(self.cursor.salt, &octets[*at..]));
        Ok(found.map(|at| self.cursor.len + at as u64))
    }
}

/// Whether a whole frame begins with these octets.
fn is_frame(salt: u32, octets: &[u8]) -> bool {
    let Some((head, rest)) = octets.split_at_checked(HEAD_LEN) else {
        return false;
    };
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let payload = rest.get(..len).filter(|_| head[..4] == MARKER);
    payload.is_some_and(|payload| checksum(salt, &head[4..16], payload).to_le_bytes() == head[16..])
}
