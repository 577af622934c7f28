// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a copied path to pinned objects, in the caller's view of the file system.
//!
//! Where no rule can deny walking through a directory or following a link, and the caller sees the file
//! system as we do, the kernel walks in one call. Else we walk component by component, asking
//! `inode_permission` EXEC for every directory and `inode_follow_link` READ for every link, as the kernel
//! would. `/proc` is always walked by hand: `self` must be the caller, and nothing of ours may be reached.

mod steps;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::object::Object;
use crate::proc;
use crate::request::Request;
use steps::{Aim, Steps};

/// What to do with a symbolic link in the last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Follow it.
    Follow,
    /// It is the object.
    Keep,
}

impl Last {
    /// What `AT_*` flags say; without `AT_SYMLINK_NOFOLLOW` links are followed.
    pub fn of(flags: u32) -> Last {
        if flags & libc::AT_SYMLINK_NOFOLLOW.cast_unsigned() != 0 { Last::Keep } else { Last::Follow }
    }
}

/// A name in a directory, and what it stands for now.
#[derive(Debug)]
pub struct Entry {
    /// The directory.
    pub parent: Object,
    /// The name in it: one component, never empty, never with a slash.
    pub name: CString,
    /// What has this name now.
    pub object: Option<Object>,
    /// The path ended in a slash, so it can only mean a directory.
    pub slash: bool,
}

/// Where a walk ended.
#[derive(Debug)]
pub enum End {
    /// At a name in a directory.
    Entry(Entry),
    /// At an object without a name of its own: `/`, `.`, `..`, or what a link in `/proc` jumps to.
    Object(Object),
}

impl Entry {
    /// The name as the path has it: with its slash, which the kernel has an opinion on.
    pub fn written(&self) -> CString {
        let slash: &[u8] = if self.slash { b"/" } else { b"" };
        // Neither part holds a NUL.
        CString::new([self.name.to_bytes(), slash].concat()).unwrap_or_default()
    }
}

/// The caller's working directory, where a descriptor could stand.
pub const HERE: u32 = libc::AT_FDCWD.cast_unsigned();

const PIN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A walk that has not begun: where it starts is pinned.
pub struct Walk<'a> {
    request: &'a Request<'a>,
    path: CString,
    start: Start,
    /// The caller's root directory, if it may not be ours. Pinned before we take the caller's identity on, which
    /// may not be allowed to look at the caller.
    root: Option<Object>,
}

enum Start {
    /// At a directory of the caller's.
    At(Object),
    /// At our own root, which is the caller's.
    Root,
}

