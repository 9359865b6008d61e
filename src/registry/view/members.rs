//! The members of one service, in the order of their ids: the table's own, and the same
//! ones in views.
//!
//! They lie in chunks that are shared: a copy has the same chunks, and a change copies
//! the one that it falls into, if somebody else has that. So a view of a service of
//! 10 000 costs some hundred counts of references, and that of a few costs one; and what
//! differs between two copies is looked for in the chunks that do.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Entry, Member};
use crate::name::InstanceId;

/// Most members of a chunk. One that would have more becomes two.
const CHUNK: usize = 64;

/// Fewest members of a chunk beside others, but for what a removal leaves: neighbours
/// that have fewer together than half a chunk become one.
const SPARSE: usize = CHUNK / 2;

/// At most [`CHUNK`] members, sorted.
type Chunk = Arc<Vec<Member>>;

/// Members, sorted by id; cheap to clone.
#[derive(Clone, Debug)]
pub struct Members(Chunks);

#[derive(Clone, Debug)]
enum Chunks {
    /// What most services have.
    One(Chunk),
    /// None of them is empty, and each is below the next.
    Many(Vec<Chunk>),
}

impl Default for Members {
    fn default() -> Self {
        Self(Chunks::One(Chunk::default()))
    }
}

impl Members {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> + Clone {
        self.chunks().iter().flat_map(|chunk| chunk.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chunks().iter().map(|chunk| chunk.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chunks().iter().all(|chunk| chunk.is_empty())
    }

    /// The member of that id.
    pub fn get(&self, id: &str) -> Option<&Member> {
        let chunk = &self.chunks()[self.place(id)];
        position(chunk, id).ok().map(|at| &chunk[at])
    }

    /// Shows the registrations of those that haven't left, or of the one of an id.
    pub(in crate::registry) fn each_registered(
        &self,
        id: Option<&str>,
        show: &mut dyn FnMut(&Entry),
    ) {
        let mut show = |member: &Member| {
            if !member.left {
                show(&member.entry);
            }
        };
        match id {
            Some(id) => self.get(id).into_iter().for_each(&mut show),
            None => self.iter().for_each(&mut show),
        }
    }

    /// The last one.
    pub(in crate::registry) fn last(&self) -> Option<&Member> {
        self.chunks().last()?.last()
    }

    /// Puts a member in the place of its id; gives back the one that was there.
    pub(in crate::registry) fn insert(&mut self, member: Member) -> Option<Member> {
        let id = member.instance().id.as_str();
        let place = self.place(id);
        let shared = &mut self.chunks_mut()[place];
        let at = match position(shared, id) {
            Ok(at) => {
                let place = &mut Arc::make_mut(shared)[at];
                return Some(std::mem::replace(place, member));
            }
            Err(at) => at,
        };
        // Exactly as long as it must be: most services have few, and seldom one more.
        if Arc::get_mut(shared).is_none() {
            let mut copy = Vec::with_capacity(shared.len() + 1);
            copy.extend(shared.iter().cloned());
            *shared = Arc::new(copy);
        }
        let chunk = Arc::make_mut(shared);
        chunk.reserve_exact(1);
        chunk.insert(at, member);
        if chunk.len() > CHUNK {
            // Whoever comes in order leaves full chunks behind.
            let is_last = at + 1 == chunk.len();
            let upper = chunk.split_off(if is_last { CHUNK } else { CHUNK / 2 });
            self.insert_chunk(place + 1, Arc::new(upper));
        }
        None
    }

    /// Takes the member of that id out.
    pub(in crate::registry) fn remove(&mut self, id: &InstanceId) -> Option<Member> {
        let place = self.place(id.as_str());
        let shared = &mut self.chunks_mut()[place];
        let at = position(shared, id.as_str()).ok()?;
        let member = Arc::make_mut(shared).remove(at);
        self.tidy(place);
        Some(member)
    }

    /// Changes all of them in all but their ids.
    pub(in crate::registry) fn each_mut(&mut self, mut change: impl FnMut(&mut Member)) {
        for chunk in self.chunks_mut() {
            Arc::make_mut(chunk).iter_mut().for_each(&mut change);
        }
    }

    /// Joins a chunk that has become small with one beside it.
    fn tidy(&mut self, place: usize) {
        let Chunks::Many(chunks) = &mut self.0 else {
            return;
        };
        let len = |at: usize| chunks.get(at).map_or(usize::MAX, |chunk| chunk.len());
        let fits = |at: usize| len(at).saturating_add(len(at + 1)) <= SPARSE;
        let lower = [place.checked_sub(1), Some(place)].into_iter().flatten();
        if let Some(at) = lower.into_iter().find(|at| fits(*at)) {
            let upper = chunks.remove(at + 1);
            Arc::make_mut(&mut chunks[at]).extend(upper.iter().cloned());
        }
        chunks.retain(|chunk| !chunk.is_empty());
        if chunks.len() < 2 {
            self.0 = Chunks::One(chunks.pop().unwrap_or_default());
        }
    }

    fn insert_chunk(&mut self, place: usize, chunk: Chunk) {
        match &mut self.0 {
            Chunks::One(one) => self.0 = Chunks::Many(vec![std::mem::take(one), chunk]),
            Chunks::Many(chunks) => chunks.insert(place, chunk),
        }
    }

    /// The chunk that an id is in, or would come into.
    fn place(&self, id: &str) -> usize {
        let chunks = self.chunks();
        let above = chunks.partition_point(|chunk| {
            let first = chunk.first();
            first.is_some_and(|first| first.instance().id.as_str() <= id)
        });
        above.saturating_sub(1)
    }

    fn chunks(&self) -> &[Chunk] {
        match &self.0 {
            Chunks::One(one) => std::slice::from_ref(one),
            Chunks::Many(chunks) => chunks,
        }
    }

    fn chunks_mut(&mut self) -> &mut [Chunk] {
        match &mut self.0 {
            Chunks::One(one) => std::slice::from_mut(one),
            Chunks::Many(chunks) => chunks,
        }
    }
}

/// Where the member of that id is, or would come.
fn position(chunk: &[Member], id: &str) -> Result<usize, usize> {
    chunk.binary_search_by(|member| member.instance().id.as_str().cmp(id))
}

/// Shows the members of both that aren't in a chunk that both have, in order: with one
/// of the same id together.
pub(in crate::registry) fn each_unshared<'m>(
    former: &'m Members,
    current: &'m Members,
    mut show: impl FnMut(Option<&'m Member>, Option<&'m Member>),
) {
    let (mut was, mut is) = (Walk::of(former), Walk::of(current));
    loop {
        if was.rest.is_empty() && is.rest.is_empty() {
            match (was.chunks.split_first(), is.chunks.split_first()) {
                (None, None) => return,
                (Some((one, later)), Some((other, others))) if Arc::ptr_eq(one, other) => {
                    (was.chunks, is.chunks) = (later, others);
                    continue;
                }
                _ => {}
            }
        }
        let order = match (was.peek(), is.peek()) {
            (None, None) => continue,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(was), Some(is)) => was.instance().id.cmp(&is.instance().id),
        };
        let was = order.is_le().then(|| was.next()).flatten();
        let is = order.is_ge().then(|| is.next()).flatten();
        show(was, is);
    }
}

/// What of some members is still to be shown.
struct Walk<'m> {
    /// Of the chunk that was begun.
    rest: &'m [Member],
    /// After that.
    chunks: &'m [Chunk],
}

impl<'m> Walk<'m> {
    fn of(members: &'m Members) -> Self {
        Self {
            rest: &[],
            chunks: members.chunks(),
        }
    }

    /// The next one, of the next chunk if it must be begun.
    fn peek(&mut self) -> Option<&'m Member> {
        while self.rest.is_empty() {
            let (chunk, later) = self.chunks.split_first()?;
            (self.rest, self.chunks) = (chunk, later);
        }
        self.rest.first()
    }

    fn next(&mut self) -> Option<&'m Member> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
