// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's memory by address, and errno. A wrong address is `EFAULT`, as it was in a system call.

use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use landlock_v7::Memory;
use rustix::io::Errno;

/// Our own memory, looked at as the kernel would: an address that is none is an error, not our end.
pub struct Own;

impl Memory for Own {
    fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
        let remote = remote(address, len)?;
        // SAFETY: the kernel writes at most `len` bytes to `bytes`, which is live, and checks the address it reads.
        let got =
            unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
        if usize::try_from(got) == Ok(len) { Ok(bytes) } else { Err(Errno::FAULT) }
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let remote = remote(address, bytes.len())?;
        // SAFETY: the kernel only reads `bytes`, which is live, and writes where the caller of the library said it may.
        let put =
            unsafe { libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
        if usize::try_from(put) == Ok(bytes.len()) { Ok(()) } else { Err(Errno::FAULT) }
    }
}

fn remote(address: u64, iov_len: usize) -> Result<libc::iovec, Errno> {
    let address = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len })
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
