//! The one thread that owns the table: apply, publish, reply.
//!
//! It takes whatever commands wait as one batch, applies each, publishes the
//! views of the services they touched, and only then replies to all. So a reply
//! means that the next query sees the change, and a busy registry publishes a
//! service once a batch, however many of its instances changed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::CollisionTest;
use super::condition::Condition;
use super::directory::Directory;
use super::feed::{Feed, Verdict};
use super::instance::Instance;
use super::table::{Changed, RegisterError, Registered, Setting, SettingError, Table};
use super::view::{Entry, Member, Report};
use crate::name::{InstanceId, ServiceName};
use crate::telemetry::Instruments;
use crate::time::{Clock, Moment};

/// Commands that may wait. When so many do, callers wait for a place.
pub(super) const QUEUE: usize = 1024;

/// Most commands of one batch, so that the first reply isn't held up without end.
const BATCH: usize = 1024;

/// Longest time between two looks at the leases.
const TICK: Duration = Duration::from_millis(250);

/// Most expiries of one look that are logged one by one.
const LOGGED: usize = 10;

/// A change to the table, and where its result goes.
pub(super) enum Command {
    /// Register these, replacing known ids or refusing them.
    Register {
        instances: Vec<Instance>,
        replace: bool,
        reply: oneshot::Sender<Vec<Result<Registered, RegisterError>>>,
    },
    /// Take an instance out.
    Deregister {
        id: InstanceId,
        reply: oneshot::Sender<Option<Moment>>,
    },
    /// Withdraw an instance for an operator.
    Drain {
        id: InstanceId,
        reply: oneshot::Sender<Option<Moment>>,
    },
    /// End that.
    Resume {
        id: InstanceId,
        reply: oneshot::Sender<Option<Member>>,
    },
    /// Checks changed their minds.
    SetHealth {
        verdicts: Vec<Verdict>,
        reply: oneshot::Sender<bool>,
    },
    /// An instance says something new of itself.
    SetReport {
        entry: Arc<Entry>,
        report: Report,
        reply: oneshot::Sender<bool>,
    },
    /// A host name's addresses are known or have changed.
    SetAddresses {
        entry: Arc<Entry>,
        addresses: Arc<[IpAddr]>,
        reply: oneshot::Sender<bool>,
    },
    /// An operator sets something of a service, or takes it back.
    ChangeSetting {
        service: ServiceName,
        setting: Setting,
        condition: Condition,
        reply: oneshot::Sender<Result<Changed, SettingError>>,
    },
    /// Something to be done between two states.
    Exclusively {
        work: Box<dyn FnOnce(&Directory) + Send>,
        reply: oneshot::Sender<bool>,
    },
}

/// A result that waits for its publication.
enum Reply {
    Registered(
        oneshot::Sender<Vec<Result<Registered, RegisterError>>>,
        Vec<Result<Registered, RegisterError>>,
    ),
    Drained(oneshot::Sender<Option<Moment>>, Option<Moment>),
    Resumed(oneshot::Sender<Option<Member>>, Option<Member>),
    Changed(
        oneshot::Sender<Result<Changed, SettingError>>,
        Result<Changed, SettingError>,
    ),
    Noted(oneshot::Sender<bool>, bool),
}

impl Reply {
    /// Sends the result. Whoever has stopped waiting for it doesn't get it.
    fn send(self) {
        match self {
            Self::Registered(to, result) => drop(to.send(result)),
            Self::Drained(to, result) => drop(to.send(result)),
            Self::Resumed(to, result) => drop(to.send(result)),
            Self::Changed(to, result) => drop(to.send(result)),
            Self::Noted(to, result) => drop(to.send(result)),
        }
    }
}

/// The table's owner.
pub(super) struct Writer {
    pub(super) table: Table,
    pub(super) directory: Arc<Directory>,
    pub(super) feed: Arc<Feed>,
    pub(super) instruments: Arc<Instruments>,
    pub(super) collides: CollisionTest,
    pub(super) clock: Clock,
    pub(super) revision: u64,
}

