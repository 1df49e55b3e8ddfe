//! The heart of Waypost: the model, pure decisions, immutable snapshots, and the one registry that writes and reads.
//!
//! It opens no socket and no file, and asks the time only of a [`Clock`]. Everything that changes goes
//! `decide -> commit -> publish -> project -> acknowledge`; everything that reads takes an immutable [`Snapshot`].

mod access;
mod attributes;
mod batch;
mod check;
mod codec;
mod command;
mod commit_log;
mod decide;
mod dns;
mod error;

mod heartbeat;
mod id;
mod index;
mod instance;
mod journal;
mod lanes;
mod memory;
mod metrics;
mod mode;
mod name;
mod namespace;
mod ownership;
mod projection;
mod protection;
mod recent;
mod registration;
mod registry;
mod service;
mod snapshot;
mod snapshot_file;
mod store;
mod text;
mod time;
mod timekeeper;
mod told;
mod verdict;
mod view;
mod vitals;
mod watch;
mod writer;

pub use access::{Access, Grant, Pattern, Verb};
pub use attributes::{
    ATTRIBUTE_KEY_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX,
    Attributes, Extra, TAG_BYTES_MAX, TAGS_MAX, Tags, Unknown,
};
pub use batch::{
    Author, Batch, Change, DOCUMENT_BYTES_MAX, Document, Evidence, Object, Precondition, Prefix,
};
pub use check::{
    CA_PEM_BYTES_MAX, CHECKS_MAX, Check, CheckKind, CheckState, GrpcProbe, HttpProbe, HttpsProbe,
    ProbeProtocol, ProbeRules, ProbeSpec, Tally, TlsProbe, Unfit, validate_checks,
};
pub use codec::{Encoded, FORMAT, decode, encode};
pub use command::{
    Command, Context, Expected, Fact, NamespaceChange, NamespaceSpec, Outcome, Policy, Report,
    ServiceChange, ServiceSpec,
};
pub use commit_log::CommitLog;
pub use decide::{ATOMIC_MAX, Decision, decide};
pub use dns::{
    DNS_NAME_BYTES_MAX, DNS_TTL_SECONDS, DnsNames, check_dns_service, instance_label, is_srv_label,
    reverse_name, transport_label,
};
pub use error::{ErrorKind, Field, RegistryError};
pub use heartbeat::{Beat, Sign};
pub use id::{Epoch, Position, RegistrationId, Revision, Seed};
pub use instance::{EDGES_MAX, Edge, Instance, Rotation, Tier};
pub use journal::{
    Content, JOURNAL_PAGE_BYTES, Journal, JournalEntry, JournalError, JournalFilter, JournalKind,
    JournalPage, JournalRecord, MemoryJournal, ObjectChange,
};
pub use lanes::Applied;
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub use mode::{HealthOverride, Mode, ModeChange, ModeSetting, Note};
pub use name::{
    CHECK_BYTES_MAX, CheckId, CheckIdRef, DocumentKey, INSTANCE_BYTES_MAX, InstanceId,
    InstanceIdRef, InstanceKey, NAMESPACE_BYTES_MAX, NamespaceName, NamespaceRef, OWNER_BYTES_MAX,
    ObjectKey, Owner, SERVICE_BYTES_MAX, ServiceKey, ServiceName, ServiceRef, is_dns_label,
};
pub use namespace::{Namespace, NamespaceKind, Origin};
pub use ownership::{Ownership, SoleOwner, Term};
pub use projection::Projection;
pub use recent::{RECENT_AGE_MAX, RECENT_BATCHES_MAX, Touched};
pub use registration::{
    Addresses, Dialect, LEASE_SECONDS_MAX, Lease, LeaseStart, Locality, PORTS_MAX, Port,
    Registration, RegistrationSpec, WEIGHT_MAX,
};
pub use registry::{Opened, Parts, Registry, Snapshots, random_seeds};
pub use service::{
    DnsRecord, DnsRecordKind, DnsSettings, REMOVE_AFTER_SECONDS, RoutingPolicy, Service,
};
pub use snapshot::{Changed, Effects, InstanceChange, NamespaceState, ServiceState, Snapshot};
pub use snapshot_file::{
    SNAPSHOT_FORMAT, SNAPSHOT_MAGIC, SnapshotCounts, SnapshotFault, SnapshotHeader, SnapshotReader,
    SnapshotWriter,
};
pub use store::{ChangeStream, CommitError, Committed, Compacted, Loaded, Store, StoreError};
pub use text::{Text, text};
pub use time::{BoxFuture, Clock, ManualClock, Monotonic, SystemClock, Timestamp};
pub use timekeeper::{SWEEP_INTERVAL, Timekeeper};
pub use verdict::{CheckVerdict, Health, LeaseState, RESOLVED_MAX, Verdict, effective_checks};
pub use view::View;
pub use vitals::{Answer, Dependency, LeaseCell, Vitals};
pub use watch::{Scope, Watch};
pub use writer::Writer;
