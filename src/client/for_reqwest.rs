//! A discovery for HTTP clients of reqwest.
//!
//! With [`Resolver`] the URL `http://web.svc.internal/path` leads to the address and port
//! of an instance, without more ado; but reqwest keeps to a connection that it has.
//! [`Pool::execute`] spreads requests, one by one, and goes on to another endpoint.

use std::net::SocketAddr;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use ::reqwest::header::{HOST, HeaderValue};
use ::reqwest::{Client, Error, Request, Response, Url};

use super::balance::{Balancer, Weighted, choose};
use super::discovery::{Discovery, Endpoints};
use super::endpoint::{Endpoint, Outcome};
use super::pool::{CallError, Pool};

/// Resolves hosts in the discovery zone by a [`Discovery`], ports included, and all others
/// by the system.
///
/// A port in the URL goes before that of the instance.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use namebeat::client::{Discovery, Resolver};
///
/// let discovery = Discovery::builder().build()?;
/// let http = reqwest::Client::builder()
///     .dns_resolver(Arc::new(Resolver::new(discovery)))
///     .build()?;
/// let request = http.get("http://web.svc.internal/path");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Resolver(Discovery);

impl Resolver {
    /// A resolver that asks this discovery.
    pub fn new(discovery: Discovery) -> Self {
        Self(discovery)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let discovery = self.0.clone();
        Box::pin(async move {
            let host = name.as_str();
            if !is_below(host, discovery.zone()) {
                let found = tokio::net::lookup_host((host, 0)).await?;
                return Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs);
            }
            let endpoints = discovery.resolve(host).await?;
            let addresses = in_order(&discovery, &endpoints);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// All addresses: a connection is tried at one after the other. By priority and, at
/// random, by weight; those of ejected endpoints last.
fn in_order(discovery: &Discovery, endpoints: &Endpoints) -> Vec<SocketAddr> {
    let (mut tried, mut addresses) = (Vec::new(), Vec::new());
    let mut random = |below: u64| fastrand::u64(0..below.max(1));
    let now = discovery.clock().now();
    loop {
        let mut request = super::balance::Request {
            key: None,
            random: &mut random,
        };
        let Some(chosen) = choose(endpoints, &tried, &Weighted, &mut request, now) else {
            return addresses;
        };
        tried.push(endpoints[chosen].address());
        addresses.extend_from_slice(endpoints[chosen].addresses());
    }
}

/// Whether a host is in a zone, which has its final dot.
fn is_below(host: &str, zone: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let zone = zone.strip_suffix('.').unwrap_or(zone);
    let above = host.strip_suffix(zone);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

impl Endpoint {
    /// A URL such as `http://web.svc.internal/path` with this endpoint's address and port
    /// in the place of its host.
    pub fn url(&self, url: &Url) -> Url {
        let mut url = url.clone();
        let address = self.address();
        // Neither fails for URLs of HTTP, which have a host.
        let _ = url.set_ip_host(address.ip());
        let _ = url.set_port(Some(address.port()));
        url
    }
}

impl<B: Balancer> Pool<B> {
    /// Sends a request whose URL names the service, such as `http://web.svc.internal/path`,
    /// to one of the pool's endpoints, and on to another when that can't be reached.
    ///
    /// The header `Host` stays what the URL says. A request that may have been read by an
    /// endpoint goes to another one only if its method may be repeated ([RFC 9110] §9.2.2)
    /// and its body isn't a stream. An answer of 5xx is an answer.
    ///
    /// With `https` the certificate must be for the endpoint's address: prefer [`Resolver`]
    /// there.
    ///
    /// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110
    pub async fn execute(
        &self,
        http: &Client,
        request: Request,
    ) -> Result<Response, CallError<Error>> {
        let mut tried: Vec<SocketAddr> = Vec::new();
        let mut request = request;
        loop {
            let endpoint = self.pick_for(None, &tried).await?;
            tried.push(endpoint.address());
            let copy = request.try_clone();
            let is_repeatable = request.method().is_idempotent();
            aim(&mut request, &endpoint);
            let last = match http.execute(request).await {
                Ok(response) => {
                    endpoint.report(Outcome::Ok);
                    return Ok(response);
                }
                Err(last) => last,
            };
            endpoint.report(Outcome::Failed);
            let may_repeat = last.is_connect() || is_repeatable;
            match copy {
                Some(copy) if may_repeat && tried.len() < self.most_attempts() => request = copy,
                _ => {
                    let tried = tried.len();
                    return Err(CallError::Failed { tried, last });
                }
            }
        }
    }
}

/// Has a request go to an endpoint.
fn aim(request: &mut Request, endpoint: &Endpoint) {
    let url = request.url();
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    if let Ok(host) = HeaderValue::try_from(host)
        && !request.headers().contains_key(HOST)
    {
        request.headers_mut().insert(HOST, host);
    }
    *request.url_mut() = endpoint.url(request.url());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_get_the_endpoints_address() {
        let endpoint = Endpoint::test(8080, 10, 256, false);
        let url: Url = "http://web.svc.internal:1/a/b?c=d#e".parse().unwrap();
        assert_eq!(
            endpoint.url(&url).as_str(),
            "http://127.0.0.1:8080/a/b?c=d#e"
        );
    }

    #[test]
    fn hosts_of_the_zone_are_told_apart() {
        for (host, expected) in [
            ("web.svc.internal", true),
            ("WEB.SVC.internal.", true),
            ("svc.internal", true),
            ("websvc.internal", false),
            ("example.com", false),
        ] {
            assert_eq!(is_below(host, "svc.internal."), expected, "{host}");
        }
    }
}
