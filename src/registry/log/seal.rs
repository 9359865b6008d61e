//! Sealing: state at rest that nobody reads without the key.
//!
//! XChaCha20-Poly1305 with a random nonce for each frame. What a frame belongs to,
//! its file and its place in it, is authenticated with it, so that frames can't be
//! moved. Nothing here makes or keeps keys: they come from a file of the operator's.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, Generate as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

/// Octets of a key.
const KEY_LEN: usize = 32;

/// Octets of a nonce.
const NONCE_LEN: usize = 24;

/// Octets that tell which key sealed a frame.
const ID_LEN: usize = 8;

/// Most keys of a file.
const MAX_KEYS: usize = 64;

/// Keys, the newest first: that one seals, all open.
#[derive(Clone)]
pub struct Keys(Vec<SealingKey>);

#[derive(Clone)]
struct SealingKey {
    id: [u8; ID_LEN],
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// Reads a key file: 64 hexadecimal digits a line, the newest key first. Empty
    /// lines and lines that begin with `#` are passed over.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = fs::read_to_string(path)
            .map_err(|error| KeyFileError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = key(line).ok_or_else(|| KeyFileError::Malformed(path.to_owned(), at + 1))?;
            keys.push(key);
        }
        match keys.len() {
            0 => Err(KeyFileError::Empty(path.to_owned())),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(KeyFileError::TooMany(path.to_owned())),
        }
    }

    /// Whether others have the same keys in the same order.
    pub(super) fn is_same(&self, others: &Keys) -> bool {
        let ids = |keys: &Keys| keys.0.iter().map(|key| key.id).collect::<Vec<_>>();
        ids(self) == ids(others)
    }

    /// Seals `plain`: the key's id, the nonce, the octets and their tag.
    pub(super) fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealError> {
        let newest = self.0.first().ok_or(SealError::UnknownKey)?;
        let nonce = XNonce::try_generate().map_err(|_| SealError::NoRandomness)?;
        let payload = Payload {
            msg: plain,
            aad: place,
        };
        let sealed = newest.cipher.encrypt(&nonce, payload);
        let sealed = sealed.map_err(|_| SealError::TooLong)?;
        Ok([&newest.id[..], &nonce[..], &sealed].concat())
    }

    /// Opens what was sealed at the same place.
    pub(super) fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, SealError> {
        let split = sealed.split_at_checked(ID_LEN);
        let (id, rest) = split.ok_or(SealError::Altered)?;
        let (nonce, msg) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Altered)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| SealError::Altered)?;
        let key = self.0.iter().find(|key| key.id == id);
        let payload = Payload { msg, aad: place };
        let key = key.ok_or(SealError::UnknownKey)?;
        key.cipher
            .decrypt(&nonce, payload)
            .map_err(|_| SealError::Altered)
    }
}

/// A key of 64 hexadecimal digits. Its id is what it makes of nothing at all, with a
/// nonce that no frame has.
fn key(digits: &str) -> Option<SealingKey> {
    if digits.len() != 2 * KEY_LEN || !digits.is_ascii() {
        return None;
    }
    let mut octets = [0; KEY_LEN];
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    let cipher = XChaCha20Poly1305::new(&Key::from(octets));
    let known = cipher
        .encrypt(&XNonce::from([0; NONCE_LEN]), &[][..])
        .ok()?;
    let id = known.get(..ID_LEN)?.try_into().ok()?;
    Some(SealingKey { id, cipher })
}

/// Why a frame can't be sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum SealError {
    /// It was sealed with a key that isn't in the file.
    #[error(
        "it was sealed with a key that isn't in the key file; add that key below the newest one"
    )]
    UnknownKey,
    /// It isn't what was sealed.
    #[error("it was altered after it was sealed")]
    Altered,
    /// The system gives no random octets.
    #[error("the system gives no random octets")]
    NoRandomness,
    /// It's longer than the cipher takes.
    #[error("it's too long to be sealed")]
    TooLong,
}

/// Why a key file can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read.
    #[error("key_file {file} can't be read: {1}", file = .0.display())]
    Unreadable(PathBuf, io::Error),
    /// A line is no key.
    #[error("{file}:{1}: no key; a key is 64 hexadecimal digits (openssl rand -hex 32)", file = .0.display())]
    Malformed(PathBuf, usize),
    /// There is no key in it.
    #[error("key_file {file} has no key; make one with: openssl rand -hex 32", file = .0.display())]
    Empty(PathBuf),
    /// There are more than are looked through.
    #[error("key_file {file} has more than 64 keys", file = .0.display())]
    TooMany(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const SECOND: &str = "ff0102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f";

    fn keys(text: &str) -> Result<Keys, String> {
        Keys::parse(text, Path::new("keys")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_newest_key_seals_and_all_open() {
        let old = keys(FIRST).unwrap();
        let both = keys(&format!("# rotated\n{SECOND}\n\n{FIRST}\n")).unwrap();
        let sealed = old.seal(b"state", b"place").unwrap();
        assert_eq!(both.open(&sealed, b"place").unwrap(), b"state");
        let sealed = both.seal(b"state", b"place").unwrap();
        assert_eq!(old.open(&sealed, b"place"), Err(SealError::UnknownKey));
        assert_eq!(both.open(&sealed, b"elsewhere"), Err(SealError::Altered));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(both.open(&altered, b"place").is_err(), "octet {at}");
            assert!(both.open(&sealed[..at], b"place").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn key_files_that_are_wrong() {
        for (text, error) in [
            ("", "key_file keys has no key"),
            ("# none\n", "key_file keys has no key"),
            ("\n00ff\n", "keys:2: no key; a key is 64 hexadecimal digits"),
            (&FIRST.replace('0', "x"), "keys:1: no key"),
            (&FIRST.replace("00", "é"), "keys:1: no key"),
            (&format!("{FIRST}\n").repeat(65), "more than 64"),
        ] {
            let found = keys(text).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }
}
