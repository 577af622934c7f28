// SPDX-License-Identifier: MIT OR Apache-2.0
//! ioctl, fcntl and flock.

use landlock_compiler::abi::{Actions, Event};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::act::io::share;
use crate::judge::{About, Ask, actions};
use crate::passing::{has_own_descriptors, on_descriptor};
use crate::request::{Answer, DONE, Request};

const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;

/// ioctl(fd, request, argument)
pub fn ioctl(request: &Request<'_>) -> Answer {
    let command = request.arg32(1);
    let mut asks = vec![
        actions("file_ioctl", Actions::IOCTL),
        Ask { hook: "file_ioctl", about: About::Command(Event::FsIoctl, command) },
    ];
    match command {
        FICLONE | FICLONERANGE | FIDEDUPERANGE => return share_blocks(request, command, &asks),
        FS_IOC_GETFLAGS | FS_IOC_FSGETXATTR => asks.push(actions("inode_file_getattr", Actions::READ)),
        FS_IOC_SETFLAGS | FS_IOC_FSSETXATTR => asks.push(actions("inode_file_setattr", Actions::WRITE)),
        _ => {}
    }
    on_descriptor(request, request.arg32(0), &asks)
}

/// Two files, the other one named by the argument.
fn share_blocks(request: &Request<'_>, command: u32, asks: &[Ask]) -> Answer {
    let file = request.object(request.arg32(0))?;
    if rustix::fs::fcntl_getfl(&file)?.contains(OFlags::PATH) {
        return Err(Errno::BADF);
    }
    for &ask in asks {
        request.shared.judge.ask(request, ask, &file)?;
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
        libc::F_SETLK | libc::F_SETLKW | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            asks.push(actions("file_lock", Actions::LOCK));
            asks.extend(lock_types(request)?.into_iter().map(lock));
        }
        libc::F_SETLEASE => {
            asks.push(actions("file_lock", Actions::LOCK));
            asks.push(lock(request.arg32(2)));
        }
        _ => {}
    }
    on_descriptor(request, request.arg32(0), &asks)
}

fn lock(kind: u32) -> Ask {
    Ask { hook: "file_lock", about: About::Command(Event::FsLock, kind) }
}

/// The lock type is in memory. Where other threads could change it after the check, every type is asked about.
fn lock_types(request: &Request<'_>) -> Result<Vec<u32>, Errno> {
    let kind = request.bytes(request.arg(2), 2)?;
    let kind = u32::from(u16::from_le_bytes([kind[0], kind[1]]));
    Ok(if has_own_descriptors(request)? { vec![kind] } else { vec![0, 1, 2] })
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
    request.shared.judge.ask(request, actions("file_lock", Actions::LOCK), &object)?;
    request.shared.judge.ask(request, lock(kind), &object)?;
    request.blocking(|| rustix::fs::flock(&object, operation))?;
    DONE
}
