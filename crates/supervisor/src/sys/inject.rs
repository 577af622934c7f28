// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a thread that waits in a syscall run others in its place, of our choice.
//!
//! For what a thread can only do to itself. It is traced from before its syscall is answered: so it stops on the way back,
//! before it has run an instruction. Then its syscall instruction is run again with other registers, under our eyes: what
//! the kernel is about to carry out is compared with what was asked for. In the end everything is as it was, and the
//! syscall returns what we say. Should we die meanwhile, the thread is killed.
//!
//! Meanwhile it takes no signals; those that come wait.

use std::ffi::c_void;
use std::io::{Error, Result};
use std::mem::size_of;
use std::ptr::null_mut;

use super::{check, kill_traced, pid};

/// A thread that is about to stop, once its syscall is answered.
#[derive(Debug)]
#[must_use = "it stays stopped until it is released"]
pub struct Seized(u32);

/// A thread stopped on its way back from a syscall.
#[derive(Debug)]
#[must_use = "it stays stopped until it is released"]
pub struct Held {
    tid: u32,
    registers: libc::user_regs_struct,
    /// The signals it blocks by itself.
    mask: u64,
    /// A stop signal that came meanwhile.
    signal: i32,
    /// Its id may be somebody else's by now.
    is_gone: bool,
}

/// The thread is gone: dead, or taken along by an exec of another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Bytes of the instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

impl Seized {
    /// Traces a thread that waits in a syscall.
    ///
    /// `EPERM`: somebody else traces it, or we may not.
    pub fn new(tid: u32) -> Result<Seized> {
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        ptrace(libc::PTRACE_SEIZE, tid, options.cast_unsigned().into())?;
        // Fails only for one that is dead by now, as waiting for it will tell.
        drop(ptrace(libc::PTRACE_INTERRUPT, tid, 0));
        Ok(Seized(tid))
    }

    /// Waits for it to stop. Its syscall must have been answered.
    pub fn hold(self) -> std::result::Result<Held, Gone> {
        let tid = self.0;
        let signal = match wait(tid)? {
            Stop::Signal(signal) => signal,
            Stop::Syscall | Stop::Event => 0,
        };
        let held = read_registers(tid).and_then(|registers| {
            let mask = signal_mask(tid)?;
            set_signal_mask(tid, u64::MAX)?;
            Ok(Held { tid, registers, mask, signal, is_gone: false })
        });
        held.map_err(|error| {
            give_up(tid, &error);
            Gone
        })
    }
}

impl Held {
    /// Has it run a syscall, and gives what that returned.
    ///
    /// # Errors
    /// The syscall's; `ESRCH` for a thread that is gone. It is also killed if it did not do what it was told, because
    /// other threads changed its program under it.
    pub fn call(&mut self, number: u32, arguments: [u64; 3]) -> Result<i64> {
        let gone = || Error::from_raw_os_error(libc::ESRCH);
        if self.is_gone {
            return Err(gone());
        }
        match self.try_call(number, arguments) {
            Ok(Some(value)) if value < 0 => {
                Err(Error::from_raw_os_error(i32::try_from(-value).unwrap_or(libc::EIO)))
            }
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                self.is_gone = true;
                Err(gone())
            }
            Err(error) => {
                self.is_gone = true;
                give_up(self.tid, &error);
                Err(gone())
            }
        }
    }

    /// `None`: it is gone.
    fn try_call(&mut self, number: u32, [first, second, third]: [u64; 3]) -> Result<Option<i64>> {
        let instruction = self.registers.rip.wrapping_sub(SYSCALL.len() as u64);
        let mut code = [0; SYSCALL.len()];
        super::read_memory(self.tid, instruction, &mut code)?;
        if code != SYSCALL {
            return Err(Error::from_raw_os_error(libc::EFAULT));
        }
        let mut registers = self.registers;
        registers.rip = instruction;
        registers.rax = number.into();
        // Not in a syscall, so none is restarted.
        registers.orig_rax = u64::MAX;
        (registers.rdi, registers.rsi) = (first, second);
        (registers.rdx, registers.r10, registers.r8, registers.r9) = (third, 0, 0, 0);
        write_registers(self.tid, &registers)?;
        if self.run_to_syscall()?.is_err() {
            return Ok(None);
        }
        let entered = read_registers(self.tid)?;
        let expected = (u64::from(number), first, second, third, self.registers.rip);
        if (entered.orig_rax, entered.rdi, entered.rsi, entered.rdx, entered.rip) != expected {
            return Err(Error::from_raw_os_error(libc::EFAULT));
        }
        if self.run_to_syscall()?.is_err() {
            return Ok(None);
        }
        Ok(Some(read_registers(self.tid)?.rax.cast_signed()))
    }

    /// Goes on to where it enters or leaves a syscall.
    fn run_to_syscall(&mut self) -> Result<std::result::Result<(), Gone>> {
        loop {
            match ptrace(libc::PTRACE_SYSCALL, self.tid, 0) {
                // Killed, as waiting for it will tell.
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
            match wait(self.tid) {
                Ok(Stop::Syscall) => return Ok(Ok(())),
                // A stop of the whole process, which it takes part in when it is released.
                Ok(Stop::Event) => {}
                Ok(Stop::Signal(libc::SIGSTOP)) => self.signal = libc::SIGSTOP,
                // It blocks all others: only a fault can come through.
                Ok(Stop::Signal(_)) => return Err(Error::from_raw_os_error(libc::EFAULT)),
                Err(Gone) => return Ok(Err(Gone)),
            }
        }
    }

    /// Lets it go on, untraced, where it was. Its syscall returns `result`: `-errno` for an error.
    pub fn release(mut self, result: i64) {
        if self.is_gone {
            return;
        }
        self.registers.rax = result.cast_unsigned();
        let restored = write_registers(self.tid, &self.registers)
            .and_then(|()| set_signal_mask(self.tid, self.mask))
            .and_then(|()| ptrace(libc::PTRACE_DETACH, self.tid, u64::from(self.signal.cast_unsigned())));
        if let Err(error) = restored {
            give_up(self.tid, &error);
        }
    }
}

