//! When credentials were used last: known at once, and written down from time to time so that a restart does not forget.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waypost_core::{
    Access, Command, Document, DocumentKey, Registry, Snapshot, Snapshots, Timestamp, text,
};

use crate::authenticator::Authenticator;
use crate::issued::Issued;

/// The latest uses that were written down, by id of the credential.
const USED: &str = "access/used";
/// How often uses are looked at.
const INTERVAL: Duration = Duration::from_secs(60);
/// How much later a use must be than the one that was written down: no credential is written more often.
const STEP: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Serialize, Deserialize)]
struct Used {
    at: Timestamp,
}

/// Writes down when credentials were used.
#[derive(Debug)]
pub struct UsageKeeper {
    authenticator: Arc<Authenticator>,
    registry: Registry,
    snapshots: Snapshots,
}

impl UsageKeeper {
    /// Makes the keeper of an authenticator's credentials.
    pub fn new(
        authenticator: Arc<Authenticator>,
        registry: Registry,
        snapshots: Snapshots,
    ) -> Self {
        Self {
            authenticator,
            registry,
            snapshots,
        }
    }

    /// Works until `ended` completes; then it writes down what is newer than what was.
    pub async fn run(self, ended: impl Future<Output = ()> + Send) {
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                () = self.registry.clock().sleep(INTERVAL) => self.write(STEP).await,
            }
        }
        self.write(Duration::from_secs(1)).await;
    }

    async fn write(&self, step: Duration) {
        let snapshot = self.snapshots.latest();
        let issued: HashMap<String, Issued> = Issued::all(&snapshot)
            .map(|(_, issued)| (issued.id.clone(), issued))
            .collect();
        let uses = self.authenticator.uses().into_iter();
        let commands: Vec<Command> = uses
            .filter_map(|(id, at)| {
                let issued = issued.get(&id)?;
                let known = written(&snapshot, &id).unwrap_or_default();
                (at.since(known) >= step).then(|| put(issued, at))
            })
            .collect();
        let access = Access::internal("access");
        for written in self.registry.apply_each(&access, commands).await {
            if let Err(error) = written {
                tracing::debug!(%error, "when a credential was used could not be written down");
            }
        }
    }
}

impl Authenticator {
    /// Says when each credential was used last, by id: now, or as it was written down.
    pub fn last_uses(&self, snapshot: &Snapshot) -> HashMap<String, Timestamp> {
        let written = snapshot.documents_of(USED);
        let mut uses: HashMap<String, Timestamp> = written
            .filter_map(|document| Some((document.key.key.to_string(), read(document)?)))
            .collect();
        for (id, at) in self.uses() {
            let known = uses.entry(id).or_default();
            *known = at.max(*known);
        }
        uses
    }
}

/// Forgets when a credential was used, if that was written down.
pub fn forget_use(snapshot: &Snapshot, id: &str) -> Option<Command> {
    let key = key(id);
    let is_written = snapshot.document(&key).is_some();
    is_written.then_some(Command::RemoveDocument(key))
}

fn key(id: &str) -> DocumentKey {
    DocumentKey {
        kind: text(USED),
        key: text(id),
    }
}

fn written(snapshot: &Snapshot, id: &str) -> Option<Timestamp> {
    snapshot
        .document(&key(id))
        .and_then(|(document, _)| read(document))
}

fn read(document: &Document) -> Option<Timestamp> {
    serde_json::from_slice::<Used>(&document.bytes)
        .ok()
        .map(|used| used.at)
}

fn put(issued: &Issued, at: Timestamp) -> Command {
    let document = Document {
        key: key(&issued.id),
        // A number always serializes.
        bytes: serde_json::to_vec(&Used { at }).unwrap_or_default().into(),
        expiry: issued.expires,
    };
    Command::PutDocument {
        document: Arc::new(document),
        expected: None,
    }
}
