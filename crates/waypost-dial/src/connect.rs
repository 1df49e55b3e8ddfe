//! From a pinned address to an open connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::config::DialConfig;
use crate::error::{DialError, Stage};
use crate::resolve::Pinned;

#[cfg(test)]
mod tests;

/// Opens connections to pinned addresses.
#[derive(Debug, Clone)]
pub struct Dialer {
    connect_timeout: Duration,
}

impl Dialer {
    /// Takes the connect timeout from the configuration.
    pub fn new(config: &DialConfig) -> Self {
        Self {
            connect_timeout: config.connect_timeout(),
        }
    }

    /// Gives the longest a connection may take to open.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Connects to the pinned addresses in their order until one accepts, within `timeout` or the
    /// configured connect timeout, whichever is shorter.
    ///
    /// # Errors
    /// What the last address that was tried said: `Refused`, `TimedOut`, `Unreachable`, `Closed` or
    /// `Other`.
    pub async fn connect(
        &self,
        target: &Pinned,
        timeout: Duration,
    ) -> Result<TcpStream, DialError> {
        let timeout = timeout.min(self.connect_timeout);
        let mut addresses = target.addresses();
        // Every address gets its share, so that one that swallows packets leaves time for the next.
        let share = timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        addresses.next();
        let mut outcome = open(target.address(), share).await;
        for address in addresses {
            if outcome.is_ok() {
                break;
            }
            outcome = open(address, share).await;
        }
        outcome
    }
}

async fn open(address: SocketAddr, timeout: Duration) -> Result<TcpStream, DialError> {
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Err(_) => Err(DialError::TimedOut {
            address,
            stage: Stage::Connect,
            after: timeout,
        }),
        Ok(Err(error)) => Err(DialError::connecting(address, &error)),
        Ok(Ok(stream)) if is_connected_to_itself(&stream) => Err(DialError::Refused { address }),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Says whether the connection ends where it starts. TCP's simultaneous open lets a client whose
/// ephemeral port happens to be the target port connect to itself on loopback, which would make a
/// dead service look alive.
fn is_connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(here), Ok(there)) if here == there)
}
