//! Datagrams that wait to be sent, packed one after the other so that short ones stay in the processor's cache.

use std::net::SocketAddr;

use crate::batch::BATCH;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Back to who sent the datagram in this place, from the address that was asked.
    Sender(usize, SocketAddr),
    /// To an address.
    Address(SocketAddr),
    /// To the peer of a connected socket.
    Peer,
}

/// A datagram that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: To,
    start: usize,
    length: usize,
}

/// The datagrams that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    outgoing: Vec<Outgoing>,
    most: usize,
    used: usize,
}

/// Where datagrams begin: at cache lines, so that two never share one.
const LINE: usize = 64;

impl Queue {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: vec![0; BATCH * most.next_multiple_of(LINE)],
            outgoing: Vec::with_capacity(BATCH),
            most,
            used: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.outgoing.clear();
        self.used = 0;
    }

    /// Lets `write` fill a datagram; returns false if there is no room for one.
    pub(crate) fn push(&mut self, to: To, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        let start = self.used;
        if self.outgoing.len() == BATCH {
            return false;
        }
        let Some(room) = self.bytes.get_mut(start..start + self.most) else {
            return false;
        };
        let length = write(room).min(self.most);
        if length > 0 {
            self.outgoing.push(Outgoing { to, start, length });
            self.used = (start + length).next_multiple_of(LINE);
        }
        true
    }

    pub(crate) fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    pub(crate) fn bytes_of(&self, outgoing: &Outgoing) -> &[u8] {
        let end = outgoing.start + outgoing.length;
        self.bytes.get(outgoing.start..end).unwrap_or_default()
    }
}
