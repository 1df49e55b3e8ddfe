//! Many datagrams per system call, behind a safe interface.
//!
//! A [`Batch`] is filled from a [`Socket`] with one system call and its answers leave with another. On Linux these are
//! `recvmmsg` and `sendmmsg`; [`Batch::portable`] does the same with one datagram per call and is what other systems
//! get. Memory is allocated once, when the batch is made, and never cleared.

mod batch;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
mod ports;
mod queue;
mod socket;

pub use batch::{BATCH, Batch, Datagram, Sent, Sizes};
pub use ports::{Holder, Protocol, kernel_drops, who_holds};
pub use socket::{Options, Socket};

#[cfg(test)]
mod tests;
