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
use crate::filter::Filters;
use crate::sys::{self, Forked, SharedWord};
use crate::{boundary, stack};

/// How far the command has come.
const AT_BOUNDARY: u32 = 1;
const AT_DOMAIN: u32 = 2;
const AT_FILTERS: u32 = 3;
const AT_EXEC: u32 = 4;

/// Runs `command` with the rules of `domain` before those in force on the caller, and waits for it.
pub fn run(domain: &Domain, log: &Log, command: Command) -> Result<Ended, Error> {
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    let ended = define(domain, log).and_then(|entry| {
        let ended = start(domain, entry, command, mask).and_then(|mut started| {
            let ended = attend(started.child)?;
            started.explained(ended)
        });
        entry.forget_log();
        ended
    });
    drop(sys::set_signal_mask(&mask));
    ended
}

/// Starts `command` like [`run`], and does not wait.
pub fn spawn(domain: &Domain, log: &Log, command: Command) -> Result<Started, Error> {
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    let started = define(domain, log).and_then(|entry| start(domain, entry, command, mask));
    drop(sys::set_signal_mask(&mask));
    started
}

/// Puts the rules of `domain` before those in force on the calling thread, for ever.
pub fn enter(domain: &Domain, log: &Log) -> Result<(), Error> {
    if !stack::is_offered() {
        return Err(Error::NoSupervisor);
    }
    let filters = filters(domain)?;
    let entry = define(domain, log)?;
    let layer = layer()?;
    boundary::enter(layer).map_err(|error| not_entered(AT_BOUNDARY, &error.errno()))?;
    entry.enter().map_err(|error| not_entered(AT_DOMAIN, &error))?;
    filters.install().map_err(|error| not_entered(AT_FILTERS, &error))
}

/// What the kernel does of the domain's filters. They are newer than all that are in force.
fn filters(domain: &Domain) -> Result<Filters, Error> {
    Filters::of(domain).map_err(Error::Supervisor)
}

fn define(domain: &Domain, log: &Log) -> Result<stack::Entry, Error> {
    stack::define(domain, log).map_err(refused)
}

fn layer() -> Result<landlock::RulesetCreated, Error> {
    stack::while_layering(boundary::layer)
        .map_err(|error| Error::Supervisor(format!("ptrace boundary: {error}")))
}

/// A command that was started; it may not have come to its exec yet.
#[derive(Debug)]
pub struct Started {
    /// The command.
    pub child: Pid,
    stage: Arc<SharedWord>,
    failure: SharedWord,
    ended: Option<Ended>,
}

impl Started {
    /// Whether its end has been seen, so that its id may be somebody else's.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<Ended, Error> {
        if let Some(ended) = &self.ended {
            return Ok(ended.clone());
        }
        let waited = loop {
            match waitpid(Some(self.child), WaitOptions::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                waited => break waited.map_err(step("cannot wait for the command"))?,
            }
        };
        let ended = waited.and_then(|(_, status)| ended(status)).unwrap_or(Ended::Killed(libc::SIGKILL));
        self.ended = Some(ended.clone());
        self.explained(ended)
    }

    /// Whether it never came to run anything, and why; else how it ended.
    fn explained(&mut self, ended: Ended) -> Result<Ended, Error> {
        let ended = match (self.failure.get().cast_signed(), self.stage.get()) {
            (0, _) => ended,
            (errno, AT_EXEC) => Ended::NotStarted(errno),
            (errno, stage) => return Err(not_entered(stage, &IoError::from_raw_os_error(errno))),
        };
        self.ended = Some(ended.clone());
        Ok(ended)
    }
}

fn not_entered(stage: u32, error: &IoError) -> Error {
    let why = match (stage, error.raw_os_error()) {
        (AT_BOUNDARY, Some(libc::E2BIG)) => {
            "sandboxes cannot nest deeper: mainline Landlock, which draws the ptrace boundary, has no more \
             than 16 layers"
                .to_owned()
        }
        (AT_DOMAIN, _) => format!("cannot enter the domain: {error}"),
        (AT_FILTERS, _) => format!("cannot install a filter: {error}"),
        _ => format!("cannot enter the ptrace boundary: {error}"),
    };
    Error::NotNested { why, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// Why the supervisor does not keep the rules.
fn refused(error: IoError) -> Error {
    let why = match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            "the sandbox around this one watches only what its own rules can deny, and these rules can deny \
             more; start the outer one with --stackable"
                .to_owned()
        }
        Some(libc::EBUSY) => {
            "one filter hands system calls on to a tracer or listener for which another one hands on a cookie; \
             give both to the same sandbox"
                .to_owned()
        }
        Some(libc::E2BIG) => "more rules would be in force than a thread may have, which is 64".to_owned(),
        Some(libc::ENOSPC) => "the supervisor around this sandbox keeps no more domains".to_owned(),
        _ => format!("the supervisor around this sandbox does not take the rules: {error}"),
    };
    Error::NotNested { why, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

fn start(
    domain: &Domain,
    entry: stack::Entry,
    mut command: Command,
    mask: libc::sigset_t,
) -> Result<Started, Error> {
    let (mut layer, filters) = (Some(layer()?), filters(domain)?);
    let word = || SharedWord::new().map_err(step("cannot share memory with the command"));
    let (stage, failure) = (Arc::new(word()?), word()?);
    let (us, reached) = (getpid(), Arc::clone(&stage));
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
        reached.set(AT_FILTERS);
        sys::set_signal_mask(&mask)?;
        filters.install()?;
        reached.set(AT_EXEC);
        Ok(())
    });
    match sys::fork().map_err(step("cannot start a process"))? {
        Forked::Child => {
            failure.set(command.exec().raw_os_error().unwrap_or(libc::EIO).cast_unsigned());
            sys::exit(1)
        }
        Forked::Parent(child) => Ok(Started { child, stage, failure, ended: None }),
    }
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
