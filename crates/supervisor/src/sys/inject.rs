// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a thread that waits in a syscall run others in its place, of our choice.
//!
//! For what a thread can only do to itself. It is traced from before its syscall is answered: so it stops on the way back,
//! before it has run an instruction. Then its syscall instruction is run again with other registers, under our eyes: what
//! the kernel is about to carry out is compared with what was asked for. In the end everything is as it was, and the
//! syscall returns what we say. Should we die meanwhile, the thread is killed.
//!
//! Meanwhile it takes no signals; those that come wait.
//!
//! It may also be made to part from itself a thread with a table of descriptors of its own ([`Parted`]).

mod parted;

use std::io::{Error, Result};
use std::ops::RangeInclusive;

use super::ptrace::{
    Stop, gone, kill, ptrace, read_registers, reap, set_signal_mask, signal_mask, wait, write_registers,
};

pub use parted::Parted;

/// A thread that is about to stop, once its syscall is answered.
#[derive(Debug)]
#[must_use = "it stays stopped until it is released"]
pub struct Seized(u32);

/// A thread that stands still between syscalls of ours. Dropped without being released, it is killed.
#[derive(Debug)]
#[must_use = "it stays stopped until it is released"]
pub struct Held {
    tid: u32,
    registers: libc::user_regs_struct,
    /// The signals it blocks by itself.
    mask: u64,
    /// A signal it was about to take.
    signal: i32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stands,
    /// Dead or dying; its id is its own until we have reaped it.
    Gone,
    Released,
}

/// What a syscall returns, to its thread's way back only, that a signal interrupted and that is to be made again: from
/// ERESTARTSYS to ERESTART_RESTARTBLOCK (Linux, include/linux/errno.h).
const RESTARTS: RangeInclusive<i32> = 512..=516;

/// Bytes of the instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

impl Seized {
    /// Traces a thread that waits in a syscall.
    ///
    /// `EPERM`: somebody else traces it, or we may not.
    pub fn new(tid: u32) -> Result<Seized> {
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
        ptrace(libc::PTRACE_SEIZE, tid, options.cast_unsigned().into())?;
        // Fails only for one that is dead by now, as waiting for it will tell.
        drop(ptrace(libc::PTRACE_INTERRUPT, tid, 0));
        Ok(Seized(tid))
    }

    /// Waits for it to stop. Its syscall must have been answered.
    pub fn hold(self) -> Result<Held> {
        let tid = self.0;
        let held = wait(tid).and_then(|stop| {
            let registers = read_registers(tid)?;
            let mask = signal_mask(tid)?;
            set_signal_mask(tid, u64::MAX)?;
            let signal = if let Stop::Signal(signal) = stop { signal } else { 0 };
            Ok(Held { tid, registers, mask, signal, state: State::Stands })
        });
        held.inspect_err(|error| {
            end(tid, error);
            reap(tid);
        })
    }
}

impl Held {
    /// Has it run a syscall, and gives what that returned.
    ///
    /// # Errors
    /// The syscall's; `ESRCH` for a thread that is gone. It is also killed if it did not do what it was told, because
    /// other threads changed its program under it.
    pub fn call(&mut self, number: u32, [first, second, third]: [u64; 3]) -> Result<i64> {
        self.call_with(number, [first, second, third, 0, 0, 0])
    }

    /// Like [`Held::call`], with all arguments.
    pub fn call_with(&mut self, number: u32, arguments: [u64; 6]) -> Result<i64> {
        loop {
            let called = self.enter(number, arguments).and_then(|()| self.leave());
            let value = called.map_err(|error| self.lose(&error))?;
            match i32::try_from(value.wrapping_neg()) {
                // A stop of its process is on the way; the next try comes after it. Had the thread's own syscall
                // returned this, it would be made again, although it has been answered.
                Ok(errno) if RESTARTS.contains(&errno) => {}
                Ok(errno @ 1..) => return Err(Error::from_raw_os_error(errno)),
                _ if value < 0 => return Err(Error::from_raw_os_error(libc::EIO)),
                _ => return Ok(value),
            }
        }
    }

