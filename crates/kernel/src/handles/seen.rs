// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is behind descriptors, as a program of ours sees it.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use landlock_compiler::emit::handles::CGROUP;
use rustix::fs::FileType;

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::programs::{offset, offset_of};

const FILES: &str = include_str!("../programs/files.s");
const ROOT_CGROUP: u64 = 1;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
/// Numbers of what a file is, and of inodes on the way up.
const NUMBERS: usize = 9;
const LEVELS: usize = CGROUP.levels.unsigned_abs() as usize;

/// What is behind a descriptor of this process.
#[derive(Clone)]
pub(super) struct Seen {
    pub file: u64,
    pub dentry: u64,
    pub mount: u64,
    pub inode: u64,
    pub super_block: u64,
    pub number: u64,
    mode: u64,
    magic: u64,
    /// Numbers of the inodes on the way up, its own first.
    path: Vec<u64>,
}

impl Seen {
    /// From a record of `programs/files.s`, with the descriptor.
    fn parse(record: &[u64]) -> Option<(RawFd, Seen)> {
        let (numbers, path) = record.split_first_chunk::<NUMBERS>()?;
        let [descriptor, file, dentry, mount, inode, super_block, number, mode, magic] = *numbers;
        let path = path.to_vec();
        let seen = Seen { file, dentry, mount, inode, super_block, number, mode, magic, path };
        Some((RawFd::try_from(descriptor).ok()?, seen))
    }

    /// The numbers of the cgroups on the way to one, the root's first.
    pub fn cgroup_path(&self) -> Result<Vec<u64>> {
        let mode = u32::try_from(self.mode).unwrap_or(0);
        let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
        if self.magic != CGROUP2_SUPER_MAGIC || !is_directory {
            return Err(Error::Handle("it is no directory of a cgroup of version 2".to_owned()));
        }
        let too_deep = || Error::Handle(format!("a cgroup more than {} below the root", LEVELS - 1));
        let root = self.path.iter().position(|id| *id == ROOT_CGROUP).ok_or_else(too_deep)?;
        Ok(self.path[..=root].iter().rev().copied().collect())
    }
}

/// Looks at descriptors of this process. The kernel tells of them without asking their file systems.
pub(super) fn look(kernel: &Kernel, descriptors: &[BorrowedFd<'_>]) -> Result<Vec<Seen>> {
    let target = kernel.target()?;
    let btf = target.btf;
    let filling = [
        ("tgid", offset_of(btf, "struct task_struct", "tgid", 4)?),
        ("f_dentry", offset(btf, "struct file", "f_path.dentry")?),
        ("f_mnt", offset(btf, "struct file", "f_path.mnt")?),
        ("d_inode", offset(btf, "struct dentry", "d_inode")?),
        ("d_parent", offset(btf, "struct dentry", "d_parent")?),
        ("i_sb", offset(btf, "struct inode", "i_sb")?),
        ("i_ino", offset(btf, "struct inode", "i_ino")?),
        ("i_mode", offset_of(btf, "struct inode", "i_mode", 2)?),
        ("s_magic", offset(btf, "struct super_block", "s_magic")?),
        ("seq", offset(btf, "struct bpf_iter_meta", "seq").unwrap_or(0)),
    ];
    // Not of all there are: how many files others have open is not to matter.
    let written = target.iterate("task_file", Some(std::process::id()), &files(), &filling)?;
    let numbers: Vec<u64> =
        written.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
    let seen: BTreeMap<RawFd, Seen> = numbers.chunks(NUMBERS + LEVELS).filter_map(Seen::parse).collect();
    let unseen = || Error::Handle("the kernel does not show what is open".to_owned());
    descriptors.iter().map(|one| seen.get(&one.as_raw_fd()).cloned().ok_or_else(unseen)).collect()
}

/// The program that looks: its beginning, and for every level the same.
fn files() -> String {
    let levels = (0..LEVELS).map(|level| {
        let at = 8 * (LEVELS - level);
        format!(
            "    r1 = *(u64 *)(r9 + {{d_inode}})\n    r1 = *(u64 *)(r1 + {{i_ino}})\n    *(u64 *)(r10 - {at}) = r1\n    \
             r9 = *(u64 *)(r9 + {{d_parent}})\n"
        )
    });
    let size = 8 * (NUMBERS + LEVELS);
    let end = format!(
        "    r1 = *(u64 *)(r6 + 0)\n    r1 = *(u64 *)(r1 + {{seq}})\n    r2 = r10\n    r2 += -{size}\n    r3 = {size}\n    \
         call 127\nend:\n    r0 = 0\n    exit\n"
    );
    [FILES.to_owned(), levels.collect(), end].concat()
}
