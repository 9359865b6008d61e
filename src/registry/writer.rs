//! The one thread that owns the table: apply, write, publish, reply.
//!
//! It takes whatever commands wait as one batch, applies each, has them written to
//! disk with one sync, publishes the views of the services they touched, and only
//! then replies to all. So a reply means that the change is durable and that the next
//! query sees it, and a busy registry syncs and publishes once a batch.
//!
//! When the disk refuses a batch, it's undone and its commands are refused, and so are
//! others until the disk can be written to again; what checks find out goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::batch::{BATCH, Batch, Effect, gather, tell};
use super::check::Health;
use super::command::{Command, Note, Outcome, Reply};
use super::directory::{Change, Directory};
use super::feed::Feed;
use super::history::History;
use super::instance::Instance;
use super::keeper::Keeper;
use super::log::record::Known;
use super::log::{LoadError, StateDir};
use super::objections::Objections;
use super::storage::{Storage, Unavailable};
use super::table::{GuardEvent, RegisterError, Registered, Table};
use crate::name::{InstanceId, ServiceName};
use crate::telemetry::Instruments;
use crate::time::{Clock, Moment};

/// Commands that may wait. When so many do, callers wait for a place.
pub(super) const QUEUE: usize = 1024;

/// Longest time between two looks at the leases.
const TICK: Duration = Duration::from_millis(250);

/// Most expiries of one look that are logged one by one.
const LOGGED: usize = 10;

/// Time between two tries to write what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// The table's owner.
pub(super) struct Writer {
    pub(super) table: Table,
    pub(super) directory: Arc<Directory>,
    pub(super) feed: Arc<Feed>,
    pub(super) instruments: Arc<Instruments>,
    pub(super) objections: Objections,
    pub(super) clock: Clock,
    pub(super) revision: u64,
    pub(super) storage: Arc<Storage>,
    pub(super) history: Arc<History>,
    pub(super) disk: Option<Keeper>,
    /// Where those wait who send commands.
    pub(super) callers: Option<Handle>,
}

