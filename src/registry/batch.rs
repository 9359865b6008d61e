//! Commands that the writer takes together, and how their callers hear of it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::check::Health;
use super::command::{Command, Note, Reply};
use super::storage::Unavailable;
use super::view::Entry;
use crate::name::InstanceId;

/// Most commands of one batch, so that the first reply isn't held up without end.
pub(super) const BATCH: usize = 1024;

/// What others are to see of a command once it stands.
pub(super) enum Effect {
    /// A registration began.
    Began(Arc<Entry>, Health),
    /// An instance left.
    Deregistered(InstanceId),
}

/// Commands that are applied and not yet on disk.
#[derive(Default)]
pub(super) struct Batch {
    /// Results, once they stand.
    pub(super) replies: Vec<Reply>,
    /// What is shown then.
    pub(super) effects: Vec<Effect>,
    /// To be done again if the rest is undone.
    pub(super) notes: Vec<Note>,
    /// Whether somebody waits for it to be durable.
    pub(super) must_write: bool,
}

/// Takes what more is sent while others get to run, until nothing is: a sync and a
/// publish cost about the same for few commands as for many.
///
/// On a machine with little to do that's one look; where callers share a processor with
/// the writer, it has those whose requests are there send their commands first.
pub(super) fn gather(queue: &mut mpsc::Receiver<Command>, commands: &mut Vec<Command>) {
    let mut before = 0;
    while before < commands.len() && commands.len() < BATCH {
        before = commands.len();
        std::thread::yield_now();
        let more = std::iter::from_fn(|| queue.try_recv().ok());
        commands.extend(more.take(BATCH - before));
    }
}

/// Tells callers what came of their commands.
///
/// From the runtime that they wait in, if that is known: one wake-up takes the whole
/// batch there, in place of one for each. A batch has one such task, which never waits.
pub(super) fn tell(replies: Vec<Reply>, refusal: Option<Unavailable>, callers: Option<&Handle>) {
    let untold = Untold(replies, refusal);
    if let Some(callers) = callers.filter(|_| untold.0.len() > 1) {
        callers.spawn(async move { drop(untold) });
    }
}

/// Replies that are sent when this is dropped: by the task that was to do so, or with it.
struct Untold(Vec<Reply>, Option<Unavailable>);

impl Drop for Untold {
    fn drop(&mut self) {
        for reply in self.0.drain(..) {
            match &self.1 {
                None => reply.send(),
                Some(why) => reply.refuse(why),
            }
        }
    }
}
