// SPDX-License-Identifier: MIT OR Apache-2.0
//! From one open file to another, in the kernel: sendfile, copy_file_range, splice.
//!
//! Where the caller shares its table of descriptors, we call with our descriptors of the same open files;
//! no data passes through us.

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use super::behalf::for_caller;
use super::{READ, WRITE, file_flags, opened_for, readable, value};
use crate::object::Object;
use crate::passing::has_own_descriptors;
use crate::request::{Answer, DONE, Reply, Request};

/// An offset in the caller's memory: copied in, used, copied out. `None`: the open file's own position.
struct Offset(u64, Option<u64>);

impl Offset {
    fn read(request: &Request<'_>, address: u64) -> Result<Offset, Errno> {
        if address == 0 {
            return Ok(Offset(0, None));
        }
        let bytes = request.bytes(address, 8)?;
        let value = bytes.iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte));
        Ok(Offset(address, Some(value)))
    }

    fn write_back(&self, request: &Request<'_>) -> Result<(), Errno> {
        self.1.map_or(Ok(()), |value| request.write(self.0, &value.to_le_bytes()))
    }
}

fn length(register: u64) -> usize {
    // As far as the kernel goes in one call.
    usize::try_from(register.min(0x7fff_f000)).unwrap_or(0)
}

/// sendfile(out, in, offset, count)
pub fn sendfile(request: &Request<'_>) -> Answer {
    let mut offset = Offset::read(request, request.arg(2))?;
    let from = readable(request, request.arg32(1))?;
    if offset.1.is_some() {
        rustix::fs::tell(&from).map(drop)?;
    }
    request.judge.ask(request, READ, &from)?;
    let to = request.object(request.arg32(0))?;
    opened_for(&to, OFlags::WRONLY)?;
    request.judge.ask(request, WRITE, &to)?;
    if has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    let count = length(request.arg(3));
    let sent = for_caller(request, || rustix::fs::sendfile(&to, &from, offset.1.as_mut(), count));
    offset.write_back(request)?;
    value(sent?)
}

/// copy_file_range(in, in offset, out, out offset, length, flags)
pub fn copy_file_range(request: &Request<'_>) -> Answer {
    let from = request.object(request.arg32(0))?;
    let to = request.object(request.arg32(2))?;
    let mut from_offset = Offset::read(request, request.arg(1))?;
    let mut to_offset = Offset::read(request, request.arg(3))?;
    if request.arg32(5) != 0 {
        return Err(Errno::INVAL);
    }
    may_copy(&from, &to)?;
    request.judge.ask(request, READ, &from)?;
    request.judge.ask(request, WRITE, &to)?;
    if has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    let len = length(request.arg(4));
    let (from_at, to_at) = (&mut from_offset.1, &mut to_offset.1);
    let copied = for_caller(request, || {
        rustix::fs::copy_file_range(&from, from_at.as_mut(), &to, to_at.as_mut(), len)
    });
    from_offset.write_back(request)?;
    to_offset.write_back(request)?;
    value(copied?)
}

/// What the kernel checks of a pair of files before it asks: regular, open to read and to write, not to append.
pub fn may_copy(from: &Object, to: &Object) -> Result<(), Errno> {
    if from.is_directory() || to.is_directory() {
        return Err(Errno::ISDIR);
    }
    if from.file_type() != libc::S_IFREG || to.file_type() != libc::S_IFREG {
        return Err(Errno::INVAL);
    }
    opened_for(from, OFlags::RDONLY)?;
    opened_for(to, OFlags::WRONLY)?;
    if file_flags(to)?.contains(OFlags::APPEND) { Err(Errno::BADF) } else { Ok(()) }
}

/// splice(in, in offset, out, out offset, length, flags): only the side that is no pipe is asked about.
pub fn splice(request: &Request<'_>) -> Answer {
    let flags = SpliceFlags::from_bits_retain(request.arg32(5));
    if request.arg(4) == 0 {
        return DONE;
    }
    if !SpliceFlags::all().contains(flags) {
        return Err(Errno::INVAL);
    }
    let from = request.object(request.arg32(0))?;
    let to = request.object(request.arg32(2))?;
    let is_pipe = |object: &Object| object.file_type() == libc::S_IFIFO;
    let place = |object: &Object, address| match (is_pipe(object), address) {
        (true, 1..) => Err(Errno::SPIPE),
        _ => Offset::read(request, address),
    };
    let mut from_offset = place(&from, request.arg(1))?;
    let mut to_offset = place(&to, request.arg(3))?;
    opened_for(&from, OFlags::RDONLY)?;
    opened_for(&to, OFlags::WRONLY)?;
    match (is_pipe(&from), is_pipe(&to)) {
        (true, true) => {}
        (true, false) => request.judge.ask(request, WRITE, &to)?,
        (false, true) => request.judge.ask(request, READ, &from)?,
        (false, false) => return Err(Errno::INVAL),
    }
    if has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    let len = length(request.arg(4));
    let (from_at, to_at) = (&mut from_offset.1, &mut to_offset.1);
    let moved = for_caller(request, || {
        rustix::pipe::splice(&from, from_at.as_mut(), &to, to_at.as_mut(), len, flags)
    });
    from_offset.write_back(request)?;
    to_offset.write_back(request)?;
    value(moved?)
}
