//! Master files: the text form of zones ([RFC 1035] §5), read into records.
//!
//! ```text
//! octets → lexer (tokens, lines joined by parentheses)
//!        → here (directives, owner, TTL, class, type) → rdata (fields of the type)
//! ```
//!
//! Read are `$ORIGIN`, `$INCLUDE` and `$TTL` ([RFC 2308] §4), any type as octets
//! ([RFC 3597] §5), and times with BIND's units (`1h30m`). What differs between
//! servers is settled so:
//! - A TTL left out is that of `$TTL`, else the last one stated (RFC 1035 §5.1),
//!   else the minimum of the SOA. It never comes out of thin air.
//! - A record without owner has the last owner, `$ORIGIN` in between or not.
//! - An included file begins with the owner and TTLs of the including one, whose
//!   owner and origin then go on unchanged.
//!
//! Pure: files are included through a function of the caller. Nothing here knows
//! what makes a zone; that is [`zone`](super::zone)'s.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 2308]: https://www.rfc-editor.org/rfc/rfc2308
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

mod encoding;
mod error;
mod fields;
mod lexer;
mod loc;
mod rdata;
mod svcb;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use self::error::{MasterError, Position};
pub use self::rdata::fold_rdata;

use self::fields::Fields;
use self::lexer::{Entry, Lexer, Source, Token};
use super::rr::RecordType;
use super::ttl::Ttl;
use crate::name::DomainName;

/// Most octets of text for one zone, 64 MiB; a file included twice counts twice.
pub const MAX_TEXT_LEN: usize = 64 << 20;

/// Most records of one zone.
pub const MAX_RECORDS: usize = 1_000_000;

/// How deep files may include files; the first one is at depth 0.
pub const MAX_INCLUDE_DEPTH: usize = 8;

/// One record as a master file states it; the class is IN.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The name it belongs to, in the file's letter case.
    pub owner: DomainName,
    /// Its type.
    pub rtype: RecordType,
    /// Its TTL, stated or inherited.
    pub ttl: Ttl,
    /// Its rdata in wire form, well formed and without compression.
    pub rdata: Box<[u8]>,
    /// Where it stands.
    pub position: Position,
}

/// Reads a file that `$INCLUDE` names.
pub type Include<'a> = dyn Fn(&Path) -> Result<Vec<u8>, IncludeError> + 'a;

/// Why a file can't be included.
#[derive(Debug, thiserror::Error)]
pub enum IncludeError {
    /// Nothing may be included here.
    #[error("no file may be included here")]
    Forbidden,
    /// The path is absolute, has a `..`, or leads out by a symbolic link.
    #[error("the file is not in the directory of the zone files")]
    Outside,
    /// The file is longer than [`MAX_TEXT_LEN`].
    #[error("the file is longer than 64 MiB")]
    TooLong,
    /// The file can't be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

/// Includes nothing.
pub fn no_include(_: &Path) -> Result<Vec<u8>, IncludeError> {
    Err(IncludeError::Forbidden)
}

/// Reads the master file `text`, with names relative to `origin`.
///
/// Messages call it `file`; files that `include` reads are taken as beside it.
pub fn parse(
    text: &[u8],
    file: &Path,
    origin: &DomainName,
    include: &Include<'_>,
) -> Result<Vec<Record>, MasterError> {
    let mut reader = Reader {
        include,
        directory: file.parent().map(Path::to_owned).unwrap_or_default(),
        default_ttl: None,
        last_ttl: None,
        minimum: None,
        owner: None,
        records: Vec::new(),
        text_len: 0,
    };
    let source = Source {
        file: file.to_string_lossy().into(),
        text,
    };
    reader.count_text(&source)?;
    reader.read(&source, origin.clone(), 0)?;
    Ok(reader.records)
}

/// What one entry hands on to the next, across files.
struct Reader<'i> {
    include: &'i Include<'i>,
    /// Where included files are, for messages.
    directory: PathBuf,
    /// What `$TTL` said last.
    default_ttl: Option<Ttl>,
    /// What a record stated last.
    last_ttl: Option<Ttl>,
    /// The minimum of the last SOA.
    minimum: Option<Ttl>,
    owner: Option<DomainName>,
    records: Vec<Record>,
    text_len: usize,
}

