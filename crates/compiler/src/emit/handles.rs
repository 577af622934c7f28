// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of a map of handles, as the engine fills it and programs read it: an array map with one value,
//! in an array of maps with one map. Who changes handles fills a new one and puts it there.
//!
//! A header, and entries without gaps; what is not in use is 0. Files are known by the addresses of what is behind a
//! descriptor, cgroups by their numbers on the way down from the root. Two of the numbers say where
//! [`MapSlot::LostHandles`](super::MapSlot) notes the end of the inode and of the descriptor.

/// Most handles in a map.
pub const MAX_HANDLES: u32 = 64;
/// Places for notes of what was lost, the first of which is nobody's; a power of two.
pub const MAX_OBJECTS: u32 = 1 << 14;
/// Bytes of the value of [`MapSlot::LostHandles`](super::MapSlot): a counter of losses, then a byte for each place.
pub const LOST_SIZE: u32 = 8 + MAX_OBJECTS;
/// Where those bytes are.
pub const FLAGS: i16 = 8;

/// How many handles there are.
pub const COUNT: i16 = 0;
/// For each bit, whether an inode with that [`mark`] is among them.
pub const MARKS: i16 = 8;
/// How many losses there had been when the map was filled: with no more since, none of its handles is lost.
pub const SEEN: i16 = 16;
const HEADER: i16 = 24;

/// Offsets within an entry of a map of files.
pub struct Fs {
    /// Bytes of an entry.
    pub size: i16,
    /// Address of the inode.
    pub inode: i16,
    /// Address of the dentry.
    pub dentry: i16,
    /// Address of the mount (`struct vfsmount`).
    pub mount: i16,
    /// Address of the superblock.
    pub super_block: i16,
    /// Number of the inode.
    pub number: i16,
    /// Place for the note that the inode is lost.
    pub inode_object: i16,
    /// Place for the note that the descriptor is.
    pub file_object: i16,
}

/// See [`Fs`].
pub const FS: Fs = Fs {
    size: 56,
    inode: 0,
    dentry: 8,
    mount: 16,
    super_block: 24,
    number: 32,
    inode_object: 40,
    file_object: 48,
};

/// Offsets within an entry of a map of cgroups.
pub struct Cgroup {
    /// Bytes of an entry.
    pub size: i16,
    /// How far it is below the root.
    pub level: i16,
    /// Its number.
    pub id: i16,
    /// The numbers on the way to it, the root's first, its own last.
    pub path: i16,
    /// How many there is room for.
    pub levels: i16,
}

/// See [`Cgroup`].
pub const CGROUP: Cgroup = Cgroup { size: 16 + 8 * 24, level: 0, id: 8, path: 16, levels: 24 };

/// Where an entry starts.
pub fn entry(index: i32, size: i16) -> i16 {
    HEADER + size * i16::try_from(index).expect("few handles")
}

/// Bytes of a map with room for so many.
pub fn size(max_entries: u32, entry: i16) -> usize {
    usize::from(HEADER.unsigned_abs()) + max_entries as usize * usize::from(entry.unsigned_abs())
}

/// The bits of an inode's address that choose its mark start here, and are six.
pub const MARK_SHIFT: i32 = 10;

/// The bit that says an inode may be among the handles.
pub fn mark(inode: u64) -> u64 {
    1 << (inode >> MARK_SHIFT & 63)
}
