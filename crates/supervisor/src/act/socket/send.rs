// SPDX-License-Identifier: MIT OR Apache-2.0
//! sendto, sendmsg and sendmmsg.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SocketType;

use super::address::Target;
use super::message::{self, BATCH_LEN, BATCH_STRIDE, Header, MAX_BATCH};
use super::{Socket, credentials};
use crate::act::io::{Segments, for_caller};
use crate::judge::actions;
use crate::object::errno;
use crate::passing::has_own_descriptors;
use crate::request::{Answer, Reply, Request};
use crate::sys::{self, CONTROL_HEADER, Outgoing};
use landlock_compiler::abi::Actions;

/// sendto(fd, data, length, flags, address, length)
pub fn sendto(request: &Request<'_>) -> Answer {
    let segments = Segments::one(request.arg(1), request.arg(2))?;
    let socket = Socket::of(request, request.arg32(0))?;
    let name = match request.arg(4) {
        0 => Vec::new(),
        at => message::address(request, at, request.arg32(5))?,
    };
    if may_go_on(request, &socket)? {
        return Ok(Reply::Continue);
    }
    let sent = send(request, &socket, name, &segments, Ancillary::default(), request.arg32(3))?;
    count(sent)
}

/// sendmsg(fd, message, flags)
pub fn sendmsg(request: &Request<'_>) -> Answer {
    let socket = Socket::of(request, request.arg32(0))?;
    if may_go_on(request, &socket)? {
        return Ok(Reply::Continue);
    }
    count(send_header(request, &socket, request.arg(1), request.arg32(2))?)
}

/// sendmmsg(fd, messages, count, flags)
pub fn sendmmsg(request: &Request<'_>) -> Answer {
    let socket = Socket::of(request, request.arg32(0))?;
    if may_go_on(request, &socket)? {
        return Ok(Reply::Continue);
    }
    let mut done = 0;
    for index in 0..request.arg32(2).min(MAX_BATCH) {
        let at = request.arg(1).wrapping_add(u64::from(index) * BATCH_STRIDE);
        let sent = send_header(request, &socket, at, request.arg32(3)).and_then(|sent| {
            let sent = u32::try_from(sent).map_err(|_| Errno::OVERFLOW)?;
            request.write(at.wrapping_add(BATCH_LEN), &sent.to_ne_bytes())
        });
        match sent {
            Ok(()) => done += 1,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(Reply::Value(done))
}

fn may_go_on(request: &Request<'_>, socket: &Socket) -> Result<bool, Errno> {
    Ok(!socket.sends_to_paths() && has_own_descriptors(request)?)
}

fn count(sent: usize) -> Answer {
    i64::try_from(sent).map(Reply::Value).map_err(|_| Errno::OVERFLOW)
}

fn send_header(request: &Request<'_>, socket: &Socket, at: u64, flags: u32) -> Result<usize, Errno> {
    let header = Header::read(request, at)?;
    let name = request.bytes(header.name, usize::try_from(header.name_len).unwrap_or(0))?;
    let ancillary = Ancillary::read(request, socket, header.control, header.control_len)?;
    send(request, socket, name, &header.segments, ancillary, flags)
}

/// The end of every send: copies the data, asks about the address, sends.
fn send(
    request: &Request<'_>,
    socket: &Socket,
    name: Vec<u8>,
    segments: &Segments,
    mut ancillary: Ancillary,
    flags: u32,
) -> Result<usize, Errno> {
    /// A stream may be sent in parts; a message that is longer is too long for any socket.
    const MOST: usize = 16 << 20;
    let stream = socket.kind == SocketType::STREAM;
    if segments.len() > MOST && !stream {
        return Err(Errno::MSGSIZE);
    }
    if flags & libc::MSG_ZEROCOPY.cast_unsigned() != 0 {
        let ask = actions("inode_permission", Actions::WRITE);
        return request.judge.refuse_because(request, ask, "MSG_ZEROCOPY sends memory that is not ours");
    }
    socket.may_stand_in(request)?;
    let segments = segments.part(0, MOST);
    let data = segments.gather(request)?;
    if data.len() < segments.len() {
        return Err(Errno::FAULT);
    }
    let target = if socket.sends_to_paths() || !socket.unix {
        Target::of(request, socket, name)?
    } else {
        Target::unused(name)
    };
    let go = |ancillary: &Ancillary| {
        let message = Outgoing { name: target.bytes(), data: &data, control: &ancillary.bytes };
        for_caller(request, || {
            sys::send_message(socket.object.as_fd(), message, flags.cast_signed()).map_err(errno)
        })
    };
    match go(&ancillary) {
        Err(Errno::PERM) if !ancillary.claims.is_empty() => {
            for claim in std::mem::take(&mut ancillary.claims) {
                credentials::replace(&mut ancillary.bytes[claim]);
            }
            go(&ancillary)
        }
        sent => sent,
    }
}

/// Control messages to send, with our descriptors in place of the caller's.
#[derive(Default)]
struct Ancillary {
    bytes: Vec<u8>,
    /// Where credentials are in `bytes`.
    claims: Vec<Range<usize>>,
    /// Keeps the descriptors in `bytes`.
    _files: Vec<OwnedFd>,
}

impl Ancillary {
    fn read(request: &Request<'_>, socket: &Socket, at: u64, len: u64) -> Result<Ancillary, Errno> {
        /// More than any system lets through (`net.core.optmem_max`).
        const MOST: u64 = 1 << 20;
        if len > MOST {
            return Err(Errno::NOBUFS);
        }
        let mut bytes = request.bytes(at, usize::try_from(len).unwrap_or(0))?;
        let mut files = Vec::new();
        let mut claims = Vec::new();
        let mut begin = 0;
        while let Some((level, kind, data, rest)) = sys::first_control(&bytes[begin..]) {
            let from = begin + CONTROL_HEADER;
            let (data, next) = (from..from + data.len(), bytes.len() - rest.len());
            if socket.unix && level == libc::SOL_SOCKET {
                match kind {
                    libc::SCM_RIGHTS => translate(request, &mut bytes[data], &mut files)?,
                    libc::SCM_CREDENTIALS => {
                        credentials::claim(request, &bytes[data.clone()])?;
                        claims.push(data);
                    }
                    _ => {}
                }
            }
            begin = next;
        }
        Ok(Ancillary { bytes, claims, _files: files })
    }
}

/// Replaces the caller's descriptor numbers by ours for the same open files.
fn translate(request: &Request<'_>, numbers: &mut [u8], files: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    /// As many as the kernel takes in one message.
    const MOST: usize = 253;
    if numbers.len() / 4 > MOST {
        return Err(Errno::INVAL);
    }
    for number in numbers.chunks_exact_mut(4) {
        let theirs = u32::from_ne_bytes([number[0], number[1], number[2], number[3]]);
        let file = request.file(theirs)?;
        number.copy_from_slice(&file.as_raw_fd().to_ne_bytes());
        files.push(file);
    }
    Ok(())
}
