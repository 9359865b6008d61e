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
mod chaos;
mod check;
mod cli;
mod client;
mod collector;
mod config_values;
mod differential;
mod dig;
mod durable;
mod examples;
mod explain;
mod guard;
mod harness;
mod health;
mod hosts;
mod layers;
mod mutants;
mod names;
mod nameserver;
mod oracle;
mod otlp;
mod policy;
mod prepared;
mod program;
mod promises;
mod raw;
mod refused;
mod relay;
mod reload;
mod reverse;
mod rfc1034;
mod rfc1035;
mod rfc2181;
mod rfc2308;
mod rfc2782;
mod rfc3596;
mod rfc3597;
mod rfc4035;
mod rfc4343;
mod rfc4592;
mod rfc5001;
mod rfc6672;
mod rfc6763;
mod rfc6891;
mod rfc7766;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc9018;
mod rfc9267;
mod rfc9460;
mod rfc9471;
mod rfc9619;
mod rfcs;
mod telemetry;
mod watch;
mod zones;
