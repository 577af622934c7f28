// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seccomp user notification: the filter, the syscalls that wait behind it, the answers to them.

use std::ffi::c_void;
use std::io::{Error, ErrorKind, Result};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::check;

/// `struct seccomp_notif`: one syscall waiting for an answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Notification {
    /// Cookie that names the waiting syscall.
    pub id: u64,
    /// Thread id of the caller, in our pid namespace; 0 if it is not visible from there.
    pub tid: u32,
    /// Reserved.
    pub flags: u32,
    /// Syscall number.
    pub nr: i32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Address of the instruction after the syscall.
    pub instruction_pointer: u64,
    /// Register arguments.
    pub args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    srcfd: u32,
    newfd: u32,
    newfd_flags: u32,
}

const fn ioc(direction: u64, number: u64, size: usize) -> u64 {
    (direction << 30) | ((size as u64) << 16) | ((b'!' as u64) << 8) | number
}
const NOTIF_RECV: u64 = ioc(3, 0, size_of::<Notification>());
const NOTIF_SEND: u64 = ioc(3, 1, size_of::<Response>());
const NOTIF_ID_VALID: u64 = ioc(1, 2, size_of::<u64>());
const NOTIF_ADDFD: u64 = ioc(1, 3, size_of::<AddFd>());
const NOTIF_SET_FLAGS: u64 = ioc(1, 4, size_of::<u64>());

const _: () =
    assert!(size_of::<Notification>() == 80 && size_of::<Response>() == 24 && size_of::<AddFd>() == 24);

fn ioctl(fd: BorrowedFd<'_>, request: u64, argument: *mut c_void) -> Result<i64> {
    // SAFETY: every caller below passes the structure its request names, alive for the call.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) }))
}

/// Waits for the next notification. `ENOENT`: the caller died before we saw it; `EINTR`: a signal.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    let mut notification = Notification::default();
    ioctl(listener, NOTIF_RECV, (&raw mut notification).cast())?;
    Ok(notification)
}

/// What becomes of a waiting syscall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// It returns this value.
    Value(i64),
    /// It fails with this errno (positive; kernel-internal restart codes included).
    Errno(i32),
    /// The kernel runs it as if nobody had asked.
    Continue,
}

/// Answers a notification. `ENOENT`: the caller is gone.
pub fn respond(listener: BorrowedFd<'_>, id: u64, injected: Injected) -> Result<()> {
    const FLAG_CONTINUE: u32 = 1;
    let (val, error, flags) = match injected {
        Injected::Value(value) => (value, 0, 0),
        Injected::Errno(errno) => (0, -errno, 0),
        Injected::Continue => (0, 0, FLAG_CONTINUE),
    };
    let mut response = Response { id, val, error, flags };
    ioctl(listener, NOTIF_SEND, (&raw mut response).cast()).map(drop)
}

/// Whether the syscall behind `id` still waits; if so, what was read from its process is its own.
pub fn is_waiting(listener: BorrowedFd<'_>, mut id: u64) -> bool {
    ioctl(listener, NOTIF_ID_VALID, (&raw mut id).cast()).is_ok()
}

/// Puts a copy of `fd` into the waiting process at its lowest free number and returns the number.
pub fn add_fd(listener: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>, cloexec: bool) -> Result<i64> {
    let mut add = AddFd {
        id,
        flags: 0,
        srcfd: fd.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: if cloexec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
    };
    ioctl(listener, NOTIF_ADDFD, (&raw mut add).cast())
}

/// Asks for wake-ups on the caller's processor (kernel 6.6 and later; elsewhere an error, harmless).
pub fn wake_on_same_cpu(listener: BorrowedFd<'_>) -> Result<()> {
    const SYNC_WAKE_UP: usize = 1;
    ioctl(listener, NOTIF_SET_FLAGS, std::ptr::without_provenance_mut(SYNC_WAKE_UP)).map(drop)
}

/// Installs `filter` on the calling thread and returns its listener.
///
/// `EACCES`: neither no_new_privs nor CAP_SYS_ADMIN. `EBUSY`: a filter with a listener is in force
/// already. `EINVAL`: the kernel refuses the program or the flags.
pub fn install_filter(filter: &[libc::sock_filter]) -> Result<RawFd> {
    const NEW_LISTENER: u64 = 1 << 3;
    const WAIT_KILLABLE_RECV: u64 = 1 << 5;
    let len = u16::try_from(filter.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let flags = NEW_LISTENER | WAIT_KILLABLE_RECV;
    // SAFETY: the program describes `filter`, which outlives the call; the kernel only reads it.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    RawFd::try_from(fd).map_err(|_| Error::from(ErrorKind::InvalidData))
}

/// Installs a filter without a listener on the calling thread.
pub fn add_filter(filter: &[libc::sock_filter]) -> Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program describes `filter`, which outlives the call; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
        .map(drop)
}

/// Sets no_new_privs on the calling thread; it cannot be unset.
pub fn set_no_new_privs() -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    check(i64::from(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })).map(drop)
}
