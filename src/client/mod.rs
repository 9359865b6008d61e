//! For other programs: find services, register an instance, call the API.
//!
//! ```text
//! Pool ─▶ balance ─▶ Endpoint
//!   └▶ Discovery ─▶ cache ─▶ fetch ─▶ dns: one server after the other ─▶ DNS
//! Registration ─┐      └▶ follow ─┐
//! Client ───────┴▶ calls ─▶ http: one server after the other ─▶ HTTP API
//!                    └──▶ watch ─▶ sse ─▶ changes as they come
//! ```
//!
//! [`Discovery`] finds the endpoints of a service and keeps them for as long as they're
//! true; a [`Pool`] spreads requests over them with a [`Balancer`] and goes on to another
//! when one fails. [`Registration`] registers an instance and keeps it registered.
//! [`Client`] has a method for each call of the HTTP API, and goes to the next server when
//! one is away. [`Watch`] tells changes as they come.
//!
//! The features `reqwest`, `tower` and `tonic` fit discovery into these: a resolver and
//! requests that go on to another endpoint, a `Discover`, and a channel.
//!
//! Nothing of the server is used here but [`api`](crate::api), the types on the wire.
//! Nothing global is set: whoever wants spans and metrics sets up their own `tracing`
//! and OpenTelemetry.

mod backoff;
mod balance;
mod calls;
#[cfg(any(feature = "tonic", feature = "tower"))]
mod changes;
mod discovery;
mod dns;
mod endpoint;
mod error;
#[cfg(feature = "reqwest")]
mod for_reqwest;
#[cfg(feature = "tonic")]
mod for_tonic;
#[cfg(feature = "tower")]
mod for_tower;
mod http;
mod pool;
mod registration;
mod request;
mod sse;
mod watch;

pub use self::balance::{
    Balancer, ConsistentHash, LeastLoaded, LocalityFirst, Request, RoundRobin, Weighted,
};
pub use self::calls::Filter;
pub use self::discovery::{
    Discovery, DiscoveryBuilder, Endpoints, InvalidQuery, Query, ResolveError, SetupError,
};
pub use self::endpoint::{Endpoint, Outcome, Picked};
pub use self::error::{ClientError, Failure, InvalidServer, Refusal};
#[cfg(feature = "reqwest")]
pub use self::for_reqwest::Resolver;
#[cfg(feature = "tower")]
pub use self::for_tower::Changes;
pub use self::http::Client;
pub use self::pool::{CallError, Pool};
pub use self::registration::{Registration, RegistrationBuilder, RegistrationState, Status};
pub use self::watch::{Watch, WatchEvent};
