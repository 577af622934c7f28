// SPDX-License-Identifier: MIT OR Apache-2.0
//! Having a thread that stands still part another from itself: all it has is shared, but for the table of descriptors.

use std::io::{Error, Result};

use super::super::ptrace::{Stop, gone, read_registers, wait_for_any};
use super::{Held, RESTARTS, State};

const EXIT: u32 = 60;
const CLONE: u32 = 56;

enum Parting {
    Made(u32),
    Failed(i32),
}

/// A thread parted from another, which stands still meanwhile.
#[derive(Debug)]
#[must_use = "it is killed, with its process, unless it is ended"]
pub struct Parted<'a> {
    thread: Held,
    parent: &'a mut Held,
}

impl Parted<'_> {
    /// Its id, which is its own as long as this lives.
    pub fn tid(&self) -> u32 {
        self.thread.tid
    }

    /// See [`Held::call_with`].
    pub fn call_with(&mut self, number: u32, arguments: [u64; 6]) -> Result<i64> {
        self.thread.call_with(number, arguments)
    }

    /// Ends it: its descriptors are closed. Then the other one can run syscalls again.
    pub fn end(self) {
        let Parted { mut thread, parent } = self;
        // It does not return. Where a filter refuses it, there is no other way than to kill the process.
        drop(thread.call(EXIT, [0; 3]));
        drop(thread);
        if let Err(error) = parent.run_to_syscall() {
            parent.lose(&error);
        }
    }
}

impl Held {
    /// Has it part a thread from itself, with a table of descriptors of its own: a copy, which nobody else can change.
    ///
    /// # Errors
    /// Those of clone(2); `ESRCH` for a thread that is gone.
    pub fn part(&mut self) -> Result<Parted<'_>> {
        loop {
            match self.try_part()? {
                // A stop of its process is on the way; the next try comes after it.
                Parting::Failed(errno) if RESTARTS.contains(&errno) => {}
                Parting::Failed(errno) => return Err(Error::from_raw_os_error(errno)),
                Parting::Made(tid) => {
                    let thread = Held { tid, signal: 0, state: State::Stands, ..*self };
                    return Ok(Parted { thread, parent: self });
                }
            }
        }
    }

    fn try_part(&mut self) -> Result<Parting> {
        let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        let arguments = [u64::from(flags.cast_unsigned()), 0, 0, 0, 0, 0];
        self.enter(CLONE, arguments).map_err(|error| self.lose(&error))?;
        self.run_to_parting().map_err(|error| {
            let error = self.lose(&error);
            // The first thread of a process is gone for good only after all others.
            while wait_for_any().is_some() {}
            error
        })
    }

    /// Goes on to where the thread has been made, and both stand; or to the end of the syscall, if it was not.
    fn run_to_parting(&mut self) -> Result<Parting> {
        let (mut stands, mut thread, mut is_gone) = (false, None, false);
        self.go_on(0);
        while let Some((tid, event)) = wait_for_any() {
            match event {
                // With its whole process: the other one follows.
                Err(_) => is_gone = true,
                Ok(_) if tid != self.tid => thread = Some(tid),
                Ok(Stop::Cloned) => stands = true,
                Ok(stop) if self.is_at_syscall(&stop)? => {
                    let result = read_registers(tid)?.rax.cast_signed();
                    let errno = i32::try_from(result.wrapping_neg()).unwrap_or(libc::EIO);
                    return Ok(Parting::Failed(errno));
                }
                Ok(_) => {}
            }
            if let (true, Some(tid), false) = (stands, thread, is_gone) {
                return Ok(Parting::Made(tid));
            }
        }
        Err(gone())
    }
}
