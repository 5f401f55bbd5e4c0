//! UDP sockets as shards use them: options that `std` does not know, and waiting on several.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// A UDP socket.
///
/// WHY: not O_NONBLOCK: io_uring would answer EAGAIN where it is to wait. Every other call on it says
/// MSG_DONTWAIT itself.
#[derive(Debug)]
pub struct UdpSocket(Socket);

impl UdpSocket {
    /// Opens an unbound socket for the family of `address`, IPv6 without IPv4 in it.
    ///
    /// # Errors
    /// When the process is out of descriptors, or the host has no such family.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        Ok(UdpSocket(socket))
    }

    /// Binds it.
    ///
    /// # Errors
    /// EADDRINUSE when it is taken, EADDRNOTAVAIL when the host has no such address.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.0.bind(&SockAddr::from(address))
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// None in practice.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Lets others of this user bind the same address (SO_REUSEPORT), from now on.
    ///
    /// # Errors
    /// None in practice.
    pub fn allow_sharing(&self) -> io::Result<()> {
        self.0.set_reuse_port(true)
    }

    /// Allows binding to an address that the host does not have yet (IP_FREEBIND).
    ///
    /// # Errors
    /// None in practice.
    pub fn allow_foreign_address(&self, family_of: SocketAddr) -> io::Result<()> {
        if family_of.is_ipv6() { self.0.set_freebind_v6(true) } else { self.0.set_freebind_v4(true) }
    }

    /// Asks for a receive buffer of `bytes`, beyond the system's maximum where that is permitted;
    /// returns what the kernel granted (it counts its own overhead, so twice what was asked).
    ///
    /// # Errors
    /// None in practice.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<usize> {
        let wanted = libc::c_int::try_from(bytes / 2).unwrap_or(libc::c_int::MAX);
        if self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, wanted).is_err() {
            self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUF, wanted)?;
        }
        self.0.recv_buffer_size()
    }

    /// The same for the send buffer.
    ///
    /// # Errors
    /// None in practice.
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<usize> {
        let wanted = libc::c_int::try_from(bytes / 2).unwrap_or(libc::c_int::MAX);
        if self.set_option(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted).is_err() {
            self.set_option(libc::SOL_SOCKET, libc::SO_SNDBUF, wanted)?;
        }
        self.0.send_buffer_size()
    }

    /// Has the socket report: ICMP errors (error queue), its drops, when each datagram arrived, and on a
    /// wildcard address the address that it was sent to. Lets large datagrams be fragmented (no DF).
    ///
    /// # Errors
    /// When the kernel lacks one of these.
    pub fn set_reports(&self, address: SocketAddr) -> io::Result<()> {
        let wildcard = address.ip().is_unspecified();
        self.set_option(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        self.set_option(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        if address.is_ipv6() {
            self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
            self.set_option(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
            if wildcard {
                self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            }
        } else {
            self.set_option(libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
            self.set_option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
            if wildcard {
                self.set_option(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            }
        }
        Ok(())
    }

    fn set_option(&self, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the kernel reads `length` bytes from `value`, which lives across the call.
        let result = unsafe { libc::setsockopt(self.as_raw_fd(), level, name, (&raw const value).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<UdpSocket> for OwnedFd {
    fn from(socket: UdpSocket) -> Self {
        socket.0.into()
    }
}

/// Descriptors to wait on together, for input.
#[derive(Debug)]
pub struct PollSet(Vec<libc::pollfd>);

impl PollSet {
    /// A set of `descriptors`. They must stay open for as long as the set is used; a closed one shows
    /// as not ready.
    pub fn new<'a>(descriptors: impl IntoIterator<Item = BorrowedFd<'a>>) -> Self {
        let poll = |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        PollSet(descriptors.into_iter().map(poll).collect())
    }

    /// Adds one, behind all others.
    pub fn add(&mut self, descriptor: BorrowedFd<'_>) {
        self.0.push(libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }

    /// Takes one out.
    pub fn remove(&mut self, descriptor: BorrowedFd<'_>) {
        self.0.retain(|poll| poll.fd != descriptor.as_raw_fd());
    }

    /// Waits until one is ready, or `timeout` passes (`None`: for ever). Returns how many are.
    ///
    /// # Errors
    /// EINTR.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let spec = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the array and its length belong together; `spec` is null or points to a timespec
        // that lives until the end of this function; a null mask changes no signals.
        let ready = unsafe { libc::ppoll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, spec, std::ptr::null()) };
        usize::try_from(ready).map_err(|_| io::Error::last_os_error())
    }

    /// What the last wait found out about descriptor number `index`: readable, and error queue filled.
    pub fn state(&self, index: usize) -> (bool, bool) {
        self.0
            .get(index)
            .map_or((false, false), |poll| (poll.revents & libc::POLLIN != 0, poll.revents & libc::POLLERR != 0))
    }
}
