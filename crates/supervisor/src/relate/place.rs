// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where an object is: what is above it, through mounts and however deep.
//!
//! A directory leads to the one above it by `..`, which the kernel follows across mounts, to the root of the
//! namespace the directory is in. Anything else leads there by the path the kernel has for its descriptor; the path
//! is believed only if what it names is that very object. The path is read again in the end: had anything above been
//! moved meanwhile, it would be another.
//!
//! Had it been moved away and back twice, the path would be the same, and the directories found could be those of two
//! moments. That is no way beneath a handle: one of the directories the climb had come through must have been moved
//! beneath it meanwhile. Whoever may do that may do it with the object inside, since a move is judged by what is moved and
//! by the directories it leaves and enters, never by what it contains; and then the object is beneath the handle.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::object::{Object, proc_path};
use crate::proc;
use crate::request::Request;

const PIN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Deeper trees cannot be made by paths the kernel takes at once, but step by step. What is deeper is not told.
const DEEPEST: usize = 4096;
/// What the kernel adds to the path of what has lost its name.
const DELETED: &[u8] = b" (deleted)";

/// An object that is somewhere.
pub struct Place<'a> {
    /// Who asks: paths may be those of its root directory.
    pub request: &'a Request<'a>,
    /// The object.
    pub object: &'a Object,
}

/// The name of an object, now.
pub struct Named {
    /// The directory it is in.
    pub parent: Object,
    /// The name there.
    pub name: CString,
}

/// What the path of an object says.
enum Found {
    /// The directory it is in, and its name there.
    In(Named),
    /// It has no name any more.
    Deleted,
    /// It never had one in a file system that is mounted.
    Nowhere,
}

impl Place<'_> {
    /// Whether the object is `above` or beneath it; `None` if it cannot be told.
    pub fn reaches(&self, above: &Object) -> Option<bool> {
        if self.same(self.object, above)? {
            return Some(true);
        }
        self.meets(&self.above()?, above)
    }

    /// Whether `above` is one of the directories.
    pub fn meets(&self, directories: &[Object], above: &Object) -> Option<bool> {
        match directories.iter().find(|here| here.is(above)) {
            Some(here) => self.same(here, above),
            None => Some(false),
        }
    }

    /// Which of some directories the object is found beneath by going down from it along the object's own path.
    ///
    /// It says what [`Place::reaches`] would say, in fewer steps: what is found is the very object, at a path it has
    /// before and after, on the way down from the very directory. Nothing found says nothing.
    pub fn found_beneath<'a>(
        &self,
        directories: impl Iterator<Item = Option<BorrowedFd<'a>>>,
    ) -> Option<usize> {
        let before = text(self.object)?;
        let found = directories.into_iter().position(|directory| {
            directory.is_some_and(|directory| self.is_found(directory, &before).unwrap_or(false))
        })?;
        (text(self.object)? == before).then_some(found)
    }

    fn is_found(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Option<bool> {
        let above = text_of(directory)?;
        let rest = path.strip_prefix(above.as_slice())?;
        let below = if above == b"/" { rest } else { rest.strip_prefix(b"/")? };
        if below.is_empty() {
            return None;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let there = rustix::fs::openat2(directory, below, PIN | OFlags::NOFOLLOW, Mode::empty(), resolve);
        let there = Object::pin(there.ok()?).ok()?;
        Some(there.is(self.object) && same_mount(&there, self.object).ok()?)
    }

    /// The directories above the object, the nearest first; none above what has no place.
    pub fn above(&self) -> Option<Vec<Object>> {
        let before = text(self.object)?;
        let directories = self.climb(&before)?;
        (text(self.object)? == before).then_some(directories)
    }

    /// Its name, if it has one that can be told.
    pub fn named(&self) -> Option<Named> {
        match self.find(&text(self.object)?)? {
            Found::In(named) => Some(named),
            Found::Deleted | Found::Nowhere => None,
        }
    }

    /// Whether it never had a name in any file system that can be mounted.
    pub fn is_internal(&self) -> Option<bool> {
        Some(text(self.object)?[0] != b'/')
    }

    fn climb(&self, path: &[u8]) -> Option<Vec<Object>> {
        let mut here = if self.object.is_directory() {
            if self.is_deleted_directory(path)? {
                return Some(Vec::new());
            }
            self.object.try_clone().ok()?
        } else {
            match self.find(path)? {
                Found::In(named) => named.parent,
                Found::Deleted | Found::Nowhere => return Some(Vec::new()),
            }
        };
        let mut directories = Vec::new();
        while directories.len() < DEEPEST {
            // ENOENT: moved out of what is mounted where we came through.
            let next = up(&here).ok()?;
            if next.is(&here) && same_mount(&next, &here).ok()? {
                directories.push(here);
                return Some(directories);
            }
            directories.push(std::mem::replace(&mut here, next));
        }
        None
    }

    /// The same inode: numbers of devices are not always those of file systems (btrfs, overlayfs).
    pub fn same(&self, here: &Object, other: &Object) -> Option<bool> {
        if here.is(other) { same_file_system(self.request, here, other) } else { Some(false) }
    }

    /// Whether a directory was removed; some file systems do not count its names.
    fn is_deleted_directory(&self, path: &[u8]) -> Option<bool> {
        if !path.ends_with(DELETED) {
            return Some(false);
        }
        if rustix::fs::fstat(self.object).ok()?.st_nlink == 0 {
            return Some(true);
        }
        // Or is that its name?
        match self.find(path)? {
            Found::In(_) => Some(false),
            Found::Deleted | Found::Nowhere => None,
        }
    }

    fn find(&self, path: &[u8]) -> Option<Found> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/').filter(|_| path[0] == b'/') else {
            return Some(Found::Nowhere);
        };
        if rustix::fs::fstat(self.object).ok()?.st_nlink == 0 {
            return Some(Found::Deleted);
        }
        let name = CString::new(&path[slash + 1..]).ok()?;
        let folder = CString::new(path[..slash.max(1)].to_vec()).ok()?;
        let roots: [&dyn Fn() -> Result<Option<Object>, Errno>; 2] =
            [&|| Ok(None), &|| self.request.root().map(Some)];
        // The path is the one of the object's own namespace, which may be ours or the caller's.
        for root in roots {
            let parent = match root().ok()? {
                None => rustix::fs::openat(CWD, &folder, PIN | OFlags::DIRECTORY, Mode::empty()),
                Some(root) => rustix::fs::openat2(
                    root,
                    &folder,
                    PIN | OFlags::DIRECTORY,
                    Mode::empty(),
                    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
                ),
            };
            let Ok(parent) = parent.and_then(Object::pin) else { continue };
            let there = rustix::fs::openat(&parent, &name, PIN | OFlags::NOFOLLOW, Mode::empty());
            let Ok(there) = there.and_then(Object::pin) else { continue };
            if there.is(self.object) && same_mount(&there, self.object).ok()? {
                return Some(Found::In(Named { parent, name }));
            }
        }
        None
    }
}

