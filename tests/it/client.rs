//! The client library against a real server.

mod calls;
mod discovery;
mod faults;
mod registration;
