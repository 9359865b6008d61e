//! Errors as problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api;
use crate::registry::Stopped;
use crate::registry::history::{TooMany, TooOld};
use crate::registry::registration::InvalidField;
use crate::registry::storage::Unavailable;
use crate::registry::table::RegisterError;
use crate::reload::ReloadError;

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem of kind `urn:namebeat:problem:{kind}`.
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self {
            status,
            kind,
            title,
            detail: String::new(),
            field: None,
            retry_after: None,
        }
    }

    /// With what was wrong here and what to do about it.
    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With the field that was wrong.
    #[must_use]
    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With the seconds after which it may go well.
    #[must_use]
    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A parameter of the query string can't be taken.
    pub(super) fn parameter(detail: impl Into<String>) -> Self {
        let title = "A parameter can't be taken as it is";
        Self::new(StatusCode::BAD_REQUEST, "parameter", title).detail(detail)
    }

    /// No such instance: what a heartbeat is told when it must register again.
    pub(super) fn unknown_instance(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-instance",
            "No such instance",
        )
        .detail(format!(
            "instance {id:?} is not registered: it never was, it left, or its lease ended; \
                 register it with PUT /v1/instances/{{id}}"
        ))
    }

    /// There's no room for one more; the detail says which limit that is.
    pub(super) fn full(title: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "full", title)
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// As it is on the wire.
    pub(super) fn to_api(&self) -> api::Problem {
        api::Problem {
            kind: format!("{}{}", api::PROBLEM_PREFIX, self.kind),
            title: self.title.into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            field: self.field.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = super::json::respond(self.status, &self.to_api());
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<InvalidField> for Problem {
    fn from(error: InvalidField) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-field",
            "A field can't be taken as it is",
        )
        .detail(error.to_string())
        .field(error.field)
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        let problem = match &error {
            RegisterError::Exists(_) => {
                Self::new(StatusCode::CONFLICT, "exists", "The id is registered").field("id")
            }
            RegisterError::Collides(_) => Self::new(
                StatusCode::CONFLICT,
                "collides",
                "The name is taken by a static zone",
            )
            .field("name"),
            RegisterError::HostLoop(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "host-loop",
                "The host name leads to no end",
            )
            .field("host"),
            RegisterError::Full(_) | RegisterError::TooManyServices(_) => {
                Self::full("The registry is full")
            }
            RegisterError::ServiceFull(..) => Self::full("The service is full"),
        };
        problem.detail(error.to_string())
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Zones(error) => {
                let title = "The zones stay as they were";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "zones", title).detail(error)
            }
            ReloadError::Stopped => Stopped.into(),
        }
    }
}

impl From<TooOld> for Problem {
    fn from(error: TooOld) -> Self {
        let title = "What changed since isn't known any more";
        Self::new(StatusCode::GONE, "too-old", title).detail(error.to_string())
    }
}

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Self {
        let title = "Too many wait for changes";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "watchers", title).detail(error.to_string())
    }
}

impl From<Stopped> for Problem {
    fn from(error: Stopped) -> Self {
        Unavailable::from(error).into()
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let (kind, title) = match error {
            Unavailable::Stopped => ("stopped", "The server is stopping"),
            Unavailable::Loading => ("loading", "The server is starting"),
            Unavailable::Storage(_) => ("storage", "The state can't be written"),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title)
            .detail(format!("{error}; try again"))
    }
}