impl Writer {
    /// Loads what is on disk, and runs until every handle of the registry is gone.
    pub(super) async fn run(mut self, state: Option<StateDir>, mut queue: mpsc::Receiver<Command>) {
        if let Some(state) = state
            && let Err(error) = self.load(state)
        {
            // Whoever waits is told that the registry has stopped.
            self.storage.failed_to_load(error);
            return;
        }
        self.directory.set_loaded();
        self.storage.loaded();
        let mut commands = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            let ticks = tokio::select! {
                taken = queue.recv_many(&mut commands, BATCH) => {
                    if taken == 0 {
                        break None;
                    }
                    false
                }
                _ = tick.tick() => true,
            };
            gather(&mut queue, &mut commands);
            let mut batch = Batch::default();
            let mut end = None;
            for command in commands.drain(..) {
                match command {
                    Command::Exclusively { work, reply } => {
                        // All that came before has to be seen.
                        self.settle(std::mem::take(&mut batch));
                        work(&self.directory);
                        // Nobody may be waiting any more.
                        let _ = reply.send(true);
                    }
                    Command::Rekey { keys, reply } => {
                        self.settle(std::mem::take(&mut batch));
                        let keeper = self.disk.as_mut();
                        let _ = reply.send(keeper.is_some_and(|keeper| keeper.rekey(keys)));
                    }
                    Command::End { reply } => end = Some(reply),
                    // It came too late to be waited for.
                    _ if end.is_some() => {}
                    command => self.apply(command, &mut batch),
                }
            }
            self.settle(batch);
            if end.is_some() {
                break end;
            }
            if ticks {
                self.report_guard();
                self.keep_up();
            }
        };
        self.keep_up();
        if let Some(keeper) = self.disk.take() {
            keeper.end(self.revision);
        }
        if let Some(reply) = ended {
            // Nobody may be waiting any more.
            let _ = reply.send(true);
        }
    }

    /// Takes in what is on disk, and shows it.
    fn load(&mut self, state: StateDir) -> Result<(), LoadError> {
        let path = state.path().to_owned();
        let (table, collides, mut ceiling) = (&mut self.table, &self.objections.collides, 0);
        let amend = |known: Known| match known {
            // A static name has come in its way while the server was down.
            Known::Registered(known) if let Some(name) = collides(&known.instance) => {
                let (id, service) = (&known.instance.id, &known.instance.service);
                tracing::warn!(%id, %service, "left out: the name {name} is static in the discovery zone now");
                Known::Gone(id.clone(), false)
            }
            known => known,
        };
        let (log, summary) = state.load(&self.clock, &amend, |known| {
            ceiling = table.take_in(known).unwrap_or(ceiling);
        })?;
        if summary.torn != 0 {
            let octets = summary.torn;
            tracing::warn!(
                octets,
                "the end of the log wasn't written whole, and is cut: nobody was told that it's durable"
            );
        }
        self.revision = self.revision.max(ceiling);
        let (instances, _) = self.table.counts();
        let entries = self.table.begin(self.clock.now());
        for entry in &entries {
            let instance = &entry.instance;
            if instance.is_watched() {
                let health = self
                    .table
                    .registered(&instance.id)
                    .map(|member| member.health);
                self.feed
                    .began(entry.clone(), health.unwrap_or(Health::Starting));
            }
        }
        self.disk = Some(Keeper::new(log, ceiling));
        self.revision = self.table.newest_setting().max(self.revision + 1);
        // So that the next start is behind it, whatever is changed or not until then.
        // What the disk refuses is told, and tried again; lookups don't wait for it.
        let _ = self.write();
        let views = self.table.changes(self.revision);
        self.directory.publish_first(self.revision, views, entries);
        self.history.begin(self.revision);
        self.count();
        tracing::info!(instances, records = summary.records, dir = %path.display(), "the state is loaded");
        Ok(())
    }

    /// Applies a command to the table.
    fn apply(&mut self, command: Command, batch: &mut Batch) {
        let command = match self.storage.refusal() {
            Some(why) => match command.refuse(&why) {
                Some(command) => command,
                None => return,
            },
            None => command,
        };
        let now = self.clock.now();
        // What an instance says of itself it's told that it was heard.
        batch.must_write |= !matches!(
            command,
            Command::Note {
                note: Note::Health(_) | Note::Addresses(_),
                ..
            }
        );
        let reply = match command {
            Command::Register {
                instances,
                replace,
                reply,
            } => {
                let results = instances
                    .into_iter()
                    .map(|instance| self.register(instance, replace, now, batch))
                    .collect();
                Reply::Registered(reply, results)
            }
            Command::Deregister { id, reply } => {
                let drained_at = self.table.deregister(&id, now);
                if drained_at.is_some() {
                    batch.effects.push(Effect::Deregistered(id));
                }
                Reply::Drained(reply, drained_at)
            }
            Command::Drain { id, reply } => Reply::Drained(reply, self.table.drain(&id, now)),
            Command::Resume { id, reply } => Reply::Resumed(reply, self.table.resume(&id, now)),
            Command::Note { note, reply } => {
                let noted = self.note(&note);
                batch.notes.push(note);
                Reply::Noted(reply, noted)
            }
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
            Command::Rekey { reply, .. }
            | Command::End { reply }
            | Command::Exclusively { reply, .. } => Reply::Noted(reply, false),
        };
        batch.replies.push(reply);
    }

    fn register(
        &mut self,
        instance: Instance,
        replace: bool,
        now: Moment,
        batch: &mut Batch,
    ) -> Result<Registered, RegisterError> {
        // Here, so that static names and registered ones can't cross.
        self.objections.test(&instance, &self.table)?;
        let registered = self.table.register(instance, replace, now)?;
        let member = &registered.member;
        batch
            .effects
            .push(Effect::Began(member.entry.clone(), member.health));
        Ok(registered)
    }

    /// Takes a note; `false` when a registration that it's about is gone.
    fn note(&mut self, note: &Note) -> bool {
        match note {
            Note::Health(verdicts) => verdicts.iter().fold(true, |all, verdict| {
                let (entry, output) = (&verdict.entry, verdict.output.clone());
                self.table.set_health(entry, verdict.health, output) && all
            }),
            Note::Report(entry, report) => self.table.set_report(entry, report.clone()),
            Note::Addresses(located) => located.iter().fold(true, |all, located| {
                let addresses = located.addresses.clone();
                self.table.set_addresses(&located.entry, addresses) && all
            }),
        }
    }

    /// Has a batch written, shows what came of it, and replies. What can't be written
    /// is undone.
    fn settle(&mut self, batch: Batch) {
        let Batch {
            replies,
            effects,
            notes,
            must_write,
        } = batch;
        let written = match must_write {
            true => self.write(),
            false => Ok(()),
        };
        if written.is_err() {
            self.table.undo();
            for note in &notes {
                self.note(note);
            }
        } else {
            effects.into_iter().for_each(|effect| self.show(effect));
        }
        self.table.accept();
        self.expire();
        self.table.accept();
        self.publish();
        tell(replies, written.err(), self.callers.as_ref());
    }

    /// Writes what changed since it was last written.
    fn write(&mut self) -> Outcome<()> {
        let Some(keeper) = &mut self.disk else {
            return Ok(());
        };
        match keeper.write(&self.table, self.revision, &self.clock) {
            Ok(wrote) => {
                self.table.written();
                if wrote {
                    self.instruments.state_written(true);
                }
                if self.storage.recovered() {
                    tracing::info!("the state is written to disk again");
                }
                Ok(())
            }
            Err(error) => {
                let now = self.clock.now();
                if self.storage.failed(&error, now, now.after(RETRY)) {
                    tracing::error!("the state can't be written, so changes are refused: {error}");
                }
                self.instruments.state_written(false);
                Err(Unavailable::Storage(error.to_string().into()))
            }
        }
    }

    /// What is done now and then: writing what nobody waits for, trying again what the
    /// disk refused, and snapshots.
    fn keep_up(&mut self) {
        let Some(keeper) = &mut self.disk else {
            return;
        };
        let now = self.clock.now();
        let due = match self.storage.retry_at() {
            Some(retry_at) => retry_at <= now,
            None => self.table.is_unwritten() || keeper.wants_ceiling(self.revision),
        };
        if due {
            // What can't be written stays noted, and what it says stays true.
            let _ = self.write();
        }
        if let Some(keeper) = &mut self.disk
            && self.storage.refusal().is_none()
        {
            keeper.keep_snapshots(&self.table, &self.directory, &self.clock);
        }
    }

    /// Shows others what a command did.
    fn show(&mut self, effect: Effect) {
        match effect {
            Effect::Began(entry, health) => {
                let former = self.directory.enter(entry.clone());
                // Whoever checks instances isn't woken for what needs no check.
                if entry.instance.is_watched() || former.is_some_and(|it| it.instance.is_watched())
                {
                    self.feed.began(entry, health);
                }
            }
            Effect::Deregistered(id) => {
                self.strike(id);
                self.instruments.deregistered();
            }
        }
    }

    /// Has nobody find a registration any more.
    fn strike(&mut self, id: InstanceId) {
        let former = self.directory.strike(&id);
        if former.is_some_and(|it| it.instance.is_watched()) {
            self.feed.ended(id);
        }
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
                self.strike(instance.id.clone());
            }
        }
    }

    /// Says what the guard began and ended.
    fn report_guard(&mut self) {
        for event in self.table.guard_events() {
            match event {
                GuardEvent::Began { service, until } => {
                    let until = self.clock.wall(until);
                    tracing::warn!(%service, %until, "so many leases run out together that they're held: is something between the instances and this server?");
                }
                GuardEvent::Ended {
                    service,
                    returned,
                    lost,
                } => tracing::info!(%service, returned, lost, "leases are held no more"),
            }
        }
        self.instruments.set_held(self.table.held() as u64);
        self.instruments
            .set_watchers(self.history.watchers() as u64);
    }

    fn publish(&mut self) {
        if !self.table.is_touched() {
            return;
        }
        // No setting is newer than the state that shows it.
        self.revision = self.table.newest_setting().max(self.revision + 1);
        let changes = self.table.changes(self.revision);
        let services: Vec<ServiceName> = changes.iter().map(Change::service).cloned().collect();
        self.directory.publish(self.revision, changes);
        self.history.note(self.revision, &services);
        self.count();
    }

    /// Says how much there is.
    fn count(&self) {
        let (registered, listed) = self.table.counts();
        self.directory.count(registered, listed);
        self.instruments.published();
        self.instruments
            .set_instances(listed as u64, (registered - listed) as u64);
        self.instruments
            .set_services(self.directory.service_count() as u64);
    }
}
