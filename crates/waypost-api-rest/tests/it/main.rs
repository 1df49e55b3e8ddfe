//! The API over a real socket, with an in-process registry behind it.

mod access;
mod bad_input;
mod caching;
mod explain;
mod own;
mod prometheus;
mod readme;
mod source_003;
mod source_004;
mod support;
