//! What calls about settings share: conditions by revision, and what is answered.
//!
//! A setting's `ETag` is its revision in quotes. `If-Match` and `If-None-Match` are
//! read as [RFC 9110] §13.1 has them; a tag that no setting could have, a weak one
//! included, is that of no revision.
//!
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::json::respond;
use super::problem::Problem;
use crate::name::ServiceName;
use crate::registry::condition::{Condition, Revisions};
use crate::registry::registration::InvalidField;
use crate::registry::table::SettingError;

/// Reads the service's name in a path.
pub(super) fn name(text: &str) -> Result<ServiceName, Problem> {
    text.parse()
        .map_err(|error| InvalidField::new("name", format!("{text:?} {error}")).into())
}

/// Reads the conditions of a request.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    Ok(Condition {
        is: revisions(headers, &header::IF_MATCH)?,
        is_not: revisions(headers, &header::IF_NONE_MATCH)?,
    })
}

/// Reads `*`, or entity tags with commas between, from all lines of a header.
fn revisions(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Revisions>, Problem> {
    let malformed = |text: &str| {
        let title = "A header can't be taken as it is";
        Problem::new(StatusCode::BAD_REQUEST, "header", title).detail(format!(
            "{name} is {text:?}; allowed are * and revisions in quotes, such as \"42\""
        ))
    };
    let mut named: Option<Revisions> = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed("no text"))?;
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            if tag == "*" {
                named = Some(Revisions::Any);
                continue;
            }
            let (weak, tag) = match tag.strip_prefix("W/") {
                Some(tag) => (true, tag),
                None => (false, tag),
            };
            let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let opaque = opaque.ok_or_else(|| malformed(text))?;
            let revision = opaque.parse().ok().filter(|revision: &u64| {
                // Only as we write it: 042 is another tag than 42.
                !weak && revision.to_string() == opaque
            });
            match &mut named {
                None => named = Some(Revisions::Of(revision.into_iter().collect())),
                Some(Revisions::Of(known)) => known.extend(revision),
                Some(Revisions::Any) => {}
            }
        }
    }
    match named {
        None if headers.contains_key(name) => Err(malformed("")),
        named => Ok(named),
    }
}

/// A response with a setting, and its revision as `ETag`.
pub(super) fn tagged<T: Serialize>(status: StatusCode, value: &T, revision: u64) -> Response {
    let mut response = respond(status, value);
    // Digits in quotes are fit for any header.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The response to what was taken back.
pub(super) fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Why `what` was not set, read or taken back; `unknown` is the kind of problem when
/// it isn't there.
pub(super) fn setting_problem(error: &SettingError, unknown: &'static str, what: &str) -> Problem {
    let problem = match error {
        SettingError::Unknown => Problem::new(StatusCode::NOT_FOUND, unknown, "It isn't set"),
        SettingError::Unmet(_) => {
            let title = "The condition isn't met";
            Problem::new(StatusCode::PRECONDITION_FAILED, "revision", title)
        }
        SettingError::TooManyServices(_) => Problem::full("The registry is full"),
        SettingError::TooManyValues(_) => {
            let title = "Too many configuration values";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many", title)
        }
        SettingError::TooLong(_) => {
            let title = "The configuration is too large";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", title)
        }
    };
    problem.detail(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Revisions>, StatusCode> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().unwrap());
        }
        revisions(&headers, &header::IF_MATCH).map_err(|problem| problem.status())
    }

    /// RFC 9110 §8.8.3, §13.1.1.
    #[test]
    fn rfc9110_13_1_1_tags() {
        let of = |revisions: &[u64]| Ok(Some(Revisions::Of(revisions.to_vec())));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Revisions::Any)));
        assert_eq!(read(&["\"7\"", "*"]), Ok(Some(Revisions::Any)));
        assert_eq!(read(&["\"7\""]), of(&[7]));
        assert_eq!(read(&["\"7\" ,\"8\",", "\"9\""]), of(&[7, 8, 9]));
        // A weak tag doesn't compare as strong, nor does any that isn't ours.
        assert_eq!(read(&["W/\"7\""]), of(&[]));
        assert_eq!(read(&["\"x\", \"07\", \"8\", \"-1\", \"\""]), of(&[8]));
        for bad in ["7", "\"7", "7\"", "\"", "", ",", "w/\"7\""] {
            assert_eq!(read(&[bad]), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
    }
}
