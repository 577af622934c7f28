// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a command that needs no supervisor: it confines itself between fork and exec.
//!
//! ```text
//! waiter (the caller) ─┬─ keeper
//!                      └─ command and all it starts
//! ```
//!
//! The *waiter* is what it is beside a supervisor. The *keeper* is there for what has to be done though
//! somebody kills the waiter: it kills the command then, and whatever else the caller gives it to do. Orphans
//! are init's, as they would be without us.

use std::io::{Error as IoError, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open, pidfd_send_signal,
    waitpid,
};

use super::{Ended, Error, let_go, pass_on, step};
use crate::sys::{self, Forked, SharedWord};

/// How a command ended that ran without a supervisor.
#[derive(Debug)]
pub struct Outcome {
    /// The command.
    pub ended: Ended,
    /// Whether the keeper did its part; if not, somebody killed it.
    pub kept: bool,
}

/// The keeper's view of the waiter. The descriptor is readable once there is nothing left to wait for.
#[derive(Debug)]
pub struct Waiter {
    link: UnixStream,
    command: OwnedFd,
}

impl Waiter {
    /// The wait is over: does what is to be done before the waiter returns, and lets it. Who killed the waiter
    /// meant the command.
    pub fn dismiss(mut self, last: impl FnOnce()) {
        // If it has ended, nothing happens.
        let _ = pidfd_send_signal(&self.command, Signal::KILL);
        last();
        // A waiter that is gone needs no word.
        drop(self.link.write_all(&DONE));
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

/// The keeper has taken notice of the command, which may go on.
const NOTED: [u8; 1] = [1];
/// The keeper has done what the waiter waits for.
const DONE: [u8; 1] = [2];

/// Runs `command`, confined by `enter`, and waits for it. The calling process must have one thread.
///
/// `enter` runs in the command's process; if it fails, with a reason for people, nothing is run. `keep` is
/// the keeper's work, in a process of its own that may outlive the command; it must dismiss the waiter. What it
/// holds the calling process holds too, until this returns.
pub fn run_entering(
    command: Command,
    enter: impl FnOnce() -> Result<(), String>,
    keep: impl FnOnce(Waiter),
) -> Result<Outcome, Error> {
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    let children_ignored = sys::ignore_children(false).map_err(step("cannot set a signal's action"))?;
    let restore = move || sys::ignore_children(children_ignored).and_then(|_| sys::set_signal_mask(&mask));
    let outcome = watched(command, enter, keep, restore);
    drop(restore());
    outcome
}

fn watched(
    mut command: Command,
    enter: impl FnOnce() -> Result<(), String>,
    keep: impl FnOnce(Waiter),
    restore: impl Fn() -> std::io::Result<()> + Send + Sync + 'static,
) -> Result<Outcome, Error> {
    let (mut ours, theirs) = UnixStream::pair().map_err(step("cannot make a socket pair"))?;
    if matches!(sys::fork().map_err(step("cannot start the keeper"))?, Forked::Child) {
        drop((ours, command));
        // Failing ends the keeper, which the command takes for a no.
        if let Ok(waiter) = greet(theirs) {
            keep(waiter);
        }
        sys::exit(0)
    }
    drop(theirs);
    sys::before_exec(&mut command, restore);
    let ended = match start(command, enter, &ours)? {
        Ok(child) => attend(child)?,
        Err(errno) => Ended::NotStarted(errno),
    };
    let mut word = Vec::new();
    let told = ours.shutdown(std::net::Shutdown::Write).and_then(|()| ours.read_to_end(&mut word));
    Ok(Outcome { ended, kept: told.is_ok() && word == DONE })
}

/// Starts `command`, confined by `enter`, without waiting for it and with nobody beside it. Any number of threads will
/// do. The inner result says whether the command could be executed.
///
/// `enter` runs in the command's process between fork and exec, so it must be async-signal-safe; if it does not
/// succeed, nothing is run.
pub fn spawn_entering(
    mut command: Command,
    enter: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<std::io::Result<std::process::Child>, Error> {
    // Neither fork nor exec fail with it.
    const OUTSIDE: i32 = libc::ENOTRECOVERABLE;
    let outside = || IoError::from_raw_os_error(OUTSIDE);
    sys::before_exec(&mut command, move || if enter() { Ok(()) } else { Err(outside()) });
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(OUTSIDE) => {
            Err(Error::Supervisor("the command's process did not get into its domain".to_owned()))
        }
        started => Ok(started),
    }
}

/// The keeper's beginning: lets go of what it shares with the waiter, and takes notice of the command.
fn greet(mut link: UnixStream) -> std::io::Result<Waiter> {
    let_go()?;
    // No folder of anybody's is in use because of us, unless rules that are in force already will have it so.
    let _ = rustix::process::chdir("/");
    let mut pid = [0; 4];
    link.read_exact(&mut pid)?;
    let pid = Pid::from_raw(i32::from_ne_bytes(pid)).ok_or(rustix::io::Errno::SRCH)?;
    let command = pidfd_open(pid, PidfdFlags::empty())?;
    link.write_all(&NOTED)?;
    Ok(Waiter { link, command })
}

/// Starts the command; returns when it has been executed, or with the errno of its exec. What is said before goes
/// through sockets, which ask nothing: rules that are in force already may forbid to write to a pipe, and so may the new ones.
fn start(
    mut command: Command,
    enter: impl FnOnce() -> Result<(), String>,
    keeper: &UnixStream,
) -> Result<Result<Pid, i32>, Error> {
    let failure = SharedWord::new().map_err(step("cannot share memory with the command"))?;
    let (mut executed, mut held_until_then) =
        UnixStream::pair().map_err(step("cannot make a socket pair"))?;
    match sys::fork().map_err(step("cannot start a process"))? {
        Forked::Child => {
            drop(executed);
            match noticed(keeper).and_then(|()| enter()) {
                Ok(()) => failure.set(errno(&command.exec())),
                // Not confined, so it can be said.
                Err(why) => drop(held_until_then.write_all(why.as_bytes())),
            }
            sys::exit(1)
        }
        Forked::Parent(child) => {
            drop(held_until_then);
            let mut why = String::new();
            let heard = executed.read_to_string(&mut why);
            let failed = match (heard, failure.get()) {
                (Ok(0), 0) => return Ok(Ok(child)),
                (Ok(0), errno) => Ok(Err(errno.cast_signed())),
                (Ok(_), _) => Err(Error::Supervisor(why)),
                (Err(error), _) => Err(step("cannot hear the command")(error)),
            };
            let _ = waitpid(Some(child), WaitOptions::empty());
            failed
        }
    }
}

/// Nothing runs that the keeper does not know of.
fn noticed(mut keeper: &UnixStream) -> Result<(), String> {
    let pid = getpid().as_raw_nonzero().get().to_ne_bytes();
    let mut answer = [0];
    let told = keeper.write_all(&pid).and_then(|()| keeper.read_exact(&mut answer));
    told.map_err(|_| "the keeper, a process beside the command, could not start".to_owned())
}

fn errno(error: &IoError) -> u32 {
    error.raw_os_error().unwrap_or(libc::EIO).cast_unsigned()
}

/// The waiter: signals out, until the command ends.
fn attend(child: Pid) -> Result<Ended, Error> {
    let signals = sys::signal_fd().map_err(step("cannot receive signals"))?;
    loop {
        while let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)
            .map_err(step("cannot wait for the command"))?
        {
            match ended(status) {
                Some(ended) => return Ok(ended),
                None => drop(kill_process(getpid(), Signal::STOP)),
            }
        }
        let signal = sys::take_signal(signals.as_fd()).map_err(step("cannot receive signals"))?;
        pass_on(signal, Some(child));
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    let exited = status.exit_status().map(Ended::Exited);
    exited.or_else(|| status.terminating_signal().map(Ended::Killed))
}
