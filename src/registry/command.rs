//! What the registry's writer is told, and what it answers.
//!
//! A command changes what is durable and may be refused; a note tells what was found
//! out, and can't.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::condition::Condition;
use super::directory::Directory;
use super::feed::{Located, Verdict};
use super::instance::Instance;
use super::log::Keys;
use super::storage::Unavailable;
use super::table::{Changed, RegisterError, Registered, Setting, SettingError};
use super::view::{Entry, Member, Report};
use crate::name::{InstanceId, ServiceName};
use crate::time::Moment;

/// What a command came to, or why it wasn't done.
pub(super) type Outcome<T> = Result<T, Unavailable>;

/// A change to the table, and where its result goes.
pub(super) enum Command {
    /// Register these, replacing known ids or refusing them.
    Register {
        instances: Vec<Instance>,
        replace: bool,
        reply: oneshot::Sender<Outcome<Registrations>>,
    },
    /// Take an instance out.
    Deregister {
        id: InstanceId,
        reply: oneshot::Sender<Outcome<Option<Moment>>>,
    },
    /// Withdraw an instance for an operator.
    Drain {
        id: InstanceId,
        reply: oneshot::Sender<Outcome<Option<Moment>>>,
    },
    /// End that.
    Resume {
        id: InstanceId,
        reply: oneshot::Sender<Outcome<Option<Member>>>,
    },
    /// An operator sets something of a service, or takes it back.
    ChangeSetting {
        service: ServiceName,
        setting: Setting,
        condition: Condition,
        reply: oneshot::Sender<Outcome<Result<Changed, SettingError>>>,
    },
    /// Something was found out. Nobody is told that this is durable.
    Note {
        note: Note,
        reply: oneshot::Sender<bool>,
    },
    /// What is written from now on is sealed with other keys; the reply says whether
    /// they are others.
    Rekey {
        keys: Keys,
        reply: oneshot::Sender<bool>,
    },
    /// Write what isn't written, and end.
    End { reply: oneshot::Sender<bool> },
    /// Something to be done between two states.
    Exclusively {
        work: Box<dyn FnOnce(&Directory) + Send>,
        reply: oneshot::Sender<bool>,
    },
}

/// A result for each of the instances of a command.
pub(super) type Registrations = Vec<Result<Registered, RegisterError>>;

/// What was found out about registrations.
#[derive(Clone)]
pub(super) enum Note {
    /// Checks changed their minds.
    Health(Vec<Verdict>),
    /// An instance says something new of itself.
    Report(Arc<Entry>, Report),
    /// Host names' addresses are known or have changed.
    Addresses(Vec<Located>),
}

impl Command {
    /// Sends word that it isn't done, unless it's one that nobody wants durable.
    pub(super) fn refuse(self, why: &Unavailable) -> Option<Self> {
        match self {
            Self::Register { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Deregister { reply, .. } | Self::Drain { reply, .. } => {
                drop(reply.send(Err(why.clone())));
            }
            Self::Resume { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::ChangeSetting { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Note { .. }
            | Self::Rekey { .. }
            | Self::End { .. }
            | Self::Exclusively { .. } => return Some(self),
        }
        None
    }
}

/// A result that waits until it's on disk and published.
pub(super) enum Reply {
    Registered(oneshot::Sender<Outcome<Registrations>>, Registrations),
    Drained(oneshot::Sender<Outcome<Option<Moment>>>, Option<Moment>),
    Resumed(oneshot::Sender<Outcome<Option<Member>>>, Option<Member>),
    Changed(
        oneshot::Sender<Outcome<Result<Changed, SettingError>>>,
        Result<Changed, SettingError>,
    ),
    Noted(oneshot::Sender<bool>, bool),
}

impl Reply {
    /// Sends the result. Whoever has stopped waiting for it doesn't get it.
    pub(super) fn send(self) {
        match self {
            Self::Registered(to, result) => drop(to.send(Ok(result))),
            Self::Drained(to, result) => drop(to.send(Ok(result))),
            Self::Resumed(to, result) => drop(to.send(Ok(result))),
            Self::Changed(to, result) => drop(to.send(Ok(result))),
            Self::Noted(to, result) => drop(to.send(result)),
        }
    }

    /// Sends word that it wasn't done.
    pub(super) fn refuse(self, why: &Unavailable) {
        match self {
            Self::Registered(to, _) => drop(to.send(Err(why.clone()))),
            Self::Drained(to, _) => drop(to.send(Err(why.clone()))),
            Self::Resumed(to, _) => drop(to.send(Err(why.clone()))),
            Self::Changed(to, _) => drop(to.send(Err(why.clone()))),
            Self::Noted(to, result) => drop(to.send(result)),
        }
    }
}
