// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sharing blocks between files: FICLONE, FICLONERANGE, FIDEDUPERANGE.
//!
//! The other file is named by a number in the argument, so we call with our own descriptors of both.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::behalf::for_caller;
use super::copy::may_copy;
use super::{READ, WRITE, opened_for};
use crate::object::{Object, errno};
use crate::request::{Answer, DONE, Request};
use crate::sys::{self, CloneRange};

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte))
}

/// ioctl(fd, FICLONE, source)
pub fn clone(request: &Request<'_>, to: &Object) -> Answer {
    let from = clonable(request, request.arg32(2), to)?;
    for_caller(request, || rustix::fs::ioctl_ficlone(to, &from))?;
    DONE
}

/// ioctl(fd, FICLONERANGE, struct file_clone_range *)
pub fn clone_range(request: &Request<'_>, to: &Object) -> Answer {
    let bytes = request.bytes(request.arg(2), size_of::<CloneRange>())?;
    let source = u32::try_from(number(&bytes[..8]) & u64::from(u32::MAX)).map_err(|_| Errno::BADF)?;
    let from = clonable(request, source, to)?;
    let range = CloneRange {
        source: i64::from(from.as_fd().as_raw_fd()),
        source_offset: number(&bytes[8..16]),
        length: number(&bytes[16..24]),
        destination_offset: number(&bytes[24..]),
    };
    for_caller(request, || sys::clone_range(to.as_fd(), &range).map_err(errno))?;
    DONE
}

/// The source, once both files may be used so.
fn clonable(request: &Request<'_>, number: u32, to: &Object) -> Result<Object, Errno> {
    let from = request.object(number)?;
    may_copy(&from, to)?;
    request.judge.ask(request, READ, &from)?;
    request.judge.ask(request, WRITE, to)?;
    Ok(from)
}

/// ioctl(fd, FIDEDUPERANGE, struct file_dedupe_range *): every destination has its own result.
pub fn deduplicate(request: &Request<'_>, from: &Object) -> Answer {
    const HEAD: usize = 24;
    const ENTRY: usize = 32;
    const PAGE: usize = 4096;
    const FD: Range<usize> = 0..8;
    const STATUS: Range<usize> = 24..28;
    let address = request.arg(2);
    let mut bytes = request.bytes(address, HEAD)?;
    let size = HEAD + usize::from(u16::from_le_bytes([bytes[16], bytes[17]])) * ENTRY;
    if size > PAGE {
        return Err(Errno::NOMEM);
    }
    bytes.extend(request.bytes(address + HEAD as u64, size - HEAD)?);
    opened_for(from, OFlags::RDONLY).map_err(|_| Errno::INVAL)?;
    request.judge.ask(request, READ, from)?;
    let mut destinations = Vec::new();
    for entry in bytes[HEAD..].chunks_exact_mut(ENTRY) {
        let destination = Destination::of(request, entry)?;
        entry[FD].copy_from_slice(&destination.ours().to_le_bytes());
        destinations.push(destination);
    }
    for_caller(request, || sys::deduplicate(from.as_fd(), &mut bytes).map_err(errno))?;
    for (entry, destination) in bytes[HEAD..].chunks_exact_mut(ENTRY).zip(&destinations) {
        entry[FD].copy_from_slice(&destination.number.to_le_bytes());
        if let Err(errno) = destination.file {
            entry[STATUS].copy_from_slice(&(-errno.raw_os_error()).to_le_bytes());
        }
    }
    request.write(address, &bytes)?;
    DONE
}

/// One file blocks are to be shared with.
struct Destination {
    /// The caller's number for it.
    number: u64,
    /// The file, or why it is none.
    file: Result<Object, Errno>,
}

impl Destination {
    fn of(request: &Request<'_>, entry: &[u8]) -> Result<Destination, Errno> {
        let number = number(entry.get(..8).ok_or(Errno::FAULT)?);
        let file = u32::try_from(number).map_err(|_| Errno::BADF).and_then(|fd| request.object(fd));
        let file = file.and_then(|file| request.judge.ask(request, WRITE, &file).map(|()| file));
        Ok(Destination { number, file })
    }

    /// Our number for it; -1 if it may not be touched.
    fn ours(&self) -> i64 {
        self.file.as_ref().map_or(-1, |file| i64::from(file.as_fd().as_raw_fd()))
    }
}
