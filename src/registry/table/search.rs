//! Looking through the table as it is now, for what has to hold between registrations.

use super::Table;
use super::members::Members;
use crate::name::InstanceId;
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
        let one = |id: &str| members.get(&id.parse::<InstanceId>().ok()?);
        match id {
            Some(id) => one(id).into_iter().for_each(|member| {
                if !member.left {
                    show(&member.entry);
                }
            }),
            None => Members::iter(members)
                .filter(|member| !member.left)
                .for_each(|member| show(&member.entry)),
        }
    }
}
