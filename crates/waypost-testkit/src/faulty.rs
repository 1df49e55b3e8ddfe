//! A store that fails on demand, around any other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use waypost_core::{
    Batch, BoxFuture, ChangeStream, CommitError, Compacted, Loaded, Revision, Store, StoreError,
};

/// What goes wrong with one call of `commit`.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Every batch is answered `Unavailable`; nothing is written.
    Unavailable,
    /// Every batch is answered `Unknown`; nothing is written.
    UnknownLost,
    /// Every batch is answered `Unknown`; all of it is written, and the change stream shows it.
    UnknownWritten,
    /// Another writer commits these first.
    Before(Vec<Batch>),
    /// Every batch is answered `Conflict`, though nobody else wrote anything.
    Conflict,
}

/// A store that fails on demand: by the number of the call, or held until it is released.
pub struct FaultyStore<S> {
    inner: S,
    plan: Mutex<Plan>,
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    waiting: u64,
    faults: BTreeMap<u64, Fault>,
    read_only: Option<String>,
}

impl<S: fmt::Debug> fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl<S: Store> FaultyStore<S> {
    /// Wraps a store; without a fault set it answers as the wrapped one does.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
            held: watch::Sender::new(false),
        }
    }

    /// Returns the wrapped store.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Lets the next call of `commit` but `skip` go wrong: 0 is the very next one.
    pub fn fail(&self, skip: u64, fault: Fault) {
        let mut plan = self.plan();
        let at = plan.commits + skip;
        plan.faults.insert(at, fault);
    }

    /// Lets every commit wait until [`FaultyStore::release`], before anything is written.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets the commits go on that were held.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Returns how many commits are held.
    pub fn waiting(&self) -> u64 {
        self.plan().waiting
    }

    /// Returns how many times `commit` was called.
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// Refuses every commit from now on with this sentence, or none any more.
    pub fn set_read_only(&self, why: Option<&str>) {
        self.plan().read_only = why.map(str::to_owned);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_while_held(&self) {
        let mut held = self.held.subscribe();
        if *held.borrow() {
            self.plan().waiting += 1;
            // The sender lives as long as this store, so waiting ends by a release only.
            drop(held.wait_for(|held| !held).await);
            self.plan().waiting -= 1;
        }
    }

    async fn commit_with(
        &self,
        fault: Fault,
        batches: Vec<Batch>,
    ) -> Vec<Result<Revision, CommitError>> {
        let all = |error: CommitError| batches.iter().map(|_| Err(error.clone())).collect();
        match fault {
            Fault::Unavailable => all(CommitError::Unavailable("the test says so".to_owned())),
            Fault::UnknownLost => all(CommitError::Unknown("the test says so".to_owned())),
            Fault::Conflict => all(CommitError::Conflict("the test's object".to_owned())),
            Fault::UnknownWritten => {
                let unknown = all(CommitError::Unknown("the test says so".to_owned()));
                self.inner.commit(batches).await;
                unknown
            }
            Fault::Before(first) => {
                self.inner.commit(first).await;
                self.inner.commit(batches).await
            }
        }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        Box::pin(async move {
            let (fault, read_only) = {
                let mut plan = self.plan();
                let number = plan.commits;
                plan.commits += 1;
                (plan.faults.remove(&number), plan.read_only.clone())
            };
            self.wait_while_held().await;
            if let Some(why) = read_only {
                let refused = |_| Err(CommitError::Unavailable(why.clone()));
                return batches.iter().map(refused).collect();
            }
            match fault {
                Some(fault) => self.commit_with(fault, batches).await,
                None => self.inner.commit(batches).await,
            }
        })
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        self.inner.changes(after)
    }

    fn read_only(&self) -> Option<String> {
        let said = self.plan().read_only.clone();
        said.or_else(|| self.inner.read_only())
    }
}