    /// Starts a syscall: the thread stops when the kernel is about to carry it out.
    fn enter(&mut self, number: u32, arguments: [u64; 6]) -> Result<()> {
        if self.state != State::Stands {
            return Err(gone());
        }
        let instruction = self.registers.rip.wrapping_sub(SYSCALL.len() as u64);
        let mut code = [0; SYSCALL.len()];
        super::read_memory(self.tid, instruction, &mut code)?;
        if code != SYSCALL {
            return Err(astray());
        }
        let mut registers = self.registers;
        registers.rip = instruction;
        registers.rax = number.into();
        // Not in a syscall, so none is restarted.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
        write_registers(self.tid, &registers)?;
        self.run_to_syscall()?;
        let entered = read_registers(self.tid)?;
        let passed = [entered.rdi, entered.rsi, entered.rdx, entered.r10, entered.r8, entered.r9];
        let expected = (u64::from(number), arguments, self.registers.rip);
        if (entered.orig_rax, passed, entered.rip) == expected { Ok(()) } else { Err(astray()) }
    }

    /// Has the kernel carry out the syscall that was started, and gives what it returned.
    fn leave(&mut self) -> Result<i64> {
        self.run_to_syscall()?;
        Ok(read_registers(self.tid)?.rax.cast_signed())
    }

    /// Goes on to where it enters or leaves a syscall.
    fn run_to_syscall(&mut self) -> Result<()> {
        self.go_on(0);
        while !self.is_at_syscall(&wait(self.tid)?)? {}
        Ok(())
    }

    /// Goes on to the next stop, taking `signal` if it is not 0.
    fn go_on(&self, signal: i32) {
        // Fails only for one that is killed, as waiting for it will tell.
        drop(ptrace(libc::PTRACE_SYSCALL, self.tid, signal.cast_unsigned().into()));
    }

    /// Whether it has come where it enters or leaves a syscall; if not, it goes on.
    fn is_at_syscall(&self, stop: &Stop) -> Result<bool> {
        match *stop {
            Stop::Syscall => return Ok(true),
            // A stop of the whole process, which it takes part in when it is released.
            Stop::Event | Stop::Cloned => self.go_on(0),
            // At once, so that what is sent to undo it comes after it.
            Stop::Signal(libc::SIGSTOP) => self.go_on(libc::SIGSTOP),
            // It blocks all others: only a fault can come through.
            Stop::Signal(_) => return Err(astray()),
        }
        Ok(false)
    }

    /// Gives up a thread that must not go on with registers of ours. One that no longer stands still has been killed
    /// already, perhaps alone, by an exec of another: then the process is to live.
    fn lose(&mut self, error: &Error) -> Error {
        end(self.tid, error);
        self.state = State::Gone;
        gone()
    }

    /// Lets it go on, untraced, where it was. Its syscall returns `result`: `-errno` for an error.
    pub fn release(mut self, result: i64) {
        if self.state != State::Stands {
            return;
        }
        self.registers.rax = result.cast_unsigned();
        let restored = write_registers(self.tid, &self.registers)
            .and_then(|()| set_signal_mask(self.tid, self.mask))
            .and_then(|()| ptrace(libc::PTRACE_DETACH, self.tid, u64::from(self.signal.cast_unsigned())));
        match restored {
            Ok(()) => self.state = State::Released,
            Err(error) => drop(self.lose(&error)),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.state == State::Stands {
            kill(self.tid);
        }
        if self.state != State::Released {
            reap(self.tid);
        }
    }
}

/// Other threads changed the program under it.
fn astray() -> Error {
    Error::from_raw_os_error(libc::EFAULT)
}

fn end(tid: u32, error: &Error) {
    if error.raw_os_error() != Some(libc::ESRCH) {
        kill(tid);
    }
}
