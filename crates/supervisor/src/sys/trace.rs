// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tracing a thread over its exec.

use std::ffi::c_void;
use std::io::Result;
use std::ptr::null_mut;

use super::{check, pid};

/// Attaches to a thread so that it stops right after its next successful exec.
pub fn trace_exec(tid: u32) -> Result<()> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    // SAFETY: SEIZE takes no pointer.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid(tid), null_mut::<c_void>(), options) }).map(drop)
}

/// What [`wait_traced`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// Stopped after an exec, before the new program ran an instruction.
    Exec,
    /// Stopped for another reason: the signal it is about to take, 0 for none.
    Stopped(i32),
    /// Gone.
    Gone,
}

/// Waits for the next event of a traced thread, which the calling thread attached to.
pub fn wait_traced(tid: u32) -> Result<Traced> {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: `status` is live for the call.
    check(i64::from(unsafe { libc::waitpid(pid(tid), &raw mut status, flags) }))?;
    if !libc::WIFSTOPPED(status) {
        return Ok(Traced::Gone);
    }
    let event = status >> 16;
    Ok(match event {
        libc::PTRACE_EVENT_EXEC => Traced::Exec,
        0 => Traced::Stopped(libc::WSTOPSIG(status)),
        _ => Traced::Stopped(0),
    })
}

/// Stops a traced thread.
pub fn stop_traced(tid: u32) -> Result<()> {
    // SAFETY: INTERRUPT takes no pointer.
    check(unsafe {
        libc::ptrace(libc::PTRACE_INTERRUPT, pid(tid), null_mut::<c_void>(), null_mut::<c_void>())
    })
    .map(drop)
}

/// Lets a stopped traced thread go on, untraced, taking `signal` if it is not 0.
pub fn detach(tid: u32, signal: i32) -> Result<()> {
    let signal: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(signal).unwrap_or(0));
    // SAFETY: DETACH takes an integer where the pointer stands.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid(tid), null_mut::<c_void>(), signal) }).map(drop)
}
