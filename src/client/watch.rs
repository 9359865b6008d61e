//! Changes as they come: a stream that goes on where it broke off.

use std::time::Duration;

use reqwest::{Method, Response};

use super::error::{ClientError, Failure};
use super::http::{Client, innermost};
use super::request::Call;
use super::sse::{Event, Reader};
use crate::api::Service;

/// Longest silence of a server, which sends something each 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// Most octets of one event: the instances of a service.
const MAX_EVENT_LEN: usize = 256 << 20;

/// What a [`Watch`] tells.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The newest state of a service, with its listed instances.
    Changed(Service),
    /// What changed meanwhile isn't known any more: forget what was told before. All
    /// that there is follows.
    Restarted,
}

/// Watches services; made by [`Client::watch`].
///
/// It connects when it's first asked, and goes on after an error where it was: wait a
/// moment and ask again.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    services: Vec<String>,
    /// Everything up to this revision was told.
    since: Option<u64>,
    stream: Option<Stream>,
}

/// A connected stream.
#[derive(Debug)]
struct Stream {
    server: String,
    response: Response,
    reader: Reader,
}

impl Watch {
    pub(super) fn new(client: Client, services: &[&str], since: Option<u64>) -> Self {
        Self {
            client,
            services: services.iter().map(|&name| name.to_owned()).collect(),
            since,
            stream: None,
        }
    }

    /// The revision up to which everything was told.
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    /// Whether it's connected to a server.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The next event, once there is one. Dropping the call loses nothing.
    pub async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            if self.stream.is_none() {
                match self.connect().await {
                    Err(error) if error.is("too-old") => {
                        self.since = None;
                        return Ok(WatchEvent::Restarted);
                    }
                    connected => connected?,
                }
            }
            let Some(stream) = &mut self.stream else {
                continue;
            };
            match stream.next().await {
                Ok(event) => {
                    if let Some(event) = self.read(event)? {
                        return Ok(event);
                    }
                }
                Err(cause) => {
                    let server = stream.server.clone();
                    self.stream = None;
                    return Err(ClientError::Away(vec![Failure { server, cause }]));
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let mut call = Call::new(Method::GET, &["watch"]);
        let services = self.services.iter().map(|name| ("service", name.clone()));
        let since = self.since.map(|since| ("since", since.to_string()));
        call.query = services.chain(since).collect();
        let (server, response) = self.client.open(call).await?;
        self.stream = Some(Stream {
            server,
            response,
            reader: Reader::new(MAX_EVENT_LEN),
        });
        Ok(())
    }

    /// What an event of the stream means; `None` if nothing that is known here.
    fn read(&mut self, event: Event) -> Result<Option<WatchEvent>, ClientError> {
        match &*event.kind {
            "service" => {
                let read = serde_json::from_str(&event.data);
                let service: Service = read.map_err(|error| ClientError::Unreadable {
                    server: self.stream.take().map_or(String::new(), |it| it.server),
                    detail: error.to_string(),
                })?;
                if let Some(id) = event.id.and_then(|id| id.parse().ok()) {
                    self.since = Some(id);
                }
                Ok(Some(WatchEvent::Changed(service)))
            }
            "too-old" => {
                self.stream = None;
                self.since = None;
                Ok(Some(WatchEvent::Restarted))
            }
            _ => Ok(None),
        }
    }
}

impl Stream {
    /// The next event, or why there is none.
    async fn next(&mut self) -> Result<Event, String> {
        loop {
            if let Some(event) = self.reader.next() {
                return Ok(event);
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk())
                .await
                .map_err(|_| format!("nothing was heard for {SILENCE:?}"))?;
            match chunk.map_err(|error| innermost(&error))? {
                Some(chunk) => self
                    .reader
                    .push(&chunk)
                    .map_err(|error| error.to_string())?,
                None => return Err("the server ended the stream".to_owned()),
            }
        }
    }
}
