//! Calls about instances: register, read, heartbeat, drain, deregister.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{RawBody, Segment, UpTo, read, read_object, respond};
use super::problem::Problem;
use super::{Api, convert, shown};
use crate::api;
use crate::name::InstanceId;
use crate::registry::instance::Instance;
use crate::registry::registration::InvalidField;
use crate::registry::storage::Unavailable;
use crate::registry::table::{RegisterError, Registered};
use crate::registry::view::Report;
use crate::telemetry::RegistrationResult;
use crate::time::Moment;

/// Most registrations of one array: each may come to a result longer than itself.
const MAX_ITEMS: usize = 10_000;

/// `PUT /v1/instances/{id}`: registers or replaces.
pub(super) async fn put(
    State(api): State<Api>,
    Segment(id): Segment,
    registrant: Registrant,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let mut registration: api::Registration = refused_counts(&api, read_object(&body))?;
    if let Some(body_id) = &registration.id
        && !body_id.eq_ignore_ascii_case(&id)
    {
        let detail = format!("is {body_id:?} in the body and {id:?} in the path; make them agree");
        return refused_counts(&api, Err(InvalidField::new("id", detail).into()));
    }
    registration.id = Some(id);
    let registered = register_one(&api, registration, true, address(&registrant));
    created(&api, registered.await?)
}

/// `POST /v1/instances`: registers one, or as many as an array holds.
pub(super) async fn create(
    State(api): State<Api>,
    registrant: Registrant,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let registrant = address(&registrant);
    if !body.trim_ascii_start().starts_with(b"[") {
        let registration = refused_counts(&api, read_object(&body))?;
        let registered = register_one(&api, registration, false, registrant);
        return created(&api, registered.await?);
    }
    let (ids, items) = match read_many(&body) {
        Some(items) => items,
        None => read_each(&api, &body)?,
    };
    let results = register_many(&api, items, registrant).await?;
    let now = convert::Now::of(&api.registry);
    let results: Vec<_> = ids
        .iter()
        .zip(&results)
        .map(|(id, result)| shown::ItemResult::of(id, result, now))
        .collect();
    Ok(respond(StatusCode::OK, &results))
}

/// Ids as they were sent, and what was sent with them.
type Items = (
    Vec<serde_json::Value>,
    Vec<Result<api::Registration, Problem>>,
);

/// Reads an array of registrations in one go; `None` when one of them can't be read, or
/// when they're too many.
fn read_many(body: &[u8]) -> Option<Items> {
    let items: UpTo<MAX_ITEMS, api::Object<api::Registration>> =
        serde_json::from_slice(body).ok()?;
    let items = items.0.into_iter().map(|api::Object(item)| {
        let id: serde_json::Value = item.id.clone().into();
        (id, Ok(item))
    });
    Some(items.unzip())
}

/// Reads an array of registrations one by one.
fn read_each(api: &Api, body: &[u8]) -> Result<Items, Problem> {
    let items: Vec<&RawValue> = refused_counts(api, read(body))?;
    if items.len() > MAX_ITEMS {
        let title = "Too many registrations in one call";
        let detail = format!(
            "{} are sent; at most {MAX_ITEMS} are taken in one call",
            items.len()
        );
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return refused_counts(
            api,
            Err(Problem::new(status, "too-many", title).detail(detail)),
        );
    }
    Ok(items.into_iter().map(item).unzip())
}

/// The id of one item of an array, as it was sent, and its registration.
fn item(text: &RawValue) -> (serde_json::Value, Result<api::Registration, Problem>) {
    let item: Result<api::Registration, Problem> = read_object(text.get().as_bytes());
    let id = match &item {
        Ok(registration) => registration.id.clone().into(),
        Err(_) => serde_json::from_str(text.get())
            .map(|Sent { id }| id)
            .unwrap_or_default(),
    };
    (id, item)
}

/// What is read of an item that can't be taken.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    id: serde_json::Value,
}

/// Who calls, if it's over a connection.
type Registrant = Option<Extension<ConnectInfo<SocketAddr>>>;

fn address(registrant: &Registrant) -> Option<IpAddr> {
    let known = registrant.as_ref();
    known.map(|Extension(ConnectInfo(client))| client.ip())
}

