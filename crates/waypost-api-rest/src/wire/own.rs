//! The JSON of our own paths. What is sent with fields that are not known is refused.

mod audit;
mod batch;
mod check;
mod explanation;
mod instance;
mod mode;
mod namespace;
mod page;
mod service;
mod stream;
mod tier;
mod token;

pub(crate) use audit::{AuditLine, AuditObject, AuditPage, HistoryLine, HistoryPage};
pub(crate) use batch::{
    BatchAnswer, DeregisterBatch, DeregisterItem, HeartbeatBatch, HeartbeatItem, ItemResult,
    LooseBatch, RegisterBatch, RegisterItem,
};
pub(crate) use check::{Check, CheckKindWord, CheckTls, Seconds};
pub(crate) use explanation::{
    CheckReport, DependencyReport, Explanation, HealthEdge, LastAnswer, LastFailure, LeaseReport,
    Visibility,
};
pub(crate) use instance::{
    HeartbeatAnswer, HeartbeatBody, Instance, Port, PortSent, Registration, Rotation,
};
pub(crate) use mode::{
    HealthSaid, HealthWord, ModeReport, ModeSaid, ModeSettings, ModeWord, Overrides, ReportAnswer,
    ReportBody, Said, StateWord, WeightSaid,
};
pub(crate) use namespace::{DnsServer, Namespace, NamespaceKindWord, NamespaceSettings};
pub(crate) use page::{InstanceList, InstancePage, NamespacePage, ServicePage};
pub(crate) use service::{
    DnsRecord, DnsSettings, InstanceCounts, RecordType, Routing, Service, ServiceSettings,
};
pub(crate) use stream::{ServiceGone, ServiceUpdate, StreamReset};
pub(crate) use tier::Tier;
pub(crate) use token::{GrantLine, RotationBody, Token, TokenList, TokenSettings, VerbWord};
