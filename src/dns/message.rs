//! Words of the message format that reading and writing share.

use std::fmt;

/// Octets of a message's header ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §4.1.1).
pub const HEADER_LEN: usize = 12;

/// Octets of a datagram that are read; a query over UDP that is longer is no query.
/// Responses to clients that have EDNS say so ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891) §6.2.4).
pub const MAX_DATAGRAM: u16 = 4096;

/// A response code, the upper bits of OPT included ([RFC 6895](https://www.rfc-editor.org/rfc/rfc6895) §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The query is malformed.
    pub const FORMERR: Self = Self(1);
    /// Not now.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist, and nothing below it does (RFC 8020).
    pub const NXDOMAIN: Self = Self(3);
    /// The opcode isn't implemented.
    pub const NOTIMP: Self = Self(4);
    /// Not here, or not for you.
    pub const REFUSED: Self = Self(5);
    /// A name that DNAME makes too long ([RFC 6672](https://www.rfc-editor.org/rfc/rfc6672) §2.2).
    pub const YXDOMAIN: Self = Self(6);
    /// An EDNS version above 0 ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891) §9).
    pub const BADVERS: Self = Self(16);
    /// A cookie that isn't ours, with one that is ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873) §8).
    pub const BADCOOKIE: Self = Self(23);

    /// The mnemonic, or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NOERROR => "NOERROR",
            Self::FORMERR => "FORMERR",
            Self::SERVFAIL => "SERVFAIL",
            Self::NXDOMAIN => "NXDOMAIN",
            Self::NOTIMP => "NOTIMP",
            Self::REFUSED => "REFUSED",
            Self::YXDOMAIN => "YXDOMAIN",
            Self::BADVERS => "BADVERS",
            Self::BADCOOKIE => "BADCOOKIE",
            _ => "other",
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an answer is as it is, for people ([RFC 8914](https://www.rfc-editor.org/rfc/rfc8914)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: String,
}

impl ExtendedError {
    /// INFO-CODE 0: none of the others; the text says it.
    pub const OTHER: u16 = 0;
    /// The server can't answer yet.
    pub const NOT_READY: u16 = 14;
    /// INFO-CODE 18: the client isn't answered.
    pub const PROHIBITED: u16 = 18;
    /// INFO-CODE 20: the server has no authority over the name.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// INFO-CODE 21: the operation isn't supported.
    pub const NOT_SUPPORTED: u16 = 21;
}
