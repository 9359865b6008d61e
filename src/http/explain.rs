//! `GET /v1/explain`: what is answered to a question, and why.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::json::respond;
use super::problem::Problem;

/// Explains the answer to `name` and `type` for a client at `client`.
pub(super) async fn explain(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (mut name, mut rtype) = (None, "A".to_owned());
    let mut client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            "name" => name = Some(value.into_owned()),
            "type" => rtype = value.into_owned(),
            "client" => {
                client = value
                    .parse()
                    .map_err(|_| Problem::parameter(format!("client={value} is no IP address")))?;
            }
            key => {
                return Err(Problem::parameter(format!(
                    "{key:?} is unknown; allowed are name, type and client"
                )));
            }
        }
    }
    let name = name.ok_or_else(|| {
        Problem::parameter(
            "name is missing; write name=web.svc.internal, and type=SRV if it isn't A",
        )
    })?;
    let explanation = (api.explain)(&name, &rtype, client).map_err(Problem::parameter)?;
    Ok(respond(StatusCode::OK, &explanation))
}
