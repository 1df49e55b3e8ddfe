//! The journal in a file of its own, written by a thread of its own: what happened must never slow what happens.

mod keeper;
mod page;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use waypost_core::{
    BoxFuture, Clock, Journal, JournalEntry, JournalError, JournalFilter, JournalPage, StoreError,
};

use crate::config::SqliteConfig;
use crate::store::SqliteStore;
use keeper::Keeper;

/// Most lines that wait for the file.
const QUEUED_MAX: usize = 8_192;
/// Most readers that wait for the file.
const READERS_MAX: usize = 64;
/// Longest wait for a page.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);
/// Most lines of one page, which ends sooner when they are long.
const PAGE_MAX: usize = 1_000;

/// The journal in an SQLite file beside the store. Dropping it writes what is queued.
pub struct SqliteJournal {
    /// None only while dropping.
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
    /// Places of readers; whoever waits has one, also when he went away before his turn.
    readers: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Counts {
    queued: AtomicUsize,
    dropped: AtomicU64,
}

enum Message {
    Lines(Vec<JournalEntry>),
    Read(
        Box<JournalFilter>,
        usize,
        oneshot::Sender<Result<JournalPage, JournalError>>,
        OwnedSemaphorePermit,
    ),
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl SqliteJournal {
    /// Opens the journal beside a store, which made and locked the configured directory. A damaged one is set aside as
    /// `journal.sqlite.damaged` with a warning, and a new one begun: the journal never keeps a registry from starting.
    ///
    /// While the store finds less free than half of `disk_read_only_bytes` nothing is written, and lines are dropped.
    ///
    /// # Errors
    /// When the directory cannot be written or no thread can be started.
    pub fn open(
        store: &SqliteStore,
        config: &SqliteConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let counts = Arc::new(Counts::default());
        let beside = (store.space(), Arc::clone(&clock));
        let keeper = Keeper::open(config, beside, Arc::clone(&counts))?;
        // Every message holds at least one line or is a reader's, so the queue cannot be full before the counts are.
        let (sender, receiver) = sync_channel(QUEUED_MAX + READERS_MAX);
        let thread = std::thread::Builder::new()
            .name("waypost-journal".to_owned())
            .spawn(move || keeper.run(&receiver))
            .map_err(|error| StoreError(format!("the journal's thread cannot start: {error}")))?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
            counts,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            clock,
        })
    }

    fn send(&self, message: Message) -> Result<(), &'static str> {
        let sender = self.sender.as_ref().ok_or("it is closed")?;
        sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => "too many wait for it",
            TrySendError::Disconnected(_) => "its thread has ended",
        })
    }
}

impl Journal for SqliteJournal {
    fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    fn append(&self, entries: Vec<JournalEntry>) {
        let count = entries.len();
        if count == 0 {
            return;
        }
        let queued = self.counts.queued.fetch_add(count, Ordering::AcqRel);
        let room = queued + count <= QUEUED_MAX;
        if !room || self.send(Message::Lines(entries)).is_err() {
            self.counts.queued.fetch_sub(count, Ordering::AcqRel);
            self.counts
                .dropped
                .fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Reads through the same queue as the lines, so that it sees everything appended before.
    fn read(
        &self,
        filter: JournalFilter,
        limit: usize,
    ) -> BoxFuture<'_, Result<JournalPage, JournalError>> {
        Box::pin(async move {
            let place = Arc::clone(&self.readers).try_acquire_owned();
            let place = place.map_err(|_| {
                JournalError(format!("{READERS_MAX} readers wait for it: try again"))
            })?;
            let (reply, answer) = oneshot::channel();
            self.send(Message::Read(
                Box::new(filter),
                limit.min(PAGE_MAX),
                reply,
                place,
            ))
            .map_err(|why| JournalError(why.to_owned()))?;
            tokio::select! {
                biased;
                answer = answer => {
                    answer.unwrap_or_else(|_| Err(JournalError("its thread has ended".to_owned())))
                }
                () = self.clock.sleep(READ_WAIT_MAX) => Err(JournalError(format!(
                    "the disk did not answer within {} seconds",
                    READ_WAIT_MAX.as_secs()
                ))),
            }
        })
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        // The thread writes what is queued and ends when nobody can send any more.
        drop(self.sender.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread ended in a panic");
        }
    }
}
