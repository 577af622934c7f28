// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stat family: attributes of a pinned object, or of its file system, written to the caller.

use std::os::fd::AsFd;

use landlock_compiler::abi::Actions;
use rustix::io::Errno;

use crate::judge::actions;
use crate::object::{Object, errno};
use crate::request::{Answer, DONE, Request};
use crate::sys;
use crate::walk::{self, HERE};

const NOFOLLOW: u32 = libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
const SYNC_TYPE: u32 = libc::AT_STATX_SYNC_TYPE.cast_unsigned();
const FLAGS: u32 =
    NOFOLLOW | libc::AT_NO_AUTOMOUNT.cast_unsigned() | libc::AT_EMPTY_PATH.cast_unsigned() | SYNC_TYPE;

/// stat(path, buffer)
pub fn stat(request: &Request<'_>) -> Answer {
    report(request, &walk::object(request, HERE, request.arg(0), 0)?, request.arg(1))
}

/// lstat(path, buffer)
pub fn lstat(request: &Request<'_>) -> Answer {
    report(request, &walk::object(request, HERE, request.arg(0), NOFOLLOW)?, request.arg(1))
}

/// fstat(fd, buffer)
pub fn fstat(request: &Request<'_>) -> Answer {
    report(request, &request.object(request.arg32(0))?, request.arg(1))
}

/// newfstatat(dirfd, path, buffer, flags)
pub fn newfstatat(request: &Request<'_>) -> Answer {
    let flags = request.arg32(3);
    if flags & !FLAGS != 0 {
        return Err(Errno::INVAL);
    }
    report(request, &named(request, flags)?, request.arg(2))
}

/// The object of a call by descriptor, path and flags. Newer kernels take NULL for an empty path here.
fn named(request: &Request<'_>, flags: u32) -> Result<Object, Errno> {
    let (dirfd, path) = (request.arg32(0), request.arg(1));
    let by_null = path == 0 && flags & libc::AT_EMPTY_PATH.cast_unsigned() != 0;
    if by_null && sys::null_is_an_empty_path() {
        return request.start(dirfd);
    }
    walk::object(request, dirfd, path, flags)
}

fn report(request: &Request<'_>, object: &Object, buffer: u64) -> Answer {
    may_see(request, object)?;
    request.write(buffer, sys::bytes_of(object.stat()))?;
    DONE
}

fn may_see(request: &Request<'_>, object: &Object) -> Result<(), Errno> {
    request.judge.ask(request, actions("inode_getattr", Actions::READ), object)
}

/// statx(dirfd, path, flags, mask, buffer)
pub fn statx(request: &Request<'_>) -> Answer {
    const RESERVED: u32 = 1 << 31;
    let (flags, mask) = (request.arg32(2), request.arg32(3));
    if mask & RESERVED != 0 || flags & SYNC_TYPE == SYNC_TYPE || flags & !FLAGS != 0 {
        return Err(Errno::INVAL);
    }
    let object = named(request, flags)?;
    may_see(request, &object)?;
    let statx =
        request.as_caller(|| sys::statx_of(object.as_fd(), flags & SYNC_TYPE, mask).map_err(errno))?;
    request.write(request.arg(4), &statx)?;
    DONE
}

/// statfs(path, buffer)
pub fn statfs(request: &Request<'_>) -> Answer {
    report_system(request, &walk::object(request, HERE, request.arg(0), 0)?)
}

/// fstatfs(fd, buffer)
pub fn fstatfs(request: &Request<'_>) -> Answer {
    report_system(request, &request.object(request.arg32(0))?)
}

fn report_system(request: &Request<'_>, object: &Object) -> Answer {
    request.judge.ask(request, actions("sb_statfs", Actions::READ), object)?;
    let statfs = rustix::fs::fstatfs(object)?;
    request.write(request.arg(1), sys::bytes_of(&statfs))?;
    DONE
}
