//! For other programs: find services, register an instance, call the API.
//!
//! ```text
//! Registration ─┐
//! Client ───────┴▶ calls ─▶ http: one server after the other ─▶ HTTP API
//!                    └──▶ watch ─▶ sse ─▶ changes as they come
//! ```
//!
//! [`Registration`] registers an instance and keeps it registered. [`Client`] has a method for each call of the HTTP API, and goes to the next server
//! when one is away. [`Watch`] tells changes as they come.
//!
//! Nothing of the server is used here but [`api`](crate::api), the types on the wire.
//! Nothing global is set: whoever wants spans and metrics sets up their own `tracing`
//! and OpenTelemetry.

mod backoff;
mod calls;
mod error;
mod http;
mod registration;
mod sse;
mod watch;

pub use self::calls::Filter;
pub use self::error::{ClientError, Failure, InvalidServer, Refusal};
pub use self::http::Client;
pub use self::registration::{Registration, RegistrationBuilder, RegistrationState, Status};
pub use self::watch::{Watch, WatchEvent};
