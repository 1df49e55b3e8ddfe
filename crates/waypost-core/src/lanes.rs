//! The two bounded queues in front of the writer: callers first, then what timekeeper and checker found.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::batch::Author;
use crate::command::{Command, Outcome};
use crate::error::RegistryError;
use crate::id::Revision;
use crate::name::{CheckId, DocumentKey, InstanceKey, NamespaceName, ServiceKey};

/// Most findings that wait for the writer; each is about another thing.
const FINDINGS_MAX: usize = 2_000_000;

/// What a caller is told after its command is durable, published and projected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where in the history the command took effect, or was found to change nothing.
    pub revision: Revision,
    /// What it did.
    pub outcome: Outcome,
    /// What each command of [`Command::All`] did, in order; empty for any other.
    pub each: Box<[Outcome]>,
}

pub(crate) type Reply = oneshot::Sender<Result<Applied, RegistryError>>;

/// A command on its way to the writer.
pub(crate) struct Queued {
    pub(crate) command: Command,
    pub(crate) author: Author,
    pub(crate) reply: Option<Reply>,
    pub(crate) attempts: u8,
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// What a finding is about; a later finding about the same thing takes the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Finding {
    Check(InstanceKey, CheckId),
    Silence(InstanceKey, CheckId),
    Lease(InstanceKey),
    Mode(InstanceKey),
    Service(ServiceKey),
    Namespace(NamespaceName),
    Document(DocumentKey),
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Finding>,
    by_finding: HashMap<Finding, Queued>,
}

/// The second lane: coalesced, so that its length is bounded by the number of things.
#[derive(Default)]
pub(crate) struct Findings {
    waiting: Mutex<Waiting>,
    grown: Notify,
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Findings").finish_non_exhaustive()
    }
}

impl Findings {
    /// Takes a finding in. Returns false when the lane is full: the finder tries again with its next finding.
    pub(crate) fn push(&self, finding: Finding, queued: Queued) -> bool {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.order.len() >= FINDINGS_MAX {
                return false;
            }
            if waiting.by_finding.insert(finding.clone(), queued).is_none() {
                waiting.order.push_back(finding);
            }
        }
        self.grown.notify_one();
        true
    }

    /// Takes up to `most` findings out, oldest first.
    pub(crate) fn take(&self, most: usize) -> Vec<Queued> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(finding) = waiting.order.pop_front() else {
                break;
            };
            taken.extend(waiting.by_finding.remove(&finding));
        }
        taken
    }

    /// Completes when there may be findings.
    pub(crate) async fn ready(&self) {
        let empty = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.order.is_empty()
        };
        if empty {
            self.grown.notified().await;
        }
    }

    /// Returns how many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .order
            .len()
    }
}
