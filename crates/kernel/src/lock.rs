// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks on folders: flock(2), which the kernel gives back whenever a process ends, however it ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use landlock_bpf::pin::Folder;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, getpid};

use crate::error::Result;

/// A folder, locked.
///
/// The lock is the open descriptor's, so a child of fork(2) has it as well; but only the process that took it
/// gives it back before the last copy of the descriptor is closed.
#[derive(Debug)]
pub(crate) struct Lock {
    folder: Option<Folder>,
    taken_by: Pid,
}

impl Lock {
    /// Waits until nobody has the folder to themselves.
    pub(crate) fn shared(folder: Folder) -> Result<Lock> {
        Lock::take(folder, FlockOperation::LockShared)
    }

    /// Waits until nobody else has a lock on the folder.
    pub(crate) fn exclusive(folder: Folder) -> Result<Lock> {
        Lock::take(folder, FlockOperation::LockExclusive)
    }

    /// The folder to oneself, unless somebody has a lock on it.
    pub(crate) fn try_exclusive(folder: Folder) -> Result<Option<Lock>> {
        let locked = retry_on_intr(|| flock(&folder, FlockOperation::NonBlockingLockExclusive));
        match locked {
            Ok(()) => Ok(Some(Lock { folder: Some(folder), taken_by: getpid() })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(error(&folder, errno)),
        }
    }

    fn take(folder: Folder, operation: FlockOperation) -> Result<Lock> {
        match retry_on_intr(|| flock(&folder, operation)) {
            Ok(()) => Ok(Lock { folder: Some(folder), taken_by: getpid() }),
            Err(errno) => Err(error(&folder, errno)),
        }
    }

    /// Gives the lock up, and takes the folder to oneself unless somebody else has a lock on it. Whoever could want it to
    /// themselves must be kept out by another lock. No child has the new one, so it goes with this process: a child
    /// that had it would keep everybody out, and wait for some of them.
    pub(crate) fn try_alone(&self) -> Result<Option<Lock>> {
        let again = self.folder().again()?;
        retry_on_intr(|| flock(self.folder(), FlockOperation::Unlock))
            .map_err(|errno| error(self.folder(), errno))?;
        Lock::try_exclusive(again)
    }

    /// What is locked.
    pub(crate) fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("there until it is dropped or taken")
    }

    /// Whether this process took the lock, not one that forked it.
    pub(crate) fn is_ours(&self) -> bool {
        self.taken_by == getpid()
    }

    /// The descriptor: the lock goes with it.
    pub(crate) fn into_descriptor(mut self) -> OwnedFd {
        self.folder.take().expect("there until it is dropped or taken").into()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && self.is_ours()
        {
            // Failing leaves it to the descriptor's closing.
            let _ = flock(folder.as_fd(), FlockOperation::Unlock);
        }
    }
}

fn error(folder: &Folder, errno: Errno) -> crate::Error {
    let path = format!("lock on {}", folder.path());
    landlock_bpf::Error::File { path, error: io::Error::from(errno) }.into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// As if this process were killed while it has the folder to itself, with a child of fork(2) left.
    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_child_does_not_keep_what_its_parent_had_to_itself() {
        let folder = || Folder::open(Path::new("/sys/fs/bpf")).unwrap().folder("lock").unwrap();
        let lock = Lock::shared(folder()).unwrap();
        let _of_the_child = rustix::io::dup(lock.folder()).unwrap();
        let other = Lock::shared(folder()).unwrap();
        assert!(lock.try_alone().unwrap().is_none(), "somebody else has it open");
        drop(other);
        let alone = lock.try_alone().unwrap().unwrap();
        assert!(Lock::try_exclusive(folder()).unwrap().is_none());
        drop((alone.into_descriptor(), lock.into_descriptor()));
        assert!(Lock::try_exclusive(folder()).unwrap().is_some());
    }
}