impl<'a> shown::ItemResult<'a> {
    /// What became of the item with that id.
    fn of(
        id: &'a serde_json::Value,
        result: &'a Result<Registered, Problem>,
        now: convert::Now,
    ) -> Self {
        match result {
            Ok(registered) => {
                let shown::Registered { instance, lease } = describe(registered, now);
                Self {
                    id,
                    status: StatusCode::CREATED.as_u16(),
                    instance: Some(instance),
                    lease: Some(lease),
                    problem: None,
                }
            }
            Err(problem) => Self {
                id,
                status: problem.status().as_u16(),
                instance: None,
                lease: None,
                problem: Some(problem.to_api()),
            },
        }
    }
}

type ItemResults = Vec<Result<Registered, Problem>>;

/// Registers one, if it can be.
async fn register_one(
    api: &Api,
    registration: api::Registration,
    replace: bool,
    registrant: Option<IpAddr>,
) -> Result<Registered, Problem> {
    let started = now();
    let registered = async {
        let mut instance = Instance::try_from(registration)?;
        api.probed.admit(&mut instance, registrant)?;
        let mut results = api.registry.register(vec![instance], replace).await?;
        let result = results.pop().ok_or(Unavailable::Stopped)?;
        Ok::<_, Problem>(result?)
    };
    let result = registered.await;
    counts(api, &result);
    api.instruments.registration_took(started.elapsed());
    result
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures the call, decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}

/// Counts what became of a registration.
fn counts(api: &Api, result: &Result<Registered, Problem>) {
    api.instruments.registered(match result {
        Ok(registered) if registered.replaced => RegistrationResult::Replaced,
        Ok(_) => RegistrationResult::Created,
        Err(_) => RegistrationResult::Refused,
    });
}

/// Registers those that can be and aren't; the results are in the order of the items.
async fn register_many(
    api: &Api,
    items: Vec<Result<api::Registration, Problem>>,
    registrant: Option<IpAddr>,
) -> Result<ItemResults, Problem> {
    let started = now();
    let mut instances = Vec::with_capacity(items.len());
    let checked: Vec<Result<(), Problem>> = items
        .into_iter()
        .map(|item| {
            let mut instance = Instance::try_from(item?)?;
            api.probed.admit(&mut instance, registrant)?;
            instances.push(instance);
            Ok(())
        })
        .collect();
    let registered = api.registry.register(instances, false);
    let mut registered = registered.await?.into_iter();
    let results = checked
        .into_iter()
        .map(|checked| {
            checked?;
            let result: Result<Registered, RegisterError> =
                registered.next().ok_or(Unavailable::Stopped)?;
            Ok(result?)
        })
        .collect::<ItemResults>();
    results.iter().for_each(|result| counts(api, result));
    api.instruments.registration_took(started.elapsed());
    Ok(results)
}

/// Counts a registration that was refused before its fields were looked at.
fn refused_counts<T>(api: &Api, result: Result<T, Problem>) -> Result<T, Problem> {
    if result.is_err() {
        api.instruments.registered(RegistrationResult::Refused);
    }
    result
}

