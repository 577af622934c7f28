// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory: that of other processes, read and written by address, and words shared by our own.

use std::ffi::c_void;
use std::io::{Error, Result};
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{count, pid};

/// Copies from another process. May be short at an unmapped page; `EFAULT` if nothing could be read.
pub fn read_memory(tid: u32, address: u64, into: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = remote_iovec(address, into.len())?;
    // SAFETY: the local vector is `into`; the remote address is checked by the kernel.
    let n = unsafe { libc::process_vm_readv(pid(tid), &raw const local, 1, &raw const remote, 1, 0) };
    count(n)
}

/// Copies to another process. May be short at an unmapped page; `EFAULT` if nothing could be written.
pub fn write_memory(tid: u32, address: u64, from: &[u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = remote_iovec(address, from.len())?;
    // SAFETY: the local vector is `from`, only read; the remote address is checked by the kernel.
    let n = unsafe { libc::process_vm_writev(pid(tid), &raw const local, 1, &raw const remote, 1, 0) };
    count(n)
}

fn remote_iovec(address: u64, iov_len: usize) -> Result<libc::iovec> {
    let address = usize::try_from(address).map_err(|_| Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len })
}

/// A word shared with the processes forked after it was made.
#[derive(Debug)]
pub struct SharedWord(*const AtomicU32);

// SAFETY: the word is an atomic in a shared mapping that lives as long as the process.
unsafe impl Send for SharedWord {}
// SAFETY: as above; every access is atomic.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// A new word, 0.
    pub fn new() -> Result<SharedWord> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping, page aligned and zeroed; it is never unmapped.
        let page = unsafe { libc::mmap(null_mut(), PAGE, prot, flags, -1, 0) };
        if page == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(SharedWord(page.cast())) }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: `new` made it from a live, aligned mapping, and nothing unmaps it.
        unsafe { &*self.0 }
    }

    /// The value now.
    pub fn get(&self) -> u32 {
        self.word().load(Ordering::Acquire)
    }

    /// Stores a value and wakes whoever waits. Async-signal-safe.
    pub fn set(&self, value: u32) {
        self.word().store(value, Ordering::Release);
        // SAFETY: futex on a live word.
        unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAKE, i32::MAX) };
    }

    /// Waits until the value is no longer `old`, or about `seconds` have passed. Async-signal-safe.
    pub fn wait_while(&self, old: u32, seconds: i64) -> u32 {
        let timeout = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
        if self.get() == old {
            // SAFETY: futex on a live word, with a live timeout.
            unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAIT, old, &raw const timeout) };
        }
        self.get()
    }
}

/// A page of a file, mapped; never read.
pub struct Mapping(*mut c_void);

const PAGE: usize = 4096;

impl Mapping {
    /// Maps the first page of a file.
    pub fn of(file: BorrowedFd<'_>) -> Result<Mapping> {
        let flags = libc::MAP_PRIVATE;
        // SAFETY: a new mapping at an address of the kernel's choice; `self` owns it.
        let page = unsafe { libc::mmap(null_mut(), PAGE, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
        if page == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(Mapping(page)) }
    }

    /// Where it is.
    pub fn address(&self) -> usize {
        self.0.addr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which no reference was ever given out.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

/// The bytes of a plain C structure.
pub fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: `value` is live and its size is known; the kernel structures passed here have no padding that
    // matters: what is in it came from the kernel or from zeroed memory.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of_val(value)) }
}
