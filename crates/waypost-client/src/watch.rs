//! Changes as they happen: the stream of `GET /v1/watch`, opened again where it broke.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;

use crate::path::PathBuilder;
use crate::retry::Backoff;
use crate::transport::{Call, Transport};
use crate::wire::{AsSent, ServiceUpdate};
use crate::{Client, ClientError, ErrorKind};

mod events;

use events::{Block, Events};

/// Three times the server's pause between signs of life: a connection that is silent for longer is dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(45);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchScope {
    /// A service of the client's namespace; it need not be there yet.
    Service(String),
    /// A service of a namespace: namespace, then service.
    ServiceIn(String, String),
    /// Every service of a namespace.
    Namespace(String),
}

/// What a [`Watch`] tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// Everything follows anew, up to [`Synced`](Self::Synced); what is not among it is gone.
    Reset {
        /// Why, in one sentence.
        reason: String,
    },
    /// A service is as told.
    Service(Box<AsSent<ServiceUpdate>>),
    /// A service is no more.
    Gone {
        /// Name of its namespace.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// All that had happened up to now has been told.
    Synced,
    /// Nothing happened, and the server is there.
    Quiet,
    /// The connection is lost, or was not made; the next call makes it anew and goes on where this one broke.
    Lost(ClientError),
}

#[derive(Deserialize)]
struct ResetBody {
    reason: String,
}

#[derive(Deserialize)]
struct GoneBody {
    namespace: String,
    service: String,
}

/// A stream of changes; see [`Client::watch`].
#[derive(Debug)]
pub struct Watch {
    transport: Arc<Transport>,
    path: String,
    stream: Option<Stream>,
    last_id: Option<String>,
    backoff: Backoff,
    /// Whether the next connection has to wait for its turn.
    failed: bool,
}

#[derive(Debug)]
struct Stream {
    body: Incoming,
    events: Events,
}

impl Client {
    /// Watches services; without a scope, everything that the credential may read.
    ///
    /// # Errors
    /// `Usage` when a name cannot be one.
    pub fn watch(&self, scopes: &[WatchScope]) -> Result<Watch, ClientError> {
        let mut path = PathBuilder::new("/v1/watch");
        for scope in scopes {
            path = match scope {
                WatchScope::Service(name) => {
                    let key = format!("{}/{name}", self.namespace());
                    path.query("service", Some(&key))
                }
                WatchScope::ServiceIn(namespace, name) => {
                    path.query("service", Some(&format!("{namespace}/{name}")))
                }
                WatchScope::Namespace(name) => path.query("namespace", Some(name)),
            };
        }
        Ok(Watch {
            transport: Arc::clone(self.transport()),
            path: path.build(),
            stream: None,
            last_id: None,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failed: false,
        })
    }
}

impl Watch {
    /// Waits for what happens next. Nothing is lost when this future is dropped before it is ready.
    ///
    /// # Errors
    /// What repeating cannot help against: `Denied` also when the credential was revoked meanwhile; `Usage`; `NotFound` from a
    /// server without this path. Everything else is told as [`WatchEvent::Lost`].
    pub async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        let told = self.told().await;
        match told {
            Ok(event) => {
                self.failed = false;
                self.backoff.reset();
                Ok(event)
            }
            Err(error) => {
                self.stream = None;
                self.failed = true;
                match error.kind() {
                    ErrorKind::Denied | ErrorKind::Usage | ErrorKind::NotFound => Err(error),
                    _ => Ok(WatchEvent::Lost(error)),
                }
            }
        }
    }

    async fn told(&mut self) -> Result<WatchEvent, ClientError> {
        let stream = match self.stream.take() {
            Some(stream) => self.stream.insert(stream),
            None => {
                if self.failed {
                    tokio::time::sleep(self.backoff.wait()).await;
                }
                let opened = self.connect().await?;
                self.stream.insert(opened)
            }
        };
        loop {
            if let Some(block) = stream.events.next()? {
                let event = event(&block)?;
                // Only now: what is not understood is asked for again.
                if block.id.is_some() {
                    self.last_id = block.id;
                }
                return Ok(event);
            }
            let frame = tokio::time::timeout(LONGEST_SILENCE, stream.body.frame()).await;
            let frame = frame.map_err(|_| {
                let seconds = LONGEST_SILENCE.as_secs();
                ClientError::new(
                    ErrorKind::Timeout,
                    format!("nothing came from the server for {seconds} s"),
                )
            })?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        stream.events.take(bytes);
                    }
                }
                Some(Err(error)) => return Err(self.transport.cut_off(&error)),
                None => {
                    return Err(ClientError::new(
                        ErrorKind::Unreachable,
                        "the server ended the stream",
                    ));
                }
            }
        }
    }

    async fn connect(&self) -> Result<Stream, ClientError> {
        let id = self.last_id.clone();
        let header = id.map(|id| (HeaderName::from_static("last-event-id"), id));
        let call = Call {
            header,
            ..Call::new(Method::GET, self.path.clone())
        };
        Ok(Stream {
            body: self.transport.open(&call).await?,
            events: Events::default(),
        })
    }
}

fn event(block: &Block) -> Result<WatchEvent, ClientError> {
    fn read<'a, T: Deserialize<'a>>(block: &'a Block) -> Result<T, ClientError> {
        serde_json::from_str(&block.data).map_err(|error| {
            let name = &block.name;
            ClientError::failed(format!("the event {name} is not understood: {error}"))
        })
    }
    Ok(match block.name.as_str() {
        "reset" => {
            let ResetBody { reason } = read(block)?;
            WatchEvent::Reset { reason }
        }
        "service" => WatchEvent::Service(Box::new(read(block)?)),
        "gone" => {
            let GoneBody { namespace, service } = read(block)?;
            WatchEvent::Gone { namespace, service }
        }
        "synced" => WatchEvent::Synced,
        // Signs of life, and what a later server may tell besides.
        _ => WatchEvent::Quiet,
    })
}
