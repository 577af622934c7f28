// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts, each case in a mount namespace of its own.

use std::fs;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, UnmountFlags, mount, mount_bind, mount_move, mount_remount, move_mount,
    unmount,
};

use super::{Act, Case, act, case};
use crate::place::Mark::Folder;
use crate::place::{Place, mark_with};
use crate::support::{EXEC, WRITE};

pub const CASES: &[Case] = &[
    case("sb_mount", 0, "mount --bind", (Folder, WRITE), |place| {
        let (from, to) = (place.at("plain"), place.at("folder"));
        act(move || mount_bind(from, to))
    })
    .changes(),
    case("sb_mount", 0, "mount --move", (Folder, WRITE), |place| {
        mount_at(place, "mode=755");
        let (from, to) = (place.at("plain"), place.at("folder"));
        act(move || mount_move(from, to))
    })
    .changes(),
    case("sb_remount", 0, "mount -o remount", (Folder, WRITE), remount).changes(),
    case("sb_umount", 0, "umount", (Folder, WRITE), |place| {
        mount_at(place, "mode=1751");
        let path = place.at("plain");
        act(move || unmount(path, UnmountFlags::empty()))
    })
    .changes(),
    case("sb_pivotroot", 0, "pivot_root", (Folder, WRITE), |place| {
        mount_at(place, "mode=755");
        let (new, old) = (place.at("plain"), place.at("plain/old"));
        fs::create_dir(&old).unwrap();
        mark_with(&old, Folder);
        act(move || rustix::process::pivot_root(new, old))
    })
    .without(EXEC)
    .changes(),
    case("move_mount", 0, "move_mount from the folder", (Folder, WRITE), |place| {
        mount_at(place, "mode=1751");
        moved(place, "plain", "spare")
    })
    .changes(),
    case("move_mount", 1, "move_mount to the folder", (Folder, WRITE), |place| {
        mount_at(place, "mode=755");
        moved(place, "plain", "folder")
    })
    .changes(),
];

/// Mounts a file system on `plain`.
fn mount_at(place: &Place, options: &str) {
    let options = std::ffi::CString::new(options).unwrap();
    mount("tmpfs", place.at("plain"), "tmpfs", MountFlags::empty(), &*options).unwrap();
}

/// The mount point is another object than the root of the file system: the one is a folder in the other.
fn remount(place: &Place) -> Act {
    mount_at(place, "mode=1751");
    let path = place.at("spare");
    fs::create_dir(place.at("plain/within")).unwrap();
    mount_bind(place.at("plain/within"), &path).unwrap();
    act(move || mount_remount(path, MountFlags::RDONLY, ""))
}

fn moved(place: &Place, from: &str, to: &str) -> Act {
    let (from, to) = (place.at(from), place.at(to));
    act(move || move_mount(CWD, from, CWD, to, MoveMountFlags::empty()))
}
