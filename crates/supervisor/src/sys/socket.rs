// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: addresses and messages as plain bytes, received descriptors as owned ones.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::null_mut;

use super::{check, count, owned};

/// Connects to an address in the kernel's layout.
pub fn connect(fd: BorrowedFd<'_>, address: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `address.len()` bytes at `address`.
    check(i64::from(unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), length(address)?) }))
        .map(drop)
}

/// Binds to an address in the kernel's layout.
pub fn bind(fd: BorrowedFd<'_>, address: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `address.len()` bytes at `address`.
    check(i64::from(unsafe { libc::bind(fd.as_raw_fd(), address.as_ptr().cast(), length(address)?) }))
        .map(drop)
}

fn length(address: &[u8]) -> Result<libc::socklen_t> {
    libc::socklen_t::try_from(address.len()).map_err(|_| Error::from_raw_os_error(libc::EINVAL))
}

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where to; empty: to the peer.
    pub name: &'a [u8],
    /// What.
    pub data: &'a [u8],
    /// Control messages, with descriptors of ours.
    pub control: &'a [u8],
}

/// Sends a message; returns how many bytes of data went.
pub fn send_message(fd: BorrowedFd<'_>, message: Outgoing<'_>, flags: i32) -> Result<usize> {
    let mut data =
        libc::iovec { iov_base: message.data.as_ptr().cast_mut().cast(), iov_len: message.data.len() };
    let mut header = empty_header();
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    if !message.name.is_empty() {
        header.msg_name = message.name.as_ptr().cast_mut().cast();
        header.msg_namelen = length(message.name)?;
    }
    if !message.control.is_empty() {
        header.msg_control = message.control.as_ptr().cast_mut().cast();
        header.msg_controllen = message.control.len();
    }
    // SAFETY: the header points to live buffers of the lengths it names; sendmsg only reads them.
    count(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) })
}

/// A received message.
#[derive(Debug)]
pub struct Incoming {
    /// Who sent it, as far as there was room, and the length of the whole address.
    pub name: (Vec<u8>, u32),
    /// What came.
    pub data: Vec<u8>,
    /// Length of the message, which `MSG_TRUNC` can make more than came.
    pub len: usize,
    /// Control messages.
    pub control: Vec<Control>,
    /// `MSG_*` flags the kernel returned.
    pub flags: i32,
}

/// A control message.
#[derive(Debug)]
pub enum Control {
    /// `SCM_RIGHTS`: open files, ours now.
    Files(Vec<OwnedFd>),
    /// `SCM_PIDFD`: the sender, ours now.
    Process(OwnedFd),
    /// Anything else.
    Other {
        /// Protocol level.
        level: i32,
        /// Type within the level.
        kind: i32,
        /// Content.
        data: Vec<u8>,
    },
}

/// Room for the parts of a message.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes for the sender's address.
    pub name: usize,
    /// Bytes for the data.
    pub data: usize,
    /// Bytes for control messages.
    pub control: usize,
}

/// Receives a message. Descriptors in it are closed on exec.
pub fn receive_message(fd: BorrowedFd<'_>, room: Room, flags: i32) -> Result<Incoming> {
    let mut name = vec![0; room.name];
    let mut data = vec![0; room.data];
    // In words, so that headers are aligned.
    let mut control = vec![0_u64; room.control.div_ceil(8)];
    let mut vector = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let mut header = empty_header();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_name = if name.is_empty() { null_mut() } else { name.as_mut_ptr().cast() };
    header.msg_namelen = length(&name)?;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = room.control;
    // SAFETY: the header points to live buffers of (at least) the lengths it names.
    let len =
        count(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags | libc::MSG_CMSG_CLOEXEC) })?;
    data.truncate(len);
    name.truncate(usize::try_from(header.msg_namelen).unwrap_or(usize::MAX));
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let bytes = bytes.get(..header.msg_controllen).unwrap_or(&bytes);
    // SAFETY: these are the control messages the kernel has just written, parsed once.
    let control = unsafe { parse(bytes) };
    Ok(Incoming { name: (name, header.msg_namelen), data, len, control, flags: header.msg_flags })
}

fn empty_header() -> libc::msghdr {
    // SAFETY: all-zero is a valid empty message header.
    unsafe { std::mem::zeroed() }
}

/// Bytes of a control message's header; each begins at a multiple of 8.
pub const CONTROL_HEADER: usize = 16;

/// # Safety
/// `bytes` must be control messages fresh from the kernel: the descriptors in them belong to nobody yet.
unsafe fn parse(mut bytes: &[u8]) -> Vec<Control> {
    const SCM_PIDFD: i32 = 4;
    let mut all = Vec::new();
    while let Some((level, kind, data, rest)) = first_control(bytes) {
        let numbers = || data.chunks_exact(4).map(|number| RawFd::from_ne_bytes(word(number)));
        // SAFETY: as our caller promises.
        let own = |number| unsafe { owned(i64::from(number)) };
        all.push(match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                Control::Files(numbers().filter(|number| *number >= 0).filter_map(|n| own(n).ok()).collect())
            }
            (libc::SOL_SOCKET, SCM_PIDFD) if numbers().next().is_some_and(|number| number >= 0) => {
                match numbers().next().map(own) {
                    Some(Ok(fd)) => Control::Process(fd),
                    _ => Control::Other { level, kind, data: data.to_vec() },
                }
            }
            _ => Control::Other { level, kind, data: data.to_vec() },
        });
        bytes = rest;
    }
    all
}

/// Splits off the first control message: its level, its type, its data, and what follows it.
pub fn first_control(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let number = |at: usize| bytes.get(at..at + 4).map(|field| i32::from_ne_bytes(word(field)));
    let len = bytes.get(..8)?.iter().rev().fold(0_usize, |all, &byte| (all << 8) | usize::from(byte));
    let data = bytes.get(CONTROL_HEADER..len)?;
    let rest = bytes.get(len.next_multiple_of(8)..).unwrap_or(&[]);
    Some((number(8)?, number(12)?, data, rest))
}

fn word(bytes: &[u8]) -> [u8; 4] {
    let mut word = [0; 4];
    word.copy_from_slice(bytes);
    word
}
