//! Between the wire and the model. Every function is total: what does not fit is an error with the field's name.

pub(crate) mod discovery;
pub(crate) mod own;
pub(crate) mod service_discovery;
pub(crate) mod sources;
pub(crate) mod targets;
