//! Calls about a service's policy.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::Api;
use super::conditional::{condition, name, no_content, setting_problem, tagged};
use super::json::{RawBody, Segment, read_object};
use super::problem::Problem;
use crate::api::policy::{Guard, Policy, PolicyFields, Txt};
use crate::name::ServiceName;
use crate::registry::guard::GuardPolicy;
use crate::registry::policy::{self, Revised, ServiceTxt};
use crate::registry::table::SettingError;
use crate::time::TimeSpan;

/// `PUT /v1/services/{name}/policy`: sets or replaces it whole.
pub(super) async fn put(
    State(api): State<Api>,
    Segment(service): Segment,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let service = name(&service)?;
    let value: policy::Policy = read_object::<PolicyFields>(&body)?.try_into()?;
    let condition = condition(&headers)?;
    let set = (api.registry)
        .set_policy(service.clone(), Some(value.clone()), condition)
        .await?;
    let changed = set.map_err(|error| problem(&service, &error))?;
    let revision = changed.revision;
    tracing::info!(%service, revision, "policy set by an operator");
    let status = match changed.replaced {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    Ok(tagged(
        status,
        &to_api(&Revised { value, revision }),
        revision,
    ))
}

/// `GET /v1/services/{name}/policy`.
pub(super) async fn read(
    State(api): State<Api>,
    Segment(service): Segment,
) -> Result<Response, Problem> {
    let service = name(&service)?;
    let view = api.registry.directory().service(service.as_str());
    let policy = view.as_ref().and_then(|view| view.settings.policy.as_ref());
    let policy = policy.ok_or_else(|| problem(&service, &SettingError::Unknown))?;
    Ok(tagged(StatusCode::OK, &to_api(policy), policy.revision))
}

/// `DELETE /v1/services/{name}/policy`: the server's settings hold again.
pub(super) async fn delete(
    State(api): State<Api>,
    Segment(service): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let service = name(&service)?;
    let condition = condition(&headers)?;
    let set = api.registry.set_policy(service.clone(), None, condition);
    set.await?.map_err(|error| problem(&service, &error))?;
    tracing::info!(%service, "policy taken back by an operator");
    Ok(no_content())
}

fn problem(service: &ServiceName, error: &SettingError) -> Problem {
    setting_problem(
        error,
        "unknown-policy",
        &format!("the policy of service \"{service}\""),
    )
}

/// A policy as it's read back.
fn to_api(policy: &Revised<policy::Policy>) -> Policy {
    let Revised { value, revision } = policy;
    Policy {
        ttl: value.ttl.map(TimeSpan),
        negative_ttl: value.negative_ttl.map(TimeSpan),
        max_answers: value.max_answers,
        when_none_healthy: value.when_none_healthy.as_str().into(),
        txt: match &value.txt {
            ServiceTxt::Instances => Txt::Word("instances".into()),
            ServiceTxt::Nothing => Txt::Word("none".into()),
            ServiceTxt::Strings(strings) => Txt::Fixed {
                strings: strings.iter().map(ToString::to_string).collect(),
            },
        },
        guard: (value.guard != GuardPolicy::default()).then(|| Guard {
            hold: value.guard.hold.map(TimeSpan),
            share: value.guard.share,
            least: value.guard.least,
        }),
        revision: *revision,
    }
}
