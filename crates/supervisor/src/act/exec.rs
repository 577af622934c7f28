// SPDX-License-Identifier: MIT OR Apache-2.0
//! execve and execveat: the one action nobody can do for another.
//!
//! The kernel has to carry it out, on a path in memory that others may rewrite and on names that others may
//! swap. So everything is asked twice: before, on what the path leads to now, so that a refusal is an errno;
//! and after, while the thread is stopped between the exec and the first instruction, on what the kernel
//! really took for program and loader. If that is denied, nothing of it runs.
//!
//! The identity of a script is not checked a second time: an interpreter opens it by name again, under the
//! rules, whatever the kernel read before.

mod format;
mod mapped;

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use landlock_compiler::abi::Actions;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::judge::{Ask, actions};
use crate::object::{Object, errno};
use crate::request::{Answer, Reply, Request};
use crate::sys::{self, Injected, Notification, Traced};
use crate::walk::{Last, Walk};
use format::Format;
use mapped::{MappedFile, mapped_by};

/// execve(path, argv, envp)
pub fn execve(request: &Request<'_>) -> Answer {
    exec(request, libc::AT_FDCWD.cast_unsigned(), request.path(request.arg(0))?, 0)
}

/// execveat(dirfd, path, argv, envp, flags)
pub fn execveat(request: &Request<'_>) -> Answer {
    exec(request, request.arg32(0), request.path(request.arg(1))?, request.arg32(4))
}

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_EMPTY_PATH: u32 = 0x1000;
/// Linux 6.14: only ask.
const AT_EXECVE_CHECK: u32 = 0x1_0000;

fn exec(request: &Request<'_>, dirfd: u32, path: CString, flags: u32) -> Answer {
    if path.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::NOENT);
    }
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK) != 0 {
        return Err(Errno::INVAL);
    }
    let file = if path.is_empty() {
        request.start(dirfd)?
    } else {
        let last = if flags & AT_SYMLINK_NOFOLLOW == 0 { Last::Follow } else { Last::Keep };
        find(request, dirfd, path, last)?
    };
    let images = judge(request, file)?;
    pass(request, &images)
}

fn find(request: &Request<'_>, dirfd: u32, path: CString, last: Last) -> Result<Object, Errno> {
    let walk = Walk::along(request, dirfd, path)?;
    request.as_caller(|| walk.object(last))
}

/// A file whose code the kernel maps.
struct Image {
    object: Object,
    readable: OwnedFd,
}

/// The program and its loader, if it has one; nothing where only the kernel can tell.
struct Images(Vec<Image>);

/// An exec follows so many interpreters, each of which may be a script itself.
const MAX_SCRIPTS: usize = 5;

/// Asks about `file` and all that the kernel would open to run it.
fn judge(request: &Request<'_>, mut file: Object) -> Result<Images, Errno> {
    let cwd = libc::AT_FDCWD.cast_unsigned();
    for depth in 0.. {
        let readable = admit(request, &file)?;
        let readable = File::from(readable);
        let format = Format::of(&readable).map_err(errno)?;
        let image = Image { object: file, readable: readable.into() };
        match format {
            Format::Other => return Ok(Images(Vec::new())),
            Format::Static => return Ok(Images(vec![mappable(request, image)?])),
            Format::Loaded(loader) => {
                let program = mappable(request, image)?;
                let object = find(request, cwd, loader, Last::Follow)?;
                let readable = admit(request, &object)?;
                let loader = mappable(request, Image { object, readable })?;
                return Ok(Images(vec![program, loader]));
            }
            Format::Script(_) if depth > MAX_SCRIPTS => break,
            Format::Script(interpreter) => file = find(request, cwd, interpreter, Last::Follow)?,
        }
    }
    Err(Errno::LOOP)
}

/// What the kernel checks to open a file for execution.
fn admit(request: &Request<'_>, file: &Object) -> Result<OwnedFd, Errno> {
    if file.is_symlink() {
        return Err(Errno::LOOP);
    }
    if file.file_type() != libc::S_IFREG {
        return Err(Errno::ACCESS);
    }
    // Permission bits, and mounts without execution.
    let path = file.proc_path();
    request.as_caller(|| rustix::fs::accessat(CWD, path.as_str(), Access::EXEC_OK, AtFlags::EACCESS))?;
    let asks = [OPENED, actions("file_open", Actions::GET), actions("file_permission", Actions::READ)];
    request.judge.ask_each(request, &asks, file)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    match request.as_caller(|| rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty())) {
        Err(Errno::ACCESS) => {
            // The kernel would shut the process to us, and with it the way to see what runs.
            let reason = "the caller may execute the file but not read it, so it cannot be supervised";
            request.judge.refuse_because(request, OPENED, reason)
        }
        opened => opened,
    }
}

const OPENED: Ask = actions("inode_permission", Actions::EXEC.union(Actions::GET));

/// The kernel maps the code of programs and loaders by itself.
fn mappable(request: &Request<'_>, image: Image) -> Result<Image, Errno> {
    let ask = actions("mmap_file", Actions::READ.union(Actions::EXEC));
    request.judge.ask(request, ask, &image.object)?;
    Ok(image)
}

/// Has the kernel carry the exec out, and looks at the result before it can do anything.
fn pass(request: &Request<'_>, images: &Images) -> Answer {
    let Notification { tid, id, .. } = request.notification;
    if sys::trace_exec(tid).is_err() {
        request.still_waiting()?;
        let reason = "another process traces the caller, so what it would run cannot be checked in time";
        return request.judge.refuse_because(request, OPENED, reason);
    }
    // A caller that is gone needs no answer; what we trace tells.
    drop(sys::respond(request.as_fd(), id, Injected::Continue));
    match sys::wait_traced() {
        Traced::Exec(tid) => {
            let notification = Notification { tid, ..request.notification };
            let after = Request { notification, held: true, judge: Arc::clone(&request.judge), ..*request };
            match confirm(&after, images) {
                Ok(()) => sys::release(tid, 0),
                Err(_) => {
                    let reason =
                        "names changed during the exec, or what it loaded cannot be found out; killed";
                    let _: Result<(), Errno> = after.judge.refuse_because(&after, OPENED, reason);
                    sys::kill_traced(tid);
                }
            }
        }
        Traced::Stopped(tid, signal) => sys::release(tid, signal),
        Traced::Gone => {}
    }
    Ok(Reply::Answered)
}

/// Whether everything the stopped process is about to run has been judged, or can be now.
fn confirm(after: &Request<'_>, judged: &Images) -> Result<(), Errno> {
    let program = after.program()?;
    if judged.0.first().is_some_and(|image| image.object.is(&program)) {
        return judged.cover(after);
    }
    // Names were swapped, or a format is registered that we do not know: judge what is there.
    judge(after, program)?.cover(after)
}

impl Images {
    /// Refuses if the process has mapped anything else.
    fn cover(&self, after: &Request<'_>) -> Result<(), Errno> {
        'files: for file in mapped_by(after.notification.tid)? {
            // Trying takes longer, and is seldom needed.
            if self.0.iter().any(|image| file == MappedFile::of_stat(&image.object)) {
                continue;
            }
            for image in &self.0 {
                if MappedFile::by_trial(&image.readable)?.as_ref() == Some(&file) {
                    continue 'files;
                }
            }
            return Err(Errno::PERM);
        }
        Ok(())
    }
}
