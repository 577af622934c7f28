// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that are open already: used, mapped, sent.

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fcntl_lock, flock, ioctl_getflags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use super::{Act, Case, act, case};
use crate::place::Mark::{File, Folder};
use crate::place::Place;
use crate::support::{EXEC, FCNTL, GET, IOCTL, LOCK, READ, WRITE};
use crate::sys::{self, Mapping};

const FIOCLEX: u32 = 0x5451;
const FS_IOC_GETFLAGS: u64 = 0x8008_6601;
const F_GETFL: u32 = 3;
const UNKNOWN_COMMAND: u32 = 0xffff_fff0;
const F_RDLCK: u64 = 0;
const F_WRLCK: u64 = 1;
const F_UNLCK: u64 = 2;

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);
const RX: ProtFlags = ProtFlags::READ.union(ProtFlags::EXEC);
const SHARED: MapFlags = MapFlags::SHARED;
const PRIVATE: MapFlags = MapFlags::PRIVATE;

pub const CASES: &[Case] = &[
    case("file_permission", 0, "read", (File, READ), |place| {
        let file = opened(place);
        act(move || rustix::io::read(file, &mut [0]))
    }),
    case("file_permission", 0, "write", (File, WRITE), |place| {
        let file = opened(place);
        act(move || rustix::io::write(file, b"x"))
    })
    .changes(),
    case("file_permission", 0, "sendfile from it", (File, READ), |place| {
        let (from, to) = (opened(place), null());
        act(move || rustix::fs::sendfile(to, from, None, 1))
    }),
    case("file_permission", 0, "fallocate", (File, WRITE), |place| {
        let file = opened(place);
        act(move || fallocate(file, FallocateFlags::empty(), 0, 8192))
    })
    .changes(),
    case("file_permission", 0, "readdir", (Folder, READ), |place| {
        let folder = fs::File::open(place.at("folder")).unwrap();
        act(move || {
            rustix::fs::RawDir::new(folder, &mut [const { std::mem::MaybeUninit::uninit() }; 512])
                .next()
                .unwrap()
                .map(drop)
        })
    }),
    case("file_ioctl", 0, "ioctl", (File, IOCTL), |place| {
        let file = opened(place);
        act(move || sys::ioctl(file, FIOCLEX))
    }),
    case("file_ioctl", 1, "ioctl(FIOCLEX)", (File, FIOCLEX as u64), |place| {
        let file = opened(place);
        act(move || sys::ioctl(file, FIOCLEX))
    }),
    case("file_ioctl", 1, "ioctl(FS_IOC_GETFLAGS)", (File, FS_IOC_GETFLAGS), |place| {
        let file = opened(place);
        act(move || ioctl_getflags(file))
    }),
    case("file_lock", 0, "flock", (File, LOCK), |place| {
        locked(place, FlockOperation::NonBlockingLockExclusive)
    }),
    case("file_lock", 1, "flock(LOCK_SH)", (File, F_RDLCK), |place| {
        locked(place, FlockOperation::NonBlockingLockShared)
    }),
    case("file_lock", 1, "flock(LOCK_EX)", (File, F_WRLCK), |place| {
        locked(place, FlockOperation::NonBlockingLockExclusive)
    }),
    case("file_lock", 1, "flock(LOCK_UN)", (File, F_UNLCK), |place| locked(place, FlockOperation::Unlock)),
    case("file_lock", 0, "fcntl(F_SETLK)", (File, LOCK), |place| {
        let file = opened(place);
        act(move || fcntl_lock(file, FlockOperation::NonBlockingLockExclusive))
    })
    .without(FCNTL),
    case("file_fcntl", 0, "fcntl", (File, FCNTL), |place| {
        let file = opened(place);
        act(move || sys::fcntl(file, F_GETFL))
    }),
    case("file_fcntl", 1, "fcntl(F_GETFL)", (File, F_GETFL as u64), |place| {
        let file = opened(place);
        act(move || sys::fcntl(file, F_GETFL))
    }),
    case("file_fcntl", 1, "fcntl of no known command", (File, UNKNOWN_COMMAND as u64), |place| {
        let file = opened(place);
        act(move || sys::fcntl(file, UNKNOWN_COMMAND))
    })
    .fails(Errno::INVAL),
    case("mmap_file", 0, "mmap to read", (File, READ), |place| mapped(place, ProtFlags::READ, SHARED)),
    case("mmap_file", 0, "mmap to write", (File, READ | WRITE), |place| mapped(place, RW, SHARED)),
    case("mmap_file", 0, "mmap to write a private copy", (File, READ), |place| mapped(place, RW, PRIVATE)),
    case("mmap_file", 0, "mmap to execute", (File, READ | EXEC), |place| mapped(place, RX, PRIVATE)),
    case("mmap_file", 0, "mmap(PROT_NONE)", (File, 0), |place| mapped(place, ProtFlags::empty(), SHARED)),
    case("file_mprotect", 0, "mprotect to write", (File, READ | WRITE), |place| {
        protected(place, SHARED, MprotectFlags::READ | MprotectFlags::WRITE)
    }),
    case("file_mprotect", 0, "mprotect to write a private copy", (File, READ), |place| {
        protected(place, PRIVATE, MprotectFlags::READ | MprotectFlags::WRITE)
    }),
    case("file_mprotect", 0, "mprotect to execute", (File, EXEC), |place| {
        protected(place, PRIVATE, MprotectFlags::EXEC)
    }),
    case("file_mprotect", 0, "mprotect(PROT_NONE)", (File, 0), |place| {
        protected(place, SHARED, MprotectFlags::empty())
    }),
    case("file_receive", 0, "recvmsg(SCM_RIGHTS)", (File, GET), receive),
    case("file_receive", 0, "pidfd_getfd", (File, GET), |place| {
        let file = opened(place);
        act(move || {
            let process =
                rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
            let number = i32::try_from(sys::number(file.as_fd())).unwrap();
            rustix::process::pidfd_getfd(process, number, PidfdGetfdFlags::empty())
        })
    }),
];

/// The marked file, for reading and writing.
pub fn opened(place: &Place) -> OwnedFd {
    let file = OpenOptions::new().read(true).write(true).open(place.at("folder/file"));
    file.unwrap().into()
}

fn null() -> OwnedFd {
    OpenOptions::new().write(true).open("/dev/null").unwrap().into()
}

fn locked(place: &Place, how: FlockOperation) -> Act {
    let file = opened(place);
    act(move || flock(file, how))
}

fn mapped(place: &Place, protection: ProtFlags, flags: MapFlags) -> Act {
    let file = opened(place);
    act(move || Mapping::new(file, protection, flags))
}

fn protected(place: &Place, flags: MapFlags, protection: MprotectFlags) -> Act {
    let mapping = Mapping::new(opened(place), ProtFlags::READ, flags).unwrap();
    act(move || mapping.protect(protection))
}

/// Takes a descriptor out of a message. A receiver who is denied it gets the message without it.
fn receive(place: &Place) -> Act {
    use rustix::net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg,
        socketpair,
    };
    let pair = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::empty(), None);
    let (here, there) = pair.unwrap();
    let file = opened(place);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let files = [file.as_fd()];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    assert!(rights.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&here, &[std::io::IoSlice::new(b"x")], &mut rights, SendFlags::empty()).unwrap();
    act(move || {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let message =
            recvmsg(&there, &mut [std::io::IoSliceMut::new(&mut byte)], &mut rights, RecvFlags::empty())?;
        let received = rights.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_)));
        assert_eq!(received, !message.flags.contains(ReturnFlags::CTRUNC));
        received.then_some(()).ok_or(Errno::PERM)
    })
}
