// SPDX-License-Identifier: MIT OR Apache-2.0
//! A folder to try things in, some of its objects marked by their modes, and what can be seen of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// An object a rule knows by its mode, which nothing else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// `folder/file`.
    File,
    /// `folder` and `empty`, and what a case gives the mode to.
    Folder,
    /// `folder/link`, and every other symbolic link.
    Link,
    /// What does not exist: its mode is -ENOENT.
    Negative,
    /// /dev/null, and what else everybody may read and write of its kind.
    Device,
}

impl Mark {
    pub fn mode(self) -> i32 {
        match self {
            Mark::File => 0o100_751,
            Mark::Folder => 0o041_751,
            Mark::Link => 0o120_777,
            Mark::Negative => -2,
            Mark::Device => 0o020_666,
        }
    }
}

/// What the marked file holds: it can be executed.
pub const CONTENT: &str = "#!/bin/true\n";

/// A fresh folder on ext4.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = Place(format!("/mnt/{}-{number}", std::process::id()).into());
        for folder in ["folder", "folder/sub", "empty", "plain", "spare"] {
            fs::create_dir_all(place.at(folder)).unwrap();
        }
        fs::write(place.at("folder/file"), CONTENT).unwrap();
        fs::write(place.at("plain/file"), "plain").unwrap();
        symlink("file", place.at("folder/link")).unwrap();
        for (name, mark) in [("folder/file", Mark::File), ("folder", Mark::Folder), ("empty", Mark::Folder)] {
            mark_with(&place.at(name), mark);
        }
        place
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// All that can be seen of the place, and of the mounts of this thread.
    pub fn seen(&self) -> Vec<String> {
        let mut seen = vec![format!("{:?}", fs::read_to_string("/proc/thread-self/mountinfo"))];
        look(&self.0, &mut seen);
        seen
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Fails where a case has moved the root away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn mark_with(path: &Path, mark: Mark) {
    let mode = u32::try_from(mark.mode()).expect("the mark of an object that exists") & 0o7777;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn look(path: &Path, seen: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return seen.push(format!("no {}", path.display())) };
    let numbers = [metadata.ino(), metadata.nlink(), metadata.size(), metadata.rdev()];
    let owner = [metadata.mode(), metadata.uid(), metadata.gid()];
    let times = (metadata.mtime(), metadata.mtime_nsec());
    let file = metadata.is_file().then(|| fs::File::open(path).unwrap());
    let flags = file.map(rustix::fs::ioctl_getflags);
    let content = metadata.is_file().then(|| fs::read(path).unwrap());
    let link = fs::read_link(path).ok();
    seen.push(format!(
        "{} {numbers:?} {owner:?} {times:?} {content:?} {link:?} {flags:?} {:?}",
        path.display(),
        attributes(path)
    ));
    if metadata.is_dir() {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().for_each(|name| look(name, seen));
    }
}

/// Names of the extended attributes, and how long each is.
fn attributes(path: &Path) -> Vec<(String, usize)> {
    let mut names = [0; 1024];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = String::from_utf8(names[..length].to_vec()).unwrap();
    let named = names.split_terminator('\0').map(str::to_owned);
    named.map(|name| (name.clone(), rustix::fs::lgetxattr(path, name, &mut [0; 1024][..]).unwrap())).collect()
}
