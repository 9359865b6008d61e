//! What speaks against a registration beside the table itself: told by those who know
//! the zones, and asked by the writer, so that nothing is registered in between.

use std::sync::Arc;

use super::instance::{Host, Instance};
use super::resolution::Members;
use super::table::RegisterError;

/// Says of an instance which of its names a static zone holds already, if any.
pub type CollisionTest = Arc<dyn Fn(&Instance) -> Option<String> + Send + Sync>;

/// Says of an instance with a host name how that leads back to itself, beside what is
/// registered, if it does.
pub type LoopTest = Arc<dyn Fn(&Instance, &dyn Members) -> Option<String> + Send + Sync>;

/// What may speak against a registration.
#[derive(Clone)]
pub struct Objections {
    /// Static names.
    pub collides: CollisionTest,
    /// Host names that lead back to themselves.
    pub loops: LoopTest,
}

impl Objections {
    /// Why `instance` can't be registered beside `members`, if it can't.
    pub(super) fn test(
        &self,
        instance: &Instance,
        members: &dyn Members,
    ) -> Result<(), RegisterError> {
        if let Some(name) = (self.collides)(instance) {
            return Err(RegisterError::Collides(name));
        }
        match instance.host {
            Host::Name(_) => (self.loops)(instance, members)
                .map_or(Ok(()), |why| Err(RegisterError::HostLoop(why))),
            Host::Address(_) | Host::Addresses(_) => Ok(()),
        }
    }
}

impl From<CollisionTest> for Objections {
    /// Static names alone.
    fn from(collides: CollisionTest) -> Self {
        let loops = Arc::new(|_: &Instance, _: &dyn Members| None);
        Self { collides, loops }
    }
}