/// Ends a thread that must not go on with registers of ours. One that no longer stands still has been killed already,
/// perhaps alone, by an exec of another: then the process is to live. Its id is its own until we have waited.
fn give_up(tid: u32, error: &Error) {
    match error.raw_os_error() {
        Some(libc::ESRCH) => while wait(tid).is_ok() {},
        _ => kill_traced(tid),
    }
}

/// Why a traced thread has stopped.
enum Stop {
    /// At a syscall's beginning or end.
    Syscall,
    /// About to take this signal.
    Signal(i32),
    /// Interrupted, or stopped with its process.
    Event,
}

fn wait(tid: u32) -> std::result::Result<Stop, Gone> {
    const AT_SYSCALL: i32 = libc::SIGTRAP | 0x80;
    loop {
        let mut status = 0;
        let flags = libc::__WALL | libc::__WNOTHREAD;
        // SAFETY: `status` is live for the call.
        let waited = unsafe { libc::waitpid(pid(tid), &raw mut status, flags) };
        if waited < 0 && Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
            continue;
        }
        if waited < 0 || !libc::WIFSTOPPED(status) {
            return Err(Gone);
        }
        return Ok(match (status >> 16, libc::WSTOPSIG(status)) {
            (0, AT_SYSCALL) => Stop::Syscall,
            (0, signal) => Stop::Signal(signal),
            _ => Stop::Event,
        });
    }
}

/// ptrace with a number for data.
fn ptrace(request: libc::c_uint, tid: u32, data: u64) -> Result<()> {
    let data: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(data).unwrap_or(0));
    // SAFETY: only for requests that take integers where the pointers stand.
    check(unsafe { libc::ptrace(request, pid(tid), null_mut::<c_void>(), data) }).map(drop)
}

fn read_registers(tid: u32) -> Result<libc::user_regs_struct> {
    // SAFETY: all-zero is a valid value of plain integers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure, which is live.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid(tid), null_mut::<c_void>(), &raw mut registers) })?;
    Ok(registers)
}

fn write_registers(tid: u32, registers: &libc::user_regs_struct) -> Result<()> {
    let registers = &raw const *registers;
    // SAFETY: the kernel reads one such structure, which is live.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid(tid), null_mut::<c_void>(), registers) }).map(drop)
}

fn signal_mask(tid: u32) -> Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes as many bytes as it is told, to a live word.
    check(unsafe { libc::ptrace(libc::PTRACE_GETSIGMASK, pid(tid), size_of::<u64>(), &raw mut mask) })?;
    Ok(mask)
}

fn set_signal_mask(tid: u32, mask: u64) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told, from a live word.
    check(unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, pid(tid), size_of::<u64>(), &raw const mask) })
        .map(drop)
}
