//! How often one client may change the registry.
//!
//! Each call that isn't a read counts as one, a batch too, whatever it then leads to.
//! Clients on this machine aren't limited: a proxy there speaks for many.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::problem::Problem;
use crate::limit::{Allowance, LimitConfig, Limiter};
use crate::time::Moment;

/// Most calls a second that an address may change something by.
pub struct Rate {
    calls: u32,
    limiter: Limiter,
}

impl Rate {
    /// At most so many calls a second of each IPv4 address and each IPv6 /64, and as
    /// many at once after a silence; 0 limits nothing.
    pub fn new(calls: u32) -> Self {
        let limiter = Limiter::new(LimitConfig {
            slip: 0,
            v4_prefix: 32,
            v6_prefix: 64,
            ..LimitConfig::with_rate(calls)
        });
        Self { calls, limiter }
    }

    /// Accounts for a call, or says that it's one too many.
    pub(super) fn take(&self, client: IpAddr, now: Moment) -> Result<(), Problem> {
        if self.limiter.take(client, now) == Allowance::Send {
            return Ok(());
        }
        let title = "Too many changes of one client";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", title);
        Err(problem.retry_after(1).detail(format!(
            "{client} may ask for {} changes a second, heartbeats included (http_rate); \
             wait, or put many into one call: POST /v1/instances, POST /v1/heartbeats",
            self.calls
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn take(rate: &Rate, client: &str, now: Moment) -> Result<(), Problem> {
        rate.take(client.parse().unwrap(), now)
    }

    #[test]
    fn each_client_has_its_rate() {
        let (rate, now) = (Rate::new(3), Moment::from_millis(0));
        for _ in 0..3 {
            take(&rate, "192.0.2.1", now).unwrap();
        }
        let problem = take(&rate, "192.0.2.1", now).unwrap_err();
        assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
        let detail = problem.to_api().detail;
        assert!(
            detail.starts_with("192.0.2.1 may ask for 3 changes a second"),
            "{detail}"
        );
        take(&rate, "192.0.2.2", now).unwrap();
        let later = now.after(Duration::from_secs(1));
        take(&rate, "192.0.2.1", later).unwrap();
    }

    #[test]
    fn a_client_has_a_64_of_ipv6() {
        let (rate, now) = (Rate::new(1), Moment::from_millis(0));
        take(&rate, "2001:db8::1", now).unwrap();
        take(&rate, "2001:db8::2", now).unwrap_err();
        take(&rate, "2001:db8:0:1::1", now).unwrap();
    }

    #[test]
    fn this_machine_and_a_rate_of_0_arent_limited() {
        let (one, now) = (Rate::new(1), Moment::from_millis(0));
        for _ in 0..100 {
            take(&one, "127.0.0.1", now).unwrap();
            take(&one, "::1", now).unwrap();
        }
        let unlimited = Rate::new(0);
        for _ in 0..100 {
            take(&unlimited, "192.0.2.1", now).unwrap();
        }
    }
}