impl Reader<'_> {
    fn count_text(&mut self, source: &Source<'_>) -> Result<(), MasterError> {
        self.text_len = self.text_len.saturating_add(source.text.len());
        if self.text_len > MAX_TEXT_LEN {
            let found = format!("{} octets of text", self.text_len);
            return Err(source.error(0, found, "a zone of at most 64 MiB"));
        }
        Ok(())
    }

    fn read(
        &mut self,
        source: &Source<'_>,
        mut origin: DomainName,
        depth: usize,
    ) -> Result<(), MasterError> {
        let mut lexer = Lexer::new(source);
        while let Some(entry) = lexer.next_entry()? {
            let mut fields = Fields::new(source, &entry);
            match entry.tokens.first() {
                Some(first) if !entry.indented && !first.quoted && first.raw.starts_with(b"$") => {
                    fields.word("a directive")?;
                    self.directive(first, &mut fields, &mut origin, depth)?;
                }
                _ => self.record(&entry, &mut fields, &origin)?,
            }
        }
        Ok(())
    }

    fn directive(
        &mut self,
        word: &Token<'_>,
        fields: &mut Fields<'_>,
        origin: &mut DomainName,
        depth: usize,
    ) -> Result<(), MasterError> {
        if word.raw.eq_ignore_ascii_case(b"$ORIGIN") {
            *origin = fields.name(origin, "a domain name")?;
            fields.finish()
        } else if word.raw.eq_ignore_ascii_case(b"$TTL") {
            let token = fields.word("a TTL")?;
            self.default_ttl = Some(parse_ttl(fields.source, token)?);
            fields.finish()
        } else if word.raw.eq_ignore_ascii_case(b"$INCLUDE") {
            self.include(fields, origin, depth)
        } else {
            let error = fields.source.unexpected(word, "$ORIGIN, $TTL or $INCLUDE");
            Err(error.because("an owner that begins with \"$\" is written \"\\$\""))
        }
    }

    fn include(
        &mut self,
        fields: &mut Fields<'_>,
        origin: &DomainName,
        depth: usize,
    ) -> Result<(), MasterError> {
        const EXPECTED: &str = "the name of a file in the directory of the zone files";
        let unexpected = |reason: &dyn std::fmt::Display, token: &Token<'_>| {
            fields.source.unexpected(token, EXPECTED).because(reason)
        };
        let Some(token) = fields.peek() else {
            return Err(fields.unexpected(EXPECTED));
        };
        let octets = fields.unescaped(token, token.raw)?;
        let path = std::str::from_utf8(&octets).map_err(|error| unexpected(&error, token))?;
        let path = Path::new(path);
        if depth >= MAX_INCLUDE_DEPTH {
            let reason = format!("files may include files {MAX_INCLUDE_DEPTH} deep");
            return Err(unexpected(&reason, token));
        }
        let text = (self.include)(path).map_err(|error| unexpected(&error, token))?;
        fields.token(EXPECTED)?;
        let inner = match fields.peek() {
            Some(_) => fields.name(origin, "a domain name")?,
            None => origin.clone(),
        };
        fields.finish()?;
        let name = self.directory.join(path);
        let source = Source {
            file: name.to_string_lossy().into(),
            text: &text,
        };
        self.count_text(&source)?;
        let owner = self.owner.clone();
        self.read(&source, inner, depth + 1)?;
        self.owner = owner;
        Ok(())
    }

    fn record(
        &mut self,
        entry: &Entry<'_>,
        fields: &mut Fields<'_>,
        origin: &DomainName,
    ) -> Result<(), MasterError> {
        if self.records.len() >= MAX_RECORDS {
            let error = fields.unexpected("the end of the zone");
            return Err(error.because(format!("a zone holds at most {MAX_RECORDS} records")));
        }
        if !entry.indented {
            // Whatever stands in the first column is the owner, be it `IN` or `300`.
            self.owner = Some(fields.name(origin, "an owner name")?);
        }
        let Some(owner) = self.owner.clone() else {
            let error = fields.unexpected("an owner name in the first column");
            return Err(error.because("no record before this one has an owner to go on with"));
        };
        let (stated, rtype) = read_ttl_class_type(fields)?;
        if stated.is_some() {
            self.last_ttl = stated;
        }
        let rdata = rdata::read(rtype, fields, origin)?;
        if let (RecordType::SOA, Some(minimum)) = (rtype, rdata.last_chunk::<4>()) {
            self.minimum = Ttl::from_secs(u32::from_be_bytes(*minimum)).ok();
        }
        let ttl = stated
            .or(self.default_ttl)
            .or(self.last_ttl)
            .or(self.minimum)
            .ok_or_else(|| {
                let found = format!("a record of type {rtype} without a TTL");
                let expected = "a TTL, or $TTL or a record with a TTL before it";
                MasterError {
                    position: entry.position.clone(),
                    found,
                    expected: expected.into(),
                    reason: None,
                }
            })?;
        let position = entry.position.clone();
        self.records.push(Record {
            owner,
            rtype,
            ttl,
            rdata: rdata.into(),
            position,
        });
        Ok(())
    }
}

