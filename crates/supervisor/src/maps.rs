// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes to arrays of handles while their rules are in force: from who made the sandbox, over a socket that only it
//! and the supervisor have.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use landlock_compiler::domain::Domain;
use landlock_compiler::map::Handle;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// One change: which array (as [`Domain::maps`] counts), and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The array.
    pub map: u32,
    /// The place in it.
    pub index: u32,
    /// A handle's type, for an update; nothing to delete the one that is there.
    pub handle_type: Option<u32>,
    /// The flags of an update.
    pub flags: u64,
}

const SIZE: usize = 24;
const DELETE: u32 = u32::MAX;

impl Change {
    fn encode(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&self.map.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.index.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.handle_type.unwrap_or(DELETE).to_ne_bytes());
        bytes[16..].copy_from_slice(&self.flags.to_ne_bytes());
        bytes
    }

    fn decode(bytes: [u8; SIZE]) -> Change {
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let flags = u64::from_ne_bytes(std::array::from_fn(|byte| bytes[16 + byte]));
        let handle_type = Some(word(8)).filter(|number| *number != DELETE);
        Change { map: word(0), index: word(4), handle_type, flags }
    }

    /// Makes it.
    fn make(self, domain: &Domain, descriptor: Option<OwnedFd>) -> Result<(), Errno> {
        let maps = domain.maps();
        let map = maps.get(self.map as usize).ok_or(Errno::INVAL)?;
        let changed = map.change(|array| match (self.handle_type, descriptor) {
            (Some(number), Some(descriptor)) => {
                Ok(array.update(self.index, number, Handle::held(descriptor), self.flags).map(drop))
            }
            (None, None) => Ok(array.delete(self.index).map(drop)),
            _ => Err(Errno::BADF),
        });
        changed?.map_err(|error| Errno::from_raw_os_error(error.errno()))
    }
}

/// The side of who made the sandbox.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// The two sides: ours and the supervisor's.
pub fn pair() -> Result<(Link, OwnedFd), Errno> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Link(ours), theirs))
}

impl Link {
    /// Has the supervisor make a change; when this returns, every later question sees it.
    ///
    /// # Errors
    /// As the array's own; `EPIPE` if the supervisor is gone, so that nobody is confined any more by these rules.
    pub fn change(&self, change: Change, descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let bytes = change.encode();
        retry(|| sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL))
            .map_err(gone)?;
        let mut answer = [0; 4];
        let got = retry(|| rustix::io::read(&self.0, &mut answer)).map_err(gone)?;
        match (got, i32::from_ne_bytes(answer)) {
            (4, 0) => Ok(()),
            (4, errno) => Err(Errno::from_raw_os_error(errno)),
            _ => Err(Errno::PIPE),
        }
    }
}

fn gone(errno: Errno) -> Errno {
    if errno == Errno::CONNRESET { Errno::PIPE } else { errno }
}

fn retry<T>(mut act: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match act() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// The supervisor's side: makes changes until nobody is left to ask for any.
pub fn serve(link: &OwnedFd, domain: &Domain) {
    while let Ok(Some((change, descriptor))) = receive(link.as_fd()) {
        let errno = change.make(domain, descriptor).map_or_else(Errno::raw_os_error, |()| 0);
        if retry(|| rustix::io::write(link, &errno.to_ne_bytes())).is_err() {
            return;
        }
    }
}

/// The next change; `None` when the other side is gone.
fn receive(link: BorrowedFd<'_>) -> Result<Option<(Change, Option<OwnedFd>)>, Errno> {
    let mut bytes = [0; SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = retry(|| recvmsg(link, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags))?.bytes;
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = rights.flatten().next();
    Ok((got == SIZE).then(|| (Change::decode(bytes), descriptor)))
}
