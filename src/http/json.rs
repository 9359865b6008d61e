//! JSON bodies in and out, with errors that name the field.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_BODY_LEN;
use super::problem::Problem;

/// Longest time that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request's body, read whole. Its `Content-Type` isn't looked at, so that
/// `curl -d` works as it is.
pub(super) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = Bytes::from_request(request, state);
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
        body.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Problem::new(status, "too-large", "The body is too large").detail(format!(
                    "a body may have {MAX_BODY_LEN} octets; register many in several calls"
                ));
            }
            Problem::new(
                StatusCode::BAD_REQUEST,
                "unreadable",
                "The body couldn't be read",
            )
            .detail(rejection.body_text())
        })
    }
}

/// Reads JSON text as a `T`.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(malformed("the body is empty; send a JSON document"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        shape_error(&path, error.inner())
    })?;
    json.end().map_err(|error| malformed(error.to_string()))?;
    Ok(value)
}

/// Reads a JSON value that was parsed before as a `T`.
pub(super) fn read_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| shape_error(&error.path().to_string(), error.inner()))
}

fn shape_error(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return malformed(error.to_string());
    }
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-field",
        "A field can't be taken as it is",
    );
    // The path of a field that is unknown ends at the object around it.
    match path {
        "." | "?" => problem.detail(error.to_string()),
        path => problem.detail(format!("{path}: {error}")).field(path),
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", "The body is no JSON").detail(detail)
}

/// A response of JSON.
pub(super) fn respond<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    // Types of `api` serialize into memory without fail: no map has odd keys.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
