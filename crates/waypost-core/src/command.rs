//! Commands: requests for changes. [`crate::decide::decide`] turns one into a batch or an error.

use std::net::IpAddr;
use std::sync::Arc;

use crate::attributes::Attributes;
use crate::batch::{Author, Document};
use crate::check::{Check, CheckState, ProbeRules};
use crate::error::RegistryError;
use crate::id::{RegistrationId, Revision, Seed};
use crate::mode::{ModeChange, ModeSetting, Note};
use crate::name::{CheckId, DocumentKey, InstanceKey, NamespaceName, Owner, ServiceKey};
use crate::namespace::NamespaceKind;
use crate::registration::RegistrationSpec;
use crate::service::DnsSettings;
use crate::text::Text;
use crate::time::Timestamp;

/// When, by whom and with which unique bits a command is decided, so that deciding is pure.
#[derive(Clone, Debug)]
pub struct Context {
    /// Wall time.
    pub at: Timestamp,
    /// Who asks.
    pub author: Author,
    /// Unique bits for new ids.
    pub seed: Seed,
    /// How the registry is set up.
    pub policy: Policy,
}

/// Settings that decisions depend on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether registering makes the namespace and the service that it names.
    pub implied: bool,
    /// Most instances of one service.
    pub instances_per_service_max: usize,
    /// Most changes that wait for the store; a caller beyond them waits a few seconds for a place.
    pub queued_changes_max: usize,
    /// What checks this server can make; without it every check that is right in itself is taken.
    pub probe_rules: Option<Arc<dyn ProbeRules>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            implied: true,
            instances_per_service_max: 100_000,
            queued_changes_max: 8_192,
            probe_rules: None,
        }
    }
}

impl Policy {
    /// Checks that this server can make these checks.
    ///
    /// # Errors
    /// `Invalid` with what the server lacks.
    pub fn judge(&self, checks: &[Check]) -> Result<(), RegistryError> {
        let Some(rules) = self.probe_rules.as_deref() else {
            return Ok(());
        };
        checks.iter().try_for_each(|check| check.judge(rules))
    }
}

/// A request for a change.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a namespace.
    CreateNamespace(NamespaceSpec),
    /// Changes a namespace.
    UpdateNamespace {
        /// Which one.
        name: NamespaceName,
        /// What changes.
        change: NamespaceChange,
    },
    /// Removes a namespace without services.
    DeleteNamespace(NamespaceName),
    /// Makes a service.
    CreateService(ServiceSpec),
    /// Changes a service.
    UpdateService {
        /// Which one.
        key: ServiceKey,
        /// What changes.
        change: ServiceChange,
        /// Refused unless the service was last written then.
        expected: Option<Revision>,
    },
    /// Removes a service without instances.
    DeleteService(ServiceKey),
    /// Registers an instance, updates it, or renews it when nothing is different.
    Register {
        /// Its service.
        service: ServiceKey,
        /// Its id.
        id: crate::name::InstanceId,
        /// Who keeps it; none means the empty owner, else the only one.
        owner: Option<Owner>,
        /// What to register.
        spec: Arc<RegistrationSpec>,
        /// For the services that this makes: what they get.
        defaults: ServiceChange,
    },
    /// Changes what is registered of an instance, on behalf of whoever may: no sign of life, so that a lease runs on as
    /// before, and no other registration, unless it is reached or asked otherwise from now on.
    Amend {
        /// Which instance.
        key: InstanceKey,
        /// Refused unless its registration was last written then.
        written: Revision,
        /// What is registered from now on.
        spec: Arc<RegistrationSpec>,
    },
    /// Removes an instance. It stays removed.
    Deregister {
        /// Its service.
        service: ServiceKey,
        /// Its id.
        id: crate::name::InstanceId,
        /// Who keeps it; none means the empty owner, else the only one.
        owner: Option<Owner>,
    },
    /// Removes an instance, and refuses to register it again until the note ends or an operator lifts it.
    Block {
        /// Its service.
        service: ServiceKey,
        /// Its id.
        id: crate::name::InstanceId,
        /// Who keeps it; none means the empty owner, else the only one.
        owner: Option<Owner>,
        /// Who blocks it, why and until when: it must have an end.
        note: Note,
    },
    /// Says what a check found.
    Report(Report),
    /// Says what somebody reports of a check of the kind Reported. A report without a body, at once, without thresholds.
    ReportNamed {
        /// What is reported.
        report: Report,
        /// The check fails when nobody reports again within so many seconds.
        for_seconds: Option<u32>,
    },
    /// Fails a check that nobody reported on in time: the timekeeper found it silent.
    EndReport {
        /// Which instance.
        key: InstanceKey,
        /// Which check.
        check: CheckId,
    },
    /// Starts a lease, or renews one that was suspect or over.
    RenewLease {
        /// Which instance.
        key: InstanceKey,
        /// Which registration; another one refuses it.
        registration: RegistrationId,
    },
    /// Ends a lease: the timekeeper found it due.
    EndLease {
        /// Which instance.
        key: InstanceKey,
        /// Which registration; another one refuses it.
        registration: RegistrationId,
    },
    /// Holds an instance whose lease is due for one more lease: protection.
    HoldLease {
        /// Which instance.
        key: InstanceKey,
        /// Which registration; another one refuses it.
        registration: RegistrationId,
    },
    /// Removes an instance whose lease has been over for long enough.
    RemoveExpired {
        /// Which instance.
        key: InstanceKey,
        /// Which registration; another one refuses it.
        registration: RegistrationId,
    },
    /// Sets the mode of an instance, whatever stood there before, or with `None` makes it plainly Active.
    ///
    /// A process speaks of the mode only, and never against an operator.
    SetMode {
        /// Which instance.
        key: InstanceKey,
        /// The mode.
        setting: Option<Arc<ModeSetting>>,
    },
    /// Changes parts of the mode of an instance that is there, as an operator.
    ChangeMode {
        /// Which instance.
        key: InstanceKey,
        /// What changes.
        change: Box<ModeChange>,
        /// Refused unless the mode was last written then; `Some(ZERO)` means that there must be none.
        expected: Option<Revision>,
    },
    /// Ends what of a mode has come to its time.
    EndMode(InstanceKey),
    /// Removes an implied service that has been empty for long enough.
    CollectService(ServiceKey),
    /// Removes an implied namespace that has been empty for long enough.
    CollectNamespace(NamespaceName),
    /// Writes a document.
    PutDocument {
        /// The document.
        document: Arc<Document>,
        /// Refused unless the document was last written then; `Some(ZERO)` means that there must be none.
        expected: Option<Revision>,
    },
    /// Removes a document.
    RemoveDocument(DocumentKey),
    /// Removes a document whose time has come.
    ExpireDocument(DocumentKey),
    /// Does all of them in one atomic step, in order; one that fails fails all, and is named by
    /// [`RegistryError::Item`](crate::RegistryError::Item).
    All(Vec<Self>),
    /// Does it if every fact holds at that moment: decided and committed with the command, never looked at before.
    When {
        /// What has to hold.
        facts: Vec<Fact>,
        /// What is done then; not [`All`](Self::All).
        command: Box<Self>,
    },
}

