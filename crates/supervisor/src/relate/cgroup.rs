// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's cgroup of version 2, and what it is beneath.
//!
//! A cgroup is known by the inode number of its directory, which is never given out again and is the same in every
//! mount; names of cgroups of version 2 do not change, but may be used again.

use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use landlock_compiler::evaluate::Direction;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::object::Object;
use crate::proc;
use crate::request::Request;

const CGROUP2: i64 = 0x6367_7270;
const PIN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
/// Inode number of the root of the hierarchy.
const ROOT: u64 = 1;
/// cgroupfs has no more levels.
const DEEPEST: usize = 4096;

/// Whether the caller's cgroup is that of `handle` or beneath it; reversed, the other way round.
///
/// # Errors
/// It cannot be told.
pub fn beneath(request: &Request<'_>, handle: &Object, direction: Direction) -> Result<bool, Errno> {
    if !is_cgroup(handle)? {
        return Err(Errno::INVAL);
    }
    let path = path_of(request)?;
    let caller = directory(&path)?;
    // Else the directory may be another's of the same name.
    if path_of(request)? != path {
        return Err(Errno::AGAIN);
    }
    match direction {
        Direction::Beneath => reaches(&caller, handle),
        Direction::Reverse => reaches(handle, &caller),
    }
}

/// The caller's cgroup, seen from ours.
fn path_of(request: &Request<'_>) -> Result<PathBuf, Errno> {
    let text = proc::contents(format!("/proc/{}/cgroup", request.notification.tid))?;
    request.still_waiting()?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    let path = line.ok_or(Errno::NODEV)?;
    if path.starts_with(b"/..") || path.ends_with(b" (deleted)") {
        return Err(Errno::NOENT);
    }
    Ok(OsString::from_vec(path.to_vec()).into())
}

/// The directory of a cgroup, in whatever mount has it.
fn directory(path: &Path) -> Result<Object, Errno> {
    for (root, mounted_at) in mounts()? {
        let Ok(rest) = path.strip_prefix(&root) else { continue };
        let at = CString::new(mounted_at.join(rest).as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        if let Ok(found) = rustix::fs::openat(CWD, &at, PIN, Mode::empty()).and_then(Object::pin)
            && is_cgroup(&found)?
        {
            return Ok(found);
        }
    }
    Err(Errno::NOENT)
}

/// Every cgroup2 mount: which cgroup it shows, and where.
fn mounts() -> Result<Vec<(PathBuf, PathBuf)>, Errno> {
    let text = proc::contents("/proc/self/mountinfo")?;
    let line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let kind = fields.iter().position(|field| *field == b"-")? + 1;
        let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescaped(field)));
        (fields.get(kind)? == b"cgroup2").then(|| (path(fields[3]), path(fields[4])))
    };
    Ok(text.split(|byte| *byte == b'\n').filter_map(line).collect())
}

/// Spaces and the like are `\ooo` there.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| std::str::from_utf8(after.get(..3)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

fn is_cgroup(object: &Object) -> Result<bool, Errno> {
    Ok(object.is_directory() && rustix::fs::fstatfs(object.as_fd())?.f_type == CGROUP2)
}

/// Whether cgroup `below` is `above` or beneath it.
fn reaches(below: &Object, above: &Object) -> Result<bool, Errno> {
    let mut here = below.try_clone()?;
    for _ in 0..DEEPEST {
        if here.stat().st_ino == above.stat().st_ino {
            return Ok(true);
        }
        let next = Object::pin(rustix::fs::openat(&here, c"..", PIN, Mode::empty())?)?;
        if !is_cgroup(&next)? || next.is(&here) {
            // The top of a mount: it is the top of all, or what is above cannot be seen.
            return if here.stat().st_ino == ROOT { Ok(false) } else { Err(Errno::XDEV) };
        }
        here = next;
    }
    Err(Errno::LOOP)
}
