//! JSON bodies in and out, with errors that name the field.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as Body};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::MAX_BODY_LEN;
use super::problem::Problem;
use crate::api;

/// Longest time that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Octets that most responses fit into, so that they're written without a copy.
const USUAL_LEN: usize = 1024;

/// A request's body, read whole. Its `Content-Type` isn't looked at, so that
/// `curl -d` works as it is.
pub(super) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_body(request.into_body()).await
    }
}

/// Reads a body whole, up to [`MAX_BODY_LEN`] and within [`BODY_TIMEOUT`].
pub(super) async fn read_body<B>(body: B) -> Result<RawBody, Problem>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    if body.is_end_stream() {
        return Ok(RawBody(Bytes::new()));
    }
    if body.size_hint().lower() > MAX_BODY_LEN as u64 {
        return Err(too_large());
    }
    let read = Limited::new(body, MAX_BODY_LEN).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow-body",
                "The body came too slowly",
            )
            .detail(format!(
                "a body must be there whole within {BODY_TIMEOUT:?}"
            ))
        })?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => too_large(),
        false => Problem::new(
            StatusCode::BAD_REQUEST,
            "unreadable",
            "The body couldn't be read",
        )
        .detail(error.to_string()),
    })?;
    Ok(RawBody(body.to_bytes()))
}

fn too_large() -> Problem {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, "too-large", "The body is too large").detail(format!(
        "a body may have {MAX_BODY_LEN} octets; register many in several calls"
    ))
}

/// The one parameter of a path, as text, or all of several.
pub(super) struct Segment<T = String>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) =
            Path::from_request_parts(parts, state)
                .await
                .map_err(|rejection: PathRejection| {
                    Problem::new(StatusCode::BAD_REQUEST, "path", "The path can't be read")
                        .detail(rejection.body_text())
                })?;
        Ok(Self(text))
    }
}

/// Reads JSON text as a `T`.
///
/// What is as it should be is read in one go. Of what isn't, it's then found out where:
/// following the path to each field costs as much as reading it.
pub(super) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Problem> {
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(_) => read_with_path(body),
    }
}

/// The same, with an error that says where in the text it is.
fn read_with_path<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(malformed("the body is empty; send a JSON document"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(shape_error)?;
    json.end().map_err(|error| malformed(error.to_string()))?;
    Ok(value)
}

/// Reads a JSON object as a `T`.
pub(super) fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    read(body).map(|api::Object(object)| object)
}

/// An array of at most `MOST`: what is longer is refused before it's read whole.
pub(super) struct UpTo<const MOST: usize, T>(pub(super) Vec<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Deserialize<'de> for UpTo<MOST, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(UpToVisitor::<MOST, T>(PhantomData))
            .map(Self)
    }
}

struct UpToVisitor<const MOST: usize, T>(PhantomData<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for UpToVisitor<MOST, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut taken = Vec::new();
        while let Some(item) = items.next_element()? {
            if taken.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            taken.push(item);
        }
        Ok(taken)
    }
}

fn shape_error(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    // `addresses.1`, as the errors of registrations have it.
    let path = error.path().to_string().replace('[', ".").replace(']', "");
    let error = error.inner();
    if !error.is_data() {
        return malformed(error.to_string());
    }
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-field",
        "A field can't be taken as it is",
    );
    let text = plain(&error.to_string());
    // The path of a field that is unknown ends at the object around it, so that
    // the field is the word between the first backquotes.
    let unknown = text
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'));
    let around = Some(path).filter(|path| !matches!(path.as_str(), "." | "?"));
    match (unknown, around) {
        (Some((name, _)), Some(around)) if !around.ends_with(name) => {
            let field = format!("{around}.{name}");
            problem.detail(format!("{field}: {text}")).field(field)
        }
        (_, Some(path)) => problem.detail(format!("{path}: {text}")).field(path),
        (Some((name, _)), None) => problem.detail(text.clone()).field(name),
        (None, None) => problem.detail(text),
    }
}

/// serde's message in words of JSON: without Rust's types, positions that the
/// path tells better, and fields that only the server sets.
fn plain(text: &str) -> String {
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    let mut text = text.to_owned();
    for (rust, json) in [
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected struct Registration", "expected an object"),
        ("expected struct HealthCheck", "expected an object"),
        (
            "expected struct Heartbeats",
            "expected {\"ids\": [...]} or an array",
        ),
        ("expected struct Nothing", "expected {} or no body"),
        ("floating point `", "number `"),
        ("unit value", "null"),
        (", `registration_time`, `last_heartbeat`, `state`", ""),
        (", `revision`", ""),
        ("expected struct PolicyFields", "expected an object"),
        ("expected struct ConfigValueFields", "expected an object"),
        ("there are no fields", "this call takes no fields"),
    ] {
        text = text.replace(rust, json);
    }
    text
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", "The body is no JSON").detail(detail)
}

/// A response of JSON.
pub(super) fn respond<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    let mut text = Vec::with_capacity(USUAL_LEN);
    // Types of `api` serialize into memory without fail: no map has odd keys.
    let _ = serde_json::to_writer(&mut text, value);
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
