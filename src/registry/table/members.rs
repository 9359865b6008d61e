//! The members of one service, by id.
//!
//! Most services have few: those lie in one piece, exactly as long as it must be. Of
//! many each has a place in a tree, so that one that comes or goes moves no others.

use std::collections::BTreeMap;

use super::Member;
use crate::name::InstanceId;

/// Most members that lie in one piece.
const FEW: usize = 64;

/// Members in the order of their ids.
#[derive(Debug)]
pub(super) enum Members {
    /// At most [`FEW`], sorted.
    Few(Vec<Member>),
    /// More, or that were more once.
    Many(BTreeMap<InstanceId, Member>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Members {
    /// The member of that id.
    pub(super) fn get(&self, id: &InstanceId) -> Option<&Member> {
        match self {
            Self::Few(few) => place(few, id).ok().map(|at| &few[at]),
            Self::Many(many) => many.get(id),
        }
    }

    /// Whether there is a member of that id.
    pub(super) fn contains(&self, id: &InstanceId) -> bool {
        self.get(id).is_some()
    }

    /// Puts a member in the place of its id.
    pub(super) fn insert(&mut self, member: Member) {
        match self {
            Self::Many(many) => drop(many.insert(member.instance().id.clone(), member)),
            Self::Few(few) => match place(few, &member.instance().id) {
                Ok(at) => few[at] = member,
                Err(at) if few.len() < FEW => {
                    few.reserve_exact(1);
                    few.insert(at, member);
                }
                Err(_) => {
                    let keyed = |member: Member| (member.instance().id.clone(), member);
                    let mut many: BTreeMap<_, _> = few.drain(..).map(keyed).collect();
                    many.insert(member.instance().id.clone(), member);
                    *self = Self::Many(many);
                }
            },
        }
    }

    /// Takes the member of that id out.
    pub(super) fn remove(&mut self, id: &InstanceId) -> Option<Member> {
        match self {
            Self::Few(few) => place(few, id).ok().map(|at| few.remove(at)),
            Self::Many(many) => many.remove(id),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<&Member> {
        match self {
            Self::Few(few) => few.last(),
            Self::Many(many) => many.last_key_value().map(|(_, member)| member),
        }
    }

    /// A copy of all of them, in order.
    pub(super) fn to_boxed(&self) -> Box<[Member]> {
        match self {
            Self::Few(few) => few.as_slice().into(),
            Self::Many(many) => many.values().cloned().collect(),
        }
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few.iter()), None),
            Self::Many(many) => (None, Some(many.values())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// All of them, to be changed in all but their ids.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few.iter_mut()), None),
            Self::Many(many) => (None, Some(many.values_mut())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

/// Where the member of that id is, or would come.
fn place(few: &[Member], id: &InstanceId) -> Result<usize, usize> {
    few.binary_search_by(|member| member.instance().id.cmp(id))
}
