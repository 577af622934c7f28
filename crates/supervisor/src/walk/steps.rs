// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk by hand: component by component, every directory and link asked about.

use std::ffi::{CStr, CString};

use landlock_compiler::abi::Actions;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{End, Entry, Last, PIN, Start, Walk, existing, same_mount};
use crate::judge::actions;
use crate::object::Object;
use crate::proc;
use crate::request::Request;

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// What a walk is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Object,
    Entry,
}

/// A walk by hand on its way.
pub(super) struct Steps<'a> {
    request: &'a Request<'a>,
    root: Object,
    current: Object,
    /// What is left of the path, links put in.
    rest: Vec<u8>,
    links: usize,
}

impl<'a> Steps<'a> {
    pub fn new(walk: &Walk<'a>) -> Result<Steps<'a>, Errno> {
        let request = walk.request;
        let root = walk.root.as_ref().map_or_else(our_root, Object::try_clone)?;
        let current = match &walk.start {
            Start::Root => root.try_clone()?,
            Start::At(start) => start.try_clone()?,
        };
        // The kernel let the caller pin this, or be there.
        proc::guard(request, &current)?;
        Ok(Steps { request, root, current, rest: walk.path.to_bytes().to_vec(), links: 0 })
    }

    pub fn run(mut self, last: Last, aim: Aim) -> Result<End, Errno> {
        loop {
            let Some((name, slash)) = self.next_component() else {
                return Ok(End::Object(self.current));
            };
            let is_last = self.rest.is_empty();
            self.request.judge.ask(
                self.request,
                actions("inode_permission", Actions::EXEC),
                &self.current,
            )?;
            if !self.current.is_directory() {
                return Err(Errno::NOTDIR);
            }
            match name.to_bytes() {
                b"." => continue,
                b".." => {
                    self.up()?;
                    continue;
                }
                _ => {}
            }
            let next = existing(&self.current, &name)?;
            let link = next.as_ref().is_some_and(Object::is_symlink);
            if let Some(next) = next
                .as_ref()
                .filter(|_| link && (!is_last || slash && aim == Aim::Object || last == Last::Follow))
            {
                self.follow(next, &name, slash)?;
                continue;
            }
            if is_last && aim == Aim::Entry {
                next.as_ref().map_or(Ok(()), |next| proc::guard(self.request, next))?;
                return Ok(End::Entry(Entry { parent: self.current, name, object: next, slash }));
            }
            self.current = next.ok_or(Errno::NOENT)?;
            proc::guard(self.request, &self.current)?;
            if slash && !self.current.is_directory() {
                return Err(Errno::NOTDIR);
            }
        }
    }

    /// Takes the next component off the rest; says whether a slash came after it.
    fn next_component(&mut self) -> Option<(CString, bool)> {
        let begin = self.rest.iter().position(|&byte| byte != b'/')?;
        let end =
            self.rest[begin..].iter().position(|&byte| byte == b'/').map_or(self.rest.len(), |at| begin + at);
        let name = CString::new(&self.rest[begin..end]).ok()?;
        let slash = end < self.rest.len();
        let after =
            self.rest[end..].iter().position(|&byte| byte != b'/').map_or(self.rest.len(), |at| end + at);
        self.rest.drain(..after);
        Some((name, slash))
    }

    fn up(&mut self) -> Result<(), Errno> {
        if !same_place(&self.current, &self.root)? {
            let flags = PIN | OFlags::DIRECTORY;
            self.current = Object::pin(rustix::fs::openat(&self.current, c"..", flags, Mode::empty())?)?;
        }
        Ok(())
    }

    fn follow(&mut self, link: &Object, name: &CStr, slash: bool) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        self.request.judge.ask(self.request, actions("inode_follow_link", Actions::READ), link)?;
        may_follow(self.request, &self.current, link)?;
        let target = if proc::is_proc(link) {
            match proc::link(self.request, &self.current, name)? {
                proc::Link::Text(target) => target,
                proc::Link::Jump(object) => {
                    self.current = object;
                    return if slash && !self.current.is_directory() { Err(Errno::NOTDIR) } else { Ok(()) };
                }
            }
        } else {
            rustix::fs::readlinkat(link, c"", Vec::new())?.into_bytes()
        };
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.first() == Some(&b'/') {
            self.current = self.root.try_clone()?;
        }
        let mut rest = target;
        if slash {
            rest.push(b'/');
        }
        rest.append(&mut self.rest);
        self.rest = rest;
        Ok(())
    }
}

fn our_root() -> Result<Object, Errno> {
    Object::pin(rustix::fs::openat(CWD, c"/", PIN, Mode::empty())?)
}

/// Same inode reached through the same mount.
fn same_place(a: &Object, b: &Object) -> Result<bool, Errno> {
    Ok(a.is(b) && same_mount(a, b)?)
}

/// What the kernel checks before it follows a link: `fs.protected_symlinks` and mounts that forbid links.
fn may_follow(request: &Request<'_>, parent: &Object, link: &Object) -> Result<(), Errno> {
    const ST_NOSYMFOLLOW: u64 = 0x2000;
    if rustix::fs::fstatvfs(link)?.f_flag.bits() & ST_NOSYMFOLLOW != 0 {
        return Err(Errno::LOOP);
    }
    let open_to_all = libc::S_ISVTX | libc::S_IWOTH;
    if parent.mode() & open_to_all != open_to_all || !proc::setting("fs/protected_symlinks", 1) {
        return Ok(());
    }
    let owner = link.stat().st_uid;
    if owner == parent.stat().st_uid || owner == request.file_uid()? { Ok(()) } else { Err(Errno::ACCESS) }
}
