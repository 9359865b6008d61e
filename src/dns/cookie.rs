//! DNS cookies: what shows that a client receives what is sent to its address.
//!
//! A client sends eight octets of its choice, and the server's cookie once it has
//! one; the server's is a hash over the client's octets and address, so that
//! nothing has to be kept for any client ([RFC 7873]). [RFC 9018] lays down the
//! hash, so that servers of different makers can share an address:
//!
//! ```text
//! octet   0         1          4           8                16
//!         | version | reserved | timestamp | SipHash-2-4    |
//!         |    1    | 0  0  0  | Unix time | of the secret  |
//! hashed: client cookie | version | reserved | timestamp | client's address
//! ```
//!
//! The secret changes every day without a state to keep: a day's secret is
//! SipHash's 128 bits of the day's number, keyed with the master. A cookie's
//! timestamp tells its day, so yesterday's are checked with yesterday's secret.
//!
//! IPv4 addresses in the form of IPv6 are hashed as IPv4.
//!
//! Pure: nothing here reads a clock; callers pass the seconds.
//!
//! [RFC 7873]: https://www.rfc-editor.org/rfc/rfc7873
//! [RFC 9018]: https://www.rfc-editor.org/rfc/rfc9018

use std::net::IpAddr;

use siphasher::sip::SipHasher24;
use siphasher::sip128;

/// Octets of a server cookie as made here.
pub const SERVER_COOKIE_LEN: usize = 16;

/// Seconds for which a cookie is taken ([RFC 9018](https://www.rfc-editor.org/rfc/rfc9018) §4.3).
const LIFETIME: i32 = 3600;

/// Seconds that a cookie may be ahead, for servers whose clocks differ (likewise).
const LEAD: i32 = 300;

/// Seconds after which a client is given a new cookie (likewise).
const FRESH: i32 = 1800;

/// Version of server cookies (RFC 9018 §4.1).
const VERSION: u8 = 1;

/// Octets that a client chose; they come back in every response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ClientCookie(pub [u8; 8]);

/// The data of a COOKIE option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieOption<'a> {
    /// The client's part.
    pub client: ClientCookie,
    /// The server's part, 8 to 32 octets, or none when the client has none yet.
    pub server: &'a [u8],
}

impl<'a> CookieOption<'a> {
    /// Reads an option's data: 8 octets, or 16 to 40.
    ///
    /// Other lengths are to be answered with FORMERR
    /// ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873) §5.2.2).
    pub fn parse(data: &'a [u8]) -> Result<Self, BadCookieLength> {
        match data.split_first_chunk() {
            Some((client, server)) if matches!(server.len(), 0 | 8..=32) => Ok(Self {
                client: ClientCookie(*client),
                server,
            }),
            _ => Err(BadCookieLength(data.len())),
        }
    }
}

/// A COOKIE option of so many octets, which none can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("COOKIE option of {0} octets; allowed is 8, or 16 to 40")]
pub struct BadCookieLength(pub usize);

/// What a server cookie says of the client that sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nothing: the client sent none.
    Unknown,
    /// The client receives what is sent to its address.
    Valid {
        /// Whether it can be sent back as it is; else it's time for a new one.
        fresh: bool,
    },
    /// Nothing: it's too old, made with another secret, for another client, or
    /// by other rules.
    Wrong,
}

/// Makes and checks server cookies. Shared by all workers.
pub struct Cookies {
    secrets: Secrets,
}

/// Where the secret of a day comes from.
enum Secrets {
    /// Made of this for each day.
    Daily(sip128::SipHasher24),
    /// The same on all days.
    Fixed(SipHasher24),
}

impl Cookies {
    /// Cookies with a secret that changes every day. Servers with the same master
    /// take each other's; so a master that nobody knows is random.
    pub fn new(master: [u8; 16]) -> Self {
        Self {
            secrets: Secrets::Daily(sip128::SipHasher24::new_with_key(&master)),
        }
    }

    /// Cookies with one secret, as servers of other makers are given it.
    pub fn with_secret(secret: [u8; 16]) -> Self {
        Self {
            secrets: Secrets::Fixed(SipHasher24::new_with_key(&secret)),
        }
    }

    /// Makes the server cookie for a client at `now`, in seconds of Unix time.
    pub fn make(&self, client: ClientCookie, address: IpAddr, now: u32) -> [u8; SERVER_COOKIE_LEN] {
        let mut head = [VERSION, 0, 0, 0, 0, 0, 0, 0];
        head[4..].copy_from_slice(&now.to_be_bytes());
        let hash = self.hash(client, head, address);
        let mut cookie = [0; SERVER_COOKIE_LEN];
        cookie[..8].copy_from_slice(&head);
        cookie[8..].copy_from_slice(&hash.to_le_bytes());
        cookie
    }

    /// Checks the server cookie that came with `client` from `address` at `now`,
    /// in seconds of Unix time.
    pub fn check(
        &self,
        client: ClientCookie,
        server: &[u8],
        address: IpAddr,
        now: u32,
    ) -> Standing {
        if server.is_empty() {
            return Standing::Unknown;
        }
        let Some((&head, hash)) = server.split_first_chunk::<8>() else {
            return Standing::Wrong;
        };
        let Ok(hash) = <[u8; 8]>::try_from(hash) else {
            return Standing::Wrong;
        };
        // Reserved octets are hashed as they came, and else ignored (RFC 9018 §4.2).
        let [version, reserved @ .., t0, t1, t2, t3] = head;
        // Unix time wraps, in 2106 (RFC 1982).
        let age = now.wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])) as i32;
        if version != VERSION || !(-LEAD..=LIFETIME).contains(&age) {
            return Standing::Wrong;
        }
        // As two numbers: the time that takes doesn't tell how many octets are right.
        if self.hash(client, head, address) != u64::from_le_bytes(hash) {
            return Standing::Wrong;
        }
        Standing::Valid {
            fresh: age <= FRESH && reserved == [0; 3],
        }
    }

    /// Hashes with the secret of the day that `head`, the first half of a server
    /// cookie, is from (RFC 9018 §4.4).
    fn hash(&self, client: ClientCookie, head: [u8; 8], address: IpAddr) -> u64 {
        let mut hashed = [0; 32];
        hashed[..8].copy_from_slice(&client.0);
        hashed[8..16].copy_from_slice(&head);
        let hashed = match address.to_canonical() {
            IpAddr::V4(v4) => {
                hashed[16..20].copy_from_slice(&v4.octets());
                &hashed[..20]
            }
            IpAddr::V6(v6) => {
                hashed[16..].copy_from_slice(&v6.octets());
                &hashed[..]
            }
        };
        match &self.secrets {
            Secrets::Fixed(hasher) => hasher.hash(hashed),
            Secrets::Daily(master) => {
                let [.., t0, t1, t2, t3] = head;
                let day = u32::from_be_bytes([t0, t1, t2, t3]) / 86_400;
                let secret = master.hash(&day.to_be_bytes()).as_bytes();
                SipHasher24::new_with_key(&secret).hash(hashed)
            }
        }
    }
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
