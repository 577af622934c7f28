// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading, writing and copying: what is left over by the library.

use std::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

use super::{check, empty_set, pid};

/// Which of the two layouts a directory is listed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// `struct linux_dirent`.
    Old,
    /// `struct linux_dirent64`.
    New,
}

/// Lists the next entries of an open directory into `into`; 0 bytes: the end.
pub fn directory_entries(fd: BorrowedFd<'_>, listing: Listing, into: &mut [u8]) -> Result<usize> {
    let number = if listing == Listing::Old { libc::SYS_getdents } else { libc::SYS_getdents64 };
    // SAFETY: the kernel writes at most `into.len()` bytes to `into`.
    let n = check(unsafe { libc::syscall(number, fd.as_raw_fd(), into.as_mut_ptr(), into.len()) })?;
    Ok(usize::try_from(n).unwrap_or(0))
}

/// The soft `RLIMIT_FSIZE` of another process; `None`: no limit.
pub fn file_size_limit(tid: u32) -> Result<Option<u64>> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is live; no new limit is given.
    check(i64::from(unsafe {
        libc::prlimit(pid(tid), libc::RLIMIT_FSIZE, std::ptr::null(), &raw mut limit)
    }))?;
    Ok((limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur))
}

/// Takes one of `signals` off the calling thread, which blocks them: what the kernel sent it for its last call.
pub fn take_pending(signals: &[i32]) -> Option<i32> {
    let mut set = empty_set();
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `set` and `none` are live and initialised; no information about the signal is asked for.
    let taken = unsafe {
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigtimedwait(&raw const set, null_mut(), &raw const none)
    };
    (taken > 0).then_some(taken)
}

/// `FICLONERANGE`: source descriptor, source offset, length, destination offset.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CloneRange {
    /// Descriptor of the source, ours.
    pub source: i64,
    /// Where it begins in the source.
    pub source_offset: u64,
    /// Bytes; 0: to the end.
    pub length: u64,
    /// Where it goes.
    pub destination_offset: u64,
}

/// Shares blocks between two files (`FICLONERANGE`).
pub fn clone_range(destination: BorrowedFd<'_>, range: &CloneRange) -> Result<()> {
    const FICLONERANGE: u64 = 0x4020_940d;
    // SAFETY: the kernel reads one `struct file_clone_range`, which `range` is.
    check(i64::from(unsafe { libc::ioctl(destination.as_raw_fd(), FICLONERANGE, range) })).map(drop)
}

/// Shares equal blocks (`FIDEDUPERANGE`). `request` is a `struct file_dedupe_range` with its `dest_count` entries.
pub fn deduplicate(source: BorrowedFd<'_>, request: &mut [u8]) -> Result<()> {
    const FIDEDUPERANGE: u64 = 0xc018_9436;
    const HEAD: usize = 24;
    const ENTRY: usize = 32;
    let entries = request.get(16..18).map(|count| usize::from(u16::from_le_bytes([count[0], count[1]])));
    if entries.is_none_or(|entries| request.len() != HEAD + entries * ENTRY) {
        return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: the kernel reads and writes the head and `dest_count` entries, which `request` holds (checked above).
    check(i64::from(unsafe { libc::ioctl(source.as_raw_fd(), FIDEDUPERANGE, request.as_mut_ptr()) }))
        .map(drop)
}

/// `struct flock`: a lock of a part of a file.
#[derive(Clone, Copy, Debug)]
pub struct Lock(libc::flock);

impl Lock {
    /// Bytes it has in memory.
    pub const SIZE: usize = size_of::<libc::flock>();

    /// From its bytes; missing ones are 0.
    pub fn from_bytes(bytes: &[u8]) -> Lock {
        let number = |at: usize| {
            let mut word = [0; 8];
            word.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
            word
        };
        let short = |at| i16::from_ne_bytes([number(at)[0], number(at)[1]]);
        let pid = number(24);
        Lock(libc::flock {
            l_type: short(0),
            l_whence: short(2),
            l_start: i64::from_ne_bytes(number(8)),
            l_len: i64::from_ne_bytes(number(16)),
            l_pid: i32::from_ne_bytes([pid[0], pid[1], pid[2], pid[3]]),
        })
    }

    /// `F_RDLCK`, `F_WRLCK`, `F_UNLCK`, or nonsense.
    pub fn kind(self) -> u32 {
        u32::from(self.0.l_type.cast_unsigned())
    }

    /// Takes it for an open file: `command` is `F_OFD_SETLK` or `F_OFD_SETLKW`. May block.
    pub fn take(mut self, fd: BorrowedFd<'_>, command: i32) -> Result<()> {
        // SAFETY: the lock commands read (and may write) one `struct flock`, which `self` is.
        check(i64::from(unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut self.0) })).map(drop)
    }
}
