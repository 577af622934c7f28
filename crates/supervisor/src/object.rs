// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel object held by a descriptor: what is judged is what is acted on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::sys;

/// An object and its attributes at the time it was pinned.
#[derive(Debug)]
pub struct Object {
    fd: OwnedFd,
    stat: libc::stat,
}

impl Object {
    /// Pins what `fd` refers to.
    pub fn pin(fd: OwnedFd) -> Result<Object, Errno> {
        let stat = sys::stat_of(fd.as_fd()).map_err(errno)?;
        Ok(Object { fd, stat })
    }

    /// Whole mode: file type and permission bits.
    pub fn mode(&self) -> u32 {
        self.stat.st_mode
    }

    /// One of `libc::S_IF*`, or 0 for an anonymous inode.
    pub fn file_type(&self) -> u32 {
        self.stat.st_mode & libc::S_IFMT
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.file_type() == libc::S_IFDIR
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.file_type() == libc::S_IFLNK
    }

    /// All attributes, in the kernel's layout.
    pub fn stat(&self) -> &libc::stat {
        &self.stat
    }

    /// The path the kernel knows it by, seen from the supervisor.
    pub fn path(&self) -> Option<PathBuf> {
        let link = rustix::fs::readlink(self.proc_path(), Vec::new()).ok()?;
        Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
            link.into_bytes(),
        )))
    }

    /// A path through which the object itself, not its name, is reached: open, chmod and the like act on the pin.
    pub fn proc_path(&self) -> String {
        proc_path(self.fd.as_fd())
    }

    /// Whether both are the same inode on the same file system.
    pub fn is(&self, other: &Object) -> bool {
        (self.stat.st_dev, self.stat.st_ino) == (other.stat.st_dev, other.stat.st_ino)
    }

    /// The permission bits.
    pub fn permissions(&self) -> Mode {
        Mode::from_raw_mode(self.stat.st_mode & 0o7777)
    }

    /// A second descriptor for the same object.
    pub fn try_clone(&self) -> Result<Object, Errno> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        Ok(Object { fd, stat: self.stat })
    }
}

/// A path to what a descriptor of ours refers to, whatever its name.
pub fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Object> for OwnedFd {
    fn from(object: Object) -> OwnedFd {
        object.fd
    }
}

/// The errno of an I/O error; `EIO` for one that has none.
pub fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
