//! The fields of an entry, read one after another.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::encoding;
use super::error::MasterError;
use super::lexer::{Entry, Source, Token};
use crate::name::{DomainName, unescape};

/// A cursor over the tokens of one entry.
///
/// Whatever is read names what it expects, for the error if something else is there.
pub(super) struct Fields<'a> {
    pub(super) source: &'a Source<'a>,
    tokens: &'a [Token<'a>],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(source: &'a Source<'a>, entry: &'a Entry<'a>) -> Self {
        Self {
            source,
            tokens: &entry.tokens,
            at: 0,
            end: entry.end,
        }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    /// An error about the next token, or about the line that ends here.
    pub(super) fn unexpected(&self, expected: impl Into<Cow<'static, str>>) -> MasterError {
        match self.peek() {
            Some(token) => self.source.unexpected(token, expected),
            None => self.source.error(self.end, "the end of the line", expected),
        }
    }

    /// The next token, quoted or not.
    ///
    /// A quote right at a word is refused: `a"b c"` is two strings to some
    /// readers and one to others. `key="value"` of SVCB asks for
    /// [the value](Fields::joined_value) itself.
    pub(super) fn token(&mut self, expected: &str) -> Result<&'a Token<'a>, MasterError> {
        let token = self
            .peek()
            .ok_or_else(|| self.unexpected(expected.to_owned()))?;
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at]);
        if token.joined && before.is_some_and(|before| before.quoted != token.quoted) {
            return Err(self.source.unexpected(token, "a space before it"));
        }
        self.at += 1;
        Ok(token)
    }

    /// The next token, which may not be quoted.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a Token<'a>, MasterError> {
        let token = self.token(expected)?;
        if token.quoted {
            let error = self.source.unexpected(token, expected.to_owned());
            return Err(error.because("it may not be in quotes"));
        }
        Ok(token)
    }

    /// The quoted string that follows the last token without a space.
    pub(super) fn joined_value(&mut self) -> Option<&'a Token<'a>> {
        let value = self.peek().filter(|token| token.joined && token.quoted)?;
        self.at += 1;
        Some(value)
    }

    /// A number of at most `max`.
    pub(super) fn number(&mut self, max: u32, expected: &str) -> Result<u32, MasterError> {
        self.converted(expected, encoding::number, max)
    }

    /// A number of seconds of at most `max`, plain or with units.
    pub(super) fn seconds(&mut self, max: u32, expected: &str) -> Result<u32, MasterError> {
        self.converted(expected, encoding::seconds, max)
    }

    fn converted(
        &mut self,
        expected: &str,
        convert: fn(&[u8]) -> Option<u64>,
        max: u32,
    ) -> Result<u32, MasterError> {
        let token = self.word(expected)?;
        convert(token.raw)
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value <= max)
            .ok_or_else(|| self.source.unexpected(token, expected.to_owned()))
    }

    /// A domain name, relative to `origin` if it has no final dot.
    pub(super) fn name(
        &mut self,
        origin: &DomainName,
        expected: &str,
    ) -> Result<DomainName, MasterError> {
        let token = self.word(expected)?;
        DomainName::parse_octets(token.raw, Some(origin)).map_err(|reason| {
            self.source
                .unexpected(token, expected.to_owned())
                .because(reason)
        })
    }

    /// An IPv4 address of four decimal numbers.
    pub(super) fn ipv4(&mut self) -> Result<Ipv4Addr, MasterError> {
        self.address("an IPv4 address")
    }

    /// An IPv6 address as of RFC 4291 §2.2.
    pub(super) fn ipv6(&mut self) -> Result<Ipv6Addr, MasterError> {
        self.address("an IPv6 address")
    }

    fn address<T: FromStr>(&mut self, expected: &str) -> Result<T, MasterError> {
        let token = self.word(expected)?;
        parse_ascii(token.raw).ok_or_else(|| self.source.unexpected(token, expected.to_owned()))
    }

    /// The octets of a string, quoted or not, with its escapes resolved.
    pub(super) fn text(&mut self, expected: &str) -> Result<Vec<u8>, MasterError> {
        let token = self.token(expected)?;
        self.unescaped(token, token.raw)
    }

    /// Resolves the escapes of `raw`, which is part of `token`.
    pub(super) fn unescaped(&self, token: &Token<'_>, raw: &[u8]) -> Result<Vec<u8>, MasterError> {
        let mut octets = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter().copied();
        while let Some(byte) = bytes.next() {
            octets.push(match byte {
                b'\\' => unescape(&mut bytes).map_err(|_| {
                    let expected = "a string with escapes like \\\" or \\DDD (DDD up to 255)";
                    self.source.unexpected(token, expected)
                })?,
                byte => byte,
            });
        }
        Ok(octets)
    }

    /// All words that are left, one at least, read as one.
    pub(super) fn rest(
        &mut self,
        expected: &str,
        decode: fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, MasterError> {
        let first = self.word(expected)?;
        let mut text = first.raw.to_vec();
        while self.peek().is_some() {
            text.extend_from_slice(self.word(expected)?.raw);
        }
        decode(&text).ok_or_else(|| self.source.unexpected(first, expected.to_owned()))
    }

    /// Refuses what is left over.
    pub(super) fn finish(&self) -> Result<(), MasterError> {
        match self.peek() {
            Some(_) => Err(self.unexpected("the end of the line")),
            None => Ok(()),
        }
    }
}

/// Reads a value of ASCII text.
pub(super) fn parse_ascii<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
