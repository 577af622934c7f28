// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of handle arrays and of the helpers that compare with them.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

/// `BPF_MAP_TYPE_LANDLOCK_ARRAY`: the type a map's definition has to name.
pub const MAP_TYPE: u32 = 8;
/// Bytes of an index into an array.
pub const KEY_SIZE: u32 = 4;
/// Bytes of `struct landlock_handle`.
pub const VALUE_SIZE: u32 = 16;
/// Most handles an array may be made for. The RFC had no limit; every comparison may have to look at all.
pub const MAX_ENTRIES: u32 = 4096;
/// `BPF_MAP_ARRAY_OP_OR`: one handle is enough. The other operations of the RFC do nothing but fail.
pub const OP_OR: u64 = 1;
/// `BPF_EXIST`: the highest flag of an update.
pub const UPDATE_EXIST: u64 = 2;
/// `BPF_NOEXIST`: an update that must not replace anything.
pub const UPDATE_NOEXIST: u64 = 1;

/// What the handles of an array stand for (`enum bpf_map_array_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u32)]
#[serde(rename_all = "snake_case")]
pub enum ArrayKind {
    /// Files and directories.
    Fs = 1,
    /// Cgroups of version 2.
    Cgroup = 2,
}

impl ArrayKind {
    /// Every kind, in numeric order.
    pub const ALL: [ArrayKind; 2] = [ArrayKind::Fs, ArrayKind::Cgroup];

    /// The kind with this number, if there is one.
    pub fn from_u32(number: u32) -> Option<ArrayKind> {
        ArrayKind::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// As users type it.
    pub fn name(self) -> &'static str {
        match self {
            ArrayKind::Fs => "fs",
            ArrayKind::Cgroup => "cgroup",
        }
    }
}

/// What one handle is given as (`enum bpf_map_handle_type`). Globs, number 2, were declared and never worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum HandleType {
    /// A descriptor of a file or directory.
    FsFd = 1,
    /// A pattern of paths: fixes an array's kind, and is refused.
    FsGlob = 2,
    /// A descriptor of a cgroup's directory.
    CgroupFd = 3,
}

impl HandleType {
    /// Every type, in numeric order.
    pub const ALL: [HandleType; 3] = [HandleType::FsFd, HandleType::FsGlob, HandleType::CgroupFd];

    /// The type with this number, if there is one.
    pub fn from_u32(number: u32) -> Option<HandleType> {
        HandleType::ALL.into_iter().find(|handle| *handle as u32 == number)
    }

    /// The arrays it belongs into.
    pub fn kind(self) -> ArrayKind {
        match self {
            HandleType::FsFd | HandleType::FsGlob => ArrayKind::Fs,
            HandleType::CgroupFd => ArrayKind::Cgroup,
        }
    }
}

bitflags! {
    /// What a file can have in common with a handle (`LANDLOCK_FLAG_FS_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Properties: u64 {
        /// The same name in the same directory.
        const DENTRY = 1 << 0;
        /// The same inode number, which is not 0. Alone it says little: numbers are a file system's own.
        const INODE = 1 << 1;
        /// The same file system.
        const DEVICE = 1 << 2;
        /// The same mount.
        const MOUNT = 1 << 3;
    }
}

bitflags! {
    /// Options of the comparisons that look for what is beneath (`LANDLOCK_FLAG_OPT_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Options: u64 {
        /// The other way round: is the handle the same, or beneath?
        const REVERSE = 1 << 0;
    }
}
