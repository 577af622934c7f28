// SPDX-License-Identifier: MIT OR Apache-2.0
//! ioctl, fcntl and flock.

use std::os::fd::AsFd;

use landlock_compiler::abi::{Actions, Event};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::act::io::share;
use crate::judge::{About, Ask, actions};
use crate::object::{Object, errno};
use crate::passing::{Acts, on_descriptor};
use crate::request::{Answer, DONE, Reply, Request};
use crate::sys;
use crate::syscalls::OPENED_BY_IOCTL;

const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
const TIOCGPTPEER: u32 = 0x5441;

/// ioctl(fd, request, argument)
pub fn ioctl(request: &Request<'_>) -> Answer {
    let command = request.arg32(1);
    let mut asks = vec![
        actions("file_ioctl", Actions::IOCTL),
        Ask { hook: "file_ioctl", about: About::Command(Event::FsIoctl, command) },
    ];
    match command {
        FICLONE | FICLONERANGE | FIDEDUPERANGE => return share_blocks(request, command, &asks),
        TIOCGPTPEER if request.judge.may_deny(OPENED, None) => return open_peer(request, &asks),
        _ if opens_by_itself(command) && request.judge.may_deny(OPENED, None) => {
            let reason = "what this ioctl opens the kernel opens itself: namespaces, files by handle";
            return request.judge.refuse_because(request, OPENED, reason);
        }
        FS_IOC_GETFLAGS | FS_IOC_FSGETXATTR => asks.push(actions("inode_file_getattr", Actions::READ)),
        FS_IOC_SETFLAGS | FS_IOC_FSSETXATTR => asks.push(actions("inode_file_setattr", Actions::WRITE)),
        _ => {}
    }
    on_descriptor(request, request.arg32(0), Acts::OnTheCaller, &asks)
}

/// The kernel opens the other side of a terminal by itself; so do we, to ask about it. It never becomes the caller's
/// controlling one by that.
fn open_peer(request: &Request<'_>, asks: &[Ask]) -> Answer {
    const MASTER: u64 = libc::makedev(5, 2);
    let terminal = request.open_object(request.arg32(0))?;
    for &ask in asks {
        request.judge.ask(request, ask, &terminal)?;
    }
    if terminal.file_type() != libc::S_IFCHR || terminal.stat().st_rdev != MASTER {
        return Err(Errno::NOTTY);
    }
    let flags = OFlags::from_bits_retain(request.arg32(2));
    let ours = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = request.as_caller(|| sys::terminal_peer(terminal.as_fd(), ours.bits()).map_err(errno))?;
    let peer = Object::pin(opened)?;
    request.judge.ask(request, OPENED, &peer)?;
    Ok(Reply::Descriptor { fd: peer.into(), cloexec: flags.contains(OFlags::CLOEXEC) })
}

const OPENED: Ask = actions("file_open", Actions::GET);

/// Whether the kernel opens something for the command by itself. What, may depend on who asks.
fn opens_by_itself(command: u32) -> bool {
    OPENED_BY_IOCTL.contains(&(command & 0xffff))
}

/// Two files, the other one named by the argument.
fn share_blocks(request: &Request<'_>, command: u32, asks: &[Ask]) -> Answer {
    let file = request.object(request.arg32(0))?;
    if rustix::fs::fcntl_getfl(&file)?.contains(OFlags::PATH) {
        return Err(Errno::BADF);
    }
    for &ask in asks {
        request.judge.ask(request, ask, &file)?;
    }
    match command {
        FICLONE => share::clone(request, &file),
        FICLONERANGE => share::clone_range(request, &file),
        _ => share::deduplicate(request, &file),
    }
}

/// fcntl(fd, command, argument)
pub fn fcntl(request: &Request<'_>) -> Answer {
    let command = request.arg32(1);
    let mut asks = vec![
        actions("file_fcntl", Actions::FCNTL),
        Ask { hook: "file_fcntl", about: About::Command(Event::FsFcntl, command) },
    ];
    match command.cast_signed() {
        libc::F_OFD_SETLK | libc::F_OFD_SETLKW => return lock_open_file(request, &asks),
        libc::F_SETLK | libc::F_SETLKW => {
            asks.push(actions("file_lock", Actions::LOCK));
            // Such a lock belongs to the process, so the kernel takes it, and reads its type from memory that
            // others may share: every type is asked about.
            asks.extend([libc::F_RDLCK, libc::F_WRLCK, libc::F_UNLCK].map(|kind| lock(kind.cast_unsigned())));
        }
        libc::F_SETLEASE => {
            asks.push(actions("file_lock", Actions::LOCK));
            asks.push(lock(request.arg32(2)));
        }
        _ => {}
    }
    on_descriptor(request, request.arg32(0), Acts::OnTheCaller, &asks)
}

fn lock(kind: u32) -> Ask {
    Ask { hook: "file_lock", about: About::Command(Event::FsLock, kind) }
}

/// F_OFD_SETLK, F_OFD_SETLKW: the lock belongs to the open file, so we take it through our own descriptor of it.
fn lock_open_file(request: &Request<'_>, asks: &[Ask]) -> Answer {
    let command = request.arg32(1).cast_signed();
    let object = request.open_object(request.arg32(0))?;
    let wanted = sys::Lock::from_bytes(&request.bytes(request.arg(2), sys::Lock::SIZE)?);
    for &ask in asks.iter().chain(&[actions("file_lock", Actions::LOCK), lock(wanted.kind())]) {
        request.judge.ask(request, ask, &object)?;
    }
    request.blocking(|| wanted.take(object.as_fd(), command).map_err(errno))?;
    DONE
}

/// flock(fd, operation): the lock belongs to the open file, so we take it through our own descriptor of it.
pub fn flock(request: &Request<'_>) -> Answer {
    use rustix::fs::FlockOperation as Operation;
    let wanted = request.arg32(1);
    let waits = wanted & libc::LOCK_NB.cast_unsigned() == 0;
    let (kind, operation) = match (wanted & !libc::LOCK_NB.cast_unsigned()).cast_signed() {
        libc::LOCK_SH => (0, if waits { Operation::LockShared } else { Operation::NonBlockingLockShared }),
        libc::LOCK_EX => {
            (1, if waits { Operation::LockExclusive } else { Operation::NonBlockingLockExclusive })
        }
        libc::LOCK_UN => (2, Operation::Unlock),
        _ => return Err(Errno::INVAL),
    };
    let object = request.object(request.arg32(0))?;
    request.judge.ask(request, actions("file_lock", Actions::LOCK), &object)?;
    request.judge.ask(request, lock(kind), &object)?;
    request.blocking(|| rustix::fs::flock(&object, operation))?;
    DONE
}
