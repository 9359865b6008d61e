//! Calls about a service's configuration values.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::Api;
use super::conditional::{condition, name, no_content, setting_problem, tagged};
use super::json::{RawBody, Segment, read_object, respond};
use super::problem::Problem;
use crate::api::policy::{ConfigValue, ConfigValueFields, ConfigValues};
use crate::name::{Label, ServiceName};
use crate::registry::policy::{Revised, config_value};
use crate::registry::registration::InvalidField;
use crate::registry::table::SettingError;

/// The service and the key of a path.
type Place = Segment<(String, String)>;

/// `PUT /v1/services/{name}/config/{key}`: sets or replaces a value.
pub(super) async fn put(
    State(api): State<Api>,
    Segment((service, key)): Place,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let (service, key) = (name(&service)?, parse_key(&key)?);
    let fields: ConfigValueFields = read_object(&body)?;
    if let Some(other) = fields
        .key
        .filter(|other| !other.eq_ignore_ascii_case(key.as_str()))
    {
        let detail = format!("is {other:?} in the body and \"{key}\" in the path; make them agree");
        return Err(InvalidField::new("key", detail).into());
    }
    let value = config_value(&key, fields.value)?;
    let condition = condition(&headers)?;
    let set = (api.registry)
        .set_config_value(service.clone(), key.clone(), Some(value.clone()), condition)
        .await?;
    let changed = set.map_err(|error| problem(&service, &key, &error))?;
    let revision = changed.revision;
    tracing::info!(%service, %key, revision, "configuration value set by an operator");
    let status = match changed.replaced {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    let body = to_api(&key, &Revised { value, revision });
    Ok(tagged(status, &body, revision))
}

/// `GET /v1/services/{name}/config/{key}`.
pub(super) async fn read(
    State(api): State<Api>,
    Segment((service, key)): Place,
) -> Result<Response, Problem> {
    let (service, key) = (name(&service)?, parse_key(&key)?);
    let view = api.registry.directory().service(service.as_str());
    let value = view
        .as_ref()
        .and_then(|view| view.settings.config.get(&key));
    let value = value.ok_or_else(|| problem(&service, &key, &SettingError::Unknown))?;
    Ok(tagged(StatusCode::OK, &to_api(&key, value), value.revision))
}

/// `DELETE /v1/services/{name}/config/{key}`.
pub(super) async fn delete(
    State(api): State<Api>,
    Segment((service, key)): Place,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (service, key) = (name(&service)?, parse_key(&key)?);
    let condition = condition(&headers)?;
    let set = (api.registry).set_config_value(service.clone(), key.clone(), None, condition);
    set.await?
        .map_err(|error| problem(&service, &key, &error))?;
    tracing::info!(%service, %key, "configuration value taken back by an operator");
    Ok(no_content())
}

/// `GET /v1/services/{name}/config`: all of them, none of a service that has none.
pub(super) async fn list(
    State(api): State<Api>,
    Segment(service): Segment,
) -> Result<Response, Problem> {
    let service = name(&service)?;
    let view = api.registry.directory().service(service.as_str());
    let config = view.iter().flat_map(|view| &view.settings.config);
    let values = ConfigValues {
        name: service.to_string(),
        config: config.map(|(key, value)| to_api(key, value)).collect(),
    };
    Ok(respond(StatusCode::OK, &values))
}

fn parse_key(text: &str) -> Result<Label, Problem> {
    text.parse()
        .map_err(|error| InvalidField::new("key", format!("{text:?} {error}")).into())
}

fn problem(service: &ServiceName, key: &Label, error: &SettingError) -> Problem {
    let what = format!("the value \"{key}\" of service \"{service}\"");
    setting_problem(error, "unknown-config-value", &what)
}

/// A value as it's read back.
fn to_api(key: &Label, value: &Revised<Box<str>>) -> ConfigValue {
    ConfigValue {
        key: key.to_string(),
        value: value.value.to_string(),
        revision: value.revision,
    }
}
