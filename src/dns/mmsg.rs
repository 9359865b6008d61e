//! Datagrams in batches: `recvmmsg` and `sendmmsg`, one system call for many.
//!
//! The only `unsafe` code of the crate. What makes it sound: every pointer that
//! the kernel is handed leads into a heap allocation that its [`Batch`] owns and
//! never resizes while the call runs, and every length is that allocation's own.
//!
//! A reply leaves from the address that was asked: where a socket is bound to
//! all addresses, the kernel's note of the destination comes back to it with the
//! reply.
//!
//! Where the two calls are missing, a batch holds one datagram and goes through
//! the standard library, which can't choose the source address.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{Batch, note_destinations};
#[cfg(not(target_os = "linux"))]
pub use self::portable::{Batch, note_destinations};

/// Octets of a datagram that are read.
const MAX_QUERY_LEN: usize = super::message::MAX_DATAGRAM as usize;

#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "two system calls that no safe crate offers with control messages"
)]
mod linux {
    use std::io;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::ptr;

    use super::MAX_QUERY_LEN;

    /// Octets for the note of a destination: one control message of the larger kind.
    // SAFETY: CMSG_SPACE computes, and touches no memory.
    const CONTROL_LEN: usize =
        unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;

    /// A control buffer, aligned as its header wants.
    #[derive(Clone, Copy)]
    #[repr(C, align(8))]
    struct Control([u8; CONTROL_LEN]);

    /// Has the kernel note the destination of each datagram of a socket.
    pub(crate) fn note_destinations(socket: &UdpSocket) -> io::Result<()> {
        let (level, option) = match socket.local_addr()? {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        let on: libc::c_int = 1;
        // SAFETY: the value is an int that outlives the call, of the length given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The room of one query. The odd length keeps the starts of neighbours,
    /// which is all of them that is mostly used, in different parts of a cache.
    #[derive(Clone, Copy)]
    #[repr(C, align(64))]
    struct Query([u8; MAX_QUERY_LEN + 64]);

    /// Datagrams that came together, and their replies.
    ///
    /// What the kernel fills is laid out once, with a header for each place that
    /// leads to the place's own buffers; replies have headers of their own.
    pub(crate) struct Batch {
        queries: Box<[Query]>,
        peers: Box<[libc::sockaddr_storage]>,
        /// Notes of destinations; the kernel and [`forget_interface`] get there
        /// by the headers.
        _controls: Box<[Control]>,
        incoming: Box<[libc::mmsghdr]>,
        /// Where `incoming` leads to; read by the kernel alone.
        _rooms: Box<[libc::iovec]>,
        /// How many places the last call filled.
        filled: usize,
        replies: Box<[Vec<u8>]>,
        outgoing: Box<[libc::mmsghdr]>,
        contents: Box<[libc::iovec]>,
        /// Places of the replies to be sent.
        marked: Vec<usize>,
    }

    impl Batch {
        /// Room for `size` datagrams.
        pub(crate) fn new(size: usize) -> Self {
            // SAFETY: all of these are plain data of the C library, for which
            // zeros are a value; null pointers with length 0 among them.
            let (peer, vector, header) = unsafe {
                (
                    std::mem::zeroed::<libc::sockaddr_storage>(),
                    std::mem::zeroed::<libc::iovec>(),
                    std::mem::zeroed::<libc::mmsghdr>(),
                )
            };
            let mut queries: Box<[Query]> = vec![Query([0; MAX_QUERY_LEN + 64]); size].into();
            let mut peers: Box<[_]> = vec![peer; size].into();
            let mut controls: Box<[Control]> = vec![Control([0; CONTROL_LEN]); size].into();
            let mut rooms: Box<[_]> = vec![vector; size].into();
            let mut incoming: Box<[_]> = vec![header; size].into();
            for index in 0..size {
                rooms[index] = libc::iovec {
                    iov_base: queries[index].0.as_mut_ptr().cast(),
                    iov_len: MAX_QUERY_LEN,
                };
                let header = &mut incoming[index].msg_hdr;
                header.msg_name = (&raw mut peers[index]).cast();
                header.msg_iov = &raw mut rooms[index];
                header.msg_iovlen = 1;
                header.msg_control = (&raw mut controls[index]).cast();
            }
            Self {
                queries,
                peers,
                _controls: controls,
                incoming,
                _rooms: rooms,
                filled: size,
                replies: vec![Vec::new(); size].into(),
                outgoing: vec![header; size].into(),
                contents: vec![vector; size].into(),
                marked: Vec::with_capacity(size),
            }
        }

        /// Waits for one datagram and takes those that are there with it, as far
        /// as there is room; says how many.
        pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
            // The kernel wrote how much it filled of each place.
            for header in &mut self.incoming[..self.filled] {
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
                header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            }
            self.filled = 0;
            self.marked.clear();
            // SAFETY: each header leads to the buffers at its place, which this
            // batch owns and never moves, with their lengths.
            let count = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    self.incoming.as_mut_ptr(),
                    self.incoming.len() as u32,
                    libc::MSG_WAITFORONE as _,
                    ptr::null_mut(),
                )
            };
            self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            Ok(self.filled)
        }

