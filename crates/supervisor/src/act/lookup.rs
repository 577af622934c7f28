// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be learnt of a path without opening it: access, links, handles, watches.

use std::os::fd::AsFd;

use landlock_compiler::abi::Actions;
use landlock_compiler::hooks::may;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use crate::judge::actions;
use crate::object::errno;
use crate::proc;
use crate::request::{Answer, DONE, Reply, Request};
use crate::sys;
use crate::walk::{self, HERE, Last, Walk};

const NOFOLLOW: u32 = libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH.cast_unsigned();
const EFFECTIVE: u32 = libc::AT_EACCESS.cast_unsigned();

/// access(path, mode)
pub fn access(request: &Request<'_>) -> Answer {
    check(request, HERE, request.arg(0), request.arg32(1), 0)
}

/// faccessat(dirfd, path, mode)
pub fn faccessat(request: &Request<'_>) -> Answer {
    check(request, request.arg32(0), request.arg(1), request.arg32(2), 0)
}

/// faccessat2(dirfd, path, mode, flags)
pub fn faccessat2(request: &Request<'_>) -> Answer {
    check(request, request.arg32(0), request.arg(1), request.arg32(2), request.arg32(3))
}

/// With the caller's real identity, unless it asks for the effective one.
fn check(request: &Request<'_>, dirfd: u32, path: u64, mode: u32, flags: u32) -> Answer {
    if mode & !0o7 != 0 || flags & !(EFFECTIVE | NOFOLLOW | EMPTY_PATH) != 0 {
        return Err(Errno::INVAL);
    }
    let walk = Walk::at(request, dirfd, path, flags)?;
    let look = || {
        let object = walk.object(Last::of(flags))?;
        let access = Access::from_bits_retain(mode);
        rustix::fs::accessat(CWD, object.proc_path(), access, AtFlags::EACCESS)?;
        request.judge.ask(request, actions("inode_permission", may(mode)), &object)
    };
    if flags & EFFECTIVE != 0 {
        request.as_caller(look)?
    } else {
        request.as_real_caller(look)?
    }
    DONE
}

/// readlink(path, buffer, size)
pub fn readlink(request: &Request<'_>) -> Answer {
    read_link(request, HERE, request.arg(0), request.arg(1), request.arg32(2))
}

/// readlinkat(dirfd, path, buffer, size)
pub fn readlinkat(request: &Request<'_>) -> Answer {
    read_link(request, request.arg32(0), request.arg(1), request.arg(2), request.arg32(3))
}

fn read_link(request: &Request<'_>, dirfd: u32, path: u64, buffer: u64, size: u32) -> Answer {
    let size = usize::try_from(size.cast_signed()).map_err(|_| Errno::INVAL)?;
    if size == 0 {
        return Err(Errno::INVAL);
    }
    let walk = Walk::at(request, dirfd, path, EMPTY_PATH)?;
    let link = request.as_caller(|| walk.object(Last::Keep))?;
    if !link.is_symlink() {
        return Err(if walk.is_empty() { Errno::NOENT } else { Errno::INVAL });
    }
    request.judge.ask(request, actions("inode_readlink", Actions::READ), &link)?;
    let target = match proc::text(request, &link)? {
        Some(text) => text,
        None => request.as_caller(|| rustix::fs::readlinkat(&link, c"", Vec::new()))?.into_bytes(),
    };
    let shown = &target[..target.len().min(size)];
    request.write(buffer, shown)?;
    Ok(Reply::Value(i64::try_from(shown.len()).unwrap_or(0)))
}

/// name_to_handle_at(dirfd, path, handle, mount_id, flags)
pub fn name_to_handle_at(request: &Request<'_>) -> Answer {
    const FOLLOW: u32 = libc::AT_SYMLINK_FOLLOW.cast_unsigned();
    /// `AT_HANDLE_MNT_ID_UNIQUE`, `AT_HANDLE_CONNECTABLE`, `AT_HANDLE_FID`.
    const OF_HANDLE: u32 = UNIQUE | 0x2 | 0x200;
    const UNIQUE: u32 = 0x1;
    const LARGEST: u32 = 128;
    let (handle, mount, flags) = (request.arg(2), request.arg(3), request.arg32(4));
    if flags & !(FOLLOW | EMPTY_PATH | OF_HANDLE) != 0 {
        return Err(Errno::INVAL);
    }
    let walk = Walk::at(request, request.arg32(0), request.arg(1), flags)?;
    let last = if flags & FOLLOW != 0 { Last::Follow } else { Last::Keep };
    let object = request.as_caller(|| walk.object(last))?;
    let room = request.bytes(handle, 4)?.iter().rev().fold(0, |all, &byte| (all << 8) | u32::from(byte));
    if room > LARGEST {
        return Err(Errno::INVAL);
    }
    let known = request.as_caller(|| Ok(sys::handle_of(object.as_fd(), flags & OF_HANDLE, room)))?;
    let result = known.result.map_err(errno);
    let written = match result {
        Ok(()) => known.bytes.len(),
        Err(Errno::OVERFLOW) => sys::HANDLE_HEAD,
        Err(errno) => return Err(errno),
    };
    let id_size = if flags & UNIQUE != 0 { 8 } else { 4 };
    request.write(mount, &known.mount[..id_size])?;
    request.write(handle, &known.bytes[..written])?;
    result.map(|()| Reply::Value(0))
}

/// inotify_add_watch(fd, path, mask): the watch goes to the caller's own inotify instance.
pub fn inotify_add_watch(request: &Request<'_>) -> Answer {
    let mask = WatchFlags::from_bits_retain(request.arg32(2));
    let instance = request.file(request.arg32(0))?;
    // What is wrong with the instance or the mask comes before what is wrong with the path.
    match inotify::add_watch(&instance, c"", mask) {
        Err(Errno::NOENT) | Ok(_) => {}
        Err(errno) => return Err(errno),
    }
    let flags = if mask.contains(WatchFlags::DONT_FOLLOW) { NOFOLLOW } else { 0 };
    let object = walk::object(request, HERE, request.arg(1), flags)?;
    if mask.contains(WatchFlags::ONLYDIR) && !object.is_directory() {
        return Err(Errno::NOTDIR);
    }
    let watch = request.as_caller(|| {
        rustix::fs::accessat(CWD, object.proc_path(), Access::READ_OK, AtFlags::EACCESS)?;
        request.judge.ask(request, actions("inode_permission", Actions::READ), &object)?;
        inotify::add_watch(&instance, object.proc_path(), mask - WatchFlags::DONT_FOLLOW)
    })?;
    Ok(Reply::Value(watch.into()))
}
