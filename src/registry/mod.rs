//! The registry: who is registered, and what of it is listed.
//!
//! ```text
//! command ─▶ queue ─▶ writer: table.apply ─▶ log.append ─▶ directory.publish ─▶ reply
//!                                  │                             ▲
//!                              feed ─▶ checks                    └── readers: one load
//! heartbeat ─▶ directory ─▶ lease: one atomic store
//! ```
//!
//! [`Registry`] is the handle: every command and every read goes through it.
//! One writer thread owns the [`table`]; readers take immutable [`view`]s from
//! the [`directory`] and never wait for it. Whatever a command changed is on disk
//! and visible to the next query when the command returns.
//!
//! With a [`StateDir`] the [`log`] brings everything back after a restart, with a
//! whole new term for every lease; without one a restart begins empty.
//!
//! Nothing here knows DNS or HTTP.

mod batch;
pub mod check;
mod command;
pub mod condition;
pub mod directory;
mod expiry;
pub mod feed;
pub mod groups;
pub mod guard;
pub mod history;
pub mod index;
pub mod instance;
mod keeper;
pub mod lease;
pub mod log;
pub mod objections;
pub mod policy;
pub mod probes;
pub mod registration;
pub mod resolution;
pub mod state;
pub mod storage;
pub mod table;
pub mod view;
mod writer;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

use self::command::{Command, Note, Outcome};
use self::condition::Condition;
use self::directory::Directory;
use self::feed::{Feed, Located, Verdict};
use self::history::History;
use self::instance::Instance;
use self::lease::LeaseEnded;
use self::log::{Keys, StateDir};
use self::objections::{CollisionTest, Objections};
use self::policy::Policy;
use self::storage::{Storage, Unavailable};
use self::table::{Changed, RegisterError, Registered, Setting, SettingError, Table, TableConfig};
use self::view::{Entry, Member, Report};
use self::writer::{QUEUE, Writer};
use crate::name::{InstanceId, Label, ServiceName};
use crate::telemetry::Instruments;
use crate::time::{Clock, Moment, TimeOfDay};

/// The handle of the registry; cheap to clone. The writer ends with the last one.
#[derive(Clone)]
pub struct Registry {
    commands: mpsc::Sender<Command>,
    directory: Arc<Directory>,
    feed: Arc<Feed>,
    storage: Arc<Storage>,
    history: Arc<History>,
    clock: Clock,
}

impl Registry {
    /// Starts the writer with an empty table, of which nothing is kept.
    ///
    /// # Errors
    ///
    /// The system has no thread or no timer to give.
    pub fn start(
        config: TableConfig,
        collides: CollisionTest,
        instruments: Arc<Instruments>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        Self::start_with(config, None, &[], collides.into(), instruments, clock)
    }

    /// Starts the writer, which loads what is in `state` and keeps everything there.
    /// Until that is [loaded](Storage::is_loaded) nothing is answered. Addresses in
    /// `networks` are indexed.
    ///
    /// # Errors
    ///
    /// The system has no thread or no timer to give.
    pub fn start_with(
        config: TableConfig,
        state: Option<StateDir>,
        networks: &[RangeInclusive<IpAddr>],
        objections: Objections,
        instruments: Arc<Instruments>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        // Unix time, so that a restart without a state moves the SOA serial forward as
        // long as states are published less than once a second on average.
        let revision = u64::try_from(clock.wall(clock.now()).timestamp()).unwrap_or(0);
        let directory = Arc::new(Directory::starting_at(revision));
        // Before anything is registered, so that no address is missed.
        if !networks.is_empty() {
            directory.index_addresses(networks.into());
        }
        if state.is_none() {
            directory.set_loaded();
        }
        let feed = Arc::new(Feed::default());
        let storage = Arc::new(Storage::default());
        let history = Arc::new(History::default());
        history.begin(revision);
        let (commands, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            table: Table::new(config),
            directory: directory.clone(),
            feed: feed.clone(),
            instruments,
            objections,
            clock,
            revision,
            storage: storage.clone(),
            history: history.clone(),
            disk: None,
            callers: tokio::runtime::Handle::try_current().ok(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || runtime.block_on(writer.run(state, queue)))?;
        Ok(Self {
            commands,
            directory,
            feed,
            storage,
            history,
            clock,
        })
    }

    /// What changed lately, and who waits for more.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// How the state on disk fares.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// Has the writer write what isn't on disk yet, and end. What is asked of it after
    /// that is refused. Until the state is loaded there's nothing to write.
    pub async fn end(&self) {
        if !self.directory.is_loaded() {
            return;
        }
        // It may have ended already.
        let _ = self.send(|reply| Command::End { reply }).await;
    }

    /// Waits until the writer has ended, which it does by itself only when it fails.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// What readers see.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What began and ended, for those who check instances.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The moment it is now, on the clock of this registry's leases.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The time of day of a moment.
    pub fn wall(&self, moment: Moment) -> DateTime<Utc> {
        self.clock.wall(moment)
    }

    /// The time of day of any moment.
    pub fn time_of_day(&self) -> TimeOfDay {
        self.clock.time_of_day()
    }

    /// Registers instances, with a result each in their order. With `replace` a
    /// known id is registered anew, without it refused.
    pub async fn register(
        &self,
        instances: Vec<Instance>,
        replace: bool,
    ) -> Outcome<Vec<Result<Registered, RegisterError>>> {
        self.change(|reply| Command::Register {
            instances,
            replace,
            reply,
        })
        .await
    }

    /// Runs `work` while nothing is registered or changed: all that was before is
    /// published, and nothing that comes after is looked at yet.
    pub async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (send, result) = oneshot::channel();
        let work = move |directory: &Directory| drop(send.send(work(directory)));
        self.send(|reply| Command::Exclusively {
            work: Box::new(work),
            reply,
        })
        .await?;
        result.await.map_err(|_| Stopped)
    }

