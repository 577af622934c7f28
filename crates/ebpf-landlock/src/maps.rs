// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays of handles, changed while rules compare with them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landlock_compiler::abi::handles::{ArrayKind, HandleType};
use landlock_compiler::map::Map;
use landlock_supervisor::{Change, Link};
use rustix::io::Errno;

use crate::Error;

/// The supervisors of what was started in one sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links(Arc<Mutex<Vec<Link>>>);

impl Links {
    /// Held while something is started, so that no change is missed.
    pub fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An array of handles that rules of a [`Sandbox`](crate::Sandbox) compare with. A change takes effect at once on all that
/// was started in the sandbox, and holds for what is started later.
///
/// The array has no gaps: handles are replaced or appended, only the last one is deleted. A handle is what the
/// descriptor refers to (`O_PATH` is enough), however it is called later; for an array of cgroups, a cgroup's directory.
#[derive(Clone, Debug)]
pub struct Handles {
    pub(crate) map: Map,
    /// Its place among those of the domain.
    pub(crate) place: u32,
    pub(crate) links: Links,
}

impl Handles {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.map.definition().name
    }

    /// How many handles there are in it.
    pub fn len(&self) -> usize {
        self.map.handles().len()
    }

    /// Whether there are none, so that nothing matches.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the handle at `index`, or appends one there.
    ///
    /// # Errors
    /// [`Error::Handle`]: `E2BIG` beyond the room there is, `EINVAL` for a gap, and for what is no cgroup where one is
    /// wanted. Nothing has changed then. `EIO` if a supervisor did not do as it should; what it serves is killed by none of this.
    pub fn set(&self, index: u32, what: impl AsFd) -> Result<(), Error> {
        let handle_type = match self.map.definition().kind {
            ArrayKind::Fs => HandleType::FsFd,
            ArrayKind::Cgroup => HandleType::CgroupFd,
        };
        self.update(index, handle_type as u32, what, 0)
    }

    /// Appends a handle.
    ///
    /// # Errors
    /// As [`Handles::set`].
    pub fn append(&self, what: impl AsFd) -> Result<(), Error> {
        self.set(u32::try_from(self.len()).unwrap_or(u32::MAX), what)
    }

    /// The RFC's update: with the number of a handle's type (1 file, 3 cgroup) and flags (0, 1 `BPF_NOEXIST`, which always
    /// fails, 2 `BPF_EXIST`).
    ///
    /// # Errors
    /// As [`Handles::set`]; `EEXIST` for `BPF_NOEXIST`, `EINVAL` for flags and types that do not exist or do not fit.
    pub fn update(&self, index: u32, handle_type: u32, what: impl AsFd, flags: u64) -> Result<(), Error> {
        let descriptor = what
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| Error::Handle(Errno::from_io_error(&error).unwrap_or(Errno::BADF).into()))?;
        let theirs = descriptor.try_clone().map_err(|_| Error::Handle(Errno::MFILE.into()))?;
        let kind = self.map.definition().kind;
        let handle = landlock_handles::held(descriptor, kind);
        let handle = handle.map_err(|_| Error::Handle(Errno::INVAL.into()))?;
        let links = self.links.lock();
        self.map
            .change(|array| array.update(index, handle_type, handle, flags))
            .map_err(|error| Error::Handle(Errno::from_raw_os_error(error.errno()).into()))?;
        self.tell(links, index, Some((handle_type, theirs)), flags)
    }

    /// Deletes the last handle.
    ///
    /// # Errors
    /// [`Error::Handle`]: `EINVAL` if there is none.
    pub fn delete_last(&self) -> Result<(), Error> {
        self.delete(u32::try_from(self.len()).unwrap_or(u32::MAX).wrapping_sub(1))
    }

    /// The RFC's deletion: of the last one only.
    ///
    /// # Errors
    /// [`Error::Handle`]: `EINVAL` for any other.
    pub fn delete(&self, index: u32) -> Result<(), Error> {
        let links = self.links.lock();
        self.map
            .change(|array| array.delete(index))
            .map_err(|error| Error::Handle(Errno::from_raw_os_error(error.errno()).into()))?;
        self.tell(links, index, None, 0)
    }

    /// Has every supervisor make the same change. One that is gone confines nobody any more.
    fn tell(
        &self,
        mut links: MutexGuard<'_, Vec<Link>>,
        index: u32,
        update: Option<(u32, OwnedFd)>,
        flags: u64,
    ) -> Result<(), Error> {
        let handle_type = update.as_ref().map(|(number, _)| *number);
        let change = Change { map: self.place, index, handle_type, flags };
        let descriptor = update.as_ref().map(|(_, descriptor)| descriptor.as_fd());
        let mut failed = None;
        links.retain(|link| match link.change(change, descriptor) {
            Ok(()) => true,
            Err(Errno::PIPE) => false,
            Err(errno) => {
                failed = Some(errno);
                true
            }
        });
        failed.map_or(Ok(()), |_| Err(Error::Handle(Errno::IO.into())))
    }
}
