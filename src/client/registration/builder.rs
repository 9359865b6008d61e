//! What is registered, field by field.
//!
//! Limits are the server's to check: an error names the field and what is allowed.

use std::net::IpAddr;
use std::time::Duration;

use super::{Client, ClientError, Registration};
use crate::api;
use crate::time::TimeSpan;

/// An instance that is to be registered; made by [`Registration::of`].
#[derive(Clone, Debug)]
#[must_use = "nothing is registered before `register` or `start`"]
pub struct RegistrationBuilder {
    pub(super) fields: api::Registration,
}

impl RegistrationBuilder {
    /// An address that clients dial; may be called again, up to 8 times.
    pub fn address(mut self, address: IpAddr) -> Self {
        let addresses = self.fields.addresses.get_or_insert_default();
        addresses.push(address.to_string());
        self
    }

    /// A host name that clients dial, in the place of addresses. The server looks it up.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.fields.host = Some(host.into());
        self
    }

    /// The port, 1 to 65535.
    pub fn port(mut self, port: u16) -> Self {
        self.fields.port = Some(port.into());
        self
    }

    /// A further port with a name, such as `metrics`; up to 16.
    pub fn named_port(mut self, name: impl Into<String>, port: u16) -> Self {
        self.fields.ports.insert(name.into(), port.into());
        self
    }

    /// Free text, up to 64 octets; dotted numbers can be selected in names.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.fields.version = Some(version.into());
        self
    }

    /// `http` (the default), `https`, `grpc`, `tcp` or `udp`.
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.fields.protocol = Some(protocol.into());
        self
    }

    /// A tag, which names and filters can select; up to 32.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.tags.insert(key.into(), value.into());
        self
    }

    /// A pair that TXT tells; up to 64.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.metadata.insert(key.into(), value.into());
        self
    }

    /// SRV weight; 256 unless set.
    pub fn weight(mut self, weight: u16) -> Self {
        self.fields.weight = Some(weight.into());
        self
    }

    /// SRV priority, of which the lowest goes first; 10 unless set.
    pub fn priority(mut self, priority: u16) -> Self {
        self.fields.priority = Some(priority.into());
        self
    }

    /// Where it runs, such as `eu-west-1a`.
    pub fn locality(mut self, locality: impl Into<String>) -> Self {
        self.fields.locality = Some(locality.into());
        self
    }

    /// The lease's term, 2 s to 24 h; 30 s unless set. A third of it passes between
    /// heartbeats.
    pub fn lease(mut self, term: Duration) -> Self {
        self.fields.lease = Some(Some(TimeSpan(term).to_string()));
        self
    }

    /// What the server probes; nothing unless set.
    pub fn health_check(mut self, check: api::HealthCheck) -> Self {
        self.fields.health_check = Some(check);
        self
    }

    /// Registers, and keeps the instance registered from then on. Fails when the server
    /// refuses it, or when none is there.
    ///
    /// Must be called in a tokio runtime, which sends the heartbeats.
    pub async fn register(self, client: &Client) -> Result<Registration, ClientError> {
        let client = client.clone();
        let registered = client.register(&self.fields).await?;
        Ok(Registration::keep(client, self.fields, Some(registered)))
    }

    /// Begins to register in the background, and tries until it's done: for programs
    /// that serve whether or not the server is there. [`Registration::state`] tells how
    /// it goes.
    ///
    /// Must be called in a tokio runtime, which does it.
    pub fn start(self, client: &Client) -> Registration {
        Registration::keep(client.clone(), self.fields, None)
    }
}