        /// The datagrams that came, as far as they were read.
        pub(crate) fn queries(&self) -> impl Iterator<Item = &[u8]> {
            self.incoming[..self.filled]
                .iter()
                .zip(&self.queries)
                .map(|(header, query)| &query.0[..MAX_QUERY_LEN.min(header.msg_len as usize)])
        }

        /// Datagram `index`, who sent it, and the buffer for its reply; `None`
        /// when it's too long to be a query or its sender can't be told.
        pub(crate) fn exchange(
            &mut self,
            index: usize,
        ) -> Option<(&[u8], SocketAddr, &mut Vec<u8>)> {
            let header = &self.incoming[index];
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return None;
            }
            let octets = self.queries[index].0.get(..header.msg_len as usize)?;
            Some((
                octets,
                address(&self.peers[index])?,
                &mut self.replies[index],
            ))
        }

        /// Marks the reply to datagram `index` to be sent.
        pub(crate) fn mark(&mut self, index: usize) {
            self.marked.push(index);
        }

        /// Sends the marked replies. One that the system refuses is left out:
        /// its client asks again.
        pub(crate) fn send(&mut self, socket: &UdpSocket) {
            for (slot, &index) in self.marked.iter().enumerate() {
                self.contents[slot] = libc::iovec {
                    iov_base: self.replies[index].as_mut_ptr().cast(),
                    iov_len: self.replies[index].len(),
                };
                let query = &mut self.incoming[index].msg_hdr;
                if query.msg_controllen != 0 {
                    forget_interface(query);
                }
                let header = &mut self.outgoing[slot].msg_hdr;
                header.msg_name = query.msg_name;
                header.msg_namelen = query.msg_namelen;
                header.msg_control = query.msg_control;
                header.msg_controllen = query.msg_controllen;
                header.msg_iov = &raw mut self.contents[slot];
                header.msg_iovlen = 1;
            }
            let mut sent = 0;
            while sent < self.marked.len() {
                let rest = &mut self.outgoing[sent..self.marked.len()];
                // SAFETY: each header leads to a reply, a peer's address and a
                // control message that this batch owns, with their lengths.
                let count = unsafe {
                    libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0)
                };
                match usize::try_from(count) {
                    Ok(count) => sent += count.max(1),
                    Err(_) if is_interrupted() => {}
                    Err(_) => sent += 1,
                }
            }
            self.marked.clear();
        }
    }

    /// Keeps of the note of a destination the address alone: the way back may
    /// lead through another interface. A link-local address needs its own.
    fn forget_interface(header: &mut libc::msghdr) {
        // SAFETY: the kernel filled the control buffer that the header leads to,
        // up to the length it gives, so what is found there is whole.
        unsafe {
            let note = libc::CMSG_FIRSTHDR(header);
            if note.is_null() {
                return;
            }
            let data = libc::CMSG_DATA(note);
            match ((*note).cmsg_level, (*note).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>();
                    (*info).ipi_ifindex = 0;
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>();
                    let address = Ipv6Addr::from((*info).ipi6_addr.s6_addr);
                    if !address.is_unicast_link_local() {
                        (*info).ipi6_ifindex = 0;
                    }
                }
                _ => {}
            }
        }
    }

    fn is_interrupted() -> bool {
        io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    }

    /// Reads an address as the kernel wrote it.
    fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
        let start: *const libc::sockaddr_storage = storage;
        match i32::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says which type the storage holds, and
                // it's larger and no less aligned than each of them.
                let v4 = unsafe { &*start.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddr::from((ip, u16::from_be(v4.sin_port))))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { &*start.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};

    use super::MAX_QUERY_LEN;

    /// Nothing can be noted here.
    pub fn note_destinations(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    /// One datagram and its reply.
    pub struct Batch {
        query: Vec<u8>,
        received: Option<(usize, SocketAddr)>,
        reply: Vec<u8>,
        marked: bool,
    }

    impl Batch {
        /// Room for one datagram, whatever the size.
        pub fn new(_: usize) -> Self {
            // One octet more tells a datagram that was cut.
            let query = vec![0; MAX_QUERY_LEN + 1];
            Self {
                query,
                received: None,
                reply: Vec::new(),
                marked: false,
            }
        }

        /// Waits for one datagram.
        pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
            self.received = Some(socket.recv_from(&mut self.query)?);
            self.marked = false;
            Ok(1)
        }

        /// The query.
        pub fn queries(&self) -> impl Iterator<Item = &[u8]> {
            self.received.map(|(len, _)| &self.query[..len]).into_iter()
        }

        /// The query, who sent it, and the buffer for its reply.
        pub fn exchange(&mut self, _: usize) -> Option<(&[u8], SocketAddr, &mut Vec<u8>)> {
            let (len, peer) = self.received.filter(|(len, _)| *len <= MAX_QUERY_LEN)?;
            Some((&self.query[..len], peer, &mut self.reply))
        }

        /// Marks the reply to be sent.
        pub fn mark(&mut self, _: usize) {
            self.marked = true;
        }

        /// Sends the reply if it's marked.
        pub fn send(&mut self, socket: &UdpSocket) {
            if let Some((_, peer)) = self.received.filter(|_| self.marked) {
                // One that the system refuses is left out: its client asks again.
                let _ = socket.send_to(&self.reply, peer);
            }
        }
    }
}