fn created(api: &Api, registered: Registered) -> Result<Response, Problem> {
    let status = if registered.replaced {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let body = describe(&registered, convert::Now::of(&api.registry));
    let place = format!("/v1/instances/{}", body.instance.id);
    let mut response = respond(status, &body);
    // An id is a label, which any header can hold.
    if let Ok(place) = place.try_into() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn describe(registered: &Registered, now: convert::Now) -> shown::Registered<'_> {
    shown::Registered {
        instance: convert::instance(&registered.member, now),
        lease: convert::lease(&registered.member.entry.lease, now),
    }
}

/// `GET /v1/instances/{id}`.
pub(super) async fn read_one(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    api.instruments.discovered();
    let member = api
        .registry
        .directory()
        .member(id.as_str())
        .filter(|member| member.entry.lease.left(api.registry.now()).is_some())
        .ok_or_else(|| Problem::unknown_instance(id.as_str()))?;
    Ok(respond(
        StatusCode::OK,
        &convert::instance(&member, convert::Now::of(&api.registry)),
    ))
}

/// `POST /v1/instances/{id}/heartbeat`.
pub(super) async fn heartbeat(
    State(api): State<Api>,
    Segment(id): Segment,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let heartbeat: api::Heartbeat = match body.trim_ascii() {
        b"" => api::Heartbeat::default(),
        body => read_object(body)?,
    };
    let report: Option<Report> = heartbeat.try_into()?;
    let id = parse_id(&id)?;
    let renewed = api.registry.heartbeat(id.as_str());
    api.instruments
        .heartbeats(u64::from(renewed.is_ok()), u64::from(renewed.is_err()));
    let entry = renewed.map_err(|_| Problem::unknown_instance(id.as_str()))?;
    if let Some(report) = report {
        api.registry.set_report(entry.clone(), report).await?;
    }
    let lease = convert::lease(&entry.lease, convert::Now::of(&api.registry));
    Ok(respond(StatusCode::OK, &api::Renewed { lease }))
}

/// `POST /v1/heartbeats`.
pub(super) async fn heartbeats(
    State(api): State<Api>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let ids: Vec<String> = match body.trim_ascii_start().first() {
        Some(b'[') => read(&body)?,
        _ => read_object::<api::Heartbeats>(&body)?.ids,
    };
    let asked = ids.len();
    let mut unknown = api.registry.heartbeats(ids);
    // Few are, so that these may be written otherwise than they're registered.
    unknown.retain(|id| match parse_id(id) {
        Ok(folded) if folded.as_str() != id => api.registry.heartbeat(folded.as_str()).is_err(),
        Ok(_) | Err(_) => true,
    });
    let renewed = asked - unknown.len();
    api.instruments
        .heartbeats(renewed as u64, unknown.len() as u64);
    Ok(respond(
        StatusCode::OK,
        &api::HeartbeatsAnswer { renewed, unknown },
    ))
}

/// `DELETE /v1/instances/{id}`, with `?wait=true` answered once it is drained.
pub(super) async fn deregister(
    State(api): State<Api>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let wait = is_to_wait(query.as_deref())?;
    let id = parse_id(&id)?;
    let drained_at = api.registry.deregister(id.clone()).await?;
    let drained_at = drained_at.ok_or_else(|| Problem::unknown_instance(id.as_str()))?;
    Ok(drained(&api, drained_at, wait).await)
}

/// `POST /v1/instances/{id}/drain`, with `?wait=true` answered once it is drained.
pub(super) async fn drain(
    State(api): State<Api>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let wait = is_to_wait(query.as_deref())?;
    let id = parse_id(&id)?;
    let drained_at = api.registry.drain(id.clone()).await?;
    let drained_at = drained_at.ok_or_else(|| Problem::unknown_instance(id.as_str()))?;
    tracing::info!(%id, "drained by an operator");
    Ok(drained(&api, drained_at, wait).await)
}

/// `POST /v1/instances/{id}/resume`.
pub(super) async fn resume(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let member = api.registry.resume(id.clone()).await?;
    let member = member.ok_or_else(|| Problem::unknown_instance(id.as_str()))?;
    tracing::info!(%id, "resumed by an operator");
    Ok(respond(
        StatusCode::OK,
        &convert::instance(&member, convert::Now::of(&api.registry)),
    ))
}

/// Whether the query of a call says that it's answered only then.
fn is_to_wait(query: Option<&str>) -> Result<bool, Problem> {
    let mut wait = false;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        wait = match (&*key, &*value) {
            ("wait", "true" | "") => true,
            ("wait", "false") => false,
            _ => {
                let detail =
                    format!("{key}={value} is unknown; allowed is wait=true or wait=false");
                return Err(Problem::parameter(detail));
            }
        };
    }
    Ok(wait)
}

/// Says from when on no cache holds an instance; once that has come, if it's to `wait`.
async fn drained(api: &Api, drained_at: Moment, wait: bool) -> Response {
    if wait {
        tokio::time::sleep(drained_at.left_at(api.registry.now())).await;
    }
    let drained_at = api.registry.wall(drained_at);
    respond(StatusCode::OK, &api::Drained { drained_at }).into_response()
}

fn parse_id(text: &str) -> Result<InstanceId, Problem> {
    text.parse()
        .map_err(|error| InvalidField::new("id", format!("{text:?} {error}")).into())
}
