//! How many files the process may have open: a connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the bound to what the system allows: shells start with 1,024, which is for programs that use `select`.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => tracing::debug!(?before, now = ?limit.current, "more files may be open"),
        Err(error) => tracing::warn!(%error, ?before, "the bound of open files cannot be raised"),
    }
}