/// What a command under a condition is only done for.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The namespace itself, whatever lies in it, is as expected.
    Namespace(NamespaceName, Expected),
    /// The service itself, whatever its instances are, is as expected.
    Service(ServiceKey, Expected),
    /// The instance is as expected: registration, verdict and mode.
    Instance {
        /// Its service.
        service: ServiceKey,
        /// Its id.
        id: crate::name::InstanceId,
        /// Who keeps it; none means the empty owner, else the only one.
        owner: Option<Owner>,
        /// How it has to be.
        expected: Expected,
    },
}

/// How a thing has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It is there, and nothing of it was written after that revision.
    UnchangedSince(Revision),
}

/// What a new namespace is to be.
#[derive(Clone, Debug)]
pub struct NamespaceSpec {
    /// Its name.
    pub name: NamespaceName,
    /// Who can look it up.
    pub kind: NamespaceKind,
    /// Its id, where the caller must know it before; else one is made.
    pub id: Option<Text>,
    /// Everything else.
    pub change: NamespaceChange,
    /// The caller's token for idempotent requests.
    pub request_id: Option<Text>,
}

/// What changes of a namespace; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct NamespaceChange {
    /// Free text.
    pub description: Option<Text>,
    /// SOA time to live in seconds.
    pub soa_ttl: Option<Option<u32>>,
    /// Tags of AWS's kind.
    pub tags: Option<Attributes>,
}

/// What a new service is to be.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Its names.
    pub key: ServiceKey,
    /// Everything else.
    pub change: ServiceChange,
    /// The caller's token for idempotent requests.
    pub request_id: Option<Text>,
}

/// What changes of a service; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// Free text.
    pub description: Option<Text>,
    /// DNS settings.
    pub dns: Option<Option<DnsSettings>>,
    /// The checks of every instance.
    pub checks: Option<Arc<[Check]>>,
    /// Whether failed instances are served when none is left.
    pub fail_open: Option<bool>,
    /// Seconds until an instance whose lease ended is removed.
    pub remove_after_seconds: Option<u32>,
    /// The default lease in seconds.
    pub lease_seconds: Option<Option<u32>>,
    /// Free string map.
    pub attributes: Option<Attributes>,
    /// Tags of AWS's kind.
    pub tags: Option<Attributes>,
}

/// What a check found about an instance.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which instance.
    pub key: InstanceKey,
    /// Which registration was checked; a report on another one is refused.
    pub registration: Option<RegistrationId>,
    /// Which check.
    pub check: CheckId,
    /// The state the check now has, thresholds applied.
    pub state: CheckState,
    /// Why, in one sentence without a full stop.
    pub reason: Text,
    /// The body a probe got, at most 4 KiB, for the journal.
    pub body: Option<Text>,
    /// The addresses that the host name of the instance has, sorted, if they were looked up; at most
    /// [`RESOLVED_MAX`](crate::RESOLVED_MAX), the rest is dropped.
    pub resolved: Option<Box<[IpAddr]>>,
}

/// What a command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something new is there.
    Created,
    /// Something is different.
    Updated,
    /// Nothing is different.
    Unchanged,
    /// Something is gone.
    Removed,
}
