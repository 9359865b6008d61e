//! Host names of instances, looked up with the system's resolver.
//!
//! That says nothing of TTLs, so a name is looked up again after a fixed time.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::registry::registration::MAX_ADDRESSES;

/// Time after which a known name is looked up again.
pub(super) const REFRESH: Duration = Duration::from_secs(10);

/// Time after which a failed look-up is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// Longest time a look-up may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Looks up the addresses of `host`: sorted, each once, at most [`MAX_ADDRESSES`].
pub(super) async fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 0))).await??;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses)
}
