// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pins: names in a bpf file system that keep an object alive without any process.
//!
//! Everything goes through a [`Folder`], an open directory, so that nobody can put another one in its
//! place. Renaming is atomic, within a file system also between folders: make a set of pins under a
//! temporary name, then rename its folder to publish it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Command, Error, Result};
use crate::sys;

const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// A folder of a bpf file system.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: String,
}

impl Folder {
    /// Opens a folder that is there, such as /sys/fs/bpf. Fails if it is not on a bpf file system.
    pub fn open(path: &Path) -> Result<Folder> {
        Folder::open_at(CWD, path, path.display().to_string())
    }

    /// Opens a folder within this one; makes it, open to its owner only, if it is not there.
    pub fn folder(&self, name: &str) -> Result<Folder> {
        let path = format!("{}/{name}", self.path);
        check_name(name).map_err(|errno| file_error(&path, errno))?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(file_error(&path, errno)),
        }
        Folder::open_at(self.fd.as_fd(), Path::new(name), path)
    }

    /// The same folder by a descriptor of its own, which shares no lock with this one.
    pub fn again(&self) -> Result<Folder> {
        Folder::open_at(self.fd.as_fd(), Path::new("."), self.path.clone())
    }

    /// Where it was found.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn open_at(at: BorrowedFd<'_>, name: &Path, path: String) -> Result<Folder> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|errno| file_error(&path, errno))?;
        match rustix::fs::fstatfs(&fd) {
            Ok(status) if status.f_type == BPF_FS_MAGIC => Ok(Folder { fd, path }),
            Ok(_) => Err(Error::Kind { object: path, expected: "folder of a bpf file system" }),
            Err(errno) => Err(file_error(&path, errno)),
        }
    }

    /// Pins an object under a new name. EEXIST if the name is taken.
    pub fn pin(&self, object: impl AsFd, name: &str) -> Result<()> {
        let done = self.object_path(name).and_then(|path| sys::obj_pin(object.as_fd(), &path));
        done.map_err(|errno| self.refused(Command::ObjPin, name, errno))
    }

    /// Opens the object pinned under a name, whatever its kind.
    pub(crate) fn get(&self, name: &str) -> Result<OwnedFd> {
        let opened = self.object_path(name).and_then(|path| sys::obj_get(&path));
        opened.map_err(|errno| self.refused(Command::ObjGet, name, errno))
    }

    /// The names in the folder, pins and folders, in no particular order.
    pub fn names(&self) -> Result<Vec<String>> {
        let read = || {
            let mut names = Vec::new();
            for entry in Dir::read_from(&self.fd)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "." && name != ".." {
                    names.push(name);
                }
            }
            Ok(names)
        };
        read().map_err(|errno| file_error(&self.path, errno))
    }

    /// Renames a pin or folder to a name that is not taken, in this folder or another.
    pub fn rename(&self, from: &str, into: &Folder, to: &str) -> Result<()> {
        let renamed = check_name(from)
            .and_then(|()| check_name(to))
            .and_then(|()| rustix::fs::renameat_with(&self.fd, from, &into.fd, to, RenameFlags::NOREPLACE));
        renamed.map_err(|errno| file_error(&format!("{}/{to}", into.path), errno))
    }

    /// Removes a pin.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.unlink(name, AtFlags::empty())
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, name: &str) -> Result<()> {
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    /// Removes everything in the folder, and in folders in it.
    pub fn clear(&self) -> Result<()> {
        for name in self.names()? {
            match rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {
                    self.folder(&name)?.clear()?;
                    self.remove_folder(&name)?;
                }
                removed => removed.map_err(|errno| file_error(&format!("{}/{name}", self.path), errno))?,
            }
        }
        Ok(())
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> Result<()> {
        let removed = check_name(name).and_then(|()| rustix::fs::unlinkat(&self.fd, name, flags));
        removed.map_err(|errno| file_error(&format!("{}/{name}", self.path), errno))
    }

    /// A path bpf(2) takes. Older kernels take nothing but a path; our descriptor has one.
    fn object_path(&self, name: &str) -> std::result::Result<CString, Errno> {
        check_name(name)?;
        CString::new(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd())).map_err(|_| Errno::INVAL)
    }

    fn refused(&self, command: Command, name: &str, errno: Errno) -> Error {
        Error::Refused { command, object: format!("{}/{name}", self.path), errno }
    }
}

impl From<Folder> for OwnedFd {
    fn from(folder: Folder) -> OwnedFd {
        folder.fd
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One component, so that nothing outside the folder is meant.
fn check_name(name: &str) -> std::result::Result<(), Errno> {
    match name {
        "" | "." | ".." => Err(Errno::INVAL),
        _ if name.contains('/') => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

fn file_error(path: &str, errno: Errno) -> Error {
    Error::File { path: path.to_owned(), error: io::Error::from(errno) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Folder::open(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("is not a folder of a bpf file system"), "{error}");
    }

    #[test]
    fn names_stay_within_the_folder() {
        assert!(check_name("a.b").is_ok());
        for name in ["", ".", "..", "a/b", "/", "../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
