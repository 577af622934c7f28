// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kinds of object a mode tells apart.

use serde::Serialize;

use crate::specialise::{Bits, ObjectKnown};

/// `S_IFMT`: the bits of a mode that say the file type.
pub const TYPE_BITS: u32 = 0o170_000;
/// The bits of a mode that are not the file type: permissions, set-ID bits, sticky bit.
pub const PERMISSION_BITS: u32 = 0o7777;

/// The type of an object that has a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// `S_IFREG`.
    Regular,
    /// `S_IFDIR`.
    Directory,
    /// `S_IFLNK`.
    Symlink,
    /// `S_IFCHR`.
    CharacterDevice,
    /// `S_IFBLK`.
    BlockDevice,
    /// `S_IFIFO`.
    Fifo,
    /// `S_IFSOCK`.
    Socket,
    /// No type at all: eventfd, epoll, pidfd and their like.
    Anonymous,
}

impl FileType {
    /// Every type.
    pub const ALL: [FileType; 8] = [
        FileType::Regular,
        FileType::Directory,
        FileType::Symlink,
        FileType::CharacterDevice,
        FileType::BlockDevice,
        FileType::Fifo,
        FileType::Socket,
        FileType::Anonymous,
    ];

    /// Its value under [`TYPE_BITS`].
    pub const fn bits(self) -> u32 {
        match self {
            FileType::Regular => 0o100_000,
            FileType::Directory => 0o040_000,
            FileType::Symlink => 0o120_000,
            FileType::CharacterDevice => 0o020_000,
            FileType::BlockDevice => 0o060_000,
            FileType::Fifo => 0o010_000,
            FileType::Socket => 0o140_000,
            FileType::Anonymous => 0,
        }
    }

    /// The type a mode says, if there is such a type.
    pub fn of_mode(mode: u32) -> Option<FileType> {
        FileType::ALL.into_iter().find(|file_type| file_type.bits() == mode & TYPE_BITS)
    }

    /// An object of this type with any permissions.
    pub fn known(self) -> ObjectKnown {
        ObjectKnown::Mode(Bits::but_for(self.bits().into(), PERMISSION_BITS.into()))
    }

    /// One of them, in words.
    pub fn name(self) -> &'static str {
        match self {
            FileType::Regular => "regular file",
            FileType::Directory => "directory",
            FileType::Symlink => "symbolic link",
            FileType::CharacterDevice => "character device",
            FileType::BlockDevice => "block device",
            FileType::Fifo => "FIFO",
            FileType::Socket => "socket",
            FileType::Anonymous => "anonymous inode",
        }
    }
}
