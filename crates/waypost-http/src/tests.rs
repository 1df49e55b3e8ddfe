//! Tests over real sockets and over the service in the same process.

mod bodies;
mod bounds;
mod draining;
mod layer;
mod mutated;
mod ops;
mod routing;
mod smuggling;
mod support;
mod timeouts;
