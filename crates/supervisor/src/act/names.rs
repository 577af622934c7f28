// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names in directories: made, moved and removed.
//!
//! Every handler holds [`Shared::changing_names`](crate::serve::Shared::changing_names) from the look at a name
//! to the change of it, and changes it as one component in a pinned directory. So what was judged is what
//! the name stands for when it changes: all syscalls of the tree that change names are decided here, if one is.
//! The kernel's own refusals come first where they come first in the kernel.

use std::ffi::CStr;

use landlock_compiler::abi::Actions;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, RenameFlags, StatVfsMountFlags};
use rustix::io::Errno;

use super::open::with_umask;
use crate::judge::actions;
use crate::object::Object;
use crate::proc;
use crate::request::{Answer, DONE, Request};
use crate::walk::{End, Entry, HERE, Last, Walk, same_mount};

/// mkdir(path, mode)
pub fn mkdir(request: &Request<'_>) -> Answer {
    make_directory(request, HERE, request.arg(0), request.arg32(1))
}

/// mkdirat(dirfd, path, mode)
pub fn mkdirat(request: &Request<'_>) -> Answer {
    make_directory(request, request.arg32(0), request.arg(1), request.arg32(2))
}

/// mknod(path, mode, device)
pub fn mknod(request: &Request<'_>) -> Answer {
    make_node(request, HERE, request.arg(0), request.arg32(1), request.arg32(2))
}

/// mknodat(dirfd, path, mode, device)
pub fn mknodat(request: &Request<'_>) -> Answer {
    make_node(request, request.arg32(0), request.arg(1), request.arg32(2), request.arg32(3))
}

/// symlink(target, path)
pub fn symlink(request: &Request<'_>) -> Answer {
    make_symlink(request, request.arg(0), HERE, request.arg(1))
}

/// symlinkat(target, dirfd, path)
pub fn symlinkat(request: &Request<'_>) -> Answer {
    make_symlink(request, request.arg(0), request.arg32(1), request.arg(2))
}

/// link(old, new)
pub fn link(request: &Request<'_>) -> Answer {
    make_link(request, (HERE, request.arg(0)), (HERE, request.arg(1)), 0)
}

/// linkat(olddirfd, old, newdirfd, new, flags)
pub fn linkat(request: &Request<'_>) -> Answer {
    let old = (request.arg32(0), request.arg(1));
    make_link(request, old, (request.arg32(2), request.arg(3)), request.arg32(4))
}

/// unlink(path)
pub fn unlink(request: &Request<'_>) -> Answer {
    remove(request, HERE, request.arg(0), AtFlags::empty())
}

/// rmdir(path)
pub fn rmdir(request: &Request<'_>) -> Answer {
    remove(request, HERE, request.arg(0), AtFlags::REMOVEDIR)
}

/// unlinkat(dirfd, path, flags)
pub fn unlinkat(request: &Request<'_>) -> Answer {
    let flags = AtFlags::from_bits_retain(request.arg32(2));
    if !AtFlags::REMOVEDIR.contains(flags) {
        return Err(Errno::INVAL);
    }
    remove(request, request.arg32(0), request.arg(1), flags)
}

/// rename(old, new)
pub fn rename(request: &Request<'_>) -> Answer {
    let flags = RenameFlags::empty();
    move_name(request, (HERE, request.arg(0)), (HERE, request.arg(1)), flags)
}

/// renameat(olddirfd, old, newdirfd, new)
pub fn renameat(request: &Request<'_>) -> Answer {
    let old = (request.arg32(0), request.arg(1));
    move_name(request, old, (request.arg32(2), request.arg(3)), RenameFlags::empty())
}

