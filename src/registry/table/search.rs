//! Looking through the table as it is now, for what has to hold between registrations.

use super::Table;
use crate::registry::resolution;
use crate::registry::view::Entry;

impl resolution::Members for Table {
    fn has(&self, service: &str) -> bool {
        self.services.contains_key(service) || self.settings.contains_key(service)
    }

    fn each(&self, service: &str, id: Option<&str>, show: &mut dyn FnMut(&Entry)) {
        let Some(members) = self.services.get(service) else {
            return;
        };
        members.each_registered(id, show);
    }
}
