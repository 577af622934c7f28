// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who a thread of ours is to the file system.

use std::io::{Error, Result};

use super::check;

/// Gives the calling thread a working directory, root and umask of its own.
pub fn unshare_fs() -> Result<()> {
    // SAFETY: unshare with a flag that only copies the thread's fs_struct.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_FS) })).map(drop)
}

/// User, group and supplementary groups used for file access by the calling thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIds {
    /// File system user id.
    pub uid: u32,
    /// File system group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    pub effective: u64,
}

/// Takes on `ids` for file access, on the calling thread only. Needs the capabilities to do so;
/// on an error the thread may be half-way and must not act: end it.
pub fn assume(ids: &FileIds, permitted: u64) -> Result<()> {
    // The identity the thread has now may lack the capabilities to change it.
    set_capabilities(permitted, permitted)?;
    // Raw calls: the C library's versions change every thread of the process.
    // SAFETY: `groups` is live for the call; the others take integers. setfsuid reports the old id, so ask again.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, ids.groups.len(), ids.groups.as_ptr()))?;
        libc::syscall(libc::SYS_setfsgid, ids.gid);
        libc::syscall(libc::SYS_setfsuid, ids.uid);
        let gid = libc::syscall(libc::SYS_setfsgid, u32::MAX);
        let uid = libc::syscall(libc::SYS_setfsuid, u32::MAX);
        if gid != i64::from(ids.gid) || uid != i64::from(ids.uid) {
            return Err(Error::from_raw_os_error(libc::EPERM));
        }
    }
    set_capabilities(ids.effective & permitted, permitted)
}

fn set_capabilities(effective: u64, permitted: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let low = |set: u64| u32::try_from(set & 0xffff_ffff).unwrap_or(0);
    let high = |set: u64| u32::try_from(set >> 32).unwrap_or(0);
    let data: [u32; 6] = [low(effective), low(permitted), 0, high(effective), high(permitted), 0];
    // SAFETY: header and data have the layout of version 3 and are only read.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}
