// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's memory by address, and errno. A wrong address is `EFAULT`, as it was in a system call.

use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::PAGE;

/// Exactly `len` bytes.
pub fn read(address: usize, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: len };
    // SAFETY: the kernel writes at most `len` bytes to `bytes`, which is live, and checks the address it reads.
    let got = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    if usize::try_from(got) == Ok(len) { Ok(bytes) } else { Err(Errno::FAULT) }
}

/// Writes all of `bytes`.
pub fn write(address: usize, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: bytes.len() };
    // SAFETY: the kernel only reads `bytes`, which is live, and writes where the caller of the library said it may.
    let put =
        unsafe { libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    if usize::try_from(put) == Ok(bytes.len()) { Ok(()) } else { Err(Errno::FAULT) }
}

/// A structure of which the caller knows `size` bytes and we `known`: what we do not know must be 0, or `E2BIG`.
pub fn read_extensible(address: usize, size: usize, known: usize) -> Result<Vec<u8>, Errno> {
    if size > PAGE {
        return Err(Errno::TOOBIG);
    }
    let mut bytes = read(address, size)?;
    if bytes.iter().skip(known).any(|byte| *byte != 0) {
        return Err(Errno::TOOBIG);
    }
    bytes.truncate(known);
    Ok(bytes)
}

/// A string of at most `most` bytes; a longer one is cut.
pub fn read_string(address: usize, most: usize) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let byte = read(address.checked_add(bytes.len()).ok_or(Errno::FAULT)?, 1)?[0];
        if byte == 0 {
            break;
        }
        bytes.push(byte);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A descriptor of our own for the caller's. `EBADF`.
pub fn duplicate(number: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer; its result is a new descriptor that nobody else owns.
    unsafe {
        let new = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0);
        if new < 0 { Err(Errno::BADF) } else { Ok(OwnedFd::from_raw_fd(new)) }
    }
}

/// Sets the calling thread's errno.
pub fn set_errno(errno: c_int) {
    // SAFETY: the location is the calling thread's own and always valid.
    unsafe { *libc::__errno_location() = errno };
}
