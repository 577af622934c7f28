// SPDX-License-Identifier: MIT OR Apache-2.0
//! What v7's test_fs.c asks for, on this target.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, open, rmdir, unlink, unlinkat};
use rustix::io::{Errno, read, write};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::place::{CONTENT, Place};
use crate::support::{GET, WRITE, denies, load, within, without};
use crate::sys::{self, Mapping};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);
const PERM: Errno = Errno::PERM;

/// The file of the place, opened before anybody is in a domain.
struct Files {
    place: Place,
    ro: OwnedFd,
    rw: OwnedFd,
    wo: OwnedFd,
}

impl Files {
    fn new() -> Files {
        let place = Place::new();
        let opened = |flags| open(place.at("folder/file"), flags, Mode::empty()).unwrap();
        let [ro, rw, wo] = [OFlags::RDONLY, OFlags::RDWR, OFlags::WRONLY].map(opened);
        Files { place, ro, rw, wo }
    }

    fn open(&self, name: &str, flags: OFlags) -> Result<(), Errno> {
        open(self.place.at(name), flags, Mode::from_raw_mode(0o600)).map(drop)
    }

    /// Every step of `read_only_file` that a rule against writing denies.
    fn written(&self) -> [Result<(), Errno>; 8] {
        [
            self.open("folder", OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR),
            self.open("folder/file", OFlags::RDWR),
            self.open("folder/file", OFlags::WRONLY),
            self.open("folder/new", OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY),
            write(&self.rw, b"#").map(drop),
            write(&self.wo, b"#").map(drop),
            unlink(self.place.at("plain/file")),
            rmdir(self.place.at("empty")),
        ]
    }

    /// And every step that it does not.
    fn read(&self) {
        self.open("folder/file", OFlags::RDONLY).unwrap();
        assert_eq!(read(&self.ro, &mut [0; 2]), Ok(2));
        assert_eq!(read(&self.rw, &mut [0; 2]), Ok(2));
        // The kernel's own answer comes first.
        assert_eq!(write(&self.ro, b"x"), Err(Errno::BADF));
        assert_eq!(read(&self.wo, &mut [0; 2]), Err(Errno::BADF));
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn read_only_file() {
    let files = Files::new();
    let before = files.place.seen();
    within(&load([denies(WRITE)]), || {
        assert_eq!(files.written(), [Err(PERM); 8]);
        files.read();
    });
    assert_eq!(files.place.seen(), before);
    assert_eq!(std::fs::read_to_string(files.place.at("folder/file")).unwrap(), CONTENT);
    files.read();
    assert_eq!(files.written(), [Ok(()); 8]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn read_only_mount() {
    let domain = load([denies(WRITE)]);
    without(|| {
        sys::own_mounts();
        let place = Place::new();
        let at = place.at("spare");
        let mounted = || mount_bind(place.at("plain"), &at);
        let unmounted = || unmount(&at, UnmountFlags::FORCE);
        assert_eq!((mounted(), unmounted()), (Ok(()), Ok(())));
        assert_eq!(within(&domain, mounted), Err(PERM));
        mounted().unwrap();
        assert_eq!(within(&domain, unmounted), Err(PERM));
        unmounted().unwrap();
        // Only from the namespace of this thread.
        let root_unmounted = || unmount("/", UnmountFlags::DETACH);
        assert_eq!(within(&domain, root_unmounted), Err(PERM));
        root_unmounted().unwrap();
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn read_only_mem() {
    let files = Files::new();
    let map = |protection, flags| Mapping::new(&files.rw, protection, flags);
    let write = MprotectFlags::READ | MprotectFlags::WRITE;
    map(RW, MapFlags::SHARED).unwrap();
    within(&load([denies(WRITE)]), || {
        let shared = map(ProtFlags::READ, MapFlags::SHARED).unwrap();
        assert_eq!(shared.protect(write), Err(PERM));
        assert_eq!(map(RW, MapFlags::SHARED).map(drop), Err(PERM));
        map(RW, MapFlags::PRIVATE).unwrap().protect(write).unwrap();
    });
    map(ProtFlags::READ, MapFlags::SHARED).unwrap().protect(write).unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn deny_open_for_hierarchy() {
    let files = Files::new();
    let opened = || files.open("folder", OFlags::DIRECTORY);
    let mapped = || Mapping::new(&files.rw, RW, MapFlags::SHARED).map(drop);
    let in_child = || sys::in_process(|| opened().err().map_or(0, Errno::raw_os_error));
    within(&load([denies(GET)]), || {
        assert_eq!((opened(), in_child()), (Err(PERM), PERM.raw_os_error()));
        assert_eq!((mapped(), sys::in_process(|| i32::from(mapped().is_err()))), (Ok(()), 0));
        // What only names an object gets nothing.
        files.open("folder", OFlags::PATH).unwrap();
        unlinkat(CWD, files.place.at("plain/file"), AtFlags::empty()).unwrap();
    });
    assert_eq!((opened(), in_child()), (Ok(()), 0));
}
