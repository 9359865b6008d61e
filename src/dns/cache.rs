//! Prepared answers of one worker.
//!
//! A body is kept by the question it answers, and given again for as long as its
//! [`Basis`] stands. That is one comparison of moments, and one of revisions while
//! nothing changes; after a change, one load for each view it was made from, unless
//! it was made from what is found across services and so is gone.
//! Nobody tells a cache of a change, and nothing in it is shared, so workers don't
//! wait for each other or for the registry.
//!
//! What an answer costs beside the system's calls is mostly waiting for memory, so
//! a worker says beforehand what a batch asks for, and waits for all of it at once.
//!
//! A body that is whole serves every client it's short enough for. One that was
//! shortened is kept beside it, by the room it was made for and, when answers had
//! to be cut, by the part that clients have. So is one with a subset that a policy
//! has (`max_answers`), by the class of clients.
//!
//! What is kept is bounded in octets, all overhead included. When that is used
//! up, a hand goes round over the entries and takes out those that weren't asked
//! for since it last came by. Names that don't exist never get in, nor do names
//! of which a client could make up ever new ones: wildcards, long chains of tags,
//! and types that names hardly have.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::basis::{Basis, Seen};
use super::body::{Body, Draft, Extent, Head};
use super::compose::{ClientClass, Room};
use crate::time::Moment;

/// Octets that an entry takes in the index, at most: half of its places are empty
/// after it has grown.
const INDEX_OCTETS: usize = 12;

/// Largest part of the whole that one entry may take.
const MAX_PART: usize = 8;

/// Entries that the hand passes at most to find one, so that no answer waits for
/// a long way round.
const MAX_STEPS: usize = 64;

/// Most answers that are counted together.
const MAX_UNCOUNTED: usize = 1024;

/// Octets that a processor fetches at a time.
const LINE: usize = 64;

/// Lines of an answer that are fetched ahead; the processor sees the pattern in
/// what follows.
const LINES_AHEAD: usize = 4;

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
    /// Hashes of the questions that come next, then places of their answers: as
    /// many as a batch has.
    ahead: Vec<u64>,
}

/// What an answer was made for that doesn't serve everybody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Shortened {
    space: u16,
    clients: Clients,
}

/// The clients with that much space whom an answer serves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Clients {
    /// All: it has everything that was asked for.
    All,
    /// Those who have that part of what was cut.
    OfPart(u8),
    /// Those of a class, where a service's policy has a limit of answers.
    OfClass(ClientClass),
}

/// One answer, in two lines of memory and its octets.
#[derive(Debug)]
#[repr(align(64))]
struct Prepared {
    hash: u64,
    until: Moment,
    /// The revision of the registry at which the views were known to stand.
    revision: u64,
    /// The view of the name asked for, unless it's static.
    view: Option<Seen>,
    /// Further views.
    views: Box<[Seen]>,
    /// Whether it's true at that revision only.
    is_of_all: bool,
    head: Head,
    shortened: Option<Shortened>,
    /// Whether it was asked for since the hand came by.
    is_used: bool,
    /// Answers given that aren't counted yet.
    given: u32,
    /// The name and type asked for, the turns, the reason, the sections.
    octets: Box<[u8]>,
    question_len: u16,
    turns_len: u16,
    reason_len: u16,
}

impl Prepared {
    /// Whether it's true at `now`, when the registry is at `revision`: while that
    /// is the same, no view needs to be looked at.
    fn holds(&mut self, at: At) -> bool {
        if self.revision != at.revision {
            if self.is_of_all || !self.view.iter().chain(&self.views).all(Seen::stands) {
                return false;
            }
            self.revision = at.revision;
        }
        at.now < self.until
    }

    fn is_for(&self, question: &[u8], shortened: Option<Shortened>) -> bool {
        self.shortened == shortened && self.octets[..usize::from(self.question_len)] == *question
    }

    fn fits(&self, room: Room) -> bool {
        let body = self.body();
        let reason = if room.edns { body.reason.len() } else { 0 };
        room.base + reason + body.octets.len() <= room.space
    }

