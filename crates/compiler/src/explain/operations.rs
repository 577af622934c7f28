// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations users know, as what the kernel asks on the way.

use crate::abi::{Actions, Event};
use crate::file_type::FileType::{
    self, Anonymous, BlockDevice, CharacterDevice, Directory, Fifo, Regular, Socket, Symlink,
};

/// Something a program does.
#[derive(Debug)]
pub(super) struct Operation {
    pub name: &'static str,
    /// The types its subject may have. Questions about other objects do not depend on it.
    pub types: &'static [FileType],
    /// Every question asked, in the kernel's order.
    pub asks: &'static [Ask],
}

/// One question, and the hooks that ask it.
#[derive(Debug)]
pub(super) struct Ask {
    /// One of these asks, depending on the system call.
    #[cfg_attr(not(test), allow(dead_code, reason = "compared with the hook table by a test"))]
    pub hooks: &'static [&'static str],
    pub arg2: Arg2,
    pub object: Object,
}

#[derive(Debug)]
pub(super) enum Arg2 {
    Actions(Actions),
    /// The command, seen by the rules of this event.
    Command(Event),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    /// What the operation is about.
    Subject,
    /// Something else of this type.
    Other(FileType),
    /// A name that does not exist yet.
    Absent,
}

use Object::{Absent, Other, Subject};

const EXEC: Actions = Actions::EXEC;
const WRITE: Actions = Actions::WRITE;
const READ: Actions = Actions::READ;
const NEW: Actions = Actions::NEW;
const GET: Actions = Actions::GET;
const REMOVE: Actions = Actions::REMOVE;

const fn ask(hooks: &'static [&'static str], actions: Actions, object: Object) -> Ask {
    Ask { hooks, arg2: Arg2::Actions(actions), object }
}

const fn command(hooks: &'static [&'static str], event: Event) -> Ask {
    Ask { hooks, arg2: Arg2::Command(event), object: Subject }
}

/// Every change of a directory starts with this one.
const DIRECTORY: Ask = ask(&["inode_permission"], WRITE.union(EXEC), Other(Directory));
const OPENED: Ask = ask(&["file_open"], GET, Subject);

/// What a path can lead to.
const NAMED: &[FileType] = &[Regular, Directory, Symlink, CharacterDevice, BlockDevice, Fifo, Socket];
/// What a descriptor can be.
const HELD: &[FileType] = &[Regular, Directory, CharacterDevice, BlockDevice, Fifo, Socket, Anonymous];
/// What can be read and written.
const STREAM: &[FileType] = &[Regular, CharacterDevice, BlockDevice, Fifo, Socket, Anonymous];
/// What can be opened by a path to read and write it.
const OPENABLE: &[FileType] = &[Regular, CharacterDevice, BlockDevice, Fifo];
/// What can be opened by a path to read it.
const READABLE: &[FileType] = &[Regular, Directory, CharacterDevice, BlockDevice, Fifo];
const MAPPABLE: &[FileType] = &[Regular, CharacterDevice, BlockDevice, Anonymous];
const NOT_DIRECTORY: &[FileType] = &[Regular, Symlink, CharacterDevice, BlockDevice, Fifo, Socket];

macro_rules! operations {
    ($( $name:literal $types:expr => [$($ask:expr),+ $(,)?] )+) => {
        /// Every operation, in the order they are shown.
        pub(super) const OPERATIONS: &[Operation] =
            &[ $( Operation { name: $name, types: $types, asks: &[$($ask),+] } ),+ ];
    };
}

