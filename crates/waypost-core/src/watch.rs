//! Watches: waiting until a scope differs. Level-triggered, without a queue per watcher.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::access::Access;
use crate::id::Revision;
use crate::name::{NamespaceName, ServiceKey};
use crate::recent::Touched;
use crate::registry::Registry;
use crate::view::View;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    All,
    /// A namespace with its services and instances.
    Namespace(NamespaceName),
    /// A service with its instances.
    Service(ServiceKey),
}

impl Scope {
    /// Says whether the thing lies in the scope.
    pub fn holds(&self, thing: &Touched) -> bool {
        match (self, thing) {
            (Self::All, _) => true,
            (Self::Namespace(name), Touched::Namespace(other)) => name == other,
            (Self::Namespace(name), Touched::Service(key)) => *name == key.namespace,
            (Self::Namespace(name), Touched::Instance(key)) => *name == key.service.namespace,
            (Self::Service(_), Touched::Namespace(_)) => false,
            (Self::Service(key), Touched::Service(other)) => key == other,
            (Self::Service(key), Touched::Instance(other)) => *key == other.service,
        }
    }
}

/// One notifier per watched scope; made by the first watcher and dropped by the last.
#[derive(Default)]
pub(crate) struct Notifiers {
    by_scope: Mutex<HashMap<Scope, Arc<Notify>>>,
}

impl fmt::Debug for Notifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifiers").finish_non_exhaustive()
    }
}

impl Notifiers {
    fn join(&self, scope: &Scope) -> Arc<Notify> {
        let mut map = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(map.entry(scope.clone()).or_default())
    }

    fn leave(&self, scope: &Scope, notify: Arc<Notify>) {
        let mut map = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
        // Given up under the lock, so that of two that leave at once the second sees itself as the last.
        drop(notify);
        if map
            .get(scope)
            .is_some_and(|notify| Arc::strong_count(notify) == 1)
        {
            map.remove(scope);
        }
    }

    /// Wakes every watcher, because the registry has stopped.
    pub(crate) fn wake_all(&self) {
        let map = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
        map.values().for_each(|notify| notify.notify_waiters());
    }

    /// Wakes the watchers of every scope that holds one of the things.
    pub(crate) fn wake<'a>(&self, touched: impl Iterator<Item = &'a Touched>) {
        let mut due: Vec<Arc<Notify>> = Vec::new();
        {
            let map = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
            if map.is_empty() {
                return;
            }
            let mut scopes: Vec<Scope> = vec![Scope::All];
            for thing in touched {
                match thing {
                    Touched::Namespace(name) => scopes.push(Scope::Namespace(name.clone())),
                    Touched::Service(key) => push_service(&mut scopes, key),
                    Touched::Instance(key) => push_service(&mut scopes, &key.service),
                }
            }
            scopes.sort();
            scopes.dedup();
            due.extend(scopes.iter().filter_map(|scope| map.get(scope).cloned()));
        }
        for notify in due {
            notify.notify_waiters();
        }
    }
}

fn push_service(scopes: &mut Vec<Scope>, key: &ServiceKey) {
    scopes.push(Scope::Namespace(key.namespace.clone()));
    scopes.push(Scope::Service(key.clone()));
}

/// Waits for a scope, or one of several, to differ from what was seen last.
#[derive(Debug)]
pub struct Watch {
    registry: Registry,
    access: Access,
    scopes: Box<[Scope]>,
    seen: Revision,
    /// One for each scope; taken only when the watch is dropped.
    notify: Box<[Arc<Notify>]>,
}

impl Watch {
    pub(crate) fn new(
        registry: Registry,
        access: Access,
        scopes: Box<[Scope]>,
        since: Revision,
    ) -> Self {
        let join = |scope: &Scope| registry.notifiers().join(scope);
        let notify = scopes.iter().map(join).collect();
        // A revision of the future is of another history: everything is news.
        let latest = registry.view(&access).position().revision;
        let since = if since > latest {
            Revision::ZERO
        } else {
            since
        };
        Self {
            registry,
            access,
            scopes,
            seen: since,
            notify,
        }
    }

    /// Completes with the latest state once a scope was modified after what was seen; at once if one was already.
    ///
    /// Ten changes while nobody waits are one wake-up. States never step back. `None` when the registry has stopped.
    pub async fn next(&mut self) -> Option<View> {
        loop {
            let notifies = self.notify.iter().map(Arc::clone);
            let mut woken: Vec<_> = notifies
                .map(|notify| Box::pin(notify.notified_owned()))
                .collect();
            // Registered before the look, so that a change in between is not missed.
            for woken in &mut woken {
                woken.as_mut().enable();
            }
            let view = self.registry.view(&self.access);
            let modified = self.scopes.iter().map(|scope| view.modified(scope)).max();
            let modified = modified.unwrap_or(Revision::ZERO);
            if modified > self.seen {
                self.seen = modified;
                return Some(view);
            }
            if self.registry.has_stopped() {
                return None;
            }
            std::future::poll_fn(|context| {
                let is_woken =
                    |woken: &mut Pin<Box<OwnedNotified>>| woken.as_mut().poll(context).is_ready();
                if woken.iter_mut().any(is_woken) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Returns the latest revision of the scopes that was seen.
    pub fn seen(&self) -> Revision {
        self.seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let notify = std::mem::take(&mut self.notify);
        for (scope, notify) in self.scopes.iter().zip(notify) {
            self.registry.notifiers().leave(scope, notify);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_nobody_watches_any_more_is_forgotten() {
        let notifiers = Notifiers::default();
        let (one, two) = (notifiers.join(&Scope::All), notifiers.join(&Scope::All));
        notifiers.leave(&Scope::All, one);
        assert_eq!(notifiers.by_scope.lock().unwrap().len(), 1);
        notifiers.leave(&Scope::All, two);
        assert_eq!(notifiers.by_scope.lock().unwrap().len(), 0);
    }
}
