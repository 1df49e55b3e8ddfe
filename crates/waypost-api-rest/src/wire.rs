//! The JSON of every path, exactly as on the wire.

pub(crate) mod discovery;
pub(crate) mod number;
pub(crate) mod object;
pub(crate) mod own;
pub(crate) mod port;
pub(crate) mod schema;
pub(crate) mod service_discovery;
