// SPDX-License-Identifier: MIT OR Apache-2.0
//! Putting files, directories and cgroups into the arrays that rules compare with. The same on every target.
//!
//! A handle is what a path led to when it was put in: it is held by a descriptor (`O_PATH`), so it stays the same
//! object when that is renamed and the path is reused, and cannot be mistaken for another while it is in use.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::domain::Domain;
use landlock_compiler::map::{ArrayError, Handle, Map};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Why there is no handle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path leads to nothing the caller may reach.
    #[error("{}: {errno}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The descriptor cannot be looked at.
    #[error("the descriptor: {0}")]
    Descriptor(Errno),
    /// Something else than a directory of a cgroup.
    #[error("it is no cgroup of version 2: a handle of a cgroup is its directory in a cgroup2 file system")]
    NoCgroup,
    /// The array does not take it.
    #[error("map {map}: {error}")]
    Array {
        /// Its name.
        map: String,
        /// Why.
        error: ArrayError,
    },
    /// The rules compare with no such array.
    #[error("no rule has a map {map}{}", there_are(.known))]
    NoMap {
        /// What was asked for.
        map: String,
        /// What there is.
        known: Vec<String>,
    },
}

fn there_are(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

/// A handle of what `path` leads to now, links followed. For [`ArrayKind::Cgroup`], of a cgroup's directory.
///
/// # Errors
/// [`Error::Open`], [`Error::NoCgroup`].
pub fn open(path: &Path, kind: ArrayKind) -> Result<Handle, Error> {
    let failed = |errno| Error::Open { path: path.to_owned(), errno };
    let descriptor =
        rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    held(descriptor, kind)
}

/// A handle of what a descriptor refers to, whatever it was opened for: it is opened again with `O_PATH`, where that can be
/// done.
///
/// # Errors
/// [`Error::NoCgroup`], [`Error::Descriptor`].
pub fn held(descriptor: OwnedFd, kind: ArrayKind) -> Result<Handle, Error> {
    if kind == ArrayKind::Cgroup && !is_cgroup(&descriptor).map_err(Error::Descriptor)? {
        return Err(Error::NoCgroup);
    }
    Ok(Handle::held(path_only(&descriptor).unwrap_or(descriptor)))
}

fn path_only(descriptor: &OwnedFd) -> Option<OwnedFd> {
    if rustix::fs::fcntl_getfl(descriptor).ok()?.contains(OFlags::PATH) {
        return None;
    }
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn is_cgroup(descriptor: &impl AsFd) -> Result<bool, Errno> {
    const CGROUP2: i64 = 0x6367_7270;
    let is_directory = FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode) == FileType::Directory;
    Ok(is_directory && rustix::fs::fstatfs(descriptor)?.f_type == CGROUP2)
}

/// Appends what `path` leads to now to every map of this name that the rules of the domain have.
///
/// # Errors
/// Any: some of the maps may have it then.
pub fn append(domain: &Domain, name: &str, path: &Path) -> Result<(), Error> {
    let maps: Vec<&Map> = domain.maps().into_iter().filter(|map| map.definition().name == name).collect();
    if maps.is_empty() {
        let known = domain.maps().into_iter().map(|map| map.definition().name.clone()).collect();
        return Err(Error::NoMap { map: name.to_owned(), known });
    }
    for map in maps {
        let handle = open(path, map.definition().kind)?;
        map.append(handle).map_err(|error| Error::Array { map: name.to_owned(), error })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use landlock_compiler::map::Definition;

    use super::*;

    #[test]
    fn a_handle_stays_what_it_was_when_its_path_is_reused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "first").unwrap();
        let handle = open(&path, ArrayKind::Fs).unwrap();
        let inode = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
        let first = inode(handle.descriptor().unwrap());
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        std::fs::write(&path, "second").unwrap();
        let second = open(&path, ArrayKind::Fs).unwrap();
        assert_eq!(inode(handle.descriptor().unwrap()), first);
        assert_ne!(inode(second.descriptor().unwrap()), first);
        assert_ne!(handle, second);
    }

    #[test]
    fn what_is_no_cgroup_is_no_handle_of_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(open(folder.path(), ArrayKind::Cgroup), Err(Error::NoCgroup)));
        assert!(open(folder.path(), ArrayKind::Fs).is_ok());
        let nothing = open(&folder.path().join("nothing"), ArrayKind::Fs);
        assert!(matches!(nothing, Err(Error::Open { errno: Errno::NOENT, .. })));
    }

    #[test]
    fn an_array_has_no_more_handles_than_it_has_room_for() {
        let definition = Definition { name: "few".into(), kind: ArrayKind::Fs, max_entries: 1 };
        let map = Map::new(definition);
        let handle = || open(Path::new("/"), ArrayKind::Fs).unwrap();
        assert_eq!(map.append(handle()), Ok(()));
        assert_eq!(map.append(handle()).unwrap_err().errno(), 7);
        assert_eq!(map.handles().len(), 1);
    }
}
