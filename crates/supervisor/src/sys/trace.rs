// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tracing a thread over its exec. Everything here is for one thread of ours, which traces one thread at a time.

use std::ffi::c_void;
use std::io::{Error, ErrorKind, Result};
use std::ptr::null_mut;

use super::{check, pid};

/// Attaches to a thread so that it stops right after its next successful exec, or else before it next runs
/// in user space. If we die meanwhile, it is killed.
///
/// `EPERM`: somebody else traces it, or it is none of ours.
pub fn trace_exec(tid: u32) -> Result<()> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    let options: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(options).unwrap_or(0));
    // SAFETY: SEIZE and INTERRUPT take integers where the pointers stand.
    unsafe {
        check(libc::ptrace(libc::PTRACE_SEIZE, pid(tid), null_mut::<c_void>(), options))?;
        // Fails only for one that is dead by now, as `wait_traced` will tell.
        libc::ptrace(libc::PTRACE_INTERRUPT, pid(tid), null_mut::<c_void>(), null_mut::<c_void>());
    }
    Ok(())
}

/// What [`wait_traced`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// Stopped after an exec, before the new program ran an instruction. The id is that of the process: an exec
    /// by another thread than the first takes it over.
    Exec(u32),
    /// Stopped on the way back to user space; about to take this signal, if it is not 0.
    Stopped(u32, i32),
    /// Gone.
    Gone,
}

/// Waits for the next event of the thread that the calling thread traces.
pub fn wait_traced() -> Traced {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD;
    loop {
        // SAFETY: `status` is live for the call.
        let result = unsafe { libc::waitpid(-1, &raw mut status, flags) };
        let Ok(tid) = u32::try_from(result) else {
            match Error::last_os_error().kind() {
                ErrorKind::Interrupted => continue,
                _ => return Traced::Gone,
            }
        };
        if !libc::WIFSTOPPED(status) {
            return Traced::Gone;
        }
        return match status >> 16 {
            libc::PTRACE_EVENT_EXEC => Traced::Exec(tid),
            0 => Traced::Stopped(tid, libc::WSTOPSIG(status)),
            // Our interruption, or a stop of the whole process, which goes on without us.
            _ => Traced::Stopped(tid, 0),
        };
    }
}

/// Lets a stopped traced thread go on, untraced, taking `signal` if it is not 0.
pub fn release(tid: u32, signal: i32) {
    let signal: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(signal).unwrap_or(0));
    // SAFETY: DETACH takes an integer where the pointer stands.
    let detached = unsafe { libc::ptrace(libc::PTRACE_DETACH, pid(tid), null_mut::<c_void>(), signal) };
    if detached != 0 {
        // Killed meanwhile: its parent cannot reap it before we have.
        while wait_traced() != Traced::Gone {}
    }
}

/// Kills a stopped traced process.
pub fn kill_traced(tid: u32) {
    // SAFETY: integer arguments; a process that we hold in a stop has not passed its id on.
    unsafe { libc::kill(pid(tid), libc::SIGKILL) };
    while wait_traced() != Traced::Gone {}
}