    fn body(&self) -> Body<'_> {
        let octets = &self.octets[self.question_len.into()..];
        let (turns, octets) = octets.split_at(self.turns_len.into());
        let (reason, octets) = octets.split_at(self.reason_len.into());
        Body {
            head: &self.head,
            octets,
            reason,
            turns: turns.as_chunks().0,
        }
    }

    /// Adds the answers given to the count of its service.
    fn settle(&mut self) {
        let given = std::mem::take(&mut self.given);
        if given != 0
            && let Some(view) = &self.view
        {
            view.count(given.into());
        }
    }

    /// Octets that keeping it takes.
    fn cost(&self) -> usize {
        size_of::<Self>() + INDEX_OCTETS + self.octets.len() + size_of_val(&*self.views)
    }
}

/// When an answer is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// The moment.
    pub now: Moment,
    /// The registry's revision, read before anything else of the registry.
    pub revision: u64,
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
    /// and has room.
    pub(super) fn find(&mut self, question: &[u8], room: Room, at: At) -> Option<Body<'_>> {
        if self.entries.is_empty() {
            return None;
        }
        let place = self
            .place(question, None, at)
            .filter(|place| self.entries[*place].fits(room))
            .or_else(|| self.shortened_place(question, room, at))?;
        // What is said for a reason takes room that a plain client's answer hasn't.
        let prepared = self.entries.get_mut(place).filter(|kept| kept.fits(room))?;
        prepared.is_used = true;
        prepared.given += 1;
        if prepared.given == 1 {
            self.uncounted.push(place as u32);
        }
        Some(self.entries[place].body())
    }

    fn shortened_place(&mut self, question: &[u8], room: Room, at: At) -> Option<usize> {
        if self.shortened == 0 {
            return None;
        }
        let space = saturated(room.space);
        let clients = [
            Clients::All,
            Clients::OfPart(room.class.part()),
            Clients::OfClass(room.class),
        ];
        clients
            .into_iter()
            .find_map(|clients| self.place(question, Some(Shortened { space, clients }), at))
    }

    /// Where the answer is, while it holds. One that doesn't stays where it is: the
    /// answer that takes its place is likely to be made next.
    fn place(&mut self, question: &[u8], shortened: Option<Shortened>, at: At) -> Option<usize> {
        let hash = self.hash(question, shortened);
        let place = *self.index.find(hash, |place| {
            let known = &self.entries[*place as usize];
            known.hash == hash && known.is_for(question, shortened)
        })? as usize;
        self.entries[place].holds(at).then_some(place)
    }

    fn hash(&self, question: &[u8], shortened: Option<Shortened>) -> u64 {
        match shortened {
            None => self.hasher.hash_one(question),
            Some(shortened) => self.hasher.hash_one((question, shortened)),
        }
    }

    /// Keeps an answer to a question that none was found for.
    /// The registry was at `revision`, or earlier, before it was made.
    pub(super) fn keep(
        &mut self,
        question: &[u8],
        room: Room,
        draft: &Draft,
        basis: Basis,
        revision: u64,
    ) {
        if self.limit == 0 {
            return;
        }
        let shortened = match draft.head.extent {
            _ if basis.is_of_class() => Some(Clients::OfClass(room.class)),
            Extent::Whole => None,
            Extent::Essential => Some(Clients::All),
            Extent::Cut => Some(Clients::OfPart(room.class.part())),
        }
        .map(|clients| Shortened {
            space: saturated(room.space),
            clients,
        });
        let turns = draft.turns.as_flattened();
        let hash = self.hash(question, shortened);
        let (until, is_of_all) = (basis.until(), basis.is_of_all());
        let mut views = basis.into_views().into_iter();
        let prepared = Prepared {
            hash,
            until,
            revision,
            view: views.next(),
            views: views.collect(),
            is_of_all,
            head: draft.head,
            shortened,
            is_used: false,
            given: 0,
            octets: [question, turns, &draft.reason, &draft.octets]
                .concat()
                .into(),
            // A question has at most 257 octets, a reason fewer; a record is longer
            // than its turn, and all of them have at most 65 535 octets.
            question_len: question.len() as u16,
            turns_len: turns.len() as u16,
            reason_len: draft.reason.len() as u16,
        };
        let cost = prepared.cost();
        if cost > self.limit / MAX_PART {
            return;
        }
        // One that doesn't hold any more may be there already, or a whole one that is
        // too long for this client, while the answer has become shorter since.
        let known = |place: &u32| {
            let known = &self.entries[*place as usize];
            known.hash == hash && known.is_for(question, shortened)
        };
        if let Some(place) = self.index.find(hash, known).copied() {
            let known = &mut self.entries[place as usize];
            let octets = self.octets - known.cost() + cost;
            if octets <= self.limit {
                self.octets = octets;
                known.settle();
                *known = prepared;
                return;
            }
            self.settle();
            self.remove(place as usize);
        }
        if self.octets + cost > self.limit {
            // Places are noted of what isn't counted, and change.
            self.settle();
            while self.octets + cost > self.limit {
                self.make_room();
            }
        }
        self.octets += cost;
        self.shortened += usize::from(shortened.is_some());
        let place = self.entries.len() as u32;
        self.entries.push(prepared);
        let entries = &self.entries;
        let rehash = |place: &u32| entries[*place as usize].hash;
        self.index.insert_unique(hash, place, rehash);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.settle();
        self.index.clear();
        self.entries.clear();
        (self.hand, self.shortened, self.octets) = (0, 0, 0);
    }

    /// Takes out the next entry that wasn't asked for since the hand came by, or the
    /// last of [`MAX_STEPS`] that were.
    fn make_room(&mut self) {
        for step in 1.. {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            // There's room for the largest entry when all are out.
            let Some(prepared) = self.entries.get_mut(self.hand) else {
                return;
            };
            if !prepared.is_used || step == MAX_STEPS {
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

    /// Whether enough answers aren't counted yet to be worth it.
    pub(super) fn is_unsettled(&self) -> bool {
        self.uncounted.len() >= MAX_UNCOUNTED
    }

    /// Adds the answers given to the counts of their services. To be called now
    /// and then, so that a busy service's count, which all workers share, is
    /// touched once for many answers.
    pub(super) fn settle(&mut self) {
        let view = |place: &u32| self.entries[*place as usize].view.as_ref();
        // Counting waits for memory; reading before waits for all of it at once.
        let read: u64 = self
            .uncounted
            .iter()
            .filter_map(view)
            .map(Seen::counted)
            .sum();
        std::hint::black_box(read);
        for place in self.uncounted.drain(..) {
            self.entries[place as usize].settle();
        }
    }

    /// Notes a question that will be asked after this one, for [`Cache::fetch`].
    pub(super) fn expect(&mut self, question: &[u8]) {
        if !self.entries.is_empty() {
            self.ahead.push(self.hash(question, None));
        }
    }

    /// Reads what answers to the questions expected will be read from. Looking one
    /// up, each read waits for the one before; here, the reads of many questions
    /// wait together, so that later none waits long. Nothing else comes of it.
    pub(super) fn fetch(&mut self) {
        for ahead in &mut self.ahead {
            // The hash is compared later; by then this is the entry, all but always.
            let place = self.index.find(*ahead, |_| true);
            *ahead = place.map_or(u64::MAX, |place| (*place).into());
        }
        let entry = |place: &u64| self.entries.get(usize::try_from(*place).ok()?);
        let entries = || self.ahead.iter().filter_map(entry);
        let heads =
            entries().map(|entry| entry.hash ^ u64::from(entry.given) ^ entry.head.flags as u64);
        std::hint::black_box(heads.fold(0, |all, one| all ^ one));
        let lines = |entry: &Prepared| {
            let lines = entry.octets.iter().step_by(LINE).take(LINES_AHEAD);
            lines.fold(0, |all, one| all ^ one)
        };
        std::hint::black_box(entries().map(lines).fold(0, |all, one| all ^ one));
        self.ahead.clear();
    }
}

/// A space as it's kept; more than any message has is all the same.
fn saturated(space: usize) -> u16 {
    u16::try_from(space).unwrap_or(u16::MAX)
}
