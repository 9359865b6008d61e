//! The table's settings, and how much it takes.

use std::time::Duration;

use super::{RegisterError, Table};
use crate::name::ServiceName;
use crate::registry::guard::GuardConfig;
use crate::registry::view::members::Members;

/// Settings of the table.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// TTL of answers, before leases bound it; whole seconds.
    pub ttl: Duration,
    /// TTL of negative answers; whole seconds.
    pub negative_ttl: Duration,
    /// Most instances, those just left included.
    pub max_instances: usize,
    /// Most instances of one service, likewise.
    pub max_instances_per_service: usize,
    /// Most services that have instances, those just left included, or settings.
    pub max_services: usize,
    /// When leases that run out together are held.
    pub guard: GuardConfig,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(5),
            negative_ttl: Duration::from_secs(2),
            max_instances: 1_000_000,
            max_instances_per_service: 10_000,
            max_services: 1_000_000,
            guard: GuardConfig::default(),
        }
    }
}

impl Table {
    /// Whether there's room for one more member of a service.
    pub(super) fn has_room(&self, service: &ServiceName) -> Result<(), RegisterError> {
        let TableConfig {
            max_instances,
            max_instances_per_service,
            max_services,
            ..
        } = self.config;
        let members = self.services.get(service).map_or(0, Members::len);
        if self.homes.len() + self.left >= max_instances {
            return Err(RegisterError::Full(max_instances));
        }
        if members >= max_instances_per_service {
            let service = service.clone();
            return Err(RegisterError::ServiceFull(
                service,
                max_instances_per_service,
            ));
        }
        if !self.knows(service) && self.service_count() >= max_services {
            return Err(RegisterError::TooManyServices(max_services));
        }
        Ok(())
    }
}
