//! One datagram per system call, as every system offers it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::batch::{Datagram, Sent};
use crate::queue::{Queue, To};
use crate::socket::Socket;

/// The datagram that came.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// One byte more than is kept, to tell what was longer.
    bytes: Vec<u8>,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    length: usize,
    peer: SocketAddr,
    local: Option<IpAddr>,
}

impl Arrived {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: vec![0; most + 1],
            last: None,
        }
    }

    pub(crate) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.last = None;
        let (length, peer) = socket.udp().recv_from(&mut self.bytes)?;
        self.last = Some(Last {
            length,
            peer,
            local: socket.bound_ip(),
        });
        Ok(1)
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.last.is_some())
    }

    pub(crate) fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let last = self.last.filter(|_| index == 0)?;
        let most = self.bytes.len() - 1;
        Some(Datagram {
            bytes: self.bytes.get(..last.length.min(most))?,
            peer: last.peer,
            local: last.local,
            truncated: last.length > most,
        })
    }
}

/// Sends everything that is queued.
pub(crate) fn send(socket: &Socket, queue: &Queue) -> Sent {
    let mut sent = Sent::default();
    for outgoing in queue.outgoing() {
        let bytes = queue.bytes_of(outgoing);
        let result = loop {
            let result = match outgoing.to {
                To::Sender(_, address) | To::Address(address) => {
                    socket.udp().send_to(bytes, address)
                }
                To::Peer => socket.udp().send(bytes),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match result {
            Ok(_) => sent.sent += 1,
            Err(error) => {
                sent.failed += 1;
                sent.error = Some(error);
            }
        }
    }
    sent
}
