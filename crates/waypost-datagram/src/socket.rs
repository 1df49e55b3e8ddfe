//! Sockets for datagrams.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

/// How a socket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether several sockets may have the address, between which the system divides what comes.
    pub shared: bool,
    /// Bytes that the system should keep for a reader that is late; it may grant less.
    pub receive_buffer: usize,
    /// How long a receive waits before it returns with nothing, so that its thread can look whether to stop.
    pub patience: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shared: false,
            receive_buffer: 4 << 20,
            patience: Some(Duration::from_millis(250)),
        }
    }
}

/// A blocking socket for datagrams.
#[derive(Debug)]
pub struct Socket {
    udp: UdpSocket,
    bound: SocketAddr,
    wildcard: bool,
}

/// Sets what a socket needs, bound or not.
fn prepare(socket: &socket2::Socket, address: SocketAddr, options: &Options) -> io::Result<()> {
    // Less is granted without a word, and nothing at all is no reason not to serve.
    drop(socket.set_recv_buffer_size(options.receive_buffer));
    socket.set_read_timeout(options.patience)?;
    #[cfg(target_os = "linux")]
    if address.ip().is_unspecified() {
        crate::linux::tell_destination(socket, address.is_ipv6())?;
    }
    Ok(())
}

impl Socket {
    /// Binds a socket. An IPv6 socket takes IPv6 only, so that `0.0.0.0` and `::` can both be bound.
    ///
    /// On a wildcard address the system tells for each datagram which address was asked, and replies leave from it.
    ///
    /// # Errors
    ///
    /// What the system says: the address is in use, is not this machine's, or needs a privilege.
    pub fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        socket.set_reuse_port(options.shared)?;
        prepare(&socket, address, options)?;
        socket.bind(&address.into())?;
        Self::over(socket.into(), address)
    }

    /// Takes a socket that is bound already and makes it one of `options`; who shares its address is settled.
    ///
    /// # Errors
    ///
    /// What the system says; an IPv6 wildcard that takes IPv4 too, since then nobody could tell who asked.
    pub fn given(udp: UdpSocket, options: &Options) -> io::Result<Self> {
        let address = udp.local_addr()?;
        let socket = socket2::Socket::from(udp);
        if address.is_ipv6() && address.ip().is_unspecified() && !socket.only_v6()? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it takes IPv4 and IPv6: bind one socket for each (BindIPv6Only=ipv6-only)",
            ));
        }
        socket.set_nonblocking(false)?;
        prepare(&socket, address, options)?;
        Self::over(socket.into(), address)
    }

    /// Makes another handle of the same socket: what comes is divided between those who receive.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let udp = self.udp.try_clone()?;
        Ok(Self { udp, ..*self })
    }

    fn over(udp: UdpSocket, address: SocketAddr) -> io::Result<Self> {
        let bound = udp.local_addr()?;
        let wildcard = address.ip().is_unspecified();
        Ok(Self {
            udp,
            bound,
            wildcard,
        })
    }

    /// Makes `peer` the only one that is heard and the one that [`crate::Batch::push`] sends to without an address.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that there is no way to `peer`.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.udp.connect(peer)
    }

    /// Returns the address that is bound, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.bound
    }

    /// Returns the number of the socket in the system's tables, for [`crate::kernel_drops`].
    #[must_use]
    pub fn inode(&self) -> Option<u64> {
        crate::ports::inode_of(&self.udp)
    }

    pub(crate) fn udp(&self) -> &UdpSocket {
        &self.udp
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn wildcard(&self) -> bool {
        self.wildcard
    }

    /// The address that was surely asked: the bound one, unless it is a wildcard.
    pub(crate) fn bound_ip(&self) -> Option<IpAddr> {
        let ip = self.bound.ip();
        let known = !self.wildcard && ip != IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        known.then_some(ip)
    }
}
