// SPDX-License-Identifier: MIT OR Apache-2.0
//! open, openat, openat2 and creat.
//!
//! The object is pinned without opening it, judged, and then opened through the pin, so a name that is
//! swapped in between changes nothing. A new file is created in its pinned directory with `O_EXCL`; if
//! somebody was quicker, the walk starts again.

use std::os::fd::OwnedFd;

use landlock_compiler::abi::Actions;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::judge::actions;
use crate::object::Object;
use crate::proc;
use crate::request::{Answer, Reply, Request};
use crate::walk::{End, Entry, Last, Walk, may_open_existing};

/// What an open asks for, checked as the kernel checks it.
struct How {
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
}

/// open(path, flags, mode)
pub fn open(request: &Request<'_>) -> Answer {
    let how = How::of_flags(request.arg32(1), request.arg32(2));
    open_path(request, libc::AT_FDCWD.cast_unsigned(), request.arg(0), &how)
}

/// openat(dirfd, path, flags, mode)
pub fn openat(request: &Request<'_>) -> Answer {
    let how = How::of_flags(request.arg32(2), request.arg32(3));
    open_path(request, request.arg32(0), request.arg(1), &how)
}

/// creat(path, mode)
pub fn creat(request: &Request<'_>) -> Answer {
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
    let how = How::of_flags(flags.cast_unsigned(), request.arg32(1));
    open_path(request, libc::AT_FDCWD.cast_unsigned(), request.arg(0), &how)
}

/// openat2(dirfd, path, how, size)
pub fn openat2(request: &Request<'_>) -> Answer {
    let how = How::read(request, request.arg(2), request.arg(3))?;
    open_path(request, request.arg32(0), request.arg(1), &how)
}

impl How {
    /// As open and openat do: unknown flags are dropped, a mode counts only where a file is made.
    fn of_flags(flags: u32, mode: u32) -> How {
        let flags = OFlags::from_bits_retain(flags & KNOWN.bits());
        let flags = if flags.contains(OFlags::PATH) { flags & PATH_FLAGS } else { flags };
        let makes = flags.contains(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
        let mode = if makes { Mode::from_raw_mode(mode & 0o7777) } else { Mode::empty() };
        How { flags, mode, resolve: ResolveFlags::empty() }
    }

    /// `struct open_how`, with openat2's stricter checks.
    fn read(request: &Request<'_>, address: u64, size: u64) -> Result<How, Errno> {
        const SIZE: usize = 24;
        let size = usize::try_from(size).map_err(|_| Errno::TOOBIG)?;
        if size < SIZE {
            return Err(Errno::INVAL);
        }
        if size > 4096 {
            return Err(Errno::TOOBIG);
        }
        let bytes = request.bytes(address, size)?;
        if bytes[SIZE..].iter().any(|&byte| byte != 0) {
            return Err(Errno::TOOBIG);
        }
        let field =
            |at: usize| bytes[at..at + 8].iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte));
        let flags = u32::try_from(field(0)).map_err(|_| Errno::INVAL)?;
        let mode = u32::try_from(field(8)).map_err(|_| Errno::INVAL)?;
        let resolve = ResolveFlags::from_bits(field(16)).ok_or(Errno::INVAL)?;
        let how = How { flags: OFlags::from_bits_retain(flags), mode: Mode::from_raw_mode(mode), resolve };
        let makes = how.flags.contains(OFlags::CREATE) || how.flags.contains(OFlags::TMPFILE);
        let stray_path = how.flags.contains(OFlags::PATH) && !PATH_FLAGS.contains(how.flags);
        if flags & !KNOWN.bits() != 0 || mode & !0o7777 != 0 || mode != 0 && !makes || stray_path {
            return Err(Errno::INVAL);
        }
        Ok(how)
    }

    fn cloexec(&self) -> bool {
        self.flags.contains(OFlags::CLOEXEC)
    }

    fn creates(&self) -> bool {
        self.flags.contains(OFlags::CREATE) && !self.flags.contains(OFlags::PATH)
    }

    fn follows(&self) -> Last {
        let exclusive = self.creates() && self.flags.contains(OFlags::EXCL);
        if self.flags.contains(OFlags::NOFOLLOW) || exclusive { Last::Keep } else { Last::Follow }
    }

    /// What `inode_permission` is asked about an existing object.
    fn actions(&self) -> Actions {
        let access = match self.flags.bits() & 3 {
            0 => Actions::READ,
            1 => Actions::WRITE,
            _ => Actions::READ | Actions::WRITE,
        };
        let writes = self.flags.intersects(OFlags::TRUNC | OFlags::APPEND);
        access | Actions::GET | if writes { Actions::WRITE } else { Actions::empty() }
    }
}

