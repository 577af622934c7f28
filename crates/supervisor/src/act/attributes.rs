// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mode, owner, times, length and flags of a pinned object, changed through its `/proc/self/fd` path: that
//! reaches the object itself, a symbolic link too.

use std::ffi::CString;

use landlock_compiler::abi::Actions;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};
use rustix::io::Errno;

use crate::judge::actions;
use crate::object::{Object, errno};
use crate::request::{Answer, DONE, Request};
use crate::sys;
use crate::walk::{self, HERE, Last, Walk};

const NOFOLLOW: u32 = libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
const FLAGS: u32 = NOFOLLOW | libc::AT_EMPTY_PATH.cast_unsigned();

/// The object a call names by descriptor, path and flags.
fn named(request: &Request<'_>, dirfd: u32, path: u64, flags: u32) -> Result<Object, Errno> {
    if flags & !FLAGS != 0 {
        return Err(Errno::INVAL);
    }
    walk::object(request, dirfd, path, flags)
}

/// Asks whether attributes of `object` may change, then changes them with `act`, given a path to it.
fn change(request: &Request<'_>, object: &Object, act: impl FnOnce(String) -> Result<(), Errno>) -> Answer {
    request.judge.ask(request, actions("inode_setattr", Actions::WRITE), object)?;
    request.as_caller(|| act(object.proc_path()))?;
    DONE
}

/// chmod(path, mode)
pub fn chmod(request: &Request<'_>) -> Answer {
    set_mode(request, &named(request, HERE, request.arg(0), 0)?, request.arg32(1))
}

/// fchmod(fd, mode)
pub fn fchmod(request: &Request<'_>) -> Answer {
    set_mode(request, &request.open_object(request.arg32(0))?, request.arg32(1))
}

/// fchmodat(dirfd, path, mode)
pub fn fchmodat(request: &Request<'_>) -> Answer {
    set_mode(request, &named(request, request.arg32(0), request.arg(1), 0)?, request.arg32(2))
}

/// fchmodat2(dirfd, path, mode, flags)
pub fn fchmodat2(request: &Request<'_>) -> Answer {
    let object = named(request, request.arg32(0), request.arg(1), request.arg32(3))?;
    set_mode(request, &object, request.arg32(2))
}

fn set_mode(request: &Request<'_>, object: &Object, mode: u32) -> Answer {
    if object.is_symlink() {
        return Err(Errno::OPNOTSUPP);
    }
    let mode = Mode::from_raw_mode(mode & 0o7777);
    change(request, object, |path| rustix::fs::chmodat(CWD, path, mode, AtFlags::empty()))
}

/// chown(path, owner, group)
pub fn chown(request: &Request<'_>) -> Answer {
    set_owner(request, &named(request, HERE, request.arg(0), 0)?, request.arg32(1), request.arg32(2))
}

/// lchown(path, owner, group)
pub fn lchown(request: &Request<'_>) -> Answer {
    set_owner(request, &named(request, HERE, request.arg(0), NOFOLLOW)?, request.arg32(1), request.arg32(2))
}

/// fchown(fd, owner, group)
pub fn fchown(request: &Request<'_>) -> Answer {
    set_owner(request, &request.open_object(request.arg32(0))?, request.arg32(1), request.arg32(2))
}

/// fchownat(dirfd, path, owner, group, flags)
pub fn fchownat(request: &Request<'_>) -> Answer {
    let object = named(request, request.arg32(0), request.arg(1), request.arg32(4))?;
    set_owner(request, &object, request.arg32(2), request.arg32(3))
}

fn set_owner(request: &Request<'_>, object: &Object, owner: u32, group: u32) -> Answer {
    const KEEP: u32 = u32::MAX;
    let owner = (owner != KEEP).then(|| Uid::from_raw(owner));
    let group = (group != KEEP).then(|| Gid::from_raw(group));
    change(request, object, |path| rustix::fs::chownat(CWD, path, owner, group, AtFlags::empty()))
}

/// utime(path, times): two numbers of seconds
pub fn utime(request: &Request<'_>) -> Answer {
    let times = times(request, request.arg(1), |words| [timespec(words[0], 0), timespec(words[1], 0)], 2)?;
    set_times(request, &named(request, HERE, request.arg(0), 0)?, &times)
}

/// utimes(path, times): seconds and microseconds
pub fn utimes(request: &Request<'_>) -> Answer {
    let times = microseconds(request, request.arg(1))?;
    set_times(request, &named(request, HERE, request.arg(0), 0)?, &times)
}

/// futimesat(dirfd, path, times): seconds and microseconds
pub fn futimesat(request: &Request<'_>) -> Answer {
    let times = microseconds(request, request.arg(2))?;
    let object = timed(request, request.arg32(0), request.arg(1), 0)?;
    set_times(request, &object, &times)
}

/// utimensat(dirfd, path, times, flags): seconds and nanoseconds
pub fn utimensat(request: &Request<'_>) -> Answer {
    let times = times(
        request,
        request.arg(2),
        |words| [timespec(words[0], words[1]), timespec(words[2], words[3])],
        4,
    )?;
    if [times.last_access, times.last_modification].iter().all(|time| time.tv_nsec == UTIME_OMIT) {
        return DONE;
    }
    let object = timed(request, request.arg32(0), request.arg(1), request.arg32(3))?;
    set_times(request, &object, &times)
}

/// Without a path, the descriptor itself is meant.
fn timed(request: &Request<'_>, dirfd: u32, path: u64, flags: u32) -> Result<Object, Errno> {
    if path != 0 || dirfd == HERE {
        return named(request, dirfd, path, flags);
    }
    if flags != 0 { Err(Errno::INVAL) } else { request.open_object(dirfd) }
}

