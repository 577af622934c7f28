// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor: draws the boundary, serves the tree, and ends with the last confined process.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, pidfd_send_signal, setrlimit, waitpid,
};

use super::handshake::Handshake;
use super::reap::{self, Start};
use super::{Report, Tied, let_go, tell};
use crate::lowered::Lowered;
use crate::request::Status;
use crate::serve::{self, Shared};
use crate::stack::Domains;
use crate::sys::{self, Forked};
use crate::{boundary, filter};

/// The whole life of the supervisor. Why it could not start goes to the waiter.
pub fn run(domains: Domains, command: Command, mask: libc::sigset_t, reports: UnixStream, tied: Tied) -> i32 {
    match establish(domains, command, mask, &reports, tied) {
        Ok(Some(tree)) => {
            watch_over(&tree, reports);
            // It may have to tell yet how the command ended, and dies with us if that was before it began.
            let _ = waitpid(Some(tree.reaper), WaitOptions::empty());
            0
        }
        // The reaper has told why.
        Ok(None) => 1,
        Err(why) => {
            tell(&reports, &Report::Failed(why));
            1
        }
    }
}

/// What the supervisor lives for.
struct Tree {
    reaper: Pid,
    command: OwnedFd,
    shared: Arc<Shared>,
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

/// Draws the boundary, has the command started inside, and serves it.
fn establish(
    domains: Domains,
    command: Command,
    mask: libc::sigset_t,
    reports: &UnixStream,
    tied: Tied,
) -> Result<Option<Tree>, String> {
    let (waiter, link) = match tied {
        Tied::Waiter(waiter) => (Some(waiter), None),
        Tied::Link(link) => (None, link),
    };
    let status = Status::of("/proc/self/status").map_err(failed("cannot read /proc/self/status"))?;
    let ids = status.file_ids().zip(status.bits("CapPrm:"));
    let ids = ids.ok_or("cannot read our own identity from /proc")?;
    // Where others keep the rules, they also keep who may trace whom.
    let layer = match domains.keeper {
        Some(_) => None,
        None => {
            let layer = domains.lowered.as_ref().map_or_else(boundary::layer, Lowered::layer);
            let layer = layer.map_err(failed("ptrace boundary"))?;
            let outer = boundary::layer().map_err(failed("ptrace boundary"))?;
            boundary::enter(outer).map_err(failed("ptrace boundary"))?;
            Some(layer)
        }
    };
    sys::prepare_interrupt().map_err(failed("cannot install a signal handler"))?;

    let handshake = Arc::new(Handshake::new().map_err(failed("cannot share memory with the command"))?);
    let filter::Installed { filter, filters } = domains.installed()?;
    let start = Start { command, layer, filter, filters, mask };
    let us = getpid();
    let reaper = match sys::fork().map_err(failed("cannot start the reaper"))? {
        Forked::Child => {
            drop(link);
            reap::run(start, us, handshake, reports, waiter);
            std::process::exit(0)
        }
        Forked::Parent(reaper) => reaper,
    };
    drop((start, waiter));
    // If this fails, the reaper and the command die with us.
    let served = serve_command(&handshake, reaper, domains, ids, link)?;
    Ok(served.map(|(command, shared)| Tree { reaper, command, shared }))
}

fn serve_command(
    handshake: &Handshake,
    reaper: Pid,
    domains: Domains,
    ids: (sys::FileIds, u64),
    link: Option<OwnedFd>,
) -> Result<Option<(OwnedFd, Arc<Shared>)>, String> {
    let_go().map_err(failed("cannot let go of inherited descriptors"))?;
    raise_descriptor_limit()?;
    let Some(confined) = handshake.take(reaper).map_err(failed("cannot take the command's listener"))? else {
        return Ok(None);
    };
    // Only speed depends on it.
    drop(sys::wake_on_same_cpu(confined.listener.as_fd()));
    let shared = Arc::new(Shared::new(confined.listener, domains, ids));
    shared.passing.inherit(confined.pid).map_err(failed("cannot read what the command inherits"))?;
    serve::start(&shared).map_err(failed("cannot start a thread"))?;
    if let Some(link) = link {
        serve::start_changes(&shared, link).map_err(failed("cannot start a thread"))?;
    }
    handshake.go();
    // Off the command's way; without it a blocked call could not be ended, so it is all or nothing.
    if serve::start_watch(&shared).is_err() {
        std::process::abort();
    }
    Ok(Some((confined.command, shared)))
}

/// Below, the supervisor would fail its callers in the middle of things.
const FEWEST_DESCRIPTORS: u64 = 64;

/// Many blocked opens hold many pins. The command was forked before and keeps its own limit.
fn raise_descriptor_limit() -> Result<(), String> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if maximum.is_some_and(|maximum| maximum < FEWEST_DESCRIPTORS) {
        return Err(format!(
            "too many open files for the supervisor: it needs a hard limit of at least {FEWEST_DESCRIPTORS} \
             (ulimit -Hn)"
        ));
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(failed("cannot raise a limit"))
}

/// Waits until nothing confined is left, and kills the command if the waiter goes before it.
fn watch_over(tree: &Tree, reports: UnixStream) {
    let mut waiter = Some(reports);
    loop {
        let mut ready = vec![PollFd::new(&tree.shared.listener, PollFlags::empty())];
        ready.extend(waiter.as_ref().map(|waiter| PollFd::new(waiter, PollFlags::RDHUP)));
        if poll(&mut ready, None).is_err() {
            continue;
        }
        let happened: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        // It hangs up with the last thread under the filter.
        if happened[0] {
            return;
        }
        if waiter.take_if(|_| happened.get(1) == Some(&true)).is_some() {
            // Who kills the waiter means the command. If it has ended, nothing happens.
            let _ = pidfd_send_signal(&tree.command, Signal::KILL);
        }
    }
}
