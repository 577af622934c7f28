// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a command confined: four processes with one task each.
//!
//! ```text
//! waiter (the caller) ── supervisor ── reaper ── command and all it starts
//! ```
//!
//! The *waiter* stays what the user's shell sees: it passes signals on, is stopped and continued with the command, and
//! returns when it ends. The *supervisor* answers the tree's notifications until the last confined process
//! is gone; being an ancestor of all of them it may read their memory even under Yama. The *reaper* starts
//! the command and is the parent of orphans. The *command* confines itself between fork and exec, so nothing
//! of it ever runs unconfined.

mod alone;
mod handshake;
mod nested;
mod reap;
mod spawn;
mod supervise;

pub use alone::{Outcome, Waiter, run_entering, spawn_entering};
pub(crate) use handshake::take;
pub use nested::enter;
pub use spawn::{Running, spawn, spawn_lowered};

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;

use landlock_compiler::domain::Domain;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Resource, Signal, getpid, getrlimit, kill_process, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::compat::Keeper;
use crate::denial::Log;
use crate::filter::Stacking;
use crate::judge::Judge;
use crate::lowered::Lowered;
use crate::stack::{self, Domains};
use crate::sys::{self, Forked};

/// How a confined command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// It could not be started, for this errno: `ENOENT`, or `EPERM` when a rule forbids it.
    NotStarted(i32),
}

/// Why a sandbox could not be established. Nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of the preparation failed.
    #[error("{step}: {source}")]
    Step {
        /// What was attempted.
        step: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The supervisor could not establish the sandbox.
    #[error("{0}")]
    Supervisor(String),
    /// The supervisor that is there does not keep the new rules, or the calling thread cannot enter.
    #[error("{why}")]
    NotNested {
        /// The reason, for people.
        why: String,
        /// The reason, for programs.
        errno: i32,
    },
    /// The calling thread is in no sandbox of ours, so nobody would answer for its new rules.
    #[error(
        "a thread can confine itself only in a sandbox that is there already; start the program in one, or \
         start a command in one"
    )]
    NoSupervisor,
    /// Supervisor and reaper are gone, so nobody knows how the command ends. What was confined goes on, and every
    /// supervised action of it fails.
    #[error(
        "the supervisor was killed; the command goes on without it, and every action that needs it fails"
    )]
    SupervisorDied,
}

fn step<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Step { step, source: source.into() }
}

/// What a supervisor has beside its tree.
enum Tied {
    /// A waiter, which is stopped and continued with the command.
    Waiter(OwnedFd),
    /// By which the arrays of the rules are changed, if there are any. Nobody is stopped.
    Link(Option<OwnedFd>),
}

/// What the waiter is told, one JSON line each.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    Running { command: u32, reaper: u32 },
    Ended(Ended),
    Failed(String),
}

/// Runs `command` with the rules of `domain` in force and waits for it. The calling process must have one thread.
///
/// no_new_privs is set for the command. Denials go to `log`, also those of processes that outlive the command.
///
/// In a sandbox of ours, the rules are prepended to those in force, and the supervisor there is keeps them; `log` then
/// ends with the command.
pub fn run(domain: Domain, log: Log, command: Command) -> Result<Ended, Error> {
    run_stacking(domain, log, command, Stacking::Covered)
}

/// [`run`], with a choice of the rules that sandboxes inside may have. An inner one has no choice any more.
pub fn run_stacking(domain: Domain, log: Log, command: Command, stacking: Stacking) -> Result<Ended, Error> {
    if stack::is_offered() {
        return nested::run(&domain, &log, command);
    }
    supervised(|| Ok(Domains::new(Judge::new(domain, log), stacking)), command)
}

/// [`run`], with opens decided by mainline Landlock: see [`Lowered`]. What it refuses is in no log. In a sandbox of ours
/// nothing is run.
pub fn run_lowered(domain: Domain, log: Log, command: Command, lowered: Lowered) -> Result<Ended, Error> {
    not_inside()?;
    supervised(|| Ok(Domains::lowered(Judge::new(domain, log), lowered)), command)
}

fn not_inside() -> Result<(), Error> {
    let why = "inside a sandbox mainline Landlock cannot decide for the supervisor that is there";
    if stack::is_offered() { Err(Error::Supervisor(why.to_owned())) } else { Ok(()) }
}

