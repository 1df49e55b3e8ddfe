//! What every operation works with.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use waypost_access::Authenticator;
use waypost_core::{
    Access, Applied, Command, ErrorKind, NamespaceState, Registry, ServiceState, Snapshots,
    Timestamp, View,
};

use crate::arn::{Kind, arn, id_of};
use crate::fault::{About, Fault};
use crate::metrics::CloudMapMetrics;
use crate::operation::{Operation, OperationType, Order, Targets, operation_id};
use crate::rates::Rates;
use crate::settings::{CloudMapConfig, Validation};
use crate::value::{Map, Value};

const DAY: Duration = Duration::from_secs(86_400);

/// What the adapter is made of.
#[derive(Debug)]
pub struct CloudMapContext {
    /// The registry.
    pub registry: Registry,
    /// What it publishes: operations are read out of it.
    pub snapshots: Snapshots,
    /// Who may do what.
    pub authenticator: Arc<Authenticator>,
    /// The settings.
    pub config: CloudMapConfig,
    /// The counters.
    pub metrics: CloudMapMetrics,
}

/// The state behind the operations.
#[derive(Debug)]
pub(crate) struct CloudMap {
    pub(crate) registry: Registry,
    pub(crate) snapshots: Snapshots,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) config: CloudMapConfig,
    pub(crate) metrics: CloudMapMetrics,
    pub(crate) rates: Rates,
    /// Held while something is made that a quota counts.
    pub(crate) counting: tokio::sync::Mutex<()>,
    /// Rung when a custom health status is to count later.
    pub(crate) has_waiting: tokio::sync::Notify,
    order: Order,
}

/// One call: who makes it, and of what.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) cloud_map: &'a CloudMap,
    pub(crate) operation: &'static str,
    pub(crate) access: Access,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) input: Value,
}

impl CloudMap {
    pub(crate) fn new(context: CloudMapContext) -> Self {
        let CloudMapContext {
            registry,
            snapshots,
            authenticator,
            config,
            metrics,
        } = context;
        Self {
            registry,
            snapshots,
            authenticator,
            rates: Rates::new(&config),
            config,
            metrics,
            counting: tokio::sync::Mutex::default(),
            has_waiting: tokio::sync::Notify::new(),
            order: Order::default(),
        }
    }
}

impl Call<'_> {
    pub(crate) fn view(&self) -> View {
        self.cloud_map.registry.view(&self.access)
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.cloud_map.config.validation == Validation::Strict
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.cloud_map.registry.clock().wall()
    }

    pub(crate) fn arn(&self, kind: Kind, id: &str) -> String {
        arn(&self.region, &self.account, kind, id)
    }

    /// Finds the namespace of an id or ARN.
    pub(crate) fn namespace(&self, given: &str) -> Result<Arc<NamespaceState>, Fault> {
        let id = id_of(given, Kind::Namespace)?;
        let view = self.view();
        let found = view.namespace_by_id(id).map(Arc::clone);
        found.ok_or_else(|| Fault::namespace_not_found(id))
    }

    /// Finds the service of an id or ARN.
    pub(crate) fn service(&self, given: &str) -> Result<Arc<ServiceState>, Fault> {
        let id = id_of(given, Kind::Service)?;
        let view = self.view();
        let found = view.service_by_id(id).map(Arc::clone);
        found.ok_or_else(|| Fault::service_not_found(id))
    }

    pub(crate) async fn apply(&self, command: Command, about: About) -> Result<Applied, Fault> {
        let applied = self.cloud_map.registry.apply(&self.access, command).await;
        applied.map_err(|error| Fault::of(&error, about))
    }

    /// Looks whether this request was made before: its operation then, or a refusal when it asked for something else.
    pub(crate) fn repeated(
        &self,
        kind: OperationType,
        subject: &str,
    ) -> Result<Option<Value>, Fault> {
        let Some(request_id) = self.input.text("CreatorRequestId") else {
            return Ok(None);
        };
        let id = operation_id(kind, subject, request_id);
        let snapshot = self.cloud_map.snapshots.latest();
        match Operation::find(&snapshot, &id) {
            None => Ok(None),
            Some(known) if known.request.as_deref() == Some(&*self.request()) => {
                Ok(Some(operation_answer(&id)))
            }
            Some(_) => Err(Fault::new(
                http::StatusCode::CONFLICT,
                "DuplicateRequest",
                format!("Another request has used CreatorRequestId {request_id}."),
            )
            .with("DuplicateOperationId", id)),
        }
    }

    /// Answers a call that found its effect there: two calls of one request at once, of which whoever comes second finds
    /// the operation of the first. Else it is the fault.
    pub(crate) fn repeated_or(
        &self,
        kind: OperationType,
        subject: &str,
        fault: Fault,
    ) -> Result<Value, Fault> {
        let repeated = self.repeated(kind, subject)?;
        repeated.ok_or(fault)
    }

    /// Does what a command says and keeps its operation in the same step; returns the operation's id.
    pub(crate) async fn operate(
        &self,
        kind: OperationType,
        (subject, within): (&str, Option<&str>),
        targets: Targets,
        command: Command,
        about: About,
    ) -> Result<Value, Fault> {
        let cloud_map = self.cloud_map;
        let request_id = self.input.text("CreatorRequestId");
        let id = match request_id {
            Some(request_id) => operation_id(kind, subject, request_id),
            None => operation_id(kind, subject, &unique()),
        };
        let operation = Operation {
            id: id.clone(),
            kind,
            created: self.now(),
            targets,
            request: request_id.map(|_| self.request()),
            within: within.map(str::to_owned),
        };
        let lives = DAY * cloud_map.config.operation_days.max(1);
        let notes: Vec<Command> = operation.keep(lives).into_iter().collect();
        let applied = cloud_map
            .registry
            .apply_noted(&self.access, command, notes)
            .await;
        if let Err(error) = applied {
            return self.repeated_or(kind, subject, Fault::of(&error, about));
        }
        self.make_room(&id).await;
        Ok(operation_answer(&id))
    }

    /// Lets the oldest operations go when there are too many.
    async fn make_room(&self, id: &str) {
        let cloud_map = self.cloud_map;
        let snapshot = cloud_map.snapshots.latest();
        let gone = cloud_map
            .order
            .make_room(&snapshot, id, cloud_map.config.operations_max);
        let access = Access::internal("cloudmap");
        for command in gone {
            let removed = cloud_map.registry.apply(&access, command).await;
            if let Err(error) = removed
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(%error, "an old operation cannot be removed");
            }
        }
    }

    /// Returns a digest of everything that was asked for.
    fn request(&self) -> String {
        use sha2::Digest as _;
        let text = format!("{}\n{:?}", self.operation, self.input);
        let digest = sha2::Sha256::digest(text);
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn operation_answer(id: &str) -> Value {
    Map::new().with("OperationId", id).done()
}

/// Returns a text that no other call returns: the standard library's keys are random and differ each time.
pub(crate) fn unique() -> String {
    let bits = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", bits(), bits())
}

/// Makes an id of AWS's form.
pub(crate) fn fresh_id(prefix: &str) -> String {
    let letters = operation_id(OperationType::CreateNamespace, prefix, &unique());
    let short: String = letters.chars().take(16).collect();
    format!("{prefix}{short}")
}