const PATH_FLAGS: OFlags =
    OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
/// Every flag Linux knows.
const KNOWN: OFlags = OFlags::from_bits_retain(0o37_777_703);

fn open_path(request: &Request<'_>, dirfd: u32, path: u64, how: &How) -> Answer {
    if how.flags.contains(OFlags::PATH) {
        return pinned_for_caller(request);
    }
    if !how.resolve.is_empty() {
        return resolved(request, dirfd, path, how);
    }
    let walk = Walk::new(request, dirfd, path)?;
    let umask = if how.mode.is_empty() { Mode::empty() } else { request.umask()? };
    let fd = request.as_caller(|| {
        if how.flags.contains(OFlags::TMPFILE) {
            return unnamed(request, &walk.object(how.follows())?, how, umask);
        }
        if how.creates() {
            create(request, &walk, how, umask)
        } else {
            existing(request, &walk.object(how.follows())?, how)
        }
    })?;
    Ok(Reply::Descriptor { fd, cloexec: how.cloexec() })
}

/// O_PATH: only walks, and seccomp cannot put such a descriptor into another process.
fn pinned_for_caller(request: &Request<'_>) -> Answer {
    if !request.judge.walks_matter {
        return Ok(Reply::Continue);
    }
    let reason = "an O_PATH descriptor cannot be handed over under a rule that can deny a walk";
    request.judge.refuse_because(request, actions("inode_permission", Actions::EXEC), reason)
}

/// Opens what exists.
fn existing(request: &Request<'_>, object: &Object, how: &How) -> Result<OwnedFd, Errno> {
    if how.flags.contains(OFlags::DIRECTORY) && !object.is_directory() {
        return Err(Errno::NOTDIR);
    }
    if object.is_symlink() {
        return Err(Errno::LOOP);
    }
    let writes = how.actions().contains(Actions::WRITE);
    if object.is_directory() && (writes || how.flags.contains(OFlags::CREATE)) {
        return Err(Errno::ISDIR);
    }
    let opened = [actions("inode_permission", how.actions()), actions("file_open", Actions::GET)];
    let truncated = [actions("file_truncate", Actions::WRITE), actions("inode_setattr", Actions::WRITE)];
    let truncates = how.flags.contains(OFlags::TRUNC) && object.file_type() == libc::S_IFREG;
    let asks = if truncates { [opened, truncated].concat() } else { opened.to_vec() };
    request.judge.ask_each(request, &asks, object)?;
    let flags = how.flags - (OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW);
    open_pinned(request, object, flags)
}

/// Opens the pinned object itself. May block; never makes a terminal ours.
fn open_pinned(request: &Request<'_>, object: &Object, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    let path = match object.file_type() {
        libc::S_IFCHR if object.stat().st_rdev == CONTROLLING_TERMINAL => proc::terminal(request)?,
        _ => object.proc_path(),
    };
    match object.file_type() {
        // Only these wait for somebody else.
        libc::S_IFIFO | libc::S_IFCHR | libc::S_IFBLK => {
            request.blocking(|| rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()))
        }
        _ => rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()),
    }
}

/// `/dev/tty`: whatever terminal controls the caller.
const CONTROLLING_TERMINAL: u64 = libc::makedev(5, 0);

/// Opens or creates: whatever the name stands for when we look.
fn create(request: &Request<'_>, walk: &Walk<'_>, how: &How, umask: Mode) -> Result<OwnedFd, Errno> {
    match find_or_create(request, walk, how, umask)? {
        Found::Existing(object) => existing(request, &object, how),
        Found::Created(fd) => Ok(fd),
    }
}

enum Found {
    Existing(Object),
    Created(OwnedFd),
}

