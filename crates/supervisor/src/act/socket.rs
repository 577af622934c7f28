// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets where they touch the file system: UNIX addresses that are paths, and descriptors received from
//! others.
//!
//! Connecting or sending to a path walks there and asks `inode_permission` WRITE about the socket; binding
//! to one makes a file, like mknod. We act on a copy of the caller's message, through our descriptor of its
//! socket. The kernel goes on by itself only where the caller has its descriptors to itself and its kind of
//! socket takes no path, whatever the caller's memory says by then.
//!
//! What differs from the kernel where we act:
//!
//! * the peer sees our process id (`SO_PEERCRED`, `SCM_CREDENTIALS`) with the caller's user and group; a caller
//!   with other ones than we have is refused, because ours would be seen;
//! * a path with a directory in it that we see differently (another root, `/proc/self`) is bound by its last component,
//!   so `getsockname` tells that;
//! * `MSG_ZEROCOPY` is refused.

mod address;
mod credentials;
mod message;
mod receive;
mod send;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::act::io::for_caller;
use crate::judge::actions;
use crate::object::{Object, errno};
use crate::passing::has_own_descriptors;
use crate::request::{Answer, DONE, Reply, Request};
use crate::sys;
use landlock_compiler::abi::Actions;
use std::os::fd::AsFd;

pub use address::bind;
pub use receive::{pidfd_getfd, recvmmsg, recvmsg};
pub use send::{sendmmsg, sendmsg, sendto};

/// The caller's socket.
struct Socket {
    object: Object,
    /// Of the UNIX family.
    unix: bool,
    kind: SocketType,
}

impl Socket {
    /// `EBADF`, `ENOTSOCK`.
    fn of(request: &Request<'_>, number: u32) -> Result<Socket, Errno> {
        let object = request.object(number)?;
        let kind = sockopt::socket_type(&object)?;
        let unix = sockopt::socket_domain(&object)? == AddressFamily::UNIX;
        Ok(Socket { object, unix, kind })
    }

    /// Whether a message sent through it can name a path.
    fn sends_to_paths(&self) -> bool {
        self.unix && !matches!(self.kind, SocketType::STREAM | SocketType::SEQPACKET)
    }

    /// Where we would be seen with our identity instead of the caller's, a refusal.
    fn may_stand_in(&self, request: &Request<'_>) -> Result<(), Errno> {
        if !self.unix || request.has_our_credentials()? {
            return Ok(());
        }
        let ask = actions("inode_permission", Actions::WRITE);
        let reason = "the peer of this socket would see the supervisor's user instead of the caller's";
        request.judge.refuse_because(request, ask, reason)
    }
}

/// connect(fd, address, length)
pub fn connect(request: &Request<'_>) -> Answer {
    let file = request.object(request.arg32(0))?;
    if rustix::fs::fcntl_getfl(&file)?.contains(rustix::fs::OFlags::PATH) {
        return Err(Errno::BADF);
    }
    let address = message::address(request, request.arg(1), request.arg32(2))?;
    let socket = Socket::of(request, request.arg32(0))?;
    if !socket.unix && has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    socket.may_stand_in(request)?;
    let target = address::Target::of(request, &socket, address)?;
    for_caller(request, || sys::connect(socket.object.as_fd(), target.bytes()).map_err(errno))?;
    DONE
}
