//! The batch: what came in one system call, and what leaves in another.

use std::io;
use std::net::{IpAddr, SocketAddr};

#[cfg(target_os = "linux")]
use crate::linux;
use crate::portable;
use crate::queue::{Queue, To};
use crate::socket::Socket;

/// Datagrams of one batch.
pub const BATCH: usize = 32;

/// A datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What it holds, up to [`Sizes::received`].
    pub bytes: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address that it was sent to, if the system says so.
    pub local: Option<IpAddr>,
    /// Whether it was longer than what is kept.
    pub truncated: bool,
}

/// How long datagrams may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Most bytes of one that comes: what is longer is cut and marked.
    pub received: usize,
    /// Most bytes of one that leaves.
    pub sent: usize,
}

impl Default for Sizes {
    /// Questions as long as an Ethernet frame takes, answers up to 4,096 bytes.
    fn default() -> Self {
        Self {
            received: 1_472,
            sent: 4_096,
        }
    }
}

/// What became of the datagrams that were to leave.
#[derive(Debug, Default)]
pub struct Sent {
    /// Those that the system took.
    pub sent: usize,
    /// Those that it refused: each alone, the others left nevertheless.
    pub failed: usize,
    /// Why the last one was refused.
    pub error: Option<io::Error>,
}

/// Buffers for the datagrams of one batch, in both directions.
#[derive(Debug)]
pub struct Batch {
    arrived: Arrived,
    queue: Queue,
}

#[derive(Debug)]
enum Arrived {
    #[cfg(target_os = "linux")]
    Linux(linux::Arrived),
    Portable(portable::Arrived),
}

impl Default for Batch {
    fn default() -> Self {
        Self::new(Sizes::default())
    }
}

impl Batch {
    /// Makes a batch that uses the best calls of the system.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        #[cfg(target_os = "linux")]
        let arrived = Arrived::Linux(linux::Arrived::new(sizes.received));
        #[cfg(not(target_os = "linux"))]
        let arrived = Arrived::Portable(portable::Arrived::new(sizes.received));
        Self {
            arrived,
            queue: Queue::new(sizes.sent),
        }
    }

    /// Makes a batch that uses one call per datagram, as every system offers it.
    #[must_use]
    pub fn portable(sizes: Sizes) -> Self {
        Self {
            arrived: Arrived::Portable(portable::Arrived::new(sizes.received)),
            queue: Queue::new(sizes.sent),
        }
    }

    /// Waits for at least one datagram and returns how many came; zero when the socket's time is up or a signal came.
    ///
    /// What was queued and not sent is dropped.
    ///
    /// # Errors
    ///
    /// What the system says: on a connected socket this can be the peer's refusal of an earlier datagram.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.queue.clear();
        let received = match &mut self.arrived {
            #[cfg(target_os = "linux")]
            Arrived::Linux(arrived) => arrived.receive(socket),
            Arrived::Portable(arrived) => arrived.receive(socket),
        };
        match received {
            Err(error) if nothing_came(&error) => Ok(0),
            other => other,
        }
    }

    /// Returns how many datagrams the last [`Batch::receive`] brought.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.arrived {
            #[cfg(target_os = "linux")]
            Arrived::Linux(arrived) => arrived.len(),
            Arrived::Portable(arrived) => arrived.len(),
        }
    }

    /// Says whether the last [`Batch::receive`] brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over what came.
    pub fn received(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.len()).filter_map(|index| self.arrived.get(index))
    }

    /// Calls `answer` for each datagram that came with a buffer for its reply; it returns the reply's length, zero for
    /// none. Replies wait for [`Batch::send`].
    pub fn answer_each(&mut self, mut answer: impl FnMut(Datagram<'_>, &mut [u8]) -> usize) {
        for index in 0..self.len() {
            let Some(datagram) = self.arrived.get(index) else {
                continue;
            };
            let to = To::Sender(index, datagram.peer);
            self.queue.push(to, |out| answer(datagram, out));
        }
    }

    /// Queues a datagram for `to`, or for the peer of a connected socket: `write` fills it and returns its length, zero
    /// for none. Returns false if the batch is full.
    pub fn push(&mut self, to: Option<SocketAddr>, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        self.queue.push(to.map_or(To::Peer, To::Address), write)
    }

    /// Sends everything that is queued. A datagram that the system refuses does not keep the others.
    pub fn send(&mut self, socket: &Socket) -> Sent {
        let sent = match &mut self.arrived {
            #[cfg(target_os = "linux")]
            Arrived::Linux(arrived) => arrived.send(socket, &self.queue),
            Arrived::Portable(_) => portable::send(socket, &self.queue),
        };
        self.queue.clear();
        sent
    }
}

impl Arrived {
    fn get(&self, index: usize) -> Option<Datagram<'_>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(arrived) => arrived.get(index),
            Self::Portable(arrived) => arrived.get(index),
        }
    }
}

fn nothing_came(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