operations! {
    "open for reading" READABLE => [ask(&["inode_permission"], READ.union(GET), Subject), OPENED]
    "open for writing" OPENABLE => [ask(&["inode_permission"], WRITE.union(GET), Subject), OPENED]
    "open for reading and writing" OPENABLE => [
        ask(&["inode_permission"], READ.union(WRITE).union(GET), Subject),
        OPENED,
    ]
    "create a file" &[Regular] => [
        DIRECTORY,
        ask(&["inode_create"], WRITE, Other(Directory)),
        ask(&["inode_create"], NEW, Absent),
        OPENED,
    ]
    "create an unnamed file (O_TMPFILE)" &[Regular] => [DIRECTORY, OPENED]
    "truncate" &[Regular] => [
        ask(&["inode_permission"], WRITE, Subject),
        ask(&["inode_setattr", "file_truncate"], WRITE, Subject),
    ]
    "read" STREAM => [ask(&["file_permission"], READ, Subject)]
    "write" STREAM => [ask(&["file_permission"], WRITE, Subject)]
    "map for reading" MAPPABLE => [ask(&["mmap_file", "file_mprotect"], READ, Subject)]
    "map shared for writing" MAPPABLE => [
        ask(&["mmap_file", "file_mprotect"], READ.union(WRITE), Subject),
    ]
    "map for execution" MAPPABLE => [ask(&["mmap_file", "file_mprotect"], READ.union(EXEC), Subject)]
    "execute a program" &[Regular] => [
        ask(&["inode_permission"], EXEC.union(GET), Subject),
        OPENED,
        ask(&["file_permission"], READ, Subject),
        ask(&["mmap_file"], READ.union(EXEC), Subject),
    ]
    "receive a descriptor" HELD => [ask(&["file_receive"], GET, Subject)]
    "receive a descriptor by binder" HELD => [ask(&["binder_transfer_file"], READ, Subject)]

    "walk through a directory" &[Directory] => [ask(&["inode_permission"], EXEC, Subject)]
    "list a directory" &[Directory] => [
        ask(&["inode_permission"], READ.union(GET), Subject),
        OPENED,
        ask(&["file_permission"], READ, Subject),
    ]
    "follow a symbolic link" &[Symlink] => [ask(&["inode_follow_link"], READ, Subject)]
    "read a symbolic link" &[Symlink] => [ask(&["inode_readlink"], READ, Subject)]
    "stat" NAMED => [ask(&["inode_getattr"], READ, Subject)]
    "read extended attributes or ACLs" NAMED => [
        ask(
            &["inode_getxattr", "inode_listxattr", "inode_getsecurity", "inode_get_acl", "inode_file_getattr"],
            READ,
            Subject,
        ),
    ]
    "statfs" &[Directory] => [ask(&["sb_statfs"], READ, Subject)]

    "mkdir" &[Directory] => [
        DIRECTORY,
        ask(&["inode_mkdir"], WRITE, Other(Directory)),
        ask(&["inode_mkdir"], NEW, Absent),
    ]
    "mknod (also binding a socket)" &[CharacterDevice] => [
        DIRECTORY,
        ask(&["inode_mknod"], WRITE, Other(Directory)),
        ask(&["inode_mknod"], NEW, Absent),
    ]
    "make a symbolic link" &[Symlink] => [
        DIRECTORY,
        ask(&["inode_symlink"], WRITE, Other(Directory)),
        ask(&["inode_symlink"], NEW, Absent),
    ]
    "make a hard link" NOT_DIRECTORY => [
        DIRECTORY,
        ask(&["inode_link"], READ, Subject),
        ask(&["inode_link"], WRITE, Other(Directory)),
        ask(&["inode_link"], NEW, Absent),
    ]
    "rename" NAMED => [
        DIRECTORY,
        ask(&["inode_rename"], WRITE, Other(Directory)),
        ask(&["inode_rename"], REMOVE, Subject),
        ask(&["inode_rename"], NEW, Absent),
    ]
    "rename over a file" NOT_DIRECTORY => [
        DIRECTORY,
        ask(&["inode_rename"], WRITE, Other(Directory)),
        ask(&["inode_rename"], REMOVE, Subject),
        ask(&["inode_rename"], NEW, Other(Regular)),
    ]
    "unlink" NOT_DIRECTORY => [
        DIRECTORY,
        ask(&["inode_unlink"], WRITE, Other(Directory)),
        ask(&["inode_unlink"], REMOVE, Subject),
    ]
    "rmdir" &[Directory] => [
        DIRECTORY,
        ask(&["inode_rmdir"], WRITE, Other(Directory)),
        ask(&["inode_rmdir"], REMOVE, Subject),
    ]
    "chmod, chown and utimes" NAMED => [ask(&["inode_setattr"], WRITE, Subject)]
    "change extended attributes or ACLs" NAMED => [
        ask(
            &[
                "inode_setxattr",
                "inode_removexattr",
                "inode_setsecurity",
                "inode_set_acl",
                "inode_remove_acl",
                "inode_file_setattr",
            ],
            WRITE,
            Subject,
        ),
    ]
    "mount, unmount, remount and pivot_root" &[Directory] => [
        ask(&["sb_mount", "sb_remount", "sb_umount", "sb_pivotroot", "move_mount"], WRITE, Subject),
    ]

    "ioctl" HELD => [
        ask(&["file_ioctl", "file_ioctl_compat", "uring_cmd"], Actions::IOCTL, Subject),
        command(&["file_ioctl", "file_ioctl_compat", "uring_cmd"], Event::FsIoctl),
    ]
    "lock" HELD => [
        ask(&["file_lock"], Actions::LOCK, Subject),
        command(&["file_lock"], Event::FsLock),
    ]
    "fcntl" HELD => [
        ask(&["file_fcntl"], Actions::FCNTL, Subject),
        command(&["file_fcntl"], Event::FsFcntl),
    ]
}
