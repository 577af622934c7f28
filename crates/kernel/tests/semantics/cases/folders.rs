// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names in folders: made, taken away, moved.

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, linkat, mkdir, mknodat, open, rename, rmdir, symlink, unlink,
};

use super::{Act, Case, act, case};
use crate::place::Mark::{File, Folder, Negative};
use crate::place::Place;
use crate::support::{EXEC, NEW, READ, REMOVE, WRITE};

const MODE: Mode = Mode::from_raw_mode(0o644);

pub const CASES: &[Case] = &[
    case("inode_create", 0, "open(O_CREAT)", (Folder, WRITE), create).without(EXEC).changes(),
    case("inode_create", 1, "open(O_CREAT)", (Negative, NEW), create).changes(),
    case("inode_link", 0, "link", (File, READ), link).without(WRITE).changes(),
    case("inode_link", 1, "link", (Folder, WRITE), link).without(EXEC).changes(),
    case("inode_link", 2, "link", (Negative, NEW), link).changes(),
    case("inode_unlink", 0, "unlink", (Folder, WRITE), remove).without(EXEC).changes(),
    case("inode_unlink", 1, "unlink", (File, REMOVE), remove).changes(),
    case("inode_symlink", 0, "symlink", (Folder, WRITE), make_link).without(EXEC).changes(),
    case("inode_symlink", 1, "symlink", (Negative, NEW), make_link).changes(),
    case("inode_mkdir", 0, "mkdir", (Folder, WRITE), make_folder).without(EXEC).changes(),
    case("inode_mkdir", 1, "mkdir", (Negative, NEW), make_folder).changes(),
    case("inode_rmdir", 0, "rmdir in the folder", (Folder, WRITE), remove_within).without(EXEC).changes(),
    case("inode_rmdir", 1, "rmdir", (Folder, REMOVE), remove_folder).changes(),
    case("inode_mknod", 0, "mknod", (Folder, WRITE), make_fifo).without(EXEC).changes(),
    case("inode_mknod", 1, "mknod", (Negative, NEW), make_fifo).changes(),
    case("inode_rename", 0, "rename from the folder", (Folder, WRITE), move_out).without(EXEC).changes(),
    case("inode_rename", 1, "rename", (File, REMOVE), move_out).changes(),
    case("inode_rename", 2, "rename into the folder", (Folder, WRITE), move_in).without(EXEC).changes(),
    case("inode_rename", 3, "rename", (Negative, NEW), move_in).changes(),
    case("inode_rename", 3, "rename over a file", (File, NEW), move_over).changes(),
    case("inode_rename", 4, "rename over a file", (File, REMOVE), move_over).without(NEW).changes(),
    case("inode_permission", 0, "open(O_CREAT)", (Folder, WRITE | EXEC), create).with(WRITE).changes(),
    case("inode_permission", 0, "open(O_TMPFILE)", (Folder, WRITE | EXEC), temporary).with(WRITE),
    case("inode_permission", 0, "unlink", (Folder, WRITE | EXEC), remove).with(WRITE).changes(),
];

fn create(place: &Place) -> Act {
    let path = place.at("folder/new");
    act(move || open(path, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, MODE))
}

fn temporary(place: &Place) -> Act {
    let path = place.at("folder");
    act(move || open(path, OFlags::TMPFILE | OFlags::RDWR, MODE))
}

fn link(place: &Place) -> Act {
    let (old, new) = (place.at("folder/file"), place.at("folder/new"));
    act(move || linkat(CWD, old, CWD, new, AtFlags::empty()))
}

fn remove(place: &Place) -> Act {
    let path = place.at("folder/file");
    act(move || unlink(path))
}

fn make_link(place: &Place) -> Act {
    let path = place.at("folder/new");
    act(move || symlink("file", path))
}

fn make_folder(place: &Place) -> Act {
    let path = place.at("folder/new");
    act(move || mkdir(path, MODE))
}

fn remove_within(place: &Place) -> Act {
    let path = place.at("folder/sub");
    act(move || rmdir(path))
}

fn remove_folder(place: &Place) -> Act {
    let path = place.at("empty");
    act(move || rmdir(path))
}

fn make_fifo(place: &Place) -> Act {
    let path = place.at("folder/new");
    act(move || mknodat(CWD, path, FileType::Fifo, MODE, 0))
}

fn move_out(place: &Place) -> Act {
    let (old, new) = (place.at("folder/file"), place.at("plain/new"));
    act(move || rename(old, new))
}

fn move_in(place: &Place) -> Act {
    let (old, new) = (place.at("plain/file"), place.at("folder/new"));
    act(move || rename(old, new))
}

fn move_over(place: &Place) -> Act {
    let (old, new) = (place.at("plain/file"), place.at("folder/file"));
    act(move || rename(old, new))
}