/// Reads `[TTL] [class] type` with the first two in either order (RFC 1035 §5.1).
fn read_ttl_class_type(fields: &mut Fields<'_>) -> Result<(Option<Ttl>, RecordType), MasterError> {
    let mut ttl = None;
    let mut class = false;
    loop {
        let expected = match (ttl, class) {
            (None, false) => "a TTL, a class or a record type",
            (None, true) => "a TTL or a record type",
            (Some(_), false) => "a class or a record type",
            (Some(_), true) => "a record type",
        };
        let token = fields.word(expected)?;
        let is_number = token.raw.first().is_some_and(u8::is_ascii_digit);
        if is_number && ttl.is_none() {
            ttl = Some(parse_ttl(fields.source, token)?);
        } else if is_number {
            let error = fields.source.unexpected(token, expected);
            return Err(error.because("the TTL is given already"));
        } else if is_class_in(token.raw) && !class {
            class = true;
        } else if is_class_in(token.raw) {
            let error = fields.source.unexpected(token, expected);
            return Err(error.because("the class is given already"));
        } else if is_other_class(token.raw) {
            return Err(fields.source.unexpected(token, "the class IN"));
        } else {
            return Ok((ttl, parse_type(fields.source, token, expected)?));
        }
    }
}

fn parse_ttl(source: &Source<'_>, token: &Token<'_>) -> Result<Ttl, MasterError> {
    const EXPECTED: &str = "a TTL (seconds, or like 1h30m; up to 2147483647)";
    encoding::seconds(token.raw)
        .and_then(|secs| Ttl::from_secs(u32::try_from(secs).ok()?).ok())
        .ok_or_else(|| source.unexpected(token, EXPECTED))
}

fn is_class_in(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"IN") || class_number(word) == Some(1)
}

/// ANY is left out: that word is a type as well, and no better there.
fn is_other_class(word: &[u8]) -> bool {
    let known: [&[u8]; 4] = [b"CH", b"CS", b"HS", b"NONE"];
    known.iter().any(|class| word.eq_ignore_ascii_case(class)) || class_number(word).is_some()
}

/// Reads `CLASS` and a number (RFC 3597 §5).
fn class_number(word: &[u8]) -> Option<u16> {
    let (class, number) = word.split_at_checked(5)?;
    let number = encoding::number(number).filter(|_| class.eq_ignore_ascii_case(b"CLASS"))?;
    u16::try_from(number).ok()
}

fn parse_type(
    source: &Source<'_>,
    token: &Token<'_>,
    expected: &'static str,
) -> Result<RecordType, MasterError> {
    let rtype: RecordType =
        fields::parse_ascii(token.raw).ok_or_else(|| source.unexpected(token, expected))?;
    // RFC 6895 §3.1: 0, OPT and 128 to 255 stand in questions and messages only.
    if matches!(rtype.0, 0 | 41 | 128..=255) {
        let error = source.unexpected(token, "a record type");
        return Err(error.because("no zone holds records of this type"));
    }
    Ok(rtype)
}
