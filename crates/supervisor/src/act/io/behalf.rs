// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing for a caller, through our descriptor of its open file.

use std::io::{IoSlice, IoSliceMut};

use rustix::fs::{OFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};

use super::segments::Segments;
use super::{READ, file_flags, value};
use crate::judge::Ask;
use crate::object::{Object, errno};
use crate::request::{Answer, Request};
use crate::{proc, sys};

/// Where in the file, and how.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// `None`: at the position of the open file.
    at: Option<u64>,
    flags: u32,
}

impl Position {
    /// As the registers say. `EINVAL` for a negative offset.
    pub fn of(request: &Request<'_>) -> Result<Position, Errno> {
        let (at, flags) = match request.name {
            "pread64" | "pwrite64" | "preadv" | "pwritev" => (Some(request.arg(3)), 0),
            "preadv2" | "pwritev2" => (Some(request.arg(3)).filter(|at| *at != u64::MAX), request.arg32(5)),
            _ => (None, 0),
        };
        if at.is_some_and(|at| at.cast_signed() < 0) { Err(Errno::INVAL) } else { Ok(Position { at, flags }) }
    }

    /// `ESPIPE` if a place is named in a file that has none.
    pub fn check(self, file: &Object) -> Result<(), Errno> {
        match self.at {
            Some(_) => rustix::fs::tell(file).map(drop),
            None => Ok(()),
        }
    }

    fn after(self, done: usize) -> u64 {
        // -1 means the position of the open file.
        self.at.map_or(u64::MAX, |at| at + done as u64)
    }
}

/// What is moved at once. More than a UNIX datagram holds by default.
const CHUNK: usize = 256 * 1024;

/// Reads; a regular file to the end of the memory given, anything else once.
pub fn read(request: &Request<'_>, file: &Object, into: &Segments, position: Position) -> Answer {
    let flags = ReadWriteFlags::from_bits_retain(position.flags);
    let mut done = 0;
    loop {
        let part = into.part(done, CHUNK);
        // As much as there is memory for, so that nothing is taken from a pipe only to be lost.
        let room = match part.gather(request) {
            Ok(there) => there.len(),
            Err(errno) => return done_or(done, errno),
        };
        let mut bytes = vec![0; room];
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let got = for_caller(request, || rustix::io::preadv2(file, &mut slices, position.after(done), flags));
        let got = match got {
            Ok(got) => got,
            Err(errno) => return done_or(done, errno),
        };
        if let Err(errno) = part.scatter(request, &bytes[..got]) {
            return done_or(done, errno);
        }
        done += got;
        if got < CHUNK || !fills(file) || done == into.len() {
            return value(done);
        }
    }
}

/// Writes all there is, as long as the file takes it.
pub fn write(request: &Request<'_>, file: &Object, from: &Segments, position: Position) -> Answer {
    let flags = ReadWriteFlags::from_bits_retain(position.flags);
    let mut done = 0;
    loop {
        let wanted = from.part(done, CHUNK);
        let step = wanted.gather(request).and_then(|mut bytes| {
            let len = bytes.len() as u64;
            let room = room(request, file, place(file, position, done)?, len)?;
            bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
            let at = position.after(done);
            for_caller(request, || rustix::io::pwritev2(file, &[IoSlice::new(&bytes)], at, flags))
        });
        let put = match step {
            Ok(put) => put,
            Err(errno) => return done_or(done, errno),
        };
        done += put;
        if put < CHUNK || done == from.len() {
            return value(done);
        }
    }
}

fn done_or(done: usize, errno: Errno) -> Answer {
    if done == 0 { Err(errno) } else { value(done) }
}

/// Runs `act`, which may block, with the caller's identity, and hands on the signal it may have brought us.
pub fn for_caller<T>(request: &Request<'_>, act: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let result = request.as_caller(|| request.blocking(act));
    // Our threads block these, so what the kernel sends for our call waits here.
    if let Some(signal) = sys::take_pending(&[libc::SIGPIPE, libc::SIGXFSZ]) {
        signal_caller(request, signal)?;
    }
    result
}

