//! `recvmmsg` and `sendmmsg`: the only place where the compiler is told what it cannot know.
#![expect(
    unsafe_code,
    reason = "these two calls take arrays of pointers, and no safe interface to them fills its buffers in place"
)]

use std::fmt;
use std::io;
use std::mem::{offset_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_uint, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

use crate::batch::{BATCH, Datagram, Sent};
use crate::queue::{Outgoing, Queue, To};
use crate::socket::Socket;

/// Bytes of a `sockaddr_storage`.
const NAME_BYTES: socklen_t = 128;
const _: () = assert!(NAME_BYTES as usize == size_of::<sockaddr_storage>());

/// [`BATCH`], as the calls count.
const BATCH_COUNT: c_uint = 32;
const _: () = assert!(BATCH_COUNT as usize == BATCH);

/// Room for one control message: the address that was asked takes 28 or 36 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

const CONTROL_BYTES: usize = 64;

/// What came, and what a reply needs of it.
pub(crate) struct Arrived {
    most: usize,
    count: usize,
    /// The address of the socket that was read last, unless it is a wildcard.
    bound: Option<IpAddr>,
    // The headers point into the four vectors below, which are never resized and, once the pointers are taken, only
    // read through shared references: the kernel writes through the pointers.
    headers: Vec<mmsghdr>,
    vectors: Vec<iovec>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    bytes: Vec<u8>,
    // Made anew for each send.
    out_headers: Vec<mmsghdr>,
    out_vectors: Vec<iovec>,
    out_names: Vec<sockaddr_storage>,
}

// SAFETY: the pointers in the headers and vectors lead to memory on the heap that this very value owns, nobody else has
// a copy of them, and no part of it is bound to a thread.
unsafe impl Send for Arrived {}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived")
            .field("most", &self.most)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Arrived {
    pub(crate) fn new(most: usize) -> Self {
        // SAFETY: these are structures of the C library, made of numbers and pointers, for which zero bytes are valid.
        let (header, vector, name): (mmsghdr, iovec, sockaddr_storage) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        // An odd number of cache lines, lest all the buffers fall into the same few sets of the processor's cache.
        let stride = (most.div_ceil(64) | 1) * 64;
        let mut arrived = Self {
            most,
            count: 0,
            bound: None,
            headers: vec![header; BATCH],
            vectors: vec![vector; BATCH],
            names: vec![name; BATCH],
            controls: vec![Control([0; CONTROL_BYTES]); BATCH],
            bytes: vec![0; BATCH * stride],
            out_headers: vec![header; BATCH],
            out_vectors: vec![vector; BATCH],
            out_names: vec![name; BATCH],
        };
        let vectors = arrived.vectors.as_mut_ptr();
        let names = arrived.names.as_mut_ptr();
        let controls = arrived.controls.as_mut_ptr();
        let bytes = arrived.bytes.as_mut_ptr();
        for (index, header) in arrived.headers.iter_mut().enumerate() {
            // SAFETY: each vector has BATCH elements, `bytes` has BATCH times `stride`, and `index` is below BATCH.
            unsafe {
                *vectors.add(index) = iovec {
                    iov_base: bytes.add(index * stride).cast(),
                    iov_len: most,
                };
                header.msg_hdr.msg_iov = vectors.add(index);
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = names.add(index).cast();
                header.msg_hdr.msg_control = controls.add(index).cast();
            }
        }
        arrived
    }

    pub(crate) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.count = 0;
        self.bound = socket.bound_ip();
        // Only paid where the kernel is asked to tell: on a wildcard address.
        let control_bytes = if socket.wildcard() { CONTROL_BYTES } else { 0 };
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = NAME_BYTES;
            header.msg_hdr.msg_controllen = control_bytes as _;
        }
        // SAFETY: the descriptor is open as long as `socket` is borrowed. There are BATCH headers, and each points to a
        // name of NAME_BYTES, a control buffer of at least `control_bytes` and one vector of `most` bytes, all owned by
        // `self`, which is borrowed mutably for as long as the kernel writes to them. No timeout is passed.
        let count = unsafe {
            libc::recvmmsg(
                socket.udp().as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH_COUNT,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        self.count = taken(count)?;
        Ok(self.count)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let header = self.headers.get(..self.count)?.get(index)?;
        let length = (header.msg_len as usize).min(self.most);
        let base = self.vectors.get(index)?.iov_base.cast::<u8>();
        // SAFETY: the vector points to `most` bytes of `self.bytes`, initialised when it was made; they are not written
        // to while `self` is borrowed.
        let bytes = unsafe { std::slice::from_raw_parts(base.cast_const(), length) };
        Some(Datagram {
            bytes,
            peer: address(self.names.get(index)?)?,
            local: self.bound.or_else(|| asked(&header.msg_hdr)),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }

    pub(crate) fn send(&mut self, socket: &Socket, queue: &Queue) -> Sent {
        for (index, outgoing) in queue.outgoing().iter().enumerate() {
            self.prepare(index, outgoing, queue.bytes_of(outgoing));
        }
        let mut rest = self
            .out_headers
            .get_mut(..queue.outgoing().len())
            .unwrap_or_default();
        let mut sent = Sent::default();
        while !rest.is_empty() {
            // SAFETY: the descriptor is open as long as `socket` is borrowed. Each of the headers was prepared just now:
            // its name, control buffer and vector are owned by `self`, and the vector's bytes by `queue`, which is
            // borrowed. The kernel only reads them; it writes `msg_len` in the headers.
            let count = unsafe {
                libc::sendmmsg(
                    socket.udp().as_raw_fd(),
                    rest.as_mut_ptr(),
                    c_uint::try_from(rest.len()).unwrap_or(BATCH_COUNT),
                    0,
                )
            };
            let done = match taken(count) {
                Ok(count) => {
                    sent.sent += count;
                    count
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                // The error is the first one's: it is left out and the others go on.
                Err(error) => {
                    sent.failed += 1;
                    sent.error = Some(error);
                    1
                }
            };
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        sent
    }

    /// Fills the header in place `index` for a datagram that leaves.
    fn prepare(&mut self, index: usize, outgoing: &Outgoing, bytes: &[u8]) {
        let (Some(header), Some(vector), Some(name)) = (
            self.out_headers.get_mut(index),
            self.out_vectors.get_mut(index),
            self.out_names.get_mut(index),
        ) else {
            return;
        };
        *vector = iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let header = &mut header.msg_hdr;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_name = ptr::null_mut();
        header.msg_namelen = 0;
        header.msg_control = ptr::null_mut();
        header.msg_controllen = 0;
        match outgoing.to {
            To::Peer => {}
            To::Address(to) => {
                header.msg_namelen = write_address(name, to);
                header.msg_name = ptr::from_mut(name).cast();
            }
            To::Sender(from, _) => {
                let Some(asked) = self.headers.get(from) else {
                    return;
                };
                header.msg_name = asked.msg_hdr.msg_name;
                header.msg_namelen = asked.msg_hdr.msg_namelen;
                if asked.msg_hdr.msg_controllen > 0 {
                    any_interface(&asked.msg_hdr);
                    header.msg_control = asked.msg_hdr.msg_control;
                    header.msg_controllen = asked.msg_hdr.msg_controllen;
                }
            }
        }
    }
}

/// Asks the kernel to tell for each datagram which address it was sent to.
pub(crate) fn tell_destination(socket: &socket2::Socket, v6: bool) -> io::Result<()> {
    let (level, option) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: c_int = 1;
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the option's value is an integer of four bytes
    // that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&on).cast(),
            4,
        )
    };
    taken(result).map(drop)
}

fn taken(result: c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The body of a control message, if the header has one of this kind with that many bytes.
fn control_of(header: &libc::msghdr, level: c_int, kind: c_int, bytes: usize) -> Option<*mut u8> {
    // SAFETY: `msg_control` points to a control buffer that the kernel filled up to `msg_controllen`; the macros look
    // for a whole header within it, and the length of the message is compared before its body is used.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let fits = !message.is_null()
            && (*message).cmsg_level == level
            && (*message).cmsg_type == kind
            && (*message).cmsg_len as usize >= libc::CMSG_LEN(0) as usize + bytes;
        fits.then(|| libc::CMSG_DATA(message))
    }
}

fn v4_control(header: &libc::msghdr) -> Option<*mut u8> {
    let bytes = size_of::<libc::in_pktinfo>();
    control_of(header, libc::IPPROTO_IP, libc::IP_PKTINFO, bytes)
}

fn v6_control(header: &libc::msghdr) -> Option<*mut u8> {
    let bytes = size_of::<libc::in6_pktinfo>();
    control_of(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, bytes)
}

/// The address that a datagram was sent to.
fn asked(header: &libc::msghdr) -> Option<IpAddr> {
    if let Some(info) = v4_control(header) {
        // SAFETY: the body has the bytes of an `in_pktinfo`, read without regard to alignment.
        let info = unsafe { info.cast::<libc::in_pktinfo>().read_unaligned() };
        let octets = info.ipi_spec_dst.s_addr.to_ne_bytes();
        return Some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let info = v6_control(header)?;
    // SAFETY: the body has the bytes of an `in6_pktinfo`, read without regard to alignment.
    let info = unsafe { info.cast::<libc::in6_pktinfo>().read_unaligned() };
    Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)))
}

/// Makes the control message that came fit to be sent: the address stays, the way back is chosen by the routes.
fn any_interface(header: &libc::msghdr) {
    let place = if let Some(info) = v4_control(header) {
        info.wrapping_add(offset_of!(libc::in_pktinfo, ipi_ifindex))
    } else if let Some(info) = v6_control(header) {
        info.wrapping_add(offset_of!(libc::in6_pktinfo, ipi6_ifindex))
    } else {
        return;
    };
    // SAFETY: `place` is within the body of a control message in the buffer that the batch owns, of which there is no
    // reference; four bytes are written without regard to alignment.
    unsafe { place.cast::<c_int>().write_unaligned(0) }
}

fn address(name: &sockaddr_storage) -> Option<SocketAddr> {
    let start = ptr::from_ref(name);
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a `sockaddr_storage` has the size and alignment of every address, and the family says which.
            let v4 = unsafe { &*start.cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*start.cast::<sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_address(name: &mut sockaddr_storage, address: SocketAddr) -> socklen_t {
    let address = socket2::SockAddr::from(address);
    let length = address.len().min(NAME_BYTES);
    // SAFETY: the address has `length` bytes, the storage as many as NAME_BYTES, and they do not overlap.
    unsafe {
        ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            ptr::from_mut(name).cast::<u8>(),
            length as usize,
        );
    }
    length
}