/// renameat2(olddirfd, old, newdirfd, new, flags)
pub fn renameat2(request: &Request<'_>) -> Answer {
    let flags = RenameFlags::from_bits_retain(request.arg32(4));
    let one_way = RenameFlags::NOREPLACE | RenameFlags::WHITEOUT;
    let unknown = !(one_way | RenameFlags::EXCHANGE).contains(flags);
    if unknown || flags.contains(RenameFlags::EXCHANGE) && flags.intersects(one_way) {
        return Err(Errno::INVAL);
    }
    let old = (request.arg32(0), request.arg(1));
    move_name(request, old, (request.arg32(2), request.arg(3)), flags)
}

fn make_directory(request: &Request<'_>, dirfd: u32, path: u64, mode: u32) -> Answer {
    let walk = Walk::new(request, dirfd, path)?;
    let umask = request.umask()?;
    let mode = Mode::from_raw_mode(mode & 0o7777);
    make(request, &walk, "inode_mkdir", |parent, name| {
        with_umask(umask, || rustix::fs::mkdirat(parent, name, mode))
    })
}

fn make_node(request: &Request<'_>, dirfd: u32, path: u64, mode: u32, device: u32) -> Answer {
    let (hook, kind) = match mode & libc::S_IFMT {
        0 | libc::S_IFREG => ("inode_create", FileType::RegularFile),
        libc::S_IFCHR => ("inode_mknod", FileType::CharacterDevice),
        libc::S_IFBLK => ("inode_mknod", FileType::BlockDevice),
        libc::S_IFIFO => ("inode_mknod", FileType::Fifo),
        libc::S_IFSOCK => ("inode_mknod", FileType::Socket),
        libc::S_IFDIR => return Err(Errno::PERM),
        _ => return Err(Errno::INVAL),
    };
    let walk = Walk::new(request, dirfd, path)?;
    let umask = request.umask()?;
    let mode = Mode::from_raw_mode(mode & 0o7777);
    make(request, &walk, hook, |parent, name| {
        with_umask(umask, || rustix::fs::mknodat(parent, name, kind, mode, device.into()))
    })
}

fn make_symlink(request: &Request<'_>, target: u64, dirfd: u32, path: u64) -> Answer {
    let target = request.path(target)?;
    if target.is_empty() {
        return Err(Errno::NOENT);
    }
    let walk = Walk::new(request, dirfd, path)?;
    make(request, &walk, "inode_symlink", |parent, name| rustix::fs::symlinkat(&target, parent, name))
}

/// Makes a new name with `act`, given the directory and the name.
fn make(
    request: &Request<'_>,
    walk: &Walk<'_>,
    hook: &'static str,
    act: impl FnOnce(&Object, &CStr) -> Result<(), Errno>,
) -> Answer {
    let _names = request.shared.changing_names();
    request.as_caller(|| {
        let End::Entry(entry) = walk.end(Last::Keep)? else { return Err(Errno::EXIST) };
        must_be_free(&entry, hook == "inode_mkdir")?;
        may_change(request, &entry.parent)?;
        may_add(request, hook, &entry)?;
        act(&entry.parent, &entry.name)
    })?;
    DONE
}

/// Only a directory may be made by a name with a slash behind it, and nothing at all in `/proc`.
fn must_be_free(entry: &Entry, directory: bool) -> Result<(), Errno> {
    match entry.object {
        Some(_) => Err(Errno::EXIST),
        None if entry.slash && !directory || proc::is_proc(&entry.parent) => Err(Errno::NOENT),
        None => Ok(()),
    }
}

/// Whether names in `directory` may change: by the kernel's rules, then by ours.
fn may_change(request: &Request<'_>, directory: &Object) -> Result<(), Errno> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, directory.proc_path(), access, AtFlags::EACCESS)?;
    let ask = actions("inode_permission", Actions::WRITE | Actions::EXEC);
    request.judge.ask(request, ask, directory)
}

fn may_add(request: &Request<'_>, hook: &'static str, entry: &Entry) -> Result<(), Errno> {
    let judge = &request.judge;
    judge.ask(request, actions(hook, Actions::WRITE), &entry.parent)?;
    judge.ask_new(request, actions(hook, Actions::NEW), &entry.parent, entry.name.to_bytes())
}

