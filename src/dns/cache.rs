//! Prepared answers of one worker.
//!
//! A body is kept by the question it answers, and given again for as long as its
//! [`Basis`] stands: one load for each view it was made from, and one comparison
//! of moments. Nobody tells a cache of a change, and nothing in it is shared, so
//! workers don't wait for each other or for the registry.
//!
//! A body that is whole serves every client it's short enough for. One that was
//! shortened is kept beside it, by the room it was made for and, when answers had
//! to be cut, by the class of clients.
//!
//! What is kept is bounded in octets, all overhead included. When that is used
//! up, a hand goes round over the entries and takes out those that weren't asked
//! for since it last came by. Names that don't exist never get in, nor do names
//! of which a client could make up ever new ones: wildcards, long chains of tags,
//! and types that names hardly have.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::basis::{Basis, Seen};
use super::body::{Body, Draft, Extent, Head, Turn};
use super::compose::{ClientClass, Room};
use crate::time::Moment;

/// Octets that an entry takes in the index, at most: half of its places are empty
/// after it has grown.
const INDEX_OCTETS: usize = 12;

/// Largest part of the whole that one entry may take.
const MAX_PART: usize = 8;

/// Prepared answers; none when its limit is 0.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Places in `entries`, by the hash of their keys.
    index: HashTable<u32>,
    entries: Vec<Prepared>,
    /// The entry that the hand looks at next.
    hand: usize,
    /// Entries that aren't whole.
    shortened: usize,
    octets: usize,
    limit: usize,
    hasher: foldhash::fast::RandomState,
    /// Places of entries that gave answers which aren't counted yet.
    uncounted: Vec<u32>,
}

/// What a shortened answer was made for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Shortened {
    space: usize,
    /// Given when the answer was cut.
    class: Option<ClientClass>,
}

/// One answer.
#[derive(Debug)]
struct Prepared {
    hash: u64,
    until: Moment,
    /// The view of the name asked for, unless it's static.
    view: Option<Seen>,
    /// Further views.
    views: Box<[Seen]>,
    head: Head,
    shortened: Option<Shortened>,
    /// Whether it was asked for since the hand came by.
    is_used: bool,
    /// Answers given that aren't counted yet.
    given: u32,
    /// The name and type asked for, the reason, the sections.
    octets: Box<[u8]>,
    question_len: u16,
    reason_len: u16,
    turns: Box<[Turn]>,
}

impl Prepared {
    fn holds(&self, now: Moment) -> bool {
        now < self.until
            && self.view.as_ref().is_none_or(Seen::stands)
            && self.views.iter().all(Seen::stands)
    }

    fn is_for(&self, question: &[u8], shortened: Option<Shortened>) -> bool {
        self.shortened == shortened && self.octets[..usize::from(self.question_len)] == *question
    }

    fn fits(&self, room: Room) -> bool {
        let reason = if room.edns { self.reason_len.into() } else { 0 };
        let sections = self.octets.len() - usize::from(self.question_len + self.reason_len);
        room.base + reason + sections <= room.space
    }

    fn body(&self) -> Body<'_> {
        let (reason, octets) =
            self.octets[self.question_len.into()..].split_at(self.reason_len.into());
        Body {
            head: &self.head,
            octets,
            reason,
            turns: &self.turns,
        }
    }

    /// Octets that keeping it takes.
    fn cost(&self) -> usize {
        size_of::<Self>()
            + INDEX_OCTETS
            + self.octets.len()
            + size_of_val(&*self.turns)
            + size_of_val(&*self.views)
    }
}

