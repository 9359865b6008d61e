//! What operators set of services, and what changing it means for the table.
//!
//! A service's settings are one immutable value. Each change makes a new one and
//! hands it to [`Table::set_settings`], through which alone they change. A service
//! with settings is there without an instance, and counts.
//!
//! A policy that lowers a TTL doesn't make caches forget: what was answered with
//! the former one may be held for that long still. Until then, that is what
//! instances that leave are drained by.

use std::sync::Arc;
use std::time::Duration;

use super::{DRAIN_MARGIN, Table};
use crate::name::{Label, ServiceName};
use crate::registry::condition::{Condition, Unmet};
use crate::registry::policy::{MAX_CONFIG_LEN, MAX_VALUES, Policy, Revised, ServiceSettings};
use crate::time::Moment;

/// Something of a service that an operator sets, or with `None` takes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Setting {
    /// Its policy.
    Policy(Option<Policy>),
    /// The configuration value of a key.
    Value(Label, Option<Box<str>>),
}

/// What a change made of a setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Changed {
    /// The new revision, or the last one of what was taken back.
    pub revision: u64,
    /// Whether it was set before.
    pub replaced: bool,
}

/// Why a setting was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// There is nothing to take back.
    #[error("it isn't set")]
    Unknown,
    /// The caller knows another revision.
    #[error("{0}")]
    Unmet(Unmet),
    /// It would be a service too many.
    #[error("the registry knows {0} services, which is its limit (max_services)")]
    TooManyServices(usize),
    /// More values than [`MAX_VALUES`].
    #[error("the service has {0} configuration values, which is the limit")]
    TooManyValues(usize),
    /// More octets of values than [`MAX_CONFIG_LEN`].
    #[error(
        "the service's configuration would have {0} octets; at most {MAX_CONFIG_LEN} are allowed, keys included"
    )]
    TooLong(usize),
}

impl Table {
    /// Sets or takes back something of a service, if `condition` allows that. What
    /// is set now gets the revision `next` or, when another setting has that, a
    /// higher one.
    pub fn change_setting(
        &mut self,
        service: &ServiceName,
        setting: Setting,
        condition: &Condition,
        next: u64,
        now: Moment,
    ) -> Result<Changed, SettingError> {
        let known = self.settings.get(service);
        let mut settings = known.map_or_else(ServiceSettings::default, |known| (**known).clone());
        let current = match &setting {
            Setting::Policy(_) => settings.policy.as_ref().map(|known| known.revision),
            Setting::Value(key, _) => settings.config.get(key).map(|known| known.revision),
        };
        let takes_back = matches!(setting, Setting::Policy(None) | Setting::Value(_, None));
        // Of what isn't there no condition is looked at (RFC 9110 §13.2.1).
        if takes_back && current.is_none() {
            return Err(SettingError::Unknown);
        }
        condition.check(current).map_err(SettingError::Unmet)?;
        if !self.knows(service) && self.service_count() >= self.config.max_services {
            return Err(SettingError::TooManyServices(self.config.max_services));
        }
        let revision = next.max(self.newest_setting + 1);
        match setting {
            Setting::Policy(policy) => {
                settings.policy = policy.map(|value| Revised { value, revision });
            }
            Setting::Value(key, None) => drop(settings.config.remove(&key)),
            Setting::Value(key, Some(value)) => {
                settings.config.insert(key, Revised { value, revision });
                if settings.config.len() > MAX_VALUES {
                    return Err(SettingError::TooManyValues(MAX_VALUES));
                }
                let len = settings.config_len();
                if len > MAX_CONFIG_LEN {
                    return Err(SettingError::TooLong(len));
                }
            }
        }
        let former = self.ttl_of(service);
        let is_empty = settings.is_empty();
        self.set_settings(service, (!is_empty).then(|| Arc::new(settings)));
        if self.ttl_of(service) < former {
            let until = now.after(former.saturating_add(DRAIN_MARGIN));
            self.former_ttls.note(service, until, now);
        }
        Ok(Changed {
            revision: current.filter(|_| takes_back).unwrap_or(revision),
            replaced: current.is_some(),
        })
    }

    /// Puts a service's settings in place of its former ones. The only way in which
    /// they change.
    pub(super) fn set_settings(
        &mut self,
        service: &ServiceName,
        settings: Option<Arc<ServiceSettings>>,
    ) {
        let is = settings.is_some();
        let ttl = self.ttl_of(service);
        let former = match settings {
            Some(settings) => {
                self.newest_setting = self.newest_setting.max(settings.newest());
                self.settings.insert(service.clone(), settings)
            }
            None => self.settings.remove(service),
        };
        self.journal.set_settings(service, &former);
        if self.is_restoring && self.ttl_of(service) < ttl {
            self.former_ttls.restore(Some(service), ttl);
        }
        if !self.services.contains_key(service) {
            self.unmanned += usize::from(is);
            self.unmanned -= usize::from(former.is_some());
        }
        self.touched.insert(service.clone());
    }

    /// The revision of what was set last; no state that has it is older than that.
    pub(in crate::registry) fn newest_setting(&self) -> u64 {
        self.newest_setting
    }

    /// What is set of a service.
    pub(super) fn settings_of(&self, service: &ServiceName) -> Arc<ServiceSettings> {
        let settings = self.settings.get(service);
        settings.unwrap_or(&self.no_settings).clone()
    }

    /// The TTL of a service's answers, before leases bound it.
    pub(super) fn ttl_of(&self, service: &ServiceName) -> Duration {
        let policy = self.settings.get(service).and_then(|known| known.policy());
        policy
            .and_then(|policy| policy.ttl)
            .unwrap_or(self.config.ttl)
    }

    /// From when nobody holds what a service's answers say of an instance that is
    /// in none of them from `now` on.
    pub(super) fn forgotten_at(&self, service: &ServiceName, now: Moment) -> Moment {
        now.after(self.ttl_of(service).saturating_add(DRAIN_MARGIN))
            .max(self.former_ttls.held_until(service))
    }

    /// Whether a service has members or settings.
    pub(super) fn knows(&self, service: &ServiceName) -> bool {
        self.services.contains_key(service) || self.settings.contains_key(service)
    }

    /// How many services have members or settings.
    pub(super) fn service_count(&self) -> usize {
        self.services.len() + self.unmanned
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
