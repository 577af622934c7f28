// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which files a process that was just started has in its memory.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::object::{Object, errno};
use crate::proc;
use crate::sys::Mapping;

/// The identity of a mapped file as `/proc/*/maps` shows it. Not always what `stat` shows: some file systems
/// (btrfs, overlayfs) have device numbers of their own for `stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFile {
    device: String,
    inode: u64,
}

impl MappedFile {
    /// What a line of a maps file is about; `None` for memory without a file.
    fn of_line(line: &str) -> Option<MappedFile> {
        let mut words = line.split_ascii_whitespace().skip(3);
        let device = words.next()?.to_owned();
        let inode = words.next()?.parse().ok().filter(|&inode| inode != 0)?;
        Some(MappedFile { device, inode })
    }

    /// What `stat` would make one expect.
    pub fn of_stat(object: &Object) -> MappedFile {
        let stat = object.stat();
        let device = format!("{:02x}:{:02x}", libc::major(stat.st_dev), libc::minor(stat.st_dev));
        MappedFile { device, inode: stat.st_ino }
    }

    /// Found out by mapping an open file ourselves.
    pub fn by_trial(readable: &OwnedFd) -> Result<Option<MappedFile>, Errno> {
        let mapping = Mapping::of(readable.as_fd()).map_err(errno)?;
        let begin = format!("{:08x}-", mapping.address());
        Ok(lines("/proc/self/maps")?
            .lines()
            .find(|line| line.starts_with(&begin))
            .and_then(MappedFile::of_line))
    }
}

/// All files mapped by process `pid`. Its maps must not change meanwhile: it is stopped and alone.
pub fn mapped_by(pid: u32) -> Result<Vec<MappedFile>, Errno> {
    let mut files: Vec<MappedFile> =
        lines(&format!("/proc/{pid}/maps"))?.lines().filter_map(MappedFile::of_line).collect();
    files.dedup();
    Ok(files)
}

fn lines(path: &str) -> Result<String, Errno> {
    // Paths in it may hold any bytes but a newline, which is escaped.
    let bytes = proc::contents(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
