// SPDX-License-Identifier: MIT OR Apache-2.0
//! Doors that v7's kernel did not have.

use rustix::fs::{
    IFlags, XattrFlags, ftruncate, getxattr, ioctl_getflags, ioctl_setflags, removexattr, setxattr,
};

use super::descriptors::opened;
use super::{Act, Case, act, case};
use crate::place::Mark::{Device, File};
use crate::place::Place;
use crate::support::{IOCTL, READ, WRITE};
use crate::sys;
use crate::uring::{By, Ring};

const FIOCLEX: u32 = 0x5451;
const COMPAT_IOCTL: u32 = 54;
/// /dev/null takes any command.
const COMMAND: u32 = 0x9000_0001;
const ACL: &str = "system.posix_acl_access";

pub const CASES: &[Case] = &[
    case("file_ioctl_compat", 0, "32-bit ioctl", (File, IOCTL), compat),
    case("file_ioctl_compat", 1, "32-bit ioctl(FIOCLEX)", (File, FIOCLEX as u64), compat),
    case("file_truncate", 0, "ftruncate", (File, WRITE), |place| {
        let file = opened(place);
        act(move || ftruncate(file, 1))
    })
    .changes(),
    case("inode_set_acl", 0, "setxattr of an ACL", (File, WRITE), |place| {
        let path = place.at("folder/file");
        act(move || setxattr(path, ACL, &acl(), XattrFlags::empty()))
    })
    .changes(),
    case("inode_get_acl", 0, "getxattr of an ACL", (File, READ), |place| {
        let path = with_acl(place);
        act(move || getxattr(path, ACL, &mut [0; 64][..]))
    }),
    case("inode_remove_acl", 0, "removexattr of an ACL", (File, WRITE), |place| {
        let path = with_acl(place);
        act(move || removexattr(path, ACL))
    })
    .changes(),
    case("inode_file_setattr", 0, "ioctl(FS_IOC_SETFLAGS)", (File, WRITE), |place| {
        let file = opened(place);
        let flags = ioctl_getflags(&file).unwrap() | IFlags::NOATIME;
        act(move || ioctl_setflags(file, flags))
    })
    .with(WRITE)
    .changes(),
    case("inode_file_getattr", 0, "ioctl(FS_IOC_GETFLAGS)", (File, READ), |place| {
        let file = opened(place);
        act(move || ioctl_getflags(file))
    })
    .without(IOCTL),
    case("uring_cmd", 0, "io_uring's command", (Device, IOCTL), uring_command),
    case("uring_cmd", 1, "io_uring's command", (Device, COMMAND as u64), uring_command),
];

fn compat(place: &Place) -> Act {
    let file = opened(place);
    act(move || {
        use std::os::fd::AsFd;
        let number = u32::try_from(sys::number(file.as_fd())).unwrap();
        sys::compat(COMPAT_IOCTL, [number, FIOCLEX, 0])
    })
}

fn uring_command(_: &Place) -> Act {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    act(move || Ring::new(By::Submitter).command(null, COMMAND))
}

/// What the mode 0751 says, and a user of its own. The mode stays as it is, mark of the file.
fn acl() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries =
        [(0x01, 7, NOBODY), (0x02, 5, 1000), (0x04, 5, NOBODY), (0x10, 5, NOBODY), (0x20, 1, NOBODY)];
    let entry = |(tag, permissions, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec()].into_iter().chain(entries.map(entry)).flatten().collect()
}

fn with_acl(place: &Place) -> std::path::PathBuf {
    let path = place.at("folder/file");
    setxattr(&path, ACL, &acl(), XattrFlags::empty()).unwrap();
    path
}
