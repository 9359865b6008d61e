//! What the API is measured against: an axum server that reads the same JSON, with the
//! same types, and answers as much, and does nothing else.
//!
//! `benches/api.py` starts it; it prints its address and serves until it's killed.

use std::collections::BTreeMap;
use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use namebeat::api::Registration;

/// As long as what a registration is answered with.
const REGISTERED: &str = r#"{"instance":{"id":"i000000","name":"s000","version":"1.0.0","host":"10.0.0.1","port":8000,"protocol":"http","tags":{"env":"production"},"metadata":{},"weight":256,"priority":10,"lease":"1h","registration_time":"2026-11-23T22:14:07.982009901Z","last_heartbeat":"2026-11-23T22:14:07.982009901Z","state":{"listed":true,"health":"passing","draining":false,"expires_at":"2026-11-23T22:19:07.982009901Z"}},"lease":{"term":"1h","expires_at":"2026-11-23T22:19:07.982009901Z"}}"#;

/// As long as what a heartbeat is answered with.
const RENEWED: &str = r#"{"lease":{"term":"1h","expires_at":"2026-11-23T22:19:08.097608591Z"}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let router = Router::new()
            .route("/v1/instances", post(register_many))
            .route("/v1/instances/{id}", put(register))
            .route("/v1/instances/{id}/heartbeat", post(heartbeat));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening http={}", listener.local_addr()?);
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn register(Path(id): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<Registration>(&body) {
        Ok(registration) if !id.is_empty() => {
            drop(registration);
            json(StatusCode::CREATED, REGISTERED)
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn register_many(body: Bytes) -> Response {
    let Ok(all) = serde_json::from_slice::<Vec<Registration>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let results = vec![REGISTERED; all.len()].join(",");
    json(StatusCode::OK, format!("[{results}]"))
}

async fn heartbeat(Path(id): Path<String>, body: Bytes) -> Response {
    let is_known =
        body.is_empty() || serde_json::from_slice::<BTreeMap<String, String>>(&body).is_ok();
    match is_known && !id.is_empty() {
        true => json(StatusCode::OK, RENEWED),
        false => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn json(status: StatusCode, body: impl IntoResponse) -> Response {
    (status, [("content-type", "application/json")], body).into_response()
}