impl Cache {
    /// An empty cache that takes at most `limit` octets; 0 keeps nothing.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The answer to a question, a name and type, if there's one that still holds
    /// at `now` and has room.
    pub(super) fn find(&mut self, question: &[u8], room: Room, now: Moment) -> Option<Body<'_>> {
        if self.entries.is_empty() {
            return None;
        }
        let place = self
            .place(question, None, now)
            .filter(|place| self.entries[*place].fits(room))
            .or_else(|| self.shortened_place(question, room, now))?;
        let prepared = &mut self.entries[place];
        prepared.is_used = true;
        prepared.given += 1;
        if prepared.given == 1 {
            self.uncounted.push(place as u32);
        }
        Some(self.entries[place].body())
    }

    fn shortened_place(&mut self, question: &[u8], room: Room, now: Moment) -> Option<usize> {
        if self.shortened == 0 {
            return None;
        }
        [None, Some(room.class)].into_iter().find_map(|class| {
            let space = room.space;
            self.place(question, Some(Shortened { space, class }), now)
        })
    }

    /// Where the answer is; one that doesn't hold any more goes.
    fn place(
        &mut self,
        question: &[u8],
        shortened: Option<Shortened>,
        now: Moment,
    ) -> Option<usize> {
        let hash = self.hash(question, shortened);
        let place = *self.index.find(hash, |place| {
            let known = &self.entries[*place as usize];
            known.hash == hash && known.is_for(question, shortened)
        })? as usize;
        if self.entries[place].holds(now) {
            return Some(place);
        }
        self.settle();
        self.remove(place);
        None
    }

    fn hash(&self, question: &[u8], shortened: Option<Shortened>) -> u64 {
        match shortened {
            None => self.hasher.hash_one(question),
            Some(shortened) => self.hasher.hash_one((question, shortened)),
        }
    }

    /// Keeps an answer to a question that none was found for.
    pub(super) fn keep(&mut self, question: &[u8], room: Room, draft: &Draft, basis: Basis) {
        let shortened = match draft.head.extent {
            Extent::Whole => None,
            Extent::Essential => Some(None),
            Extent::Cut => Some(Some(room.class)),
        }
        .map(|class| Shortened {
            space: room.space,
            class,
        });
        let hash = self.hash(question, shortened);
        let (until, mut views) = (basis.until(), basis.into_views().into_iter());
        let prepared = Prepared {
            hash,
            until,
            view: views.next(),
            views: views.collect(),
            head: draft.head,
            shortened,
            is_used: false,
            given: 0,
            octets: [question, &draft.reason, &draft.octets].concat().into(),
            // A question has at most 257 octets, a reason fewer.
            question_len: question.len() as u16,
            reason_len: draft.reason.len() as u16,
            turns: draft.turns.as_slice().into(),
        };
        let cost = prepared.cost();
        if cost > self.limit / MAX_PART {
            return;
        }
        self.settle();
        // A whole one that is too long for this client may be there already, and
        // the answer have become shorter since.
        let known = |place: &u32| {
            let known = &self.entries[*place as usize];
            known.hash == hash && known.is_for(question, shortened)
        };
        if let Some(place) = self.index.find(hash, known).copied() {
            self.remove(place as usize);
        }
        while self.octets + cost > self.limit {
            self.make_room();
        }
        self.octets += cost;
        self.shortened += usize::from(shortened.is_some());
        let place = self.entries.len() as u32;
        self.entries.push(prepared);
        let entries = &self.entries;
        let rehash = |place: &u32| entries[*place as usize].hash;
        self.index.insert_unique(hash, place, rehash);
    }

    /// Takes out the next entry that wasn't asked for since the hand came by.
    fn make_room(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            // There's room for the largest entry when all are out.
            let Some(prepared) = self.entries.get_mut(self.hand) else {
                return;
            };
            if !prepared.is_used {
                return self.remove(self.hand);
            }
            prepared.is_used = false;
            self.hand += 1;
        }
    }

    /// Takes an entry out; the last one gets its place.
    fn remove(&mut self, place: usize) {
        let last = self.entries.len() - 1;
        let gone = self.entries.swap_remove(place);
        let own = |known: &u32| *known as usize == place;
        if let Ok(found) = self.index.find_entry(gone.hash, own) {
            found.remove();
        }
        if let Some(moved) = self.entries.get(place) {
            let own = |known: &u32| *known as usize == last;
            if let Some(known) = self.index.find_mut(moved.hash, own) {
                *known = place as u32;
            }
        }
        self.octets -= gone.cost();
        self.shortened -= usize::from(gone.shortened.is_some());
    }

    /// Adds the answers given to the counts of their services. To be called at
    /// the end of a batch, so that a busy service's count, which all workers
    /// share, is touched once for many answers.
    pub(super) fn settle(&mut self) {
        for place in self.uncounted.drain(..) {
            let prepared = &mut self.entries[place as usize];
            let given = std::mem::take(&mut prepared.given);
            if let Some(view) = &prepared.view {
                view.count(given.into());
            }
        }
    }
}