fn set_times(request: &Request<'_>, object: &Object, times: &Timestamps) -> Answer {
    change(request, object, |path| rustix::fs::utimensat(CWD, path, times, AtFlags::empty()))
}

fn timespec(tv_sec: i64, tv_nsec: i64) -> Timespec {
    Timespec { tv_sec, tv_nsec }
}

/// Reads `count` words of times; NULL means now.
fn times(
    request: &Request<'_>,
    address: u64,
    convert: impl FnOnce(&[i64]) -> [Timespec; 2],
    count: usize,
) -> Result<Timestamps, Errno> {
    let [last_access, last_modification] = if address == 0 {
        [timespec(0, UTIME_NOW); 2]
    } else {
        let bytes = request.bytes(address, count * 8)?;
        let words: Vec<i64> = bytes
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |all, &byte| (all << 8) | i64::from(byte)))
            .collect();
        convert(&words)
    };
    Ok(Timestamps { last_access, last_modification })
}

fn microseconds(request: &Request<'_>, address: u64) -> Result<Timestamps, Errno> {
    const MILLION: i64 = 1_000_000;
    let times =
        times(request, address, |words| [timespec(words[0], words[1]), timespec(words[2], words[3])], 4)?;
    if address == 0 {
        return Ok(times);
    }
    let exact = |time: Timespec| {
        let valid = (0..MILLION).contains(&time.tv_nsec);
        if valid { Ok(timespec(time.tv_sec, time.tv_nsec * 1000)) } else { Err(Errno::INVAL) }
    };
    Ok(Timestamps {
        last_access: exact(times.last_access)?,
        last_modification: exact(times.last_modification)?,
    })
}

/// truncate(path, length)
pub fn truncate(request: &Request<'_>) -> Answer {
    let length = length(request)?;
    let object = walk::object(request, HERE, request.arg(0), 0)?;
    match object.file_type() {
        libc::S_IFREG => {}
        libc::S_IFDIR => return Err(Errno::ISDIR),
        _ => return Err(Errno::INVAL),
    }
    let judge = &request.judge;
    request.as_caller(|| {
        let access = rustix::fs::Access::WRITE_OK;
        rustix::fs::accessat(CWD, object.proc_path(), access, AtFlags::EACCESS)
    })?;
    judge.ask(request, actions("inode_permission", Actions::WRITE), &object)?;
    judge.ask(request, actions("inode_setattr", Actions::WRITE), &object)?;
    let path = path_of(&object)?;
    request.as_caller(|| request.blocking(|| sys::truncate(&path, length).map_err(errno)))?;
    DONE
}

fn path_of(object: &Object) -> Result<CString, Errno> {
    CString::new(object.proc_path()).map_err(|_| Errno::INVAL)
}

/// ftruncate(fd, length)
pub fn ftruncate(request: &Request<'_>) -> Answer {
    let length = length(request)?;
    let object = request.open_object(request.arg32(0))?;
    let reads = rustix::fs::fcntl_getfl(&object)? & OFlags::RWMODE == OFlags::RDONLY;
    if object.file_type() != libc::S_IFREG || reads {
        return Err(Errno::INVAL);
    }
    let judge = &request.judge;
    judge.ask(request, actions("file_truncate", Actions::WRITE), &object)?;
    judge.ask(request, actions("inode_setattr", Actions::WRITE), &object)?;
    request.as_caller(|| request.blocking(|| rustix::fs::ftruncate(&object, length.cast_unsigned())))?;
    DONE
}

fn length(request: &Request<'_>) -> Result<i64, Errno> {
    let length = request.arg(1).cast_signed();
    if length < 0 { Err(Errno::INVAL) } else { Ok(length) }
}

/// file_getattr(dirfd, path, attributes, size, flags)
pub fn file_getattr(request: &Request<'_>) -> Answer {
    let size = attributes_size(request)?;
    let object = flagged(request)?;
    request.judge.ask(request, actions("inode_file_getattr", Actions::READ), &object)?;
    let path = path_of(&object)?;
    let known = request.as_caller(|| sys::file_attributes(&path, size).map_err(errno))?;
    request.write(request.arg(2), &known)?;
    DONE
}

/// file_setattr(dirfd, path, attributes, size, flags)
pub fn file_setattr(request: &Request<'_>) -> Answer {
    let size = attributes_size(request)?;
    let wanted = request.bytes(request.arg(2), size)?;
    let object = flagged(request)?;
    request.judge.ask(request, actions("inode_file_setattr", Actions::WRITE), &object)?;
    let path = path_of(&object)?;
    request.as_caller(|| sys::set_file_attributes(&path, &wanted).map_err(errno))?;
    DONE
}

/// The object of file_getattr and file_setattr; a descriptor alone must be open.
fn flagged(request: &Request<'_>) -> Result<Object, Errno> {
    let (dirfd, flags) = (request.arg32(0), request.arg32(4));
    let walk = Walk::at(request, dirfd, request.arg(1), flags)?;
    if walk.is_empty() && dirfd != HERE {
        return request.open_object(dirfd);
    }
    request.as_caller(|| walk.object(Last::of(flags)))
}

/// Size of the caller's `struct file_attr`, its flags being known.
fn attributes_size(request: &Request<'_>) -> Result<usize, Errno> {
    const FIRST: usize = 24;
    const PAGE: usize = 4096;
    let size = usize::try_from(request.arg(3)).unwrap_or(usize::MAX);
    match size {
        _ if request.arg32(4) & !FLAGS != 0 => Err(Errno::INVAL),
        ..FIRST => Err(Errno::INVAL),
        FIRST..=PAGE => Ok(size),
        _ => Err(Errno::TOOBIG),
    }
}
