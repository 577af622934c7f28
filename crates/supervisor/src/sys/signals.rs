// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals: masks, taking them from a descriptor, and getting our threads out of blocking calls.

use std::io::{Error, ErrorKind, Result};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::null_mut;

use super::{check, count, owned, pid};

/// Blocks every signal on the calling thread and returns the mask that was in force.
pub fn block_signals() -> Result<libc::sigset_t> {
    let mut all = empty_set();
    let mut old = empty_set();
    // SAFETY: both sets are live and initialised.
    let result = unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old)
    };
    if result == 0 { Ok(old) } else { Err(Error::from_raw_os_error(result)) }
}

/// Sets the calling thread's signal mask. Async-signal-safe.
pub fn set_signal_mask(mask: &libc::sigset_t) -> Result<()> {
    // SAFETY: `mask` is a live set; no old mask is asked for.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, null_mut()) };
    if result == 0 { Ok(()) } else { Err(Error::from_raw_os_error(result)) }
}

/// Ignores children that end, so that nobody can wait for them, or does not; whether they were ignored.
/// Async-signal-safe.
pub fn ignore_children(ignore: bool) -> Result<bool> {
    // SAFETY: zeroed sigactions are valid; the new one has no handler of ours and no flags.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        check(i64::from(libc::sigaction(libc::SIGCHLD, &raw const new, &raw mut old)))?;
        Ok(old.sa_sigaction == libc::SIG_IGN)
    }
}

pub(super) fn empty_set() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// A descriptor that delivers every blocked signal.
pub fn signal_fd() -> Result<OwnedFd> {
    let mut all = empty_set();
    // SAFETY: `all` is live; the result is a new descriptor.
    unsafe {
        libc::sigfillset(&raw mut all);
        owned(check(i64::from(libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC)))?)
    }
}

/// One signal taken from a [`signal_fd`].
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// Signal number.
    pub number: i32,
    /// Sent by the kernel itself (a terminal's ^C, say), not by a process.
    pub from_kernel: bool,
    /// Sender, when a process sent it.
    pub sender: u32,
}

/// Takes the next signal; blocks until there is one.
pub fn take_signal(fd: BorrowedFd<'_>) -> Result<Signal> {
    let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    // SAFETY: the buffer is exactly one siginfo; any bytes the kernel writes are valid for it, as are zeroes.
    let info = unsafe {
        let size = size_of::<libc::signalfd_siginfo>();
        count(libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size))?;
        info.assume_init()
    };
    Ok(Signal {
        number: info.ssi_signo.cast_signed(),
        from_kernel: info.ssi_code == libc::SI_KERNEL,
        sender: info.ssi_pid,
    })
}

/// Takes the next blocked signal without a descriptor; blocks until there is one.
pub fn await_signal() -> Result<Signal> {
    let mut all = empty_set();
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set is live and initialised; sigwaitinfo fills the whole siginfo, for which zeroes are valid.
    let (number, info) = unsafe {
        libc::sigfillset(&raw mut all);
        // Who is stopped and continued has waited in vain: it is no signal to take, and the kernel does not wait on.
        let number = loop {
            let number = libc::sigwaitinfo(&raw const all, info.as_mut_ptr());
            if number >= 0 || Error::last_os_error().kind() != ErrorKind::Interrupted {
                break number;
            }
        };
        (number, info.assume_init())
    };
    if number < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: every siginfo has these bytes; they mean a sender where a process sent the signal.
    let sender = unsafe { info.si_pid() };
    Ok(Signal { number, from_kernel: info.si_code == libc::SI_KERNEL, sender: sender.cast_unsigned() })
}

/// The signal that gets a supervisor thread out of a blocking call.
const INTERRUPT: i32 = libc::SIGURG;

extern "C" fn on_interrupt(_: i32) {}

/// Installs the handler that makes [`interrupt`] end a blocking call with `EINTR`; once per process.
pub fn prepare_interrupt() -> Result<()> {
    // SAFETY: a zeroed sigaction is valid; the handler does nothing, which is async-signal-safe.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_interrupt as *const () as usize;
        libc::sigaction(INTERRUPT, &raw const action, null_mut())
    };
    check(i64::from(result)).map(drop)
}

/// Lets [`interrupt`] reach the calling thread.
pub fn accept_interrupt() -> Result<()> {
    let mut set = empty_set();
    // SAFETY: `set` is live and initialised.
    let result = unsafe {
        libc::sigaddset(&raw mut set, INTERRUPT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, null_mut())
    };
    if result == 0 { Ok(()) } else { Err(Error::from_raw_os_error(result)) }
}

/// Ends the blocking call another thread of ours is in; nothing happens if it is in none.
pub fn interrupt(tid: u32) {
    // SAFETY: integer arguments; the thread group is our own, so no other process can be hit.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), pid(tid), INTERRUPT) };
}

/// Sends a signal to one thread of another process.
pub fn signal_thread(tgid: u32, tid: u32, number: i32) -> Result<()> {
    // SAFETY: integer arguments only.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid(tgid), pid(tid), number) }).map(drop)
}
