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
        match id {
            Some(id) => members.get(id).into_iter().for_each(|member| {
                if !member.left {
                    show(&member.entry);
                }
            }),
            None => members
                .iter()
                .filter(|member| !member.left)
                .for_each(|member| show(&member.entry)),
        }
    }
}
