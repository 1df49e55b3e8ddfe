//! The JSON of every path, exactly as on the wire.

pub(crate) mod discovery;
pub(crate) mod port;
pub(crate) mod schema;
