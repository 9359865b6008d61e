//! Master-file text → entries of tokens ([RFC 1035] §5.1).
//!
//! An entry is a line, or several that parentheses join. Escapes stay as they
//! are written: whether `\.` is a dot or a dot in a label depends on the field.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035

use std::borrow::Cow;
use std::sync::Arc;

use super::error::{MasterError, Position};

/// How much of a token an error shows, octets.
const MAX_SHOWN: usize = 60;

/// One file: its name for messages, and its text.
pub(super) struct Source<'a> {
    pub(super) file: Arc<str>,
    pub(super) text: &'a [u8],
}

impl Source<'_> {
    /// An error at `offset`.
    pub(super) fn error(
        &self,
        offset: usize,
        found: impl Into<String>,
        expected: impl Into<Cow<'static, str>>,
    ) -> MasterError {
        let before = &self.text[..offset.min(self.text.len())];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        MasterError {
            position: self.position(offset, saturate(lines).saturating_add(1)),
            found: found.into(),
            expected: expected.into(),
            reason: None,
        }
    }

    /// An error about `token`.
    pub(super) fn unexpected(
        &self,
        token: &Token<'_>,
        expected: impl Into<Cow<'static, str>>,
    ) -> MasterError {
        self.error(token.offset, token.show(), expected)
    }

    /// The place `offset`, which is on `line`. Looks no further back than that line.
    pub(super) fn position(&self, offset: usize, line: u32) -> Position {
        let before = &self.text[..offset.min(self.text.len())];
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            // The second and later octets of a UTF-8 character are no columns.
            .filter(|byte| **byte & 0xc0 != 0x80)
            .count();
        Position {
            file: self.file.clone(),
            line,
            column: saturate(column).saturating_add(1),
        }
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A word or a quoted string.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    /// The octets as written, without the quotes around them.
    pub(super) raw: &'a [u8],
    /// Where it begins in the file, its quote included.
    pub(super) offset: usize,
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Whether nothing parts it from the token before.
    pub(super) joined: bool,
}

impl Token<'_> {
    /// The token in quotes, shortened if it is long.
    pub(super) fn show(&self) -> String {
        let shown = &self.raw[..self.raw.len().min(MAX_SHOWN)];
        let mut text = String::from("\"");
        for character in String::from_utf8_lossy(shown).chars() {
            if character.is_control() {
                text.push_str(&format!("\\{:03}", u32::from(character)));
            } else {
                text.push(character);
            }
        }
        text.push_str(if shown.len() < self.raw.len() {
            "…\""
        } else {
            "\""
        });
        text
    }
}

/// The tokens of one line, or of the lines that parentheses join; at least one.
pub(super) struct Entry<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// Whether the line begins with a blank, so that the owner is left out.
    pub(super) indented: bool,
    /// The place of the first token.
    pub(super) position: Position,
    /// Offset of the line end.
    pub(super) end: usize,
}

/// Cuts a file into entries.
pub(super) struct Lexer<'a> {
    source: &'a Source<'a>,
    at: usize,
    line: u32,
    counted: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the start of the file, after a byte order mark if there is one.
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        let at = if source.text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self {
            source,
            at,
            line: 1,
            counted: 0,
        }
    }

    /// The next entry that has a token, or `None` at the end of the file.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>, MasterError> {
        while let Some(first) = self.peek() {
            let indented = is_blank(first);
            let (tokens, end) = self.tokens()?;
            if let Some(token) = tokens.first() {
                let passed = &self.source.text[self.counted..token.offset];
                let lines = passed.iter().filter(|byte| **byte == b'\n').count();
                self.line = self.line.saturating_add(saturate(lines));
                self.counted = token.offset;
                let position = self.source.position(token.offset, self.line);
                return Ok(Some(Entry {
                    tokens,
                    indented,
                    position,
                    end,
                }));
            }
        }
        Ok(None)
    }

    fn peek(&self) -> Option<u8> {
        self.source.text.get(self.at).copied()
    }

    /// Reads to the end of a line that no parenthesis carries on; returns where that is.
    fn tokens(&mut self) -> Result<(Vec<Token<'a>>, usize), MasterError> {
        let mut tokens = Vec::new();
        let mut open = Vec::new();
        let mut joined = false;
        while let Some(byte) = self.peek() {
            let start = self.at;
            self.at += 1;
            match byte {
                b'\n' if open.is_empty() => return Ok((tokens, start)),
                b'\n' => joined = false,
                blank if is_blank(blank) => joined = false,
                b';' => self.skip_comment(),
                b'(' => {
                    open.push(start);
                    joined = false;
                }
                b')' => {
                    if open.pop().is_none() {
                        return Err(self.source.error(start, "\")\"", "a \"(\" before it"));
                    }
                    joined = false;
                }
                _ => {
                    let quoted = byte == b'"';
                    let raw = if quoted {
                        self.quoted(start)?
                    } else {
                        self.word(start)?
                    };
                    tokens.push(Token {
                        raw,
                        offset: start,
                        quoted,
                        joined,
                    });
                    joined = true;
                }
            }
        }
        match open.last() {
            None => Ok((tokens, self.at)),
            Some(&offset) => {
                let found = "\"(\" left open until the end of the file";
                Err(self.source.error(offset, found, "a closing \")\""))
            }
        }
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Reads the rest of a quoted string. It may hold any octet, line ends too (RFC 1035 §5.1).
    fn quoted(&mut self, start: usize) -> Result<&'a [u8], MasterError> {
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(&self.source.text[start + 1..self.at - 1]),
                b'\\' => self.escaped()?,
                _ => {}
            }
        }
        let found = "a quote left open until the end of the file";
        Err(self.source.error(start, found, "a closing quote"))
    }

    /// Reads the rest of the word that begins at `start`.
    fn word(&mut self, start: usize) -> Result<&'a [u8], MasterError> {
        self.at = start;
        while let Some(byte) = self.peek() {
            if is_blank(byte) || matches!(byte, b'\n' | b';' | b'(' | b')' | b'"') {
                break;
            }
            self.at += 1;
            if byte == b'\\' {
                self.escaped()?;
            }
        }
        Ok(&self.source.text[start..self.at])
    }

    /// Passes the octet after a backslash, so that it ends no token.
    fn escaped(&mut self) -> Result<(), MasterError> {
        match self.peek() {
            Some(b'\n' | b'\r') | None => {
                let expected = "a character after the backslash";
                Err(self
                    .source
                    .error(self.at - 1, "a backslash at the end of the line", expected))
            }
            Some(_) => {
                self.at += 1;
                Ok(())
            }
        }
    }
}

/// Carriage returns are blanks, so lines may end in CR LF.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
