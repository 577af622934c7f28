// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command in a sandbox inside a sandbox: a child of the waiter that confines itself between fork and exec,
//! and is served by the supervisor there is.
//!
//! The rules of the outer sandbox are in force on the waiter, so it lives on little: a word in memory instead of a
//! pipe, signals without a descriptor.

use std::io::Error as IoError;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use landlock_compiler::domain::Domain;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_parent_process_death_signal,
    waitpid,
};

use super::{Ended, Error, pass_on, step};
use crate::denial::Log;
use crate::sys::{self, Forked, SharedWord};
use crate::{boundary, stack};

/// How far the command has come.
const AT_BOUNDARY: u32 = 1;
const AT_DOMAIN: u32 = 2;
const AT_EXEC: u32 = 3;

/// Runs `command` with the rules of `domain` before those in force on the caller, and waits for it.
pub fn run(domain: &Domain, log: &Log, command: Command) -> Result<Ended, Error> {
    let entry = stack::define(domain.rules().iter().rev(), log).map_err(refused)?;
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    let ended = start(entry, command, mask);
    entry.forget_log();
    drop(sys::set_signal_mask(&mask));
    ended
}

/// Why the supervisor does not keep the rules, to people.
pub(crate) fn refused(error: IoError) -> Error {
    let why = match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            "the sandbox around this one watches only what its own rules can deny, and these rules can deny \
             more; start the outer one with --stackable"
        }
        Some(libc::E2BIG) => "more rules would be in force than a thread may have, which is 64",
        Some(libc::ENOSPC) => "the supervisor around this sandbox keeps no more domains",
        _ => return step("the supervisor around this sandbox does not take the rules")(error),
    };
    Error::Supervisor(why.to_owned())
}

fn start(entry: stack::Entry, mut command: Command, mask: libc::sigset_t) -> Result<Ended, Error> {
    let layer = boundary::layer().map_err(|error| Error::Supervisor(format!("ptrace boundary: {error}")))?;
    let [stage, failure] = [SharedWord::new(), SharedWord::new()];
    let stage = Arc::new(stage.map_err(step("cannot share memory with the command"))?);
    let failure = failure.map_err(step("cannot share memory with the command"))?;
    let (mut layer, us, reached) = (Some(layer), getpid(), Arc::clone(&stage));
    sys::before_exec(&mut command, move || {
        // Who kills the waiter means the command.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(us) {
            return Err(IoError::from_raw_os_error(libc::ESRCH));
        }
        reached.set(AT_BOUNDARY);
        let layer = layer.take().ok_or_else(|| IoError::from_raw_os_error(libc::EALREADY))?;
        boundary::enter(layer).map_err(|error| error.errno())?;
        reached.set(AT_DOMAIN);
        entry.enter()?;
        reached.set(AT_EXEC);
        sys::set_signal_mask(&mask)
    });
    match sys::fork().map_err(step("cannot start a process"))? {
        Forked::Child => {
            failure.set(command.exec().raw_os_error().unwrap_or(libc::EIO).cast_unsigned());
            sys::exit(1)
        }
        Forked::Parent(child) => {
            let ended = attend(child)?;
            match (failure.get().cast_signed(), stage.get()) {
                (0, _) => Ok(ended),
                (errno, AT_EXEC) => Ok(Ended::NotStarted(errno)),
                (libc::E2BIG, AT_BOUNDARY) => Err(Error::Supervisor(
                    "sandboxes cannot nest deeper: mainline Landlock, which draws the ptrace boundary, has no \
                     more than 16 layers"
                        .to_owned(),
                )),
                (errno, AT_BOUNDARY) => Err(failed("cannot enter the ptrace boundary", errno)),
                (errno, _) => Err(failed("cannot enter the domain", errno)),
            }
        }
    }
}

fn failed(what: &'static str, errno: i32) -> Error {
    step(what)(IoError::from_raw_os_error(errno))
}

/// The waiter: signals out, until the command ends.
fn attend(child: Pid) -> Result<Ended, Error> {
    loop {
        while let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)
            .map_err(step("cannot wait for the command"))?
        {
            match ended(status) {
                Some(ended) => return Ok(ended),
                None => drop(kill_process(getpid(), Signal::STOP)),
            }
        }
        pass_on(sys::await_signal().map_err(step("cannot receive signals"))?, Some(child));
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    let exited = status.exit_status().map(Ended::Exited);
    exited.or_else(|| status.terminating_signal().map(Ended::Killed))
}
