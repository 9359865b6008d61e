//! One call of the API, before it's known which server it goes to. Pure.

use std::time::Duration;

use reqwest::{Method, Url};

use super::error::InvalidServer;

/// One call of the API.
#[derive(Default)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Segments of the path after `/v1`, not yet escaped.
    pub(super) path: Vec<&'a str>,
    /// Parameters of the query, not yet escaped.
    pub(super) query: Vec<(&'static str, String)>,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
    /// How long the server is asked to wait, in addition to what an answer takes.
    pub(super) wait: Duration,
    /// Whether doing it twice is another thing than doing it once.
    pub(super) is_once: bool,
    /// Whether its answer goes on for ever.
    pub(super) is_stream: bool,
}

impl<'a> Call<'a> {
    /// A call without parameters and body.
    pub(super) fn new(method: Method, path: &[&'a str]) -> Self {
        Self {
            method,
            path: path.to_vec(),
            ..Self::default()
        }
    }

    /// With this JSON as its body.
    pub(super) fn with<T: serde::Serialize>(mut self, body: &T) -> Self {
        // Types of `api` serialize into memory without fail: no map has odd keys.
        self.body = Some(serde_json::to_vec(body).unwrap_or_default());
        self
    }

    /// The URL at a server.
    pub(super) fn url(&self, server: &Url) -> Url {
        let mut url = server.clone();
        // Only URLs that can't have a path fail here, and `parse` takes none.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

/// Reads the URL of a server; without a scheme it's HTTP.
pub(super) fn parse(text: &str) -> Result<Url, InvalidServer> {
    if text.is_empty() {
        return Err(InvalidServer::None);
    }
    let wrong = |detail: &str| InvalidServer::Url(text.to_owned(), detail.to_owned());
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    };
    let mut url = url.map_err(|error| wrong(&format!("can't be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither http nor https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query"));
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        let server = parse("http://a/prefix/").unwrap();
        let mut call = Call::new(Method::GET, &["services", "a/b?c"]);
        call.query.push(("tag", "env:a&b".to_owned()));
        assert_eq!(
            call.url(&server).as_str(),
            "http://a/prefix/v1/services/a%2Fb%3Fc?tag=env%3Aa%26b"
        );
    }
}
