//! A local copy of services that stays usable while the server is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::wire::ServiceUpdate;
use crate::{Client, ClientError, Instance, Watch, WatchEvent, WatchScope};

#[cfg(test)]
mod tests;

/// A namespace and a service in it.
type Name = (String, String);

/// What a [`Follower`] knows.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    services: BTreeMap<Name, Arc<ServiceUpdate>>,
    is_complete: bool,
    lost: Option<ClientError>,
    ended: bool,
}

impl Followed {
    /// Gives every service, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceUpdate>> {
        self.services.values()
    }

    /// Gives one service; `None` when it is not there.
    pub fn service(&self, namespace: &str, service: &str) -> Option<&Arc<ServiceUpdate>> {
        let name = (namespace.to_owned(), service.to_owned());
        self.services.get(&name)
    }

    /// Gives who of a service may be sent traffic.
    pub fn in_rotation(&self, namespace: &str, service: &str) -> impl Iterator<Item = &Instance> {
        let found = self.service(namespace, service);
        found.into_iter().flat_map(|update| update.in_rotation())
    }

    /// Says whether the server has told everything once; before that nothing being there means nothing.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Gives why the server is not heard now; `None` while it is.
    pub fn lost(&self) -> Option<&ClientError> {
        self.lost.as_ref()
    }
}

/// The handle of a local copy; see [`Client::follow`]. The copy ends when it is dropped.
#[derive(Debug)]
pub struct Follower {
    copy: watch::Receiver<Arc<Followed>>,
    heard: watch::Receiver<Option<Instant>>,
}

impl Follower {
    /// Gives the copy as it is now. It is at one moment of the history: changes that were one stay one.
    pub fn current(&self) -> Arc<Followed> {
        Arc::clone(&self.copy.borrow())
    }

    /// Gives how long ago the copy was known to be what the server has; `None` before it was complete once.
    ///
    /// The server speaks every 15 s when nothing happens: more than that says that the copy may be stale.
    pub fn age(&self) -> Option<Duration> {
        self.heard.borrow().map(|heard| heard.elapsed())
    }

    /// Waits until the copy is complete, and gives it.
    ///
    /// # Errors
    /// As [`changed`](Self::changed). While the server is away this waits: bound it with a timeout when that is not wanted.
    pub async fn complete(&mut self) -> Result<Arc<Followed>, ClientError> {
        let known = self.copy.wait_for(|copy| copy.is_complete || copy.ended);
        let copy = Arc::clone(&*known.await.map_err(|_| not_driven())?);
        ended(&copy)?;
        Ok(copy)
    }

    /// Waits until the copy, or whether the server is heard, differs from the latest that this method or
    /// [`complete`](Self::complete) gave.
    ///
    /// # Errors
    /// Why it ended for good: the credential does not hold any more (`Denied`), or the server refuses what is asked.
    /// `Failed` when the future is not driven any more. [`current`](Self::current) gives the copy all the same.
    pub async fn changed(&mut self) -> Result<Arc<Followed>, ClientError> {
        ended(&self.current())?;
        self.copy.changed().await.map_err(|_| not_driven())?;
        let copy = Arc::clone(&self.copy.borrow_and_update());
        ended(&copy)?;
        Ok(copy)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of the copy is of this process, not of the registry"
)]
fn now() -> Instant {
    Instant::now()
}

fn ended(copy: &Followed) -> Result<(), ClientError> {
    match &copy.lost {
        Some(error) if copy.ended => Err(error.clone()),
        _ => Ok(()),
    }
}

fn not_driven() -> ClientError {
    ClientError::failed("the future of the follower is not driven any more")
}

impl Client {
    /// Follows services with a local copy; without a scope, everything that the credential may read.
    ///
    /// The second value does the work and has to be driven: give it to the caller's task tracker. It goes on where it
    /// was when the connection broke, with growing waits while the server is away, and ends when the handle is dropped or the server
    /// refuses it for good.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn follow(
        &self,
        scopes: &[WatchScope],
    ) -> Result<(Follower, impl Future<Output = ()> + Send + 'static + use<>), ClientError> {
        let watch = self.watch(scopes)?;
        let (publish, copy) = watch::channel(Arc::default());
        let (hear, heard) = watch::channel(None);
        let upkeep = Upkeep {
            watch,
            publish,
            hear,
            pending: Vec::new(),
            named: None,
        };
        Ok((Follower { copy, heard }, upkeep.run()))
    }
}

enum Change {
    Is(Name, Arc<ServiceUpdate>),
    Gone(Name),
}

/// What keeps the copy.
struct Upkeep {
    watch: Watch,
    publish: watch::Sender<Arc<Followed>>,
    hear: watch::Sender<Option<Instant>>,
    /// What was told since the copy was whole last. It outlives a connection: what was told is not told again.
    pending: Vec<Change>,
    /// What was told since a reset.
    named: Option<BTreeSet<Name>>,
}

impl Upkeep {
    async fn run(mut self) {
        let publish = self.publish.clone();
        tokio::select! {
            () = self.follow() => {}
            () = publish.closed() => {}
        }
    }

    async fn follow(&mut self) {
        loop {
            let event = match self.watch.next().await {
                Ok(event) => event,
                Err(error) => {
                    self.change(|copy| {
                        copy.lost = Some(error);
                        copy.ended = true;
                    });
                    return;
                }
            };
            self.take(event);
        }
    }

    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { .. } => {
                self.pending.clear();
                self.named = Some(BTreeSet::new());
            }
            WatchEvent::Service(update) => {
                let service = &update.value.service;
                let name = (service.namespace.clone(), service.name.clone());
                if let Some(named) = &mut self.named {
                    named.insert(name.clone());
                }
                self.pending.push(Change::Is(name, Arc::new(update.value)));
            }
            WatchEvent::Gone { namespace, service } => {
                let name = (namespace, service);
                if let Some(named) = &mut self.named {
                    named.remove(&name);
                }
                self.pending.push(Change::Gone(name));
            }
            WatchEvent::Synced => self.settle(),
            WatchEvent::Quiet => self.heard(),
            WatchEvent::Lost(error) => self.change(|copy| copy.lost = Some(error)),
        }
    }

    /// Makes the copy what was told.
    fn settle(&mut self) {
        let (pending, named) = (std::mem::take(&mut self.pending), self.named.take());
        self.change(|copy| {
            for change in pending {
                match change {
                    Change::Is(name, update) => {
                        copy.services.insert(name, update);
                    }
                    Change::Gone(name) => {
                        copy.services.remove(&name);
                    }
                }
            }
            if let Some(named) = named {
                copy.services.retain(|name, _| named.contains(name));
            }
            copy.is_complete = true;
            copy.lost = None;
        });
        self.heard();
    }

    fn heard(&mut self) {
        let is_whole = self.pending.is_empty() && self.named.is_none();
        let copy = Arc::clone(&self.publish.borrow());
        if !is_whole || !copy.is_complete {
            return;
        }
        self.hear.send_replace(Some(now()));
        if copy.lost.is_some() {
            self.change(|copy| copy.lost = None);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Followed)) {
        self.publish.send_modify(|copy| change(Arc::make_mut(copy)));
    }
}