fn find_or_create(request: &Request<'_>, walk: &Walk<'_>, how: &How, umask: Mode) -> Result<Found, Errno> {
    let exclusive = how.flags.contains(OFlags::EXCL);
    if how.flags.contains(OFlags::DIRECTORY) {
        return Err(Errno::INVAL);
    }
    // Not held while the file is opened, which may block.
    let _names = request.shared.changing_names();
    loop {
        let entry = match walk.end(how.follows())? {
            End::Entry(entry) => entry,
            End::Object(_) if exclusive => return Err(Errno::EXIST),
            End::Object(object) => return Ok(Found::Existing(object)),
        };
        match entry.object {
            _ if entry.slash => return Err(Errno::ISDIR),
            Some(_) if exclusive => return Err(Errno::EXIST),
            Some(object) => {
                may_open_existing(request, &entry.parent, &object)?;
                return Ok(Found::Existing(object));
            }
            None => match create_in(request, &entry, how, umask) {
                Err(Errno::EXIST) if !exclusive => {}
                result => return result.map(Found::Created),
            },
        }
    }
}

fn create_in(request: &Request<'_>, entry: &Entry, how: &How, umask: Mode) -> Result<OwnedFd, Errno> {
    let judge = &request.judge;
    judge.ask(request, actions("inode_permission", Actions::WRITE | Actions::EXEC), &entry.parent)?;
    judge.ask(request, actions("inode_create", Actions::WRITE), &entry.parent)?;
    judge.ask_new(request, actions("inode_create", Actions::NEW), &entry.parent, entry.name.to_bytes())?;
    // The questions of the open itself come before anything is made, so that a refusal leaves nothing behind.
    let mode = libc::S_IFREG | (how.mode.as_raw_mode() & !umask.as_raw_mode());
    judge.ask_mode(
        request,
        actions("inode_permission", Actions::GET),
        &entry.parent,
        entry.name.to_bytes(),
        mode,
    )?;
    judge.ask_mode(
        request,
        actions("file_open", Actions::GET),
        &entry.parent,
        entry.name.to_bytes(),
        mode,
    )?;
    let flags = how.flags | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    with_umask(umask, || rustix::fs::openat(&entry.parent, &entry.name, flags, how.mode))
}

/// O_TMPFILE: a file without a name.
fn unnamed(request: &Request<'_>, directory: &Object, how: &How, umask: Mode) -> Result<OwnedFd, Errno> {
    if !directory.is_directory() {
        return Err(Errno::NOTDIR);
    }
    if how.flags.bits() & 3 == 0 || how.flags.contains(OFlags::CREATE) {
        return Err(Errno::INVAL);
    }
    let judge = &request.judge;
    judge.ask(request, actions("inode_permission", Actions::WRITE | Actions::EXEC), directory)?;
    let mode = libc::S_IFREG | (how.mode.as_raw_mode() & !umask.as_raw_mode());
    judge.ask_mode(request, actions("inode_permission", Actions::GET), directory, b"", mode)?;
    judge.ask_mode(request, actions("file_open", Actions::GET), directory, b"", mode)?;
    let flags = (how.flags - OFlags::NOFOLLOW) | OFlags::CLOEXEC;
    with_umask(umask, || rustix::fs::openat(CWD, directory.proc_path(), flags, how.mode))
}

/// openat2 with restrictions on the walk: only where the walk itself asks nothing, the kernel resolves it.
fn resolved(request: &Request<'_>, dirfd: u32, path: u64, how: &How) -> Answer {
    if request.judge.walks_matter || how.flags.contains(OFlags::CREATE) || how.flags.contains(OFlags::TMPFILE)
    {
        let ask = actions("inode_permission", how.actions());
        return request.judge.refuse_because(
            request,
            ask,
            "openat2 with RESOLVE_* flags is not supported here",
        );
    }
    let path = request.path(path)?;
    let start = request.start(dirfd)?;
    let nofollow = if how.follows() == Last::Keep { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::PATH | OFlags::CLOEXEC | nofollow;
    let fd = request.as_caller(|| {
        let resolve = how.resolve | ResolveFlags::NO_MAGICLINKS;
        let object = Object::pin(rustix::fs::openat2(&start, &path, flags, Mode::empty(), resolve)?)?;
        proc::guard(request, &object)?;
        existing(request, &object, how)
    })?;
    Ok(Reply::Descriptor { fd, cloexec: how.cloexec() })
}

/// Runs `make` under the caller's umask; every serving thread has a umask of its own.
pub fn with_umask<T>(umask: Mode, make: impl FnOnce() -> T) -> T {
    let ours = rustix::process::umask(umask);
    let made = make();
    rustix::process::umask(ours);
    made
}