/// The path the kernel has for a descriptor: all of it at one time.
fn text(object: &Object) -> Option<Vec<u8>> {
    text_of(object.as_fd())
}

fn text_of(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let text = rustix::fs::readlink(proc_path(fd), Vec::new()).ok()?.into_bytes();
    // A longer one would be cut.
    (text.len() < 4095 && !text.is_empty()).then_some(text)
}

fn up(object: &Object) -> Result<Object, Errno> {
    Object::pin(rustix::fs::openat(object, c"..", PIN | OFlags::DIRECTORY, Mode::empty())?)
}

/// Whether both were reached through the same mount.
pub fn same_mount(a: &Object, b: &Object) -> Result<bool, Errno> {
    Ok(mount(a)? == mount(b)?)
}

fn mount(object: &Object) -> Result<u64, Errno> {
    let found = rustix::fs::statx(object.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 { Err(Errno::NOSYS) } else { Ok(found.stx_mnt_id) }
}

/// Whether both are on the same file system, whatever its mounts.
pub fn same_file_system(request: &Request<'_>, a: &Object, b: &Object) -> Option<bool> {
    let (ours, theirs) = (mount(a).ok()?, mount(b).ok()?);
    if ours == theirs {
        return Some(true);
    }
    let tid = request.notification.tid.to_string();
    let device = |mount| ["self", &tid].into_iter().find_map(|who| device_of(who, mount));
    Some(device(ours)? == device(theirs)?)
}

/// The device number of a mount's file system, as somebody's namespace has it.
fn device_of(who: &str, mount: u64) -> Option<String> {
    let mounts = proc::contents(format!("/proc/{who}/mountinfo")).ok()?;
    let mounts = String::from_utf8_lossy(&mounts);
    let number = mount.to_string();
    let mut fields = mounts.lines().map(|line| line.split(' '));
    fields.find_map(|mut fields| (fields.next()? == number).then(|| fields.nth(1).map(str::to_owned))?)
}
