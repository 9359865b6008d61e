//! A method for each call of the HTTP API.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Method;

use super::error::ClientError;
use super::http::Client;
use super::request::Call;
use super::watch::Watch;
use crate::api::explain::Explanation;
use crate::api::policy::{ConfigValue, ConfigValueFields, ConfigValues, Policy, PolicyFields};
use crate::api::{
    Drained, Heartbeat, Heartbeats, HeartbeatsAnswer, Instance, ItemResult, Registered,
    Registration, Renewed, Service, Services, Stats,
};
use crate::time::TimeSpan;

/// Longest time until an instance that leaves is drained: the largest TTL, and the time
/// that caches are late.
pub(super) const MAX_DRAIN: Duration = Duration::from_secs(3_610);

/// Which instances of a service are asked for: the listed ones, unless it says otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Every instance, those that aren't listed included.
    pub all: bool,
    /// Keys and values of tags that an instance must have.
    pub tags: Vec<(String, String)>,
    /// Its version, or a leading part of it: `1.4` is every 1.4.x, too.
    pub version: Option<String>,
    /// Its application protocol.
    pub protocol: Option<String>,
}

impl Filter {
    /// The parameters of the query.
    fn query(&self) -> Vec<(&'static str, String)> {
        let tags = self
            .tags
            .iter()
            .map(|(key, value)| ("tag", format!("{key}:{value}")));
        let version = self.version.iter().map(|text| ("version", text.clone()));
        let protocol = self.protocol.iter().map(|text| ("protocol", text.clone()));
        let all = self.all.then(|| ("all", "true".to_owned()));
        tags.chain(version).chain(protocol).chain(all).collect()
    }
}

impl Client {
    /// Registers an instance, or replaces what its id is registered with.
    pub async fn register(&self, registration: &Registration) -> Result<Registered, ClientError> {
        let id = registration.id.as_deref().unwrap_or_default();
        let call = Call::new(Method::PUT, &["instances", id]);
        self.get(call.with(registration)).await
    }

    /// Registers an instance whose id isn't registered yet; refused with `exists` if it is.
    pub async fn register_new(
        &self,
        registration: &Registration,
    ) -> Result<Registered, ClientError> {
        let mut call = Call::new(Method::POST, &["instances"]).with(registration);
        call.is_once = true;
        self.get(call).await
    }

    /// Registers many whose ids aren't registered yet, at most 10 000; a result for each.
    pub async fn register_many(
        &self,
        registrations: &[Registration],
    ) -> Result<Vec<ItemResult>, ClientError> {
        let mut call = Call::new(Method::POST, &["instances"]).with(&registrations);
        call.is_once = true;
        self.get(call).await
    }

    /// One instance, listed or not; refused with `unknown-instance` when there's none.
    pub async fn instance(&self, id: &str) -> Result<Instance, ClientError> {
        self.get(Call::new(Method::GET, &["instances", id])).await
    }

    /// Renews a lease, and tells how the instance is if the heartbeat says so; refused
    /// with `unknown-instance` when it must be registered again.
    pub async fn heartbeat(&self, id: &str, heartbeat: &Heartbeat) -> Result<Renewed, ClientError> {
        let call = Call::new(Method::POST, &["instances", id, "heartbeat"]);
        self.get(call.with(heartbeat)).await
    }

    /// Renews many leases; says which ids must be registered again.
    pub async fn heartbeats(&self, ids: Vec<String>) -> Result<HeartbeatsAnswer, ClientError> {
        let call = Call::new(Method::POST, &["heartbeats"]);
        self.get(call.with(&Heartbeats { ids })).await
    }

    /// Deregisters an instance. When it's to `wait`, it answers once no cache that
    /// honours TTLs holds the instance any more.
    pub async fn deregister(&self, id: &str, wait: bool) -> Result<Drained, ClientError> {
        let mut call = Call::new(Method::DELETE, &["instances", id]);
        if wait {
            call.query.push(("wait", "true".to_owned()));
            call.wait = MAX_DRAIN;
        }
        self.get(call).await
    }

    /// Withdraws an instance, as an operator does: it stays so until it's resumed.
    pub async fn drain(&self, id: &str) -> Result<Drained, ClientError> {
        let call = Call::new(Method::POST, &["instances", id, "drain"]);
        self.get(call).await
    }

    /// Withdraws an instance likewise, and answers once no cache that honours TTLs holds
    /// it any more.
    pub async fn drain_and_wait(&self, id: &str) -> Result<Drained, ClientError> {
        let mut call = Call::new(Method::POST, &["instances", id, "drain"]);
        call.query.push(("wait", "true".to_owned()));
        call.wait = MAX_DRAIN;
        self.get(call).await
    }

