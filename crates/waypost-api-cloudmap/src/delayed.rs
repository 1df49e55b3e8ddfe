//! Custom health that counts only after a while, as AWS has it: kept as documents, so that a restart forgets none.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waypost_core::{
    Access, CheckId, CheckState, Command, Document, DocumentKey, ErrorKind, InstanceId,
    InstanceKey, Owner, RegistrationId, Report, Revision, ServiceKey, Timestamp, Verb, text,
};

use crate::fault::{About, Fault};
use crate::operation::{OperationType, operation_id};
use crate::state::{Call, CloudMap};

const KIND: &str = "cloudmap/health";
/// How long the keeper rests after the registry refused it, before it tries again.
const REST: Duration = Duration::from_secs(1);

/// A status that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    namespace: String,
    service: String,
    instance: String,
    owner: String,
    /// The registration that it was said of: another one starts anew.
    registration: u64,
    check: String,
    state: CheckState,
    reason: String,
    due: Timestamp,
}

/// Carries out what waits, when its time has come.
#[derive(Debug)]
pub struct Delayed(Arc<CloudMap>);

impl Delayed {
    pub(crate) fn new(cloud_map: Arc<CloudMap>) -> Self {
        Self(cloud_map)
    }

    /// Works until `ended` completes.
    pub async fn run(self, ended: impl Future<Output = ()>) {
        let cloud_map = self.0;
        let work = async {
            loop {
                let woken = cloud_map.has_waiting.notified();
                tokio::pin!(woken);
                // Registered before the look, so that what comes in between is not missed.
                woken.as_mut().enable();
                let next = settle(&cloud_map).await;
                let clock = cloud_map.registry.clock();
                match next {
                    Some(wait) => tokio::select! {
                        () = clock.sleep(wait) => {}
                        () = woken => {}
                    },
                    None => woken.await,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = ended => {}
        }
    }
}

/// Carries out what is due; returns how long the next one waits.
async fn settle(cloud_map: &CloudMap) -> Option<Duration> {
    let snapshot = cloud_map.snapshots.latest();
    let now = cloud_map.snapshots.wall();
    let mut next: Option<Duration> = None;
    for document in snapshot.documents_of(KIND) {
        let wait = match Waiting::read(document) {
            Some(waiting) if waiting.due > now => waiting.due.since(now),
            waiting => {
                let known = snapshot.document(&document.key);
                let written = known.map_or(Revision::ZERO, |(_, revision)| revision);
                let settled = carry_out(cloud_map, document, written, waiting.as_ref(), now);
                if settled.await {
                    continue;
                }
                REST
            }
        };
        next = Some(next.map_or(wait, |known| known.min(wait)));
    }
    next
}

/// Reports what waited and lets it go, in one step; says whether there is nothing left to do.
async fn carry_out(
    cloud_map: &CloudMap,
    document: &Document,
    written: Revision,
    waiting: Option<&Waiting>,
    now: Timestamp,
) -> bool {
    let access = Access::internal("cloudmap");
    let registry = &cloud_map.registry;
    if let Some(report) = waiting.and_then(Waiting::report) {
        // It goes only if nobody has put another one in its place.
        let over = Command::PutDocument {
            document: Document {
                key: document.key.clone(),
                bytes: Arc::clone(&document.bytes),
                expiry: Some(now),
            }
            .into(),
            expected: Some(written),
        };
        let gone = Command::RemoveDocument(document.key.clone());
        let command = Command::Report(report);
        let applied = registry
            .apply_noted(&access, command, vec![over, gone])
            .await;
        match applied.map_err(|error| error.kind()) {
            Ok(_) => return true,
            // The instance is gone, or is another one by now: what was said of it goes too.
            Err(ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid) => {}
            Err(_) => return false,
        }
        let latest = cloud_map.snapshots.latest();
        if latest.document(&document.key).map(|(_, at)| at) != Some(written) {
            // A newer one has taken its place, and its own time comes.
            return false;
        }
    }
    let removed = registry.apply(&access, Command::RemoveDocument(document.key.clone()));
    !matches!(removed.await.map_err(|error| error.kind()), Err(kind) if kind != ErrorKind::NotFound)
}

/// Has a report wait for its time. A later one of the same instance takes its place.
pub(crate) async fn put(
    call: &Call<'_>,
    report: &Report,
    registration: RegistrationId,
    due: Timestamp,
) -> Result<(), Fault> {
    let fault = |error| Fault::of(&error, About::Instance);
    let InstanceKey { service, id, owner } = &report.key;
    call.access
        .require(Verb::Register, service)
        .map_err(fault)?;
    let waiting = Waiting {
        namespace: service.namespace.to_string(),
        service: service.name.to_string(),
        instance: id.to_string(),
        owner: owner.as_str().to_owned(),
        registration: registration.0,
        check: report.check.to_string(),
        state: report.state,
        reason: report.reason.to_string(),
        due,
    };
    let subject = format!("{service} {id} {}", owner.as_str());
    let key = operation_id(OperationType::RegisterInstance, &subject, KIND);
    let document = Document {
        key: DocumentKey::new(KIND, &key).map_err(fault)?,
        bytes: serde_json::to_vec(&waiting).unwrap_or_default().into(),
        expiry: None,
    };
    let command = Command::PutDocument {
        document: document.into(),
        expected: None,
    };
    // The caller may say so, as was asked above; documents are the adapter's own.
    let cloud_map = call.cloud_map;
    let access = Access::internal("cloudmap");
    let put = cloud_map.registry.apply(&access, command).await;
    put.map_err(fault)?;
    cloud_map.has_waiting.notify_waiters();
    Ok(())
}

impl Waiting {
    fn read(document: &Document) -> Option<Self> {
        serde_json::from_slice(&document.bytes).ok()
    }

    fn report(&self) -> Option<Report> {
        let service = ServiceKey::new(&self.namespace, &self.service).ok()?;
        let owner = Owner::new(&self.owner).ok()?;
        Some(Report {
            key: service.instance(owner, InstanceId::new(&self.instance).ok()?),
            registration: Some(RegistrationId(self.registration)),
            check: CheckId::new(&self.check).ok()?,
            state: self.state,
            reason: text(&self.reason),
            body: None,
            resolved: None,
        })
    }
}