fn make_link(request: &Request<'_>, old: (u32, u64), new: (u32, u64), flags: u32) -> Answer {
    let known = AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH;
    let flags = AtFlags::from_bits_retain(flags);
    if !known.contains(flags) {
        return Err(Errno::INVAL);
    }
    let follows = flags.contains(AtFlags::SYMLINK_FOLLOW);
    let last = if follows { Last::Follow } else { Last::Keep };
    let old = Walk::at(request, old.0, old.1, flags.bits())?;
    let new = Walk::new(request, new.0, new.1);
    let _names = request.shared.changing_names();
    request.as_caller(|| {
        let source = old.object(last)?;
        let End::Entry(entry) = new?.end(Last::Keep)? else { return Err(Errno::EXIST) };
        must_be_free(&entry, false)?;
        if !same_mount(&source, &entry.parent)? {
            return Err(Errno::XDEV);
        }
        may_link(request, &source)?;
        may_change(request, &entry.parent)?;
        if source.is_directory() {
            return Err(Errno::PERM);
        }
        let judge = &request.judge;
        judge.ask(request, actions("inode_link", Actions::READ), &source)?;
        may_add(request, "inode_link", &entry)?;
        let follow = AtFlags::SYMLINK_FOLLOW;
        rustix::fs::linkat(CWD, source.proc_path().as_str(), &entry.parent, entry.name.as_c_str(), follow)
    })?;
    DONE
}

/// `fs.protected_hardlinks`: who does not own a file may link it only if it may read and write it.
fn may_link(request: &Request<'_>, source: &Object) -> Result<(), Errno> {
    let regular = source.file_type() == libc::S_IFREG;
    if !regular || !proc::setting("fs/protected_hardlinks", 1) || request.owns(source)? {
        return Ok(());
    }
    let ask = actions("inode_permission", Actions::READ | Actions::WRITE);
    request.judge.ask(request, ask, source)
}

fn remove(request: &Request<'_>, dirfd: u32, path: u64, flags: AtFlags) -> Answer {
    let walk = Walk::new(request, dirfd, path)?;
    let _names = request.shared.changing_names();
    request.as_caller(|| {
        let entry = match walk.end(Last::Keep)? {
            End::Entry(entry) => entry,
            // Not a name: the kernel refuses, and says how.
            End::Object(object) => return rustix::fs::unlinkat(object, walk.fixed_name(), flags),
        };
        must_be_writable(&entry)?;
        let object = entry.object.as_ref().ok_or(Errno::NOENT)?;
        let wants_directory = flags.contains(AtFlags::REMOVEDIR);
        let wrong_kind = if object.is_directory() { Errno::ISDIR } else { Errno::NOTDIR };
        if entry.slash && !wants_directory {
            return Err(wrong_kind);
        }
        may_change(request, &entry.parent)?;
        if object.is_directory() != wants_directory {
            return Err(wrong_kind);
        }
        let hook = if wants_directory { "inode_rmdir" } else { "inode_unlink" };
        let judge = &request.judge;
        judge.ask(request, actions(hook, Actions::WRITE), &entry.parent)?;
        judge.ask(request, actions(hook, Actions::REMOVE), object)?;
        rustix::fs::unlinkat(&entry.parent, &entry.name, flags)
    })?;
    DONE
}

/// `EROFS` comes before anything about the name.
fn must_be_writable(entry: &Entry) -> Result<(), Errno> {
    let read_only = rustix::fs::fstatvfs(&entry.parent)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    if read_only { Err(Errno::ROFS) } else { Ok(()) }
}

