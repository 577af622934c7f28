// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files by their paths: opened, walked through, and their attributes.

use std::process::Command;

use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags, access, chmod, chown, getxattr,
    listxattr, open, readlink, removexattr, setxattr, stat, statfs, utimensat,
};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;

use super::{Act, Case, act, case};
use crate::place::Mark::{File, Folder, Link};
use crate::place::Place;
use crate::support::{EXEC, GET, READ, WRITE, errno};

/// Names of this kind are nobody's but root's, and the kernel asks no `inode_permission` for them.
const NAME: &str = "trusted.test";

pub const CASES: &[Case] = &[
    case("sb_statfs", 0, "statfs", (Folder, READ), |place| {
        let path = place.at("folder");
        act(move || statfs(path))
    }),
    case("inode_readlink", 0, "readlink", (Link, READ), |place| {
        let path = place.at("folder/link");
        act(move || readlink(path, Vec::new()))
    }),
    case("inode_follow_link", 0, "open of a link", (Link, READ), |place| {
        let path = place.at("folder/link");
        act(move || open(path, OFlags::RDONLY, Mode::empty()))
    }),
    case("inode_permission", 0, "stat through the folder", (Folder, EXEC), |place| {
        let path = place.at("folder/file");
        act(move || stat(path))
    }),
    case("inode_permission", 0, "chdir", (Folder, EXEC), |place| {
        let path = place.at("folder");
        act(move || rustix::process::chdir(path))
    }),
    case("inode_permission", 0, "open(O_RDONLY)", (File, READ | GET), |place| opened(place, OFlags::RDONLY)),
    case("inode_permission", 0, "open(O_WRONLY)", (File, WRITE | GET), |place| opened(place, OFlags::WRONLY)),
    case("inode_permission", 0, "open(O_RDWR)", (File, READ | WRITE | GET), |place| {
        opened(place, OFlags::RDWR)
    }),
    case("inode_permission", 0, "open(O_APPEND)", (File, WRITE | GET), |place| {
        opened(place, OFlags::WRONLY | OFlags::APPEND)
    }),
    case("inode_permission", 0, "open(O_TRUNC)", (File, READ | WRITE | GET), |place| {
        opened(place, OFlags::RDONLY | OFlags::TRUNC)
    })
    .changes(),
    case("inode_permission", 0, "open of a folder", (Folder, READ | GET), |place| {
        let path = place.at("folder");
        act(move || open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()))
    }),
    case("inode_permission", 0, "execve", (File, EXEC | GET), execute),
    case("inode_permission", 0, "access(F_OK)", (File, 0), |place| accessed(place, Access::EXISTS)),
    case("inode_permission", 0, "access(R_OK)", (File, READ), |place| accessed(place, Access::READ_OK)),
    case("inode_permission", 0, "access(X_OK)", (File, EXEC), |place| accessed(place, Access::EXEC_OK)),
    case("inode_permission", 0, "setxattr", (File, WRITE), |place| {
        let path = place.at("folder/file");
        act(move || setxattr(path, "user.test", b"value", XattrFlags::empty()))
    })
    .changes(),
    case("inode_setattr", 0, "chmod", (File, WRITE), |place| {
        let path = place.at("folder/file");
        act(move || chmod(path, Mode::from_raw_mode(0o777)))
    })
    .changes(),
    case("inode_setattr", 0, "chown", (File, WRITE), |place| {
        let path = place.at("folder/file");
        act(move || chown(path, Some(Uid::from_raw(1000)), Some(Gid::from_raw(1000))))
    })
    .changes(),
    case("inode_setattr", 0, "utimensat", (File, WRITE), |place| {
        let time = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        let path = place.at("folder/file");
        act(move || utimensat(CWD, path, &times, AtFlags::empty()))
    })
    .changes(),
    case("inode_getattr", 0, "stat", (File, READ), |place| {
        let path = place.at("folder/file");
        act(move || stat(path))
    }),
    case("inode_setxattr", 0, "setxattr", (File, WRITE), |place| {
        let path = place.at("folder/file");
        act(move || setxattr(path, NAME, b"value", XattrFlags::empty()))
    })
    .changes(),
    case("inode_removexattr", 0, "removexattr", (File, WRITE), |place| {
        let path = attributed(place);
        act(move || removexattr(path, NAME))
    })
    .changes(),
    case("inode_getxattr", 0, "getxattr", (File, READ), |place| {
        let path = attributed(place);
        act(move || getxattr(path, NAME, &mut [0; 16][..]))
    }),
    case("inode_listxattr", 0, "listxattr", (File, READ), |place| {
        let path = attributed(place);
        act(move || listxattr(path, &mut [0; 256][..]))
    }),
    case("file_open", 0, "open", (File, GET), |place| opened(place, OFlags::RDONLY))
        .without(READ | WRITE | EXEC),
    case("file_open", 0, "execve", (File, GET), execute).without(READ | WRITE | EXEC),
    case("file_permission", 0, "execve", (File, READ), execute).without(EXEC | GET),
];

fn opened(place: &Place, flags: OFlags) -> Act {
    let path = place.at("folder/file");
    act(move || open(path, flags, Mode::empty()))
}

fn accessed(place: &Place, how: Access) -> Act {
    let path = place.at("folder/file");
    act(move || access(path, how))
}

/// A process that another test forked while this one made the file may have it open for writing.
fn execute(place: &Place) -> Act {
    let path = place.at("folder/file");
    act(move || {
        let mut answers = std::iter::repeat_with(|| errno(Command::new(&path).status()));
        answers.find(|answer| *answer != Err(Errno::TXTBSY)).expect("there is no end of them")
    })
}

/// The marked file, with an extended attribute.
fn attributed(place: &Place) -> std::path::PathBuf {
    let path = place.at("folder/file");
    setxattr(&path, NAME, b"value", XattrFlags::empty()).unwrap();
    path
}
