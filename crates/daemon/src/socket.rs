// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors with a message.
pub const MAX_DESCRIPTORS: usize = crate::rules::MAX_HANDLES;

/// A message that was received.
#[derive(Debug)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
    /// It had more bytes or descriptors, which are gone.
    pub is_cut: bool,
}

/// Sends a message; it is sent whole, or not at all.
pub fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    let flags = flags | SendFlags::NOSIGNAL;
    retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags)).map(drop)
}

/// Bytes of the next message, which stays.
fn length(socket: impl AsFd, flags: RecvFlags) -> Result<usize, Errno> {
    let flags = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
    let peek = || recvmsg(&socket, &mut [], &mut RecvAncillaryBuffer::default(), flags);
    retry_on_intr(peek).map(|peeked| peeked.bytes)
}

/// Receives one of at most `most` bytes; one of none is the end. Memory is taken for what there is: clearing that of the
/// longest message takes longer than answering a short one.
pub fn receive(socket: impl AsFd, most: usize, flags: RecvFlags) -> Result<Message, Errno> {
    let mut bytes = vec![0; most.min(length(&socket, flags)?)];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received =
        retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags))?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(several) = message {
            descriptors.extend(several);
        }
    }
    bytes.truncate(received.bytes);
    let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok(Message { bytes, descriptors, is_cut })
}