fn move_name(request: &Request<'_>, old: (u32, u64), new: (u32, u64), flags: RenameFlags) -> Answer {
    let old = Walk::new(request, old.0, old.1)?;
    let new = Walk::new(request, new.0, new.1);
    let _names = request.shared.changing_names();
    request.as_caller(|| {
        let first = old.end(Last::Keep)?;
        let new = new?;
        let (old, new) = match (first, new.end(Last::Keep)?) {
            (End::Entry(old), End::Entry(new)) => (old, new),
            ends => return move_fixed((ends.0, old.fixed_name()), (ends.1, new.fixed_name()), flags),
        };
        let (source, target) = movable(&old, &new, flags)?;
        if target.is_some_and(|target| target.is(source)) {
            // Two names of one file: nothing is done, and so nothing asked.
            return Ok(());
        }
        may_move(request, &old, &new, flags)?;
        rustix::fs::renameat_with(&old.parent, old.written(), &new.parent, new.written(), flags)
    })?;
    DONE
}

/// At least one side is not a name: the kernel refuses, and says how.
fn move_fixed(old: (End, &CStr), new: (End, &CStr), flags: RenameFlags) -> Result<(), Errno> {
    let parts = |(end, fixed): (End, &CStr)| match end {
        End::Entry(entry) => {
            let name = entry.written();
            (entry.parent, name)
        }
        End::Object(object) => (object, fixed.to_owned()),
    };
    let (old, new) = (parts(old), parts(new));
    rustix::fs::renameat_with(old.0, old.1, new.0, new.1, flags)
}

/// The objects on both sides, unless the kernel would refuse before it asks anything.
fn movable<'a>(
    old: &'a Entry,
    new: &'a Entry,
    flags: RenameFlags,
) -> Result<(&'a Object, Option<&'a Object>), Errno> {
    if !same_mount(&old.parent, &new.parent)? {
        return Err(Errno::XDEV);
    }
    must_be_writable(old)?;
    let source = old.object.as_ref().ok_or(Errno::NOENT)?;
    let target = new.object.as_ref();
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    match target {
        Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EXIST),
        None if exchange => return Err(Errno::NOENT),
        _ => {}
    }
    let file = |object: Option<&Object>| object.is_some_and(|object| !object.is_directory());
    let stray_slash =
        file(Some(source)) && (old.slash || new.slash && !exchange) || exchange && new.slash && file(target);
    if stray_slash { Err(Errno::NOTDIR) } else { Ok((source, target)) }
}

/// The questions of a rename. An exchange is two of them, the other way round first.
fn may_move(request: &Request<'_>, old: &Entry, new: &Entry, flags: RenameFlags) -> Result<(), Errno> {
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    may_change(request, &old.parent)?;
    may_change(request, &new.parent)?;
    if !old.parent.is(&new.parent) {
        may_leave(request, old)?;
        if exchange {
            may_leave(request, new)?;
        }
    }
    if exchange {
        ask_rename(request, new, old)?;
    }
    ask_rename(request, old, new)
}

/// A directory that gets another parent is written to: its `..` changes.
fn may_leave(request: &Request<'_>, entry: &Entry) -> Result<(), Errno> {
    let Some(directory) = entry.object.as_ref().filter(|object| object.is_directory()) else { return Ok(()) };
    rustix::fs::accessat(CWD, directory.proc_path(), Access::WRITE_OK, AtFlags::EACCESS)?;
    request.judge.ask(request, actions("inode_permission", Actions::WRITE), directory)
}

fn ask_rename(request: &Request<'_>, old: &Entry, new: &Entry) -> Result<(), Errno> {
    const HOOK: &str = "inode_rename";
    let judge = &request.judge;
    judge.ask(request, actions(HOOK, Actions::WRITE), &old.parent)?;
    if let Some(source) = &old.object {
        judge.ask(request, actions(HOOK, Actions::REMOVE), source)?;
    }
    judge.ask(request, actions(HOOK, Actions::WRITE), &new.parent)?;
    let added = actions(HOOK, Actions::NEW);
    match &new.object {
        None => judge.ask_new(request, added, &new.parent, new.name.to_bytes()),
        Some(target) => {
            judge.ask(request, added, target)?;
            // Not asked by v7: what had the name is gone afterwards.
            judge.ask(request, actions(HOOK, Actions::REMOVE), target)
        }
    }
}
