//! namebeat: a DNS server that answers only with service instances that are alive.
//!
//! Services register over HTTP and keep a lease alive with heartbeats; the server
//! probes them, too. Each healthy instance is answered as SRV, A, AAAA and TXT by
//! an authoritative DNS server that reads the registry in memory.
//!
//! # Words
//!
//! A *service* is a name that *instances* register under. A *lease* is an
//! instance's right to stay listed; a *heartbeat* renews it for a *term*. A
//! *check* says what to probe, a *probe* is one attempt, *health* the judged
//! state. An instance is *listed* when DNS answers with it, else *withdrawn*.
//! The *discovery zone* is where services are found.
//!
//! # Two paths
//!
//! ```text
//! query        ─▶ dns::answer ─▶ resolve ─▶ directory (views) ─▶ compose ─▶ response
//! registration ─▶ http ─▶ Instance ─▶ Registry ─▶ writer ─▶ table ─▶ publish ─▶ reply
//! ```
//!
//! They meet in [`registry`]: the writer publishes immutable views, and answers
//! are made from them without waiting for it.
//!
//! # The house, from the top
//!
//! A part imports only from those below it.
//!
//! | floor | parts |
//! | --- | --- |
//! | 6, 5 | `main`, `cli`: arguments, exit codes |
//! | 4 | [`server`]: bind, build, spawn, drain |
//! | 3 | [`config`]: file, environment, flags |
//! | 2 | [`dns`], [`http`], [`health`]; they don't know each other |
//! | 1 | [`registry`], [`reload`], [`client`], then [`api`] |
//! | 0 | [`accept`], [`limit`], [`name`], [`network`], [`time`], [`telemetry`] |
//!
//! # Features
//!
//! `server` is all of this but [`client`]; `client` alone is for programs that find
//! services and register themselves, and brings no server with it. `reqwest`, `tonic` and
//! `tower` fit that into these. All are on unless they're turned off, and the program
//! `namebeat` needs the first two.
//!
//! # What is absent
//!
//! The answer path has no disk, no network, no lock that is held for longer than
//! a pointer takes to swap. There is no recursion,
//! no zone transfer, no DNSSEC.

#[cfg(feature = "server")]
pub mod accept;
pub mod api;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod dns;
#[cfg(feature = "server")]
pub mod health;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod limit;
pub mod name;
#[cfg(feature = "server")]
pub mod network;
#[cfg(feature = "server")]
pub mod registry;
#[cfg(feature = "server")]
pub mod reload;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod telemetry;
pub mod time;
