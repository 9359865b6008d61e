//! The client library against a real server.

mod calls;
mod registration;
