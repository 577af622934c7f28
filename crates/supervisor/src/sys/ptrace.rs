// SPDX-License-Identifier: MIT OR Apache-2.0
//! ptrace(2) and waiting, for threads that one thread of ours traces.

use std::ffi::c_void;
use std::io::{Error, ErrorKind, Result};
use std::mem::size_of;
use std::ptr::null_mut;

use super::{check, pid};

/// Why a traced thread has stopped.
pub enum Stop {
    /// At a syscall's beginning or end.
    Syscall,
    /// About to take this signal.
    Signal(i32),
    /// Having made a thread, before either goes on.
    Cloned,
    /// Interrupted, or stopped with its process.
    Event,
}

/// What is said of a thread that is gone: dead, or taken along by an exec of another thread.
pub fn gone() -> Error {
    Error::from_raw_os_error(libc::ESRCH)
}

/// Waits for a thread to stop. `ESRCH`: it is gone, and keeps its id until [`reap`].
pub fn wait(tid: u32) -> Result<Stop> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
    loop {
        // SAFETY: all-zero is a valid value of plain integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is live for the call.
        let waited = unsafe { libc::waitid(libc::P_PID, tid, &raw mut info, flags) };
        if waited != 0 && Error::last_os_error().kind() == ErrorKind::Interrupted {
            continue;
        }
        if waited != 0 || !matches!(info.si_code, libc::CLD_TRAPPED | libc::CLD_STOPPED) {
            return Err(gone());
        }
        // SAFETY: waitid has filled it in for a stopped child.
        let status = unsafe { info.si_status() };
        return Ok(Stop::of(status));
    }
}

impl Stop {
    /// From the signal it stopped with, and the event above it.
    fn of(status: i32) -> Stop {
        const AT_SYSCALL: i32 = libc::SIGTRAP | 0x80;
        match (status >> 8, status & 0xff) {
            (0, AT_SYSCALL) => Stop::Syscall,
            (0, signal) => Stop::Signal(signal),
            (libc::PTRACE_EVENT_CLONE, _) => Stop::Cloned,
            _ => Stop::Event,
        }
    }
}

/// Waits until a thread that is gone, or killed, has passed its id on.
pub fn reap(tid: u32) {
    while matches!(wait_for(pid(tid)), Some((_, Ok(_)))) {}
}

/// Waits for the next event of any thread that the calling thread traces: a stop, or `ESRCH` for one that is gone, and has
/// passed its id on. `None`: there is none any more.
pub fn wait_for_any() -> Option<(u32, Result<Stop>)> {
    wait_for(-1)
}

fn wait_for(which: libc::pid_t) -> Option<(u32, Result<Stop>)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is live for the call.
        let waited = unsafe { libc::waitpid(which, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        match u32::try_from(waited) {
            Ok(tid) if libc::WIFSTOPPED(status) => return Some((tid, Ok(Stop::of(status >> 8)))),
            Ok(tid) => return Some((tid, Err(gone()))),
            Err(_) if Error::last_os_error().kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// Kills a stopped traced process. It keeps its id until [`reap`].
pub fn kill(tid: u32) {
    // SAFETY: integer arguments; a process that we hold in a stop has not passed its id on.
    unsafe { libc::kill(pid(tid), libc::SIGKILL) };
}

/// ptrace with a number for data.
pub fn ptrace(request: libc::c_uint, tid: u32, data: u64) -> Result<()> {
    let data: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(data).unwrap_or(0));
    // SAFETY: only for requests that take integers where the pointers stand.
    check(unsafe { libc::ptrace(request, pid(tid), null_mut::<c_void>(), data) }).map(drop)
}

/// The registers of a stopped thread.
pub fn read_registers(tid: u32) -> Result<libc::user_regs_struct> {
    // SAFETY: all-zero is a valid value of plain integers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure, which is live.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid(tid), null_mut::<c_void>(), &raw mut registers) })?;
    Ok(registers)
}

/// Sets them.
pub fn write_registers(tid: u32, registers: &libc::user_regs_struct) -> Result<()> {
    let registers = &raw const *registers;
    // SAFETY: the kernel reads one such structure, which is live.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid(tid), null_mut::<c_void>(), registers) }).map(drop)
}

/// The signals a stopped thread blocks.
pub fn signal_mask(tid: u32) -> Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes as many bytes as it is told, to a live word.
    check(unsafe { libc::ptrace(libc::PTRACE_GETSIGMASK, pid(tid), size_of::<u64>(), &raw mut mask) })?;
    Ok(mask)
}

/// Sets them.
pub fn set_signal_mask(tid: u32, mask: u64) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told, from a live word.
    check(unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, pid(tid), size_of::<u64>(), &raw const mask) })
        .map(drop)
}