fn signal_caller(request: &Request<'_>, signal: i32) -> Result<(), Errno> {
    let tgid = request.status()?.number("Tgid:").ok_or(Errno::SRCH)?;
    sys::signal_thread(tgid, request.notification.tid, signal).map_err(errno)
}

/// How many of `len` bytes may be written at `at` under the caller's own limit of file sizes. `EFBIG`, with the signal
/// that goes with it, if none.
pub fn room(request: &Request<'_>, file: &Object, at: u64, len: u64) -> Result<u64, Errno> {
    if file.file_type() != libc::S_IFREG {
        return Ok(len);
    }
    let Some(limit) = sys::file_size_limit(request.notification.tid).map_err(errno)? else { return Ok(len) };
    if at >= limit && len != 0 {
        signal_caller(request, libc::SIGXFSZ)?;
        return Err(Errno::FBIG);
    }
    Ok(len.min(limit - at))
}

/// Where the next byte goes.
fn place(file: &Object, position: Position, done: usize) -> Result<u64, Errno> {
    if file.file_type() != libc::S_IFREG {
        return Ok(0);
    }
    if file_flags(file)?.contains(OFlags::APPEND) {
        return Ok(rustix::fs::fstat(file)?.st_size.cast_unsigned());
    }
    match position.at {
        Some(at) => Ok(at + done as u64),
        None => rustix::fs::seek(file, SeekFrom::Current(0)),
    }
}

/// Major number of `/dev/null`, `/dev/zero` and their like.
const MEMORY_DEVICES: u32 = 1;

/// Whether a read fills the memory it is given, unless the file ends.
fn fills(file: &Object) -> bool {
    match file.file_type() {
        libc::S_IFREG | libc::S_IFBLK => true,
        libc::S_IFCHR => libc::major(file.stat().st_rdev) == MEMORY_DEVICES,
        _ => false,
    }
}

/// Whether the file acts on the process that uses it, so that nobody can stand in for it: terminals (job
/// control), signal descriptors, and files of the kernel's own file systems. Reading `/proc` shows us what it
/// shows the caller, but for our own entries. A socket shows its peer who wrote, if that is not the same.
pub fn is_personal(request: &Request<'_>, file: &Object, ask: Ask) -> Result<bool, Errno> {
    const ANONYMOUS: u32 = 0;
    let without_device = libc::major(file.stat().st_dev) == 0;
    Ok(match file.file_type() {
        libc::S_IFCHR => libc::major(file.stat().st_rdev) != MEMORY_DEVICES,
        ANONYMOUS => {
            file.path().is_none_or(|path| !IMPERSONAL.iter().any(|known| path.as_os_str() == *known))
        }
        libc::S_IFSOCK => !request.has_our_credentials()?,
        libc::S_IFREG if proc::is_proc(file) => ask != READ || proc::guard(request, file).is_err(),
        libc::S_IFREG if without_device => !PLAIN.contains(&rustix::fs::fstatfs(file)?.f_type),
        _ => false,
    })
}

/// Anonymous inodes that are the same for whoever holds them.
const IMPERSONAL: [&str; 5] = [
    "anon_inode:[eventfd]",
    "anon_inode:[timerfd]",
    "anon_inode:[eventpoll]",
    "anon_inode:inotify",
    "anon_inode:[pidfd]",
];

/// File systems without a device whose files hold nothing but what was written to them: tmpfs, overlayfs, btrfs,
/// ramfs, hugetlbfs, NFS, CIFS, SMB2, 9P, FUSE, Ceph, ZFS, bcachefs, eCryptfs.
const PLAIN: [i64; 14] = [
    0x0102_1994,
    0x794c_7630,
    0x9123_683e,
    0x8584_58f6,
    0x9584_58f6,
    0x6969,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x2fc1_2fc1,
    0xca45_1a4e,
    0xf15f,
];
