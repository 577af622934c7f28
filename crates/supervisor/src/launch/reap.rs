// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reaper: starts the command, and is the parent of all in the tree that lose theirs.
//!
//! It is a process of its own because the supervisor traces a thread over its exec: were the supervisor also
//! the parent, the thread that waits for children would take the stops the tracing thread waits for.
//!
//! It also stops and continues the waiter with the command. Were the waiter to stop itself, whoever continues the command
//! meanwhile or later would leave it stopped.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use landlock::RulesetCreated;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, pidfd_send_signal,
    set_parent_process_death_signal, waitpid,
};

use super::handshake::Handshake;
use super::{Ended, Report, let_go, tell};
use crate::sys::{self, Child, Forked};

/// What the command is to be started with.
pub struct Start {
    /// The command.
    pub command: Command,
    /// The inner layer of the ptrace boundary, if it is drawn.
    pub layer: Option<RulesetCreated>,
    /// The filter.
    pub filter: Vec<libc::sock_filter>,
    /// The filters of the domain, oldest first.
    pub filters: Vec<Vec<libc::sock_filter>>,
    /// The signal mask the command is to have.
    pub mask: libc::sigset_t,
}

/// The whole life of the reaper, which was forked by `supervisor`.
pub fn run(
    start: Start,
    supervisor: Pid,
    handshake: Arc<Handshake>,
    reports: &UnixStream,
    waiter: Option<OwnedFd>,
) {
    // Until the command runs, all or nothing.
    let with_us =
        set_parent_process_death_signal(Some(Signal::KILL)).is_ok() && getppid() == Some(supervisor);
    let started = if with_us { spawn(start, &handshake) } else { Err(rustix::io::Errno::SRCH.into()) };
    match started {
        Ok(command) => {
            tell(reports, &Report::Running { command, reaper: std::process::id() });
            reap(command, reports, waiter.as_ref());
        }
        Err(error) => {
            let said = match handshake.explain(&error) {
                Ok(errno) => Report::Ended(Ended::NotStarted(errno)),
                Err(why) => Report::Failed(why),
            };
            tell(reports, &said);
            handshake.give_up();
        }
    }
}

/// Starts the command, confined before it runs anything, and lets go of all that it may share with us.
fn spawn(start: Start, handshake: &Arc<Handshake>) -> std::io::Result<u32> {
    sys::become_subreaper()?;
    let Start { mut command, layer, filter, filters, mask } = start;
    let mut layer = Some(layer);
    let children_ignored = sys::ignore_children(false)?;
    let us = getpid();
    let theirs = Arc::clone(handshake);
    sys::before_exec(&mut command, move || {
        let layer = layer.take().ok_or_else(|| std::io::Error::from_raw_os_error(libc::EALREADY))?;
        theirs.confine(us, layer, &filter)?;
        sys::ignore_children(children_ignored)?;
        sys::set_signal_mask(&mask)?;
        // Last: they may forbid anything, and then the exec.
        filters.iter().try_for_each(|filter| sys::add_filter(filter))
    });
    let child = exec_in_child(&mut command, handshake)?;
    // It runs: from here on the supervisor may die alone, and the tree meets errors instead of an answer.
    match set_parent_process_death_signal(None).map_err(Into::into).and_then(|()| let_go()) {
        Ok(()) => Ok(child.as_raw_nonzero().get().cast_unsigned()),
        Err(error) => {
            let _ = kill_process(child, Signal::KILL);
            Err(error)
        }
    }
}

/// Starts the command; returns when it has been executed, or has failed to. A failure comes by way of the
/// handshake: the rules may forbid the child to write to a pipe, as [`Command::spawn`] would have it do.
fn exec_in_child(command: &mut Command, handshake: &Handshake) -> std::io::Result<Pid> {
    let (mut executed, held_until_then) = std::io::pipe()?;
    match sys::fork()? {
        Forked::Child => {
            drop(executed);
            handshake.failed(&command.exec());
            sys::exit(1)
        }
        Forked::Parent(child) => {
            drop(held_until_then);
            executed.read_to_end(&mut Vec::new())?;
            match handshake.failure() {
                None => Ok(child),
                Some(error) => {
                    let _ = waitpid(Some(child), WaitOptions::empty());
                    Err(error)
                }
            }
        }
    }
}

/// Reaps the tree and reports on the command, until nothing is left.
fn reap(command: u32, reports: &UnixStream, waiter: Option<&OwnedFd>) {
    let (mut has_ended, mut is_stopped) = (false, false);
    // One that is gone needs neither.
    let signal = |signal| waiter.is_some_and(|waiter| pidfd_send_signal(waiter, signal).is_ok());
    while let Some((pid, change)) = sys::wait_child() {
        // Its number may be another's once it has ended.
        if pid != command || has_ended {
            continue;
        }
        if let Child::Exited(_) | Child::Killed(_) = change {
            has_ended = true;
        }
        match change {
            Child::Exited(code) => tell(reports, &Report::Ended(Ended::Exited(code))),
            Child::Killed(signal) => tell(reports, &Report::Ended(Ended::Killed(signal))),
            Child::Stopped => is_stopped = signal(Signal::STOP),
            // What somebody else has stopped is left to them.
            Child::Continued if !is_stopped => {}
            Child::Continued => is_stopped = !signal(Signal::CONT),
        }
        if has_ended && is_stopped {
            signal(Signal::CONT);
        }
    }
}
