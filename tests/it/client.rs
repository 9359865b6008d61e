//! The client library against a real server.

mod calls;
mod discovery;
mod failover;
mod faults;
mod fits;
mod registration;
mod resolvers;
