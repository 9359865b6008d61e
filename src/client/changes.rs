//! The endpoints of a query as they come and go, for balancers that keep connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::discovery::{Discovery, Query, ResolveError};
use super::endpoint::Endpoint;

/// Time between two looks at the cache. What it costs is less than a microsecond; when
/// DNS is asked is decided by TTLs, as ever.
const LOOK: Duration = Duration::from_millis(100);

/// What came or went, by the address that is dialled.
pub(super) enum EndpointChange {
    /// It's there, or another one is at its address.
    Came(Endpoint),
    /// It's not there any more.
    Went(SocketAddr),
}

/// Sends changes until nobody takes them any more. `make` turns each into what is sent.
pub(super) async fn send<T>(
    discovery: Discovery,
    query: Query,
    changes: mpsc::Sender<T>,
    make: impl Fn(EndpointChange) -> T,
) {
    let mut known: HashMap<SocketAddr, Endpoint> = HashMap::new();
    loop {
        let found = discovery.resolve(query.clone()).await;
        let endpoints = match &found {
            Ok(endpoints) => Some(&**endpoints),
            // Nobody is there: so says DNS.
            Err(ResolveError::Nobody { .. }) => Some(&[][..]),
            Err(error) => {
                tracing::debug!(%query, %error, "no changes can be told");
                None
            }
        };
        for change in endpoints.map_or(Vec::new(), |it| differences(&mut known, it)) {
            if changes.send(make(change)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = changes.closed() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What changed from `known`, which is then as `endpoints` are. Those that came are
/// told first, so that a balancer isn't empty in between.
fn differences(
    known: &mut HashMap<SocketAddr, Endpoint>,
    endpoints: &[Endpoint],
) -> Vec<EndpointChange> {
    let mut changes = Vec::new();
    for endpoint in endpoints {
        let address = endpoint.address();
        if known.get(&address) != Some(endpoint) {
            known.insert(address, endpoint.clone());
            changes.push(EndpointChange::Came(endpoint.clone()));
        }
    }
    known.retain(|address, _| {
        let stays = endpoints.iter().any(|it| it.address() == *address);
        if !stays {
            changes.push(EndpointChange::Went(*address));
        }
        stays
    });
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let all = [1, 2, 3].map(|port| Endpoint::test(port, 10, 256, false));
        let mut known = HashMap::new();
        let mut told = |endpoints: &[Endpoint]| -> Vec<String> {
            let changes = differences(&mut known, endpoints).into_iter();
            let text = |change| match change {
                EndpointChange::Came(endpoint) => format!("+{}", endpoint.address().port()),
                EndpointChange::Went(address) => format!("-{}", address.port()),
            };
            changes.map(text).collect()
        };
        assert_eq!(told(&all[..2]), ["+1", "+2"]);
        assert_eq!(told(&all[..2]), [""; 0]);
        assert_eq!(told(&all[1..]), ["+3", "-1"]);
        let mut rest = told(&[]);
        rest.sort();
        assert_eq!(rest, ["-2", "-3"]);
    }
}
