//! Between our own JSON and the model.

mod check;
mod mode;
mod patch;
mod registration;
mod service;
mod shown;

pub(crate) use check::{check_from_wire, check_to_wire};
pub(crate) use mode::{mode_change, mode_from_wire, note, overrides_to_wire};
pub(crate) use patch::{merges_into_service, namespace_patch, registration_patch, service_patch};
pub(crate) use registration::registration;
pub(crate) use service::{service_change, service_to_wire};
pub(crate) use shown::{instance_to_wire, namespace_to_wire};