    /// Renews the lease of an instance and gives back the registration that has
    /// it; an error means that the instance must register again.
    pub fn heartbeat(&self, id: &str) -> Result<Arc<Entry>, LeaseEnded> {
        self.heartbeat_at(id, self.now())
    }

    /// Renews the leases of many instances, and gives back those of `ids` that must
    /// register again, in their order.
    pub fn heartbeats<I: AsRef<str>>(&self, ids: impl IntoIterator<Item = I>) -> Vec<I> {
        // One look at the clock for all: what comes in one call was sent at one time.
        let now = self.now();
        let is_unknown = |id: &I| {
            let id = id.as_ref();
            !self.directory.renew(id, now) && self.heartbeat_at(id, now).is_err()
        };
        ids.into_iter().filter(is_unknown).collect()
    }

    fn heartbeat_at(&self, id: &str, now: Moment) -> Result<Arc<Entry>, LeaseEnded> {
        let mut entry = self.directory.entry(id).ok_or(LeaseEnded)?;
        while entry.lease.renew(now).is_err() {
            // It may have been replaced between the look-up and the renewal.
            let current = self.directory.entry(id).ok_or(LeaseEnded)?;
            if current.generation == entry.generation {
                return Err(LeaseEnded);
            }
            entry = current;
        }
        Ok(entry)
    }

    /// Seals what is written from now on with the newest of `keys`, and soon all that
    /// was; `false` when that's so already, or when nothing is kept.
    pub async fn rekey(&self, keys: Keys) -> Result<bool, Stopped> {
        self.send(|reply| Command::Rekey { keys, reply }).await
    }

    /// Deregisters an instance; `None` when it's unknown.
    pub async fn deregister(&self, id: InstanceId) -> Outcome<Option<Moment>> {
        self.change(|reply| Command::Deregister { id, reply }).await
    }

    /// Withdraws an instance for an operator; `None` when it's unknown.
    pub async fn drain(&self, id: InstanceId) -> Outcome<Option<Moment>> {
        self.change(|reply| Command::Drain { id, reply }).await
    }

    /// Ends a drain; `None` when the instance is unknown.
    pub async fn resume(&self, id: InstanceId) -> Outcome<Option<Member>> {
        self.change(|reply| Command::Resume { id, reply }).await
    }

    /// Sets a service's policy for an operator, or takes it back, if that meets
    /// `condition`.
    pub async fn set_policy(
        &self,
        service: ServiceName,
        policy: Option<Policy>,
        condition: Condition,
    ) -> Outcome<Result<Changed, SettingError>> {
        self.change_setting(service, Setting::Policy(policy), condition)
            .await
    }

    /// Sets a configuration value of a service likewise.
    pub async fn set_config_value(
        &self,
        service: ServiceName,
        key: Label,
        value: Option<Box<str>>,
        condition: Condition,
    ) -> Outcome<Result<Changed, SettingError>> {
        self.change_setting(service, Setting::Value(key, value), condition)
            .await
    }

    async fn change_setting(
        &self,
        service: ServiceName,
        setting: Setting,
        condition: Condition,
    ) -> Outcome<Result<Changed, SettingError>> {
        self.change(|reply| Command::ChangeSetting {
            service,
            setting,
            condition,
            reply,
        })
        .await
    }

    /// Notes what checks say; `false` when a registration is gone.
    pub async fn set_health(&self, verdicts: Vec<Verdict>) -> Result<bool, Stopped> {
        self.note(Note::Health(verdicts)).await
    }

    /// Notes what an instance says of itself, if that is new; the registration
    /// is the one whose lease it renewed.
    pub async fn set_report(&self, entry: Arc<Entry>, report: Report) -> Result<(), Stopped> {
        let known = self.directory.member(entry.instance.id.as_str());
        if known.is_some_and(|known| known.report.as_ref() == Some(&report)) {
            return Ok(());
        }
        // One that is replaced meanwhile begins without a report.
        self.note(Note::Report(entry, report)).await.map(|_| ())
    }

    /// Notes the addresses of registrations' host names; `false` when one of them is gone.
    pub async fn set_addresses(&self, located: Vec<Located>) -> Result<bool, Stopped> {
        self.note(Note::Addresses(located)).await
    }

    async fn note(&self, note: Note) -> Result<bool, Stopped> {
        self.send(|reply| Command::Note { note, reply }).await
    }

    /// Sends a command that may be refused.
    async fn change<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Outcome<T>>) -> Command,
    ) -> Outcome<T> {
        if !self.directory.is_loaded() {
            return Err(Unavailable::Loading);
        }
        self.send(command).await?
    }

    async fn send<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, result) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| Stopped)?;
        result.await.map_err(|_| Stopped)
    }
}

/// The registry's writer has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the registry has stopped")]
pub struct Stopped;

impl From<Stopped> for Unavailable {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

#[cfg(test)]
mod outage_tests;