impl<'a> Walk<'a> {
    /// Reads the path at `address` and pins where it starts. `ENOENT` for an empty path.
    pub fn new(request: &'a Request<'a>, dirfd: u32, address: u64) -> Result<Walk<'a>, Errno> {
        let path = request.path(address)?;
        if path.is_empty() { Err(Errno::NOENT) } else { Walk::along(request, dirfd, path) }
    }

    /// Like [`Walk::new`], and with `AT_EMPTY_PATH` in `flags` an empty path means `dirfd` itself.
    pub fn at(request: &'a Request<'a>, dirfd: u32, address: u64, flags: u32) -> Result<Walk<'a>, Errno> {
        let may_be_empty = flags & libc::AT_EMPTY_PATH.cast_unsigned() != 0;
        let path = request.path(address)?;
        if path.is_empty() && !may_be_empty {
            return Err(Errno::NOENT);
        }
        Walk::along(request, dirfd, path)
    }

    /// A walk along a path that is already a copy of ours.
    pub fn along(request: &'a Request<'a>, dirfd: u32, path: CString) -> Result<Walk<'a>, Errno> {
        let absolute = path.as_bytes().first() == Some(&b'/');
        let root = if request.shared.identity_may_differ() { Some(request.root()?) } else { None };
        let start = match (absolute, &root) {
            (true, Some(root)) => Start::At(root.try_clone()?),
            (true, None) => {
                request.still_waiting()?;
                Start::Root
            }
            (false, _) => Start::At(request.start(dirfd)?),
        };
        Ok(Walk { request, path, start, root })
    }

    /// Whether the path is empty, so that the start itself is meant.
    pub fn is_empty(&self) -> bool {
        self.path.is_empty()
    }

    /// The last component of a path that ends in `/`, `.` or `..`.
    pub fn fixed_name(&self) -> &'static CStr {
        let mut components = self.path.to_bytes().split(|&byte| byte == b'/');
        match components.rfind(|component| !component.is_empty()) {
            None => c"/",
            Some(b".") => c".",
            Some(_) => c"..",
        }
    }

    /// The object the path leads to.
    pub fn object(&self, last: Last) -> Result<Object, Errno> {
        if self.is_plain()
            && !self.path.is_empty()
            && let Some(found) = self.by_kernel(&self.path, last)?
        {
            return Ok(found);
        }
        match Steps::new(self)?.run(last, Aim::Object)? {
            End::Object(object) => Ok(object),
            End::Entry(_) => Err(Errno::NOENT),
        }
    }

    /// The directory and the name the path ends in, a link there not followed. `EINVAL` for a path that ends in
    /// `/`, `.` or `..`: the callers have their own errno for that.
    pub fn entry(&self) -> Result<Entry, Errno> {
        match self.end(Last::Keep)? {
            End::Entry(entry) => Ok(entry),
            End::Object(_) => Err(Errno::INVAL),
        }
    }

    /// What the path ends in: a name in a directory, if it can be told, else an object.
    pub fn end(&self, last: Last) -> Result<End, Errno> {
        if self.is_plain()
            && last == Last::Keep
            && let Some(entry) = self.entry_by_kernel()?
        {
            return Ok(End::Entry(entry));
        }
        Steps::new(self)?.run(last, Aim::Entry)
    }

    /// Whether the kernel's own walk asks nothing that a rule could refuse, and sees what the caller sees.
    fn is_plain(&self) -> bool {
        !self.request.shared.identity_may_differ() && !self.request.judge.walks_matter
    }

    /// One call of the kernel; `None` where the walk needs our own steps (magic links, `/proc`).
    fn by_kernel(&self, path: &CStr, last: Last) -> Result<Option<Object>, Errno> {
        let flags = if last == Last::Keep { PIN | OFlags::NOFOLLOW } else { PIN };
        match self.open(path, flags, ResolveFlags::NO_MAGICLINKS) {
            Ok(fd) => Object::pin(fd).map(|object| (!proc::is_proc(&object)).then_some(object)),
            Err(Errno::LOOP | Errno::AGAIN) => Ok(None),
            // Through a link into /proc, a dead end may be ours and not the caller's.
            Err(errno) if !self.meets_links(path) => Err(errno),
            Err(_) => Ok(None),
        }
    }

    /// Whether a failed walk may have led through a symbolic link or `/proc`.
    fn meets_links(&self, path: &CStr) -> bool {
        let inside = matches!(&self.start, Start::At(start) if proc::is_proc(start));
        if inside || path.to_bytes().windows(4).any(|part| part == b"proc") {
            return true;
        }
        self.open(path, PIN | OFlags::NOFOLLOW, ResolveFlags::NO_SYMLINKS)
            .is_err_and(|errno| errno == Errno::LOOP)
    }

    fn open(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        match &self.start {
            Start::At(start) => rustix::fs::openat2(start, path, flags, Mode::empty(), resolve),
            Start::Root => rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve),
        }
    }

    fn entry_by_kernel(&self) -> Result<Option<Entry>, Errno> {
        let bytes = self.path.to_bytes();
        let Some(end) = bytes.iter().rposition(|&byte| byte != b'/') else { return Ok(None) };
        let begin = bytes[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name = &bytes[begin..=end];
        if name == b"." || name == b".." {
            return Ok(None);
        }
        let parent = match &bytes[..begin] {
            b"" => c".".to_owned(),
            parent => CString::new(parent).map_err(|_| Errno::INVAL)?,
        };
        let Some(parent) = self.by_kernel(&parent, Last::Follow)? else { return Ok(None) };
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let object = existing(&parent, &name)?;
        Ok(Some(Entry { parent, name, object, slash: end + 1 < bytes.len() }))
    }
}

/// The object a syscall names by descriptor, path and `AT_*` flags.
pub fn object(request: &Request<'_>, dirfd: u32, address: u64, flags: u32) -> Result<Object, Errno> {
    let walk = Walk::at(request, dirfd, address, flags)?;
    request.as_caller(|| walk.object(Last::of(flags)))
}

/// What `name` stands for in `parent` now, links not followed.
pub fn existing(parent: &Object, name: &CStr) -> Result<Option<Object>, Errno> {
    match rustix::fs::openat(parent, name, PIN | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => Object::pin(fd).map(Some),
        Err(Errno::NOENT) if parent.is_directory() => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether both were reached through the same mount.
pub fn same_mount(a: &Object, b: &Object) -> Result<bool, Errno> {
    let mount = |object: &Object| {
        rustix::fs::statx(object.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
            .map(|statx| statx.stx_mnt_id)
    };
    Ok(mount(a)? == mount(b)?)
}

/// Whether an existing file may be opened with `O_CREAT`: `fs.protected_regular` and `fs.protected_fifos`.
pub fn may_open_existing(request: &Request<'_>, parent: &Object, object: &Object) -> Result<(), Errno> {
    let setting = match object.file_type() {
        libc::S_IFREG => "fs/protected_regular",
        libc::S_IFIFO => "fs/protected_fifos",
        _ => return Ok(()),
    };
    let sticky = parent.mode() & libc::S_ISVTX != 0;
    let for_all = parent.mode() & libc::S_IWOTH != 0 && proc::setting(setting, 1);
    let for_group = parent.mode() & libc::S_IWGRP != 0 && proc::setting(setting, 2);
    let owner = object.stat().st_uid;
    if !sticky || !(for_all || for_group) || owner == parent.stat().st_uid || owner == request.file_uid()? {
        Ok(())
    } else {
        Err(Errno::ACCESS)
    }
}
