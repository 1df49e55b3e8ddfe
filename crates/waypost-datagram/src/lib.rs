//! Many datagrams per system call, behind a safe interface.
