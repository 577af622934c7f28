// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing open files: `file_permission`, asked on every call, as v7 does.
//!
//! A caller that has its table of descriptors to itself goes on in the kernel once its file is judged: what
//! the number means cannot change. Where threads share the table, we read or write the judged file for the
//! caller, through a descriptor that shares its position and flags. The few kinds of files that act on
//! whoever uses them ([`behalf::is_personal`]) go on in the kernel if the verdict holds for every file the
//! threads have or could get, and are refused else.
//!
//! What differs from the kernel where we act: data read into memory that turns out to be read-only is lost,
//! and a UNIX socket that passes credentials shows our process id.

mod behalf;
mod copy;
mod segments;
pub mod share;

use landlock_compiler::abi::Actions;
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::judge::{Ask, actions};
use crate::object::{Object, errno};
use crate::passing::{Held, has_own_descriptors, held, refuse_race};
use crate::request::{Answer, DONE, Reply, Request};
use crate::sys::{self, Listing};
use behalf::Position;

pub use behalf::for_caller;
pub use copy::{copy_file_range, sendfile, splice};
pub use segments::Segments;

/// `file_permission` with MAY_READ.
pub const READ: Ask = actions("file_permission", Actions::READ);
/// `file_permission` with MAY_WRITE.
pub const WRITE: Ask = actions("file_permission", Actions::WRITE);

/// read, pread64, readv, preadv, preadv2
pub fn read(request: &Request<'_>) -> Answer {
    let position = Position::of(request)?;
    let file = readable(request, request.arg32(0))?;
    let Some(segments) = Segments::of(request)? else { return DONE };
    position.check(&file)?;
    request.judge.ask(request, READ, &file)?;
    if may_go_on(request, &file, READ)? {
        return Ok(Reply::Continue);
    }
    behalf::read(request, &file, &segments, position)
}

/// write, pwrite64, writev, pwritev, pwritev2
pub fn write(request: &Request<'_>) -> Answer {
    let position = Position::of(request)?;
    let file = writable(request, request.arg32(0))?;
    let Some(segments) = Segments::of(request)? else { return DONE };
    position.check(&file)?;
    request.judge.ask(request, WRITE, &file)?;
    if may_go_on(request, &file, WRITE)? {
        return Ok(Reply::Continue);
    }
    behalf::write(request, &file, &segments, position)
}

/// Whether the kernel may carry it out; if neither it nor we may, a refusal.
fn may_go_on(request: &Request<'_>, file: &Object, ask: Ask) -> Result<bool, Errno> {
    if has_own_descriptors(request)? {
        return Ok(true);
    }
    if !behalf::is_personal(request, file, ask)? {
        return Ok(false);
    }
    match held(request, &[ask])? {
        Held::ForAll => Ok(true),
        Held::NotFor(ask) => refuse_race(request, ask),
    }
}

/// getdents, getdents64
pub fn getdents(request: &Request<'_>) -> Answer {
    const MOST: usize = 1 << 20;
    let directory = request.object(request.arg32(0))?;
    if file_flags(&directory)?.contains(OFlags::PATH) {
        return Err(Errno::BADF);
    }
    if !directory.is_directory() {
        return Err(Errno::NOTDIR);
    }
    request.judge.ask(request, READ, &directory)?;
    if has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    let listing = if request.name == "getdents" { Listing::Old } else { Listing::New };
    let size = usize::try_from(request.arg32(2)).unwrap_or(MOST).min(MOST);
    let mut entries = vec![0; size];
    let len = request.as_caller(|| {
        use std::os::fd::AsFd;
        sys::directory_entries(directory.as_fd(), listing, &mut entries).map_err(errno)
    })?;
    request.write(request.arg(1), &entries[..len])?;
    value(len)
}

/// fallocate(fd, mode, offset, length)
pub fn fallocate(request: &Request<'_>) -> Answer {
    let (offset, len) = (request.arg(2), request.arg(3));
    let file = request.object(request.arg32(0))?;
    if offset.cast_signed() < 0 || len.cast_signed() <= 0 {
        return Err(Errno::INVAL);
    }
    opened_for(&file, OFlags::WRONLY)?;
    request.judge.ask(request, WRITE, &file)?;
    if has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    let mode = FallocateFlags::from_bits_retain(request.arg32(1));
    if !mode.contains(FallocateFlags::KEEP_SIZE) {
        behalf::room(request, &file, offset, len)?;
    }
    request.as_caller(|| request.blocking(|| rustix::fs::fallocate(&file, mode, offset, len)))?;
    DONE
}

/// The caller's open file, which must be open for reading.
fn readable(request: &Request<'_>, number: u32) -> Result<Object, Errno> {
    let file = request.object(number)?;
    opened_for(&file, OFlags::RDONLY)?;
    Ok(file)
}

/// The caller's open file, which must be open for writing.
fn writable(request: &Request<'_>, number: u32) -> Result<Object, Errno> {
    let file = request.object(number)?;
    opened_for(&file, OFlags::WRONLY)?;
    Ok(file)
}

/// `EBADF` unless the file is open in the mode `access` or in both.
pub fn opened_for(file: &Object, access: OFlags) -> Result<(), Errno> {
    let flags = file_flags(file)?;
    let mode = flags & OFlags::RWMODE;
    let fits = mode == access || mode == OFlags::RDWR;
    if fits && !flags.contains(OFlags::PATH) { Ok(()) } else { Err(Errno::BADF) }
}

fn file_flags(file: &Object) -> Result<OFlags, Errno> {
    rustix::fs::fcntl_getfl(file)
}

/// A count as the syscall's value.
fn value(count: usize) -> Answer {
    i64::try_from(count).map(Reply::Value).map_err(|_| Errno::OVERFLOW)
}
