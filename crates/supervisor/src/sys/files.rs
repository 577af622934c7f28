// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: what no library tells about open ones.

use std::ffi::CStr;
use std::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{check, owned};

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

/// Whether this kernel takes NULL for an empty path with `AT_EMPTY_PATH` (6.11 and later).
pub fn null_is_an_empty_path() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
        let no_path = std::ptr::null::<libc::c_char>();
        let here = libc::AT_FDCWD;
        // SAFETY: the kernel checks the path's address; `stat` is live.
        let result = unsafe {
            libc::syscall(libc::SYS_newfstatat, here, no_path, stat.as_mut_ptr(), libc::AT_EMPTY_PATH)
        };
        result == 0
    })
}

/// `struct statx` of an open file, with flags and mask as a caller gave them.
pub fn statx_of(fd: BorrowedFd<'_>, flags: u32, mask: u32) -> Result<[u8; 256]> {
    let mut statx = [0u64; 32];
    let flags = flags | libc::AT_EMPTY_PATH.cast_unsigned();
    let no_name = c"".as_ptr();
    // SAFETY: the structure is 256 bytes and 8-byte aligned, as is `statx`, which is live.
    check(unsafe {
        libc::syscall(libc::SYS_statx, fd.as_raw_fd(), no_name, flags, mask, statx.as_mut_ptr())
    })?;
    let mut bytes = [0; 256];
    for (to, from) in bytes.chunks_exact_mut(8).zip(statx) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    Ok(bytes)
}

/// Sets the length of the file at `path`.
pub fn truncate(path: &CStr, length: i64) -> Result<()> {
    // SAFETY: `path` is live and ends in NUL.
    check(unsafe { libc::syscall(libc::SYS_truncate, path.as_ptr(), length) }).map(drop)
}

/// A file's handle: `file_handle` with room for `room` bytes, filled as far as the kernel got, its size, and the
/// mount's id.
#[derive(Debug)]
pub struct Handle {
    /// `handle_bytes`, `handle_type`, then the handle itself.
    pub bytes: Vec<u8>,
    /// 32 bits, or 64 where the flags asked for the unique id.
    pub mount: [u8; 8],
    /// How it went. `EOVERFLOW`: `bytes` says how much room is needed.
    pub result: Result<()>,
}

/// Size of `handle_bytes` and `handle_type`.
pub const HANDLE_HEAD: usize = 8;

/// The handle of an open file (`name_to_handle_at`).
pub fn handle_of(fd: BorrowedFd<'_>, flags: u32, room: u32) -> Handle {
    let mut words = vec![0u64; (HANDLE_HEAD + room as usize).div_ceil(8)];
    words[0] = u64::from(room);
    let mut mount = [0u64];
    let flags = flags | libc::AT_EMPTY_PATH.cast_unsigned();
    // SAFETY: the handle has the room it says, the mount id the larger of its two sizes; both are live.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            fd.as_raw_fd(),
            c"".as_ptr(),
            words.as_mut_ptr(),
            mount.as_mut_ptr(),
            flags,
        )
    });
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.truncate(HANDLE_HEAD + room as usize);
    Handle { bytes, mount: mount[0].to_ne_bytes(), result: result.map(drop) }
}

/// `file_getattr`: `size` bytes of `struct file_attr` (kernel 6.17).
pub fn file_attributes(path: &CStr, size: usize) -> Result<Vec<u8>> {
    let mut words = vec![0u64; size.div_ceil(8)];
    let here = libc::AT_FDCWD;
    // SAFETY: `path` is live, as is `words`, which has at least `size` bytes.
    check(unsafe { libc::syscall(FILE_GETATTR, here, path.as_ptr(), words.as_mut_ptr(), size, 0) })?;
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.truncate(size);
    Ok(bytes)
}

/// `file_setattr` (kernel 6.17).
pub fn set_file_attributes(path: &CStr, attributes: &[u8]) -> Result<()> {
    let (address, size) = (attributes.as_ptr(), attributes.len());
    let here = libc::AT_FDCWD;
    // SAFETY: `path` is live, as is `attributes`, of which the kernel reads `size` bytes.
    check(unsafe { libc::syscall(FILE_SETATTR, here, path.as_ptr(), address, size, 0) }).map(drop)
}

const FILE_GETATTR: i64 = 468;
const FILE_SETATTR: i64 = 469;

/// Opens the other side of a terminal by its master (`TIOCGPTPEER`).
pub fn terminal_peer(master: BorrowedFd<'_>, flags: u32) -> Result<OwnedFd> {
    // SAFETY: an integer argument; a successful result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(i64::from(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags)))?;
        owned(fd)
    }
}
