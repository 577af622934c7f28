// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays of handles, changed while rules compare with them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landlock_compiler::abi::handles::{ArrayKind, HandleType};
use landlock_compiler::map::{Array, ArrayError, Map};
use landlock_daemon::protocol::Why;
use landlock_supervisor::{Change, Link};
use rustix::io::Errno;

use crate::Error;
use crate::kernel::{self, Changer};

/// What enforces the rules of one sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Enforcers(Arc<Mutex<Who>>);

#[derive(Debug, Default)]
pub(crate) struct Who {
    /// The supervisors of what was started.
    pub links: Vec<Link>,
    /// The domains in the kernel.
    pub domains: Vec<Changer>,
    /// Whether something was started whose arrays stay as they were: see [`Handles::set`].
    pub has_fixed: bool,
}

impl Enforcers {
    /// Held while something is started or loaded, so that no change is missed.
    pub fn lock(&self) -> MutexGuard<'_, Who> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An array of handles that rules of a [`Sandbox`](crate::Sandbox) compare with. A change takes effect at once on all that
/// was started in the sandbox or has entered it, and holds for what comes later.
///
/// The array has no gaps: handles are replaced or appended, only the last one is deleted. A handle is what the
/// descriptor refers to (`O_PATH` is enough), however it is called later; for an array of cgroups, a cgroup's directory.
///
/// On the kernel target it is this process that keeps open what handles stand for, as long as it has the sandbox or one of
/// these. When that ends, what the kernel then forgets makes that the rules refuse whatever they would compare.
#[derive(Clone, Debug)]
pub struct Handles {
    pub(crate) map: Map,
    /// Its place among those of the domain.
    pub(crate) place: u32,
    pub(crate) enforcers: Enforcers,
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
    /// wanted. On the kernel target also `EINVAL` for a cgroup more than 23 levels down, `ENOSPC` if the machine's
    /// domains have no place for more handles, and `EPERM` in a thread that the kernel confines; where landlockd loaded the
    /// rules, `EPERM` once a thread of this process has entered the sandbox, or the daemon was started anew. `EOPNOTSUPP` if something was started or entered with the sandbox whose handles cannot be changed: inside of another
    /// sandbox of the supervisor target, or [`lowered`](crate::Sandbox::lowered). Nothing has changed then. `EIO` if a supervisor or the kernel did not do as it should; what is confined goes on.
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
        let who = self.enforcers.lock();
        self.change(&who, |array| array.update(index, handle_type, handle, flags))?;
        self.tell(who, index, Some((handle_type, theirs)), flags)
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
        let who = self.enforcers.lock();
        self.change(&who, |array| array.delete(index))?;
        self.tell(who, index, None, 0)
    }

    /// Changes the array, here and in the kernel; or nowhere.
    fn change<T>(
        &self,
        who: &Who,
        change: impl FnOnce(&mut Array) -> Result<T, ArrayError>,
    ) -> Result<(), Error> {
        if who.has_fixed {
            return Err(Error::Handle(Errno::OPNOTSUPP.into()));
        }
        let before = self.map.change(|array| {
            let before = array.clone();
            change(array).map(|_| before)
        });
        let before = before.map_err(|error| Error::Handle(Errno::from_raw_os_error(error.errno()).into()))?;
        let refresh = |domain: &Changer| domain.refresh(self.place);
        who.domains.iter().try_for_each(refresh).map_err(|error| {
            self.map.change(|array| *array = before);
            // What has taken the change takes it back.
            who.domains.iter().for_each(|domain| drop(domain.refresh(self.place)));
            Error::Handle(errno_of(&error).into())
        })
    }

    /// Has every supervisor make the same change. One that is gone confines nobody any more.
    fn tell(
        &self,
        mut who: MutexGuard<'_, Who>,
        index: u32,
        update: Option<(u32, OwnedFd)>,
        flags: u64,
    ) -> Result<(), Error> {
        let handle_type = update.as_ref().map(|(number, _)| *number);
        let change = Change { map: self.place, index, handle_type, flags };
        let descriptor = update.as_ref().map(|(_, descriptor)| descriptor.as_fd());
        let mut failed = None;
        who.links.retain(|link| match link.change(change, descriptor) {
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

/// What a change that the kernel did not take fails with.
fn errno_of(error: &kernel::Error) -> Errno {
    use landlock_daemon::client::Error as Daemon;
    use landlock_kernel::Error as Engine;
    match error {
        kernel::Error::Target(Engine::Handle(_)) => Errno::INVAL,
        kernel::Error::Target(Engine::Full { .. }) => Errno::NOSPC,
        kernel::Error::Target(Engine::Confined) => Errno::PERM,
        kernel::Error::Daemon(Daemon::Refused(refusal)) => match refusal.why {
            Why::Descriptor => Errno::INVAL,
            Why::Limit => Errno::NOSPC,
            _ => Errno::IO,
        },
        // The daemon was started anew, or the domain is sealed: nobody changes it any more.
        kernel::Error::Daemon(_) => Errno::PERM,
        _ => Errno::IO,
    }
}
