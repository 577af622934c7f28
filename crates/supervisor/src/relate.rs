// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the object of a question, and its caller, relate to what handles stand for.
//!
//! Everything is told by inodes of pinned objects, never by names alone. What cannot be told is `None`, and the
//! question is refused then.

mod cgroup;
mod place;

use std::cell::{Cell, OnceCell};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use landlock_compiler::abi::handles::Properties;
use landlock_compiler::evaluate::{Direction, Relation, one_of};
use landlock_compiler::map::Handle;
use rustix::io::Errno;

use crate::object::Object;
use crate::request::Request;
use place::Place;

/// What a question is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A pinned object.
    Object(&'a Object),
    /// A name in this directory that gets an object of this mode, if it gets one; there is none yet.
    New(&'a Object, Option<u32>),
    /// Something of this mode that has no place in a file system anybody can reach: memory, a pipe, a socket.
    Unnamed(u32),
}

impl Subject<'_> {
    /// The mode, as rules see it.
    pub fn mode(self) -> Option<u32> {
        match self {
            Subject::Object(object) => Some(object.mode()),
            Subject::New(_, mode) => mode,
            Subject::Unnamed(mode) => Some(mode),
        }
    }
}

/// The relation of one question.
pub struct Related<'a> {
    /// Who asks.
    pub request: &'a Request<'a>,
    /// About what.
    pub subject: Subject<'a>,
    /// The directories above it, once somebody wants to know; `None` if that cannot be told.
    above: OnceCell<Option<Vec<Object>>>,
    /// The number of a handle that it is beneath, once that was found.
    met: Cell<Option<u64>>,
}

impl Relation for Related<'_> {
    fn shared(&self, handle: &Handle) -> Option<Properties> {
        let theirs = pinned(handle)?;
        let (ours, new) = match self.subject {
            Subject::Object(object) => (object, false),
            Subject::New(parent, _) => (parent, true),
            Subject::Unnamed(_) => return None,
        };
        if !new && self.place(ours).is_internal()? {
            // A pipe, a socket and the like is what it is, and shares nothing with files.
            return Some(if ours.is(&theirs) { Properties::all() } else { Properties::empty() });
        }
        let mut shared = Properties::empty();
        shared.set(Properties::MOUNT, place::same_mount(ours, &theirs).ok()?);
        let device = place::same_file_system(self.request, ours, &theirs)?;
        shared.set(Properties::DEVICE, device);
        // A name without an object is no name, and no inode, of anything.
        let inode = !new && device && ours.is(&theirs);
        shared.set(Properties::INODE, inode);
        shared.set(Properties::DENTRY, inode && self.same_name(ours, &theirs)?);
        Some(shared)
    }

    fn beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        let theirs = pinned(handle)?;
        match (self.subject, direction) {
            (Subject::Unnamed(_), _) | (Subject::New(..), Direction::Reverse) => Some(false),
            (Subject::Object(object) | Subject::New(object, _), Direction::Beneath) => {
                self.subject_reaches(object, &theirs)
            }
            (Subject::Object(object), Direction::Reverse) => self.place(&theirs).reaches(object),
        }
    }

    fn beneath_any(&self, handles: &[Handle], direction: Direction) -> Option<bool> {
        if direction == Direction::Beneath && self.is_found_beneath(handles) {
            return Some(true);
        }
        one_of(handles, |handle| self.beneath(handle, direction))
    }

    fn cgroup_beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        let theirs = pinned(handle)?;
        cgroup::beneath(self.request, &theirs, direction).ok()
    }
}

impl<'a> Related<'a> {
    /// How the subject of a question relates to handles.
    pub fn new(request: &'a Request<'a>, subject: Subject<'a>) -> Related<'a> {
        Related { request, subject, above: OnceCell::new(), met: Cell::new(None) }
    }
}

impl Related<'_> {
    /// [`Place::reaches`], for any number of handles on one climb.
    fn subject_reaches(&self, object: &Object, theirs: &Object) -> Option<bool> {
        let place = self.place(object);
        if place.same(object, theirs)? {
            return Some(true);
        }
        place.meets(self.above.get_or_init(|| place.above()).as_ref()?, theirs)
    }

    /// Whether it is beneath a handle, as far as one step down from the handle shows. Otherwise nothing is said.
    fn is_found_beneath(&self, handles: &[Handle]) -> bool {
        let object = match self.subject {
            Subject::Object(object) | Subject::New(object, _) => object,
            Subject::Unnamed(_) => return false,
        };
        if let Some(met) = self.met.get()
            && handles.iter().any(|handle| handle.number() == met)
        {
            return true;
        }
        // What is opened next is likely beneath the same one.
        let last_met = &self.request.shared.last_met;
        let likely = last_met.load(Ordering::Relaxed);
        let likely = handles.iter().position(|handle| handle.number() == likely).unwrap_or(0);
        let in_turn = || handles[likely..].iter().chain(&handles[..likely]);
        let found = self.place(object).found_beneath(in_turn().map(Handle::descriptor));
        let found = found.and_then(|at| in_turn().nth(at)).map(Handle::number);
        self.met.set(found);
        found.inspect(|number| last_met.store(*number, Ordering::Relaxed)).is_some()
    }

    fn place<'b>(&'b self, object: &'b Object) -> Place<'b> {
        Place { request: self.request, object }
    }

    /// Whether two descriptors of one inode came by the same name. A directory has one only.
    fn same_name(&self, ours: &Object, theirs: &Object) -> Option<bool> {
        if ours.is_directory() {
            return Some(true);
        }
        let (ours, theirs) = (self.place(ours).named()?, self.place(theirs).named()?);
        Some(ours.name == theirs.name && ours.parent.is(&theirs.parent))
    }
}

/// What a handle stands for.
fn pinned(handle: &Handle) -> Option<Object> {
    let copy = |fd: BorrowedFd<'_>| -> Result<Object, Errno> {
        Object::pin(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
    };
    copy(handle.descriptor()?).ok()
}
