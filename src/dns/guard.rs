//! Who is answered, how often, and what shows that a client is where it says.
//!
//! Access rules, rate limiting and cookies meet here, in the order in which they
//! count: a client that isn't permitted is refused, whatever it shows; one that
//! shows a cookie of ours receives what is sent to its address, so it isn't
//! limited; all others are limited over UDP, refusals included. Over a stream
//! nobody's address is forged, so nothing is limited.

use std::net::IpAddr;

use super::access::Access;
use super::answer::Client;
use super::cookie::{CookieOption, Cookies, SERVER_COOKIE_LEN, Standing};
use super::query::COOKIE_OPTION;
use crate::limit::{Allowance, LimitConfig, Limiter};
use crate::time::Moment;

/// Octets of a COOKIE option in a response: code, length, both cookies.
const OPTION_LEN: usize = 4 + 8 + SERVER_COOKIE_LEN;

/// Rules for clients. Shared by all workers.
pub struct Guard {
    access: Access,
    limiter: Limiter,
    /// None when cookies are neither given nor checked.
    cookies: Option<Cookies>,
    requires_cookies: bool,
}

impl Guard {
    /// Answers whom `access` permits as often as `rate` has it, with cookies if `cookies`.
    pub fn new(access: Access, rate: LimitConfig, cookies: bool) -> Self {
        Self {
            access,
            limiter: Limiter::new(rate),
            cookies: cookies.then(|| Cookies::new(random_octets())),
            requires_cookies: false,
        }
    }

    /// Has clients over UDP that send a cookie show one of ours before they are
    /// answered ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873) §5.2.3). Those
    /// who send none are answered as ever.
    #[must_use]
    pub fn requiring_cookies(mut self, required: bool) -> Self {
        self.requires_cookies = required && self.cookies.is_some();
        self
    }

    /// Whether a query is to be sent again with the cookie that it's answered with.
    pub(super) fn wants_cookie(&self, client: Client, sent: bool, standing: Standing) -> bool {
        let valid = matches!(standing, Standing::Valid { .. });
        self.requires_cookies && client.datagram && sent && !valid
    }

    /// Whether the client is answered at all.
    pub(super) fn permits(&self, client: Client) -> bool {
        self.access.permits(client.address)
    }

    /// What the response says of cookies, and what that of the client's says.
    pub(super) fn cookie(
        &self,
        sent: Option<CookieOption<'_>>,
        address: IpAddr,
        seconds: impl FnOnce() -> u32,
    ) -> (CookieReply, Standing) {
        let (Some(cookies), Some(sent)) = (&self.cookies, sent) else {
            return (CookieReply::default(), Standing::Unknown);
        };
        let now = seconds();
        let standing = cookies.check(sent.client, sent.server, address, now);
        let mut reply = CookieReply {
            octets: [0; OPTION_LEN],
            len: OPTION_LEN,
        };
        reply.octets[..2].copy_from_slice(&COOKIE_OPTION.to_be_bytes());
        reply.octets[3] = (OPTION_LEN - 4) as u8;
        reply.octets[4..12].copy_from_slice(&sent.client.0);
        let server = match standing {
            Standing::Valid { fresh: true } => sent.server.first_chunk().copied(),
            _ => None,
        };
        let server = server.unwrap_or_else(|| cookies.make(sent.client, address, now));
        reply.octets[12..].copy_from_slice(&server);
        (reply, standing)
    }

    /// What may be done with a response to the client.
    pub(super) fn allowance(&self, client: Client, standing: Standing, now: Moment) -> Allowance {
        match standing {
            Standing::Valid { .. } => Allowance::Send,
            _ if !client.datagram => Allowance::Send,
            _ => self.limiter.take(client.address, now),
        }
    }
}

/// The COOKIE option of a response; nothing by default.
#[derive(Clone, Copy, Debug)]
pub(super) struct CookieReply {
    octets: [u8; OPTION_LEN],
    len: usize,
}

impl Default for CookieReply {
    fn default() -> Self {
        Self {
            octets: [0; OPTION_LEN],
            len: 0,
        }
    }
}

impl CookieReply {
    /// The option, ready for the wire.
    pub(super) fn as_octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// Octets that nobody can guess: the standard library's hasher is keyed by the
/// system's entropy, and its output doesn't give the key away.
fn random_octets() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut octets = [0; 16];
    for (half, number) in octets.chunks_exact_mut(8).zip(0u8..) {
        half.copy_from_slice(&RandomState::new().hash_one(number).to_ne_bytes());
    }
    octets
}