/// Starts a supervisor and waits for the command's end. What `domains` holds is the supervisor's alone.
fn supervised(domains: impl FnOnce() -> Result<Domains, String>, command: Command) -> Result<Ended, Error> {
    let (ours, theirs) = UnixStream::pair().map_err(step("cannot make a socket pair"))?;
    let us =
        pidfd_open(getpid(), PidfdFlags::empty()).map_err(step("cannot make a handle of our process"))?;
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    match sys::fork().map_err(step("cannot start the supervisor"))? {
        Forked::Child => {
            drop(ours);
            std::process::exit(match domains() {
                Ok(domains) => supervise::run(domains, command, mask, theirs, Tied::Waiter(us)),
                Err(why) => {
                    tell(&theirs, &Report::Failed(why));
                    1
                }
            })
        }
        Forked::Parent(_) => {
            drop((theirs, domains, command, us));
            let ended = wait(ours);
            drop(sys::set_signal_mask(&mask));
            ended
        }
    }
}

/// Runs `command` without rules, and answers its own calls of v7: bpf(2) with a rule to load, and seccomp(2) that
/// prepends one. In a sandbox of ours there is nobody to answer them, and nothing is run.
pub fn run_v7(log: Log, command: Command) -> Result<Ended, Error> {
    if stack::is_offered() {
        return Err(Error::Supervisor(
            "the supervisor around this sandbox was not started to answer the calls of v7; start it with \
             landlock compat"
                .to_owned(),
        ));
    }
    run_stacking(Domain::default(), log, command, Stacking::V7)
}

/// The same where somebody else keeps the rules that are prepended, and enforces them. `keeper` is made in the process
/// that answers; if it cannot be, for a reason for people, nothing is run. Needs CAP_SYS_ADMIN or no_new_privs, which is not set.
pub fn run_v7_kept(
    keeper: impl FnOnce() -> Result<Box<dyn Keeper>, String>,
    command: Command,
) -> Result<Ended, Error> {
    supervised(|| keeper().map(Domains::kept_by), command)
}

/// The waiter: reports in, signals out.
fn wait(reports: UnixStream) -> Result<Ended, Error> {
    let signals = sys::signal_fd().map_err(step("cannot receive signals"))?;
    let (mut command, mut continuer) = (None, None);
    let mut lines = BufReader::new(reports);
    loop {
        let mut ready = [PollFd::new(lines.get_ref(), PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        // Signals stay pending until there is a command to pass them on to.
        let awaited = if command.is_some() { &mut ready[..] } else { &mut ready[..1] };
        if !lines.buffer().contains(&b'\n') {
            poll(awaited, None).map_err(step("cannot wait"))?;
        }
        if ready[1].revents().contains(PollFlags::IN) {
            let signal = sys::take_signal(signals.as_fd()).map_err(step("cannot receive signals"))?;
            if Some(signal.sender) != continuer {
                pass_on(signal, command);
            }
        }
        if ready[0].revents().is_empty() && lines.buffer().is_empty() {
            continue;
        }
        let mut line = String::new();
        lines.read_line(&mut line).map_err(step("cannot hear the supervisor"))?;
        match serde_json::from_str(&line) {
            Ok(Report::Running { command: pid, reaper }) => {
                (command, continuer) = (Pid::from_raw(pid.cast_signed()), Some(reaper));
            }
            Ok(Report::Ended(ended)) => return Ok(ended),
            Ok(Report::Failed(why)) => return Err(Error::Supervisor(why)),
            Err(_) => return Err(Error::SupervisorDied),
        }
    }
}

/// A signal for us is meant for the command, except what the terminal has sent to both of us already.
fn pass_on(signal: sys::Signal, command: Option<Pid>) {
    let Some(command) = command else { return };
    if signal.from_kernel
        || signal.number == libc::SIGCHLD
        || signal.sender == command.as_raw_nonzero().get().cast_unsigned()
    {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(signal.number) {
        // It may have ended by itself.
        let _ = kill_process(command, signal);
    }
}

fn tell(mut reports: &UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        // A waiter that is gone needs no report.
        drop(reports.write_all(line.as_bytes()));
    }
}

/// Lets go of what the tree shares with us: terminal signals, descriptors, and any view into our memory. Rules that are in
/// force already may forbid to open anything for that.
fn let_go() -> std::io::Result<()> {
    rustix::process::setpgid(None, None)?;
    sys::become_undumpable()?;
    // Nothing is said or heard there.
    let nothing = std::fs::File::open("/dev/null").map(OwnedFd::from);
    let nothing = nothing.or_else(|_| UnixStream::pair().map(|(one, _)| one.into()))?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    // Ours are all close-on-exec; what is not was inherited, and would keep pipes of others open.
    for number in descriptors() {
        if number > 2 && sys::is_inheritable(number) {
            sys::close(number);
        }
    }
    Ok(())
}

/// The numbers that our descriptors may have.
fn descriptors() -> Vec<i32> {
    const MOST: u64 = 1 << 20;
    let all = || {
        let limit = getrlimit(Resource::Nofile).current.map_or(MOST, |limit| limit.min(MOST));
        (0..i32::try_from(limit).unwrap_or(i32::MAX)).collect()
    };
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return all() };
    open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