impl Writer {
    /// Runs until every handle of the registry is gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        let mut replies = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                taken = queue.recv_many(&mut commands, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                }
                _ = tick.tick() => {}
            }
            for command in commands.drain(..) {
                let now = self.clock.now();
                replies.push(self.apply(command, now));
            }
            self.expire();
            self.publish();
            replies.drain(..).for_each(Reply::send);
        }
    }

    fn apply(&mut self, command: Command, now: Moment) -> Reply {
        match command {
            Command::Register {
                instances,
                replace,
                reply,
            } => {
                let results = instances
                    .into_iter()
                    .map(|instance| self.register(instance, replace, now))
                    .collect();
                Reply::Registered(reply, results)
            }
            Command::Deregister { id, reply } => {
                let drained_at = self.table.deregister(&id, now);
                if drained_at.is_some() {
                    self.directory.strike(&id);
                    self.feed.ended(id);
                    self.instruments.deregistered();
                }
                Reply::Drained(reply, drained_at)
            }
            Command::Drain { id, reply } => Reply::Drained(reply, self.table.drain(&id, now)),
            Command::Resume { id, reply } => Reply::Resumed(reply, self.table.resume(&id, now)),
            Command::SetHealth { verdicts, reply } => {
                let mut all = true;
                for verdict in verdicts {
                    let Verdict {
                        entry,
                        health,
                        output,
                    } = verdict;
                    all &= self.table.set_health(&entry, health, output);
                }
                Reply::Noted(reply, all)
            }
            Command::SetReport {
                entry,
                report,
                reply,
            } => Reply::Noted(reply, self.table.set_report(&entry, report)),
            Command::SetAddresses {
                entry,
                addresses,
                reply,
            } => Reply::Noted(reply, self.table.set_addresses(&entry, addresses)),
            Command::ChangeSetting {
                service,
                setting,
                condition,
                reply,
            } => {
                let next = self.revision + 1;
                let result = self
                    .table
                    .change_setting(&service, setting, &condition, next, now);
                Reply::Changed(reply, result)
            }
            Command::Exclusively { work, reply } => {
                self.publish();
                work(&self.directory);
                Reply::Noted(reply, true)
            }
        }
    }

    fn register(
        &mut self,
        instance: Instance,
        replace: bool,
        now: Moment,
    ) -> Result<Registered, RegisterError> {
        // Here, so that static names and registered ones can't cross.
        if let Some(name) = (self.collides)(&instance) {
            return Err(RegisterError::Collides(name));
        }
        let registered = self.table.register(instance, replace, now)?;
        let entry = registered.member.entry.clone();
        self.directory.enter(entry.clone());
        self.feed.began(entry, registered.member.health);
        Ok(registered)
    }

    fn expire(&mut self) {
        let expired = self.table.expire(self.clock.now());
        if expired.is_empty() {
            return;
        }
        self.instruments.expired(expired.len() as u64);
        if expired.len() > LOGGED {
            tracing::info!(instances = expired.len(), "leases ended");
        }
        for (nth, entry) in expired.iter().enumerate() {
            let instance = &entry.instance;
            if nth < LOGGED {
                tracing::info!(id = %instance.id, service = %instance.service, "lease ended");
            }
            // One that registered again in the same batch is there already.
            let current = self.directory.entry(instance.id.as_str());
            if current.is_some_and(|current| current.generation == entry.generation) {
                self.directory.strike(&instance.id);
                self.feed.ended(instance.id.clone());
            }
        }
    }

    fn publish(&mut self) {
        if !self.table.is_touched() {
            return;
        }
        // No setting is newer than the state that shows it.
        self.revision = self.table.newest_setting().max(self.revision + 1);
        self.directory
            .publish(self.revision, self.table.changes(self.revision));
        let (registered, listed) = self.table.counts();
        self.directory.count(registered, listed);
        self.instruments.published();
        self.instruments
            .set_instances(listed as u64, (registered - listed) as u64);
        self.instruments
            .set_services(self.directory.service_count() as u64);
    }
}
