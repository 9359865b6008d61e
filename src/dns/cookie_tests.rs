//! Tests of the cookies: RFC 9018's examples, lengths, times and forgeries.

use proptest::prelude::*;

use super::*;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// Octets of a text of hexadecimal digits.
fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
}

fn cookies(secret: &str) -> Cookies {
    Cookies::with_secret(hex(secret))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The client and the secrets of RFC 9018, appendix A.
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const CLIENT: &str = "2464c4abcf10c957";

#[test]
fn rfc9018_a1_learning_a_new_server_cookie() {
    let (client, address) = (ClientCookie(hex(CLIENT)), ip("198.51.100.100"));
    let made = cookies(SECRET).make(client, address, 1_559_731_985);
    assert_eq!(made, hex("010000005cf79f111f8130c3eee29480"));
}

#[test]
fn rfc9018_a2_the_same_client_learning_a_renewed_server_cookie() {
    let (client, address) = (ClientCookie(hex(CLIENT)), ip("198.51.100.100"));
    let (cookies, now) = (cookies(SECRET), 1_559_734_385);
    let sent: [u8; 16] = hex("010000005cf79f111f8130c3eee29480");
    let standing = cookies.check(client, &sent, address, now);
    assert_eq!(standing, Standing::Valid { fresh: false });
    let made = cookies.make(client, address, now);
    assert_eq!(made, hex("010000005cf7a871d4a564a1442aca77"));
}

#[test]
fn rfc9018_a3_another_client_learning_a_renewed_server_cookie() {
    let (client, address) = (ClientCookie(hex("fc93fc62807ddb86")), ip("203.0.113.203"));
    let cookies = cookies(SECRET);
    let sent: [u8; 16] = hex("01abcdef5cf78f71a314227b6679ebf5");
    // Its hash holds with the reserved octets that are set; one of our own replaces it.
    let standing = cookies.check(client, &sent, address, 1_559_727_985);
    assert_eq!(standing, Standing::Valid { fresh: false });
    // The example's server takes cookies for longer than an hour.
    let now = 1_559_734_700;
    assert_eq!(cookies.check(client, &sent, address, now), Standing::Wrong);
    let made = cookies.make(client, address, now);
    assert_eq!(made, hex("010000005cf7a9acf73a7810aca2381e"));
}

#[test]
fn rfc9018_a4_ipv6_query_with_rolled_over_secret() {
    let client = ClientCookie(hex("22681ab97d52c298"));
    let address = ip("2001:db8:220:1:59de:d0f4:8769:82b8");
    let old = cookies("dd3bdf9344b678b185a6f5cb60fca715");
    let new = cookies("445536bcd2513298075a5d379663c962");
    let sent = old.make(client, address, 1_559_741_817);
    assert_eq!(sent, hex("010000005cf7c57926556bd0934c72f8"));
    let now = 1_559_741_961;
    let standing = old.check(client, &sent, address, now);
    assert_eq!(standing, Standing::Valid { fresh: true });
    assert_eq!(new.check(client, &sent, address, now), Standing::Wrong);
    let made = new.make(client, address, now);
    assert_eq!(made, hex("010000005cf7c609a6bb79d16625507a"));
}

#[test]
fn rfc7873_5_2_2_lengths() {
    for len in 0..50 {
        let data = vec![7; len];
        let parsed = CookieOption::parse(&data);
        if len == 8 || (16..=40).contains(&len) {
            let option = parsed.unwrap();
            assert_eq!(option.client, ClientCookie([7; 8]));
            assert_eq!(option.server, vec![7; len - 8]);
        } else {
            assert_eq!(parsed, Err(BadCookieLength(len)));
        }
    }
}

/// How a cookie made at `made` stands at `now`.
fn standing(made: u32, now: u32) -> Standing {
    let (client, address) = (ClientCookie([1; 8]), ip("2001:db8::1"));
    let cookies = Cookies::new([7; 16]);
    cookies.check(client, &cookies.make(client, address, made), address, now)
}

#[test]
fn rfc9018_4_3_times() {
    // Noon, midnight, where Unix time wraps, and where it's a negative number.
    for made in [1_559_736_000, 20_000 * 86_400 - 1, u32::MAX - 100, 1 << 31] {
        for (age, expected) in [
            (0, Standing::Valid { fresh: true }),
            (30 * MINUTE, Standing::Valid { fresh: true }),
            (30 * MINUTE + 1, Standing::Valid { fresh: false }),
            (HOUR, Standing::Valid { fresh: false }),
            (HOUR + 1, Standing::Wrong),
            ((5 * MINUTE).wrapping_neg(), Standing::Valid { fresh: true }),
            ((5 * MINUTE + 1).wrapping_neg(), Standing::Wrong),
            (24 * HOUR, Standing::Wrong),
            (1 << 31, Standing::Wrong),
        ] {
            assert_eq!(
                standing(made, made.wrapping_add(age)),
                expected,
                "{made} {age}"
            );
        }
    }
}

#[test]
fn secrets_change_with_the_day_and_the_master() {
    let (client, address) = (ClientCookie([1; 8]), ip("192.0.2.1"));
    let secret = |master: u8, time: u32| {
        let cookie = Cookies::new([master; 16]).make(client, address, time);
        // The secret that a cookie was made with is known by what makes the same.
        (0..3).find(|day: &u32| {
            let days = sip128::SipHasher24::new_with_key(&[9; 16]);
            let secret = days.hash(&day.to_be_bytes()).as_bytes();
            Cookies::with_secret(secret).make(client, address, time) == cookie
        })
    };
    assert_eq!(secret(9, 0), Some(0));
    assert_eq!(secret(9, 86_399), Some(0));
    assert_eq!(secret(9, 86_400), Some(1));
    assert_eq!(secret(9, 2 * 86_400 + 5), Some(2));
    assert_eq!(secret(8, 0), None);
}

#[test]
fn without_a_server_cookie_nothing_is_known() {
    let client = ClientCookie([1; 8]);
    let standing = Cookies::new([7; 16]).check(client, &[], ip("192.0.2.1"), 1);
    assert_eq!(standing, Standing::Unknown);
}

proptest! {
    #[test]
    fn only_whole_cookies_of_the_same_client_are_valid(
        master: [u8; 16], client: [u8; 8], bits: u32, now: u32, bit in 0..320usize,
    ) {
        let address = IpAddr::from(bits.to_be_bytes());
        let cookies = Cookies::new(master);
        let made = cookies.make(ClientCookie(client), address, now);
        let valid = Standing::Valid { fresh: true };
        prop_assert_eq!(cookies.check(ClientCookie(client), &made, address, now), valid);
        if let IpAddr::V4(v4) = address {
            let mapped = v4.to_ipv6_mapped().into();
            prop_assert_eq!(cookies.check(ClientCookie(client), &made, mapped, now), valid);
        }
        // One bit of it all is another: of the client's cookie, ours, the address, the master.
        let mut all = [&client[..], &made, &bits.to_be_bytes(), &master[..12]].concat();
        all[bit / 8] ^= 1 << (bit % 8);
        let (other, rest) = all.split_first_chunk::<8>().unwrap();
        let (server, rest) = rest.split_at(16);
        let (octets, part) = rest.split_first_chunk::<4>().unwrap();
        let mut secret = master;
        secret[..12].copy_from_slice(part);
        let standing = Cookies::new(secret)
            .check(ClientCookie(*other), server, IpAddr::from(*octets), now);
        prop_assert_eq!(standing, Standing::Wrong);
    }

    #[test]
    fn other_makers_cookies_are_wrong(server in prop::collection::vec(any::<u8>(), 1..40), now: u32) {
        let cookies = Cookies::new([7; 16]);
        let standing = cookies.check(ClientCookie([1; 8]), &server, ip("192.0.2.1"), now);
        prop_assert_eq!(standing, Standing::Wrong);
    }
}
