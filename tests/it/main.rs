//! Everything that is tested from outside: real sockets on free ports, one file
//! a subject, assertions on raw messages.

// Tests read the clock to bound their own waiting.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]
#![allow(
    unreachable_pub,
    reason = "a test binary exports nothing; pub marks what other files use"
)]

mod api;
mod browse;
mod carriers;
mod check;
mod cli;
mod collector;
mod config_values;
mod differential;
mod dig;
mod examples;
mod guard;
mod harness;
mod health;
mod layers;
mod messages;
mod mutants;
mod names;
mod oracle;
mod otlp;
mod policy;
mod prepared;
mod program;
mod promises;
mod reload;
mod reverse;
mod rfc1034;
mod rfc1035;
mod rfc2181;
mod telemetry;
mod zones;
