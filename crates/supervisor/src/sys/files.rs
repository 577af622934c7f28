// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: what no library tells about open ones.

use std::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::check;

/// Closes a descriptor by number.
pub fn close(fd: RawFd) {
    // SAFETY: the caller owns the number and gives it up.
    unsafe { libc::close(fd) };
}

/// `stat` of an open file in the kernel's own layout.
pub fn stat_of(fd: BorrowedFd<'_>) -> Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstatat with an empty path fills the whole structure; zeroes are valid for it.
    unsafe {
        check(i64::from(libc::fstatat(
            fd.as_raw_fd(),
            c"".as_ptr(),
            stat.as_mut_ptr(),
            libc::AT_EMPTY_PATH,
        )))?;
        Ok(stat.assume_init())
    }
}

/// Whether descriptor `number` of ours would survive an exec.
pub fn is_inheritable(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Permission bits of a System V shared memory segment. `EINVAL`: no such segment; `EACCES`.
pub fn shared_memory_mode(id: i32) -> Result<u32> {
    let mut segment = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT fills one shmid_ds; zeroes are valid for it.
    let segment = unsafe {
        check(i64::from(libc::shmctl(id, libc::IPC_STAT, segment.as_mut_ptr())))?;
        segment.assume_init()
    };
    Ok(u32::from(segment.shm_perm.mode) & 0o777)
}
