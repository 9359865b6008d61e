//! Registers an instance, and keeps it registered.
//!
//! ```text
//! register ─▶ heartbeat each third of the term ─▶ … ─▶ close: deregister, wait
//!     ▲            │ unknown        │ away
//!     └────────────┘                └─▶ again, at growing intervals
//! ```
//!
//! A server that is away, or that forgot the instance, is no reason to stop serving: the
//! task in [`keeper`] comes back to it by itself. With several servers each call goes to
//! the next one when one is away.
//!
//! Not here: probes, which the server does.

mod builder;
mod keeper;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use super::error::ClientError;
use super::http::Client;
use crate::api;

pub use self::builder::RegistrationBuilder;

use self::keeper::Keeper;

/// Most octets of a note that the server takes.
const MAX_NOTE_LEN: usize = 200;

/// An instance that is kept registered.
///
/// [`Registration::close`] leaves without a lost request. Dropping deregisters as well,
/// if the runtime lives long enough; if it doesn't, the lease ends by itself.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use namebeat::client::{Client, Registration, Status};
///
/// let client: Client = "http://127.0.0.1:8054".parse()?;
/// let registration = Registration::of("web", "web-1")
///     .address("10.0.0.1".parse()?)
///     .port(8080)
///     .tag("env", "prod")
///     .register(&client)
///     .await?;
/// registration.report(Status::Warning, "the cache is cold");
/// // … serve …
/// registration.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Registration {
    client: Client,
    id: String,
    wanted: Arc<Wanted>,
    state: watch::Receiver<RegistrationState>,
    /// Dropped, it has the task deregister.
    open: Option<oneshot::Sender<Leaving>>,
    task: JoinHandle<Result<Option<DateTime<Utc>>, ClientError>>,
}

/// How a registration is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegistrationState {
    /// No server was told yet.
    Starting,
    /// The last call went well.
    Registered,
    /// No server answers. The instance stays listed until its lease ends, and is
    /// registered again when a server is back.
    Away {
        /// What the last call failed with.
        cause: String,
    },
    /// The server refuses the instance. It's tried again now and then.
    Refused {
        /// What the server said.
        cause: String,
    },
    /// It's deregistered, or its lease ends by itself.
    Left,
}

impl RegistrationState {
    /// Whether the last call went well.
    pub fn is_registered(&self) -> bool {
        *self == Self::Registered
    }
}

/// What an instance says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// All is well.
    Passing,
    /// It's shown, and changes nothing.
    Warning,
    /// The instance isn't listed until it says otherwise.
    Failing,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Failing => "failing",
        }
    }
}

/// How long leaving takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Leaving {
    /// Until it's drained.
    #[default]
    Drained,
    /// No longer than it takes to tell a server.
    AtOnce,
}

/// What the task is to tell the server.
#[derive(Debug, Default)]
struct Wanted {
    report: Mutex<Option<api::Heartbeat>>,
    changed: Notify,
}

impl Wanted {
    fn report(&self) -> Option<api::Heartbeat> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.clone()
    }
}

impl Registration {
    /// Instance `id` of service `name`, to be described and registered.
    pub fn of(name: impl Into<String>, id: impl Into<String>) -> RegistrationBuilder {
        Self::from_fields(api::Registration {
            name: Some(name.into()),
            id: Some(id.into()),
            ..api::Registration::default()
        })
    }

    /// An instance as the API's JSON describes it; its `id` must be set.
    pub fn from_fields(fields: api::Registration) -> RegistrationBuilder {
        RegistrationBuilder { fields }
    }

    /// Starts the task that keeps it; it was `registered`, or it's the task's first duty.
    fn keep(
        client: Client,
        fields: api::Registration,
        registered: Option<api::Registered>,
    ) -> Self {
        let id = fields.id.clone().unwrap_or_default();
        let wanted = Arc::new(Wanted::default());
        let first = match &registered {
            Some(_) => RegistrationState::Registered,
            None => RegistrationState::Starting,
        };
        let (state, states) = watch::channel(first);
        let (open, closed) = oneshot::channel();
        let keeper = Keeper::new(&client, fields, wanted.clone(), state, registered);
        Self {
            client,
            id,
            wanted,
            state: states,
            open: Some(open),
            task: tokio::spawn(keeper.run(closed)),
        }
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it's doing, and a way to wait for changes of that.
    pub fn state(&self) -> watch::Receiver<RegistrationState> {
        self.state.clone()
    }

    /// Waits until it's registered; fails if the server refuses it meanwhile.
    pub async fn registered(&self) -> Result<(), String> {
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                RegistrationState::Registered => return Ok(()),
                RegistrationState::Refused { cause } => return Err(cause.clone()),
                RegistrationState::Left => return Err("it has left".to_owned()),
                RegistrationState::Starting | RegistrationState::Away { .. } => {}
            }
            if state.changed().await.is_err() {
                return Err("it has left".to_owned());
            }
        }
    }

    /// Says how the instance is, with a note for people, of which 200 octets are
    /// told (an empty one is none). The server is told at once, or as soon as it's there.
    pub fn report(&self, status: Status, note: impl Into<String>) {
        let mut note: String = note.into();
        note.truncate(note.floor_char_boundary(MAX_NOTE_LEN));
        let note = Some(note).filter(|note| !note.is_empty());
        let heartbeat = api::Heartbeat {
            status: Some(status.as_str().to_owned()),
            note,
        };
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let lock = self.wanted.report.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = Some(heartbeat);
        self.wanted.changed.notify_one();
    }

    /// Withdraws the instance as an operator does; it stays so until
    /// [`Registration::resume`], even if it's registered anew. Says from when on no
    /// cache holds it.
    pub async fn drain(&self) -> Result<DateTime<Utc>, ClientError> {
        let drained = self.client.drain(&self.id).await?;
        Ok(drained.drained_at)
    }

    /// Ends a drain.
    pub async fn resume(&self) -> Result<(), ClientError> {
        self.client.resume(&self.id).await.map(|_| ())
    }

    /// Deregisters, and returns once no cache that honours TTLs holds the instance: go on
    /// serving until then. Says when that was; `None` when the server didn't know it any
    /// more. When no server answers the lease ends by itself.
    pub async fn close(self) -> Result<Option<DateTime<Utc>>, ClientError> {
        self.leave(Leaving::Drained).await
    }

    /// Deregisters, and doesn't wait until it's drained: for what serves nobody any more.
    /// Says when that will be.
    pub async fn close_at_once(self) -> Result<Option<DateTime<Utc>>, ClientError> {
        self.leave(Leaving::AtOnce).await
    }

    async fn leave(mut self, leaving: Leaving) -> Result<Option<DateTime<Utc>>, ClientError> {
        if let Some(open) = self.open.take() {
            // A task that has ended has left.
            let _ = open.send(leaving);
        }
        match (&mut self.task).await {
            Ok(left) => left,
            // It neither panics nor is aborted while its runtime lives.
            Err(error) => Err(ClientError::Unreadable {
                server: self.client.server().to_owned(),
                detail: error.to_string(),
            }),
        }
    }
}