    /// Ends a drain.
    pub async fn resume(&self, id: &str) -> Result<Instance, ClientError> {
        let call = Call::new(Method::POST, &["instances", id, "resume"]);
        self.get(call).await
    }

    /// Every service, with those of its instances that are asked for.
    pub async fn services(&self, filter: &Filter) -> Result<Services, ClientError> {
        let mut call = Call::new(Method::GET, &["services"]);
        call.query = filter.query();
        self.get(call).await
    }

    /// A service, with those of its instances that are asked for; refused with
    /// `unknown-service` when nothing is known of it.
    pub async fn service(&self, name: &str, filter: &Filter) -> Result<Service, ClientError> {
        let mut call = Call::new(Method::GET, &["services", name]);
        call.query = filter.query();
        self.get(call).await
    }

    /// The same once something has changed since revision `since`, or `wait` (500 ms to
    /// 5 min) is over.
    pub async fn services_since(
        &self,
        filter: &Filter,
        since: u64,
        wait: Duration,
    ) -> Result<Services, ClientError> {
        let call = Call::new(Method::GET, &["services"]);
        self.get(polling(call, filter, since, wait)).await
    }

    /// The same once the service has changed since revision `since`, or `wait` (500 ms
    /// to 5 min) is over.
    pub async fn service_since(
        &self,
        name: &str,
        filter: &Filter,
        since: u64,
        wait: Duration,
    ) -> Result<Service, ClientError> {
        let call = Call::new(Method::GET, &["services", name]);
        self.get(polling(call, filter, since, wait)).await
    }

    /// Watches these services, or all of them when none is named: what there is, then
    /// each change. With `since` only what changed after that revision. At most 64 can
    /// be named.
    pub fn watch(&self, services: &[&str], since: Option<u64>) -> Watch {
        Watch::new(self.clone(), services, since)
    }

    /// What a question is answered with, and why; for a client at another address, if
    /// one is given.
    pub async fn explain(
        &self,
        name: &str,
        rtype: &str,
        client: Option<IpAddr>,
    ) -> Result<Explanation, ClientError> {
        let mut call = Call::new(Method::GET, &["explain"]);
        call.query = vec![("name", name.to_owned()), ("type", rtype.to_owned())];
        call.query
            .extend(client.map(|client| ("client", client.to_string())));
        self.get(call).await
    }

    /// Totals.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.get(Call::new(Method::GET, &["stats"])).await
    }

    /// The policy of a service; refused with `unknown-policy` when none is set.
    pub async fn policy(&self, service: &str) -> Result<Policy, ClientError> {
        let call = Call::new(Method::GET, &["services", service, "policy"]);
        self.get(call).await
    }

    /// Sets the policy of a service, or replaces it whole.
    pub async fn set_policy(
        &self,
        service: &str,
        policy: &PolicyFields,
    ) -> Result<Policy, ClientError> {
        let call = Call::new(Method::PUT, &["services", service, "policy"]);
        self.get(call.with(policy)).await
    }

    /// Takes the policy of a service back.
    pub async fn delete_policy(&self, service: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, &["services", service, "policy"]);
        self.tell(call).await
    }

    /// The configuration values of a service, none of one that has none.
    pub async fn config_values(&self, service: &str) -> Result<ConfigValues, ClientError> {
        let call = Call::new(Method::GET, &["services", service, "config"]);
        self.get(call).await
    }

    /// One configuration value; refused with `unknown-config-value` when it isn't set.
    pub async fn config_value(&self, service: &str, key: &str) -> Result<ConfigValue, ClientError> {
        let call = Call::new(Method::GET, &["services", service, "config", key]);
        self.get(call).await
    }

    /// Sets a configuration value, or replaces it.
    pub async fn set_config_value(
        &self,
        service: &str,
        key: &str,
        value: &str,
    ) -> Result<ConfigValue, ClientError> {
        let call = Call::new(Method::PUT, &["services", service, "config", key]);
        let fields = ConfigValueFields {
            value: Some(value.to_owned()),
            ..ConfigValueFields::default()
        };
        self.get(call.with(&fields)).await
    }

    /// Takes a configuration value back.
    pub async fn delete_config_value(&self, service: &str, key: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, &["services", service, "config", key]);
        self.tell(call).await
    }
}

/// A call that waits for a change.
fn polling<'a>(mut call: Call<'a>, filter: &Filter, since: u64, wait: Duration) -> Call<'a> {
    call.query = filter.query();
    call.query.push(("since", since.to_string()));
    call.query.push(("wait", TimeSpan(wait).to_string()));
    call.wait = wait;
    call
}
