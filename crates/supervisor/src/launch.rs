// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a command confined: three processes with one task each.
//!
//! ```text
//! waiter (the caller) ── supervisor ── command and all it starts
//! ```
//!
//! The *waiter* stays what the user's shell sees: it passes signals on, stops when the command stops, and
//! returns when it ends. The *supervisor* is its child, the reaper of the tree, and lives until the last
//! confined process is gone; being an ancestor of all of them it may read their memory even under Yama.
//! The *command* confines itself between fork and exec, so nothing of it ever runs unconfined.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;

use landlock_compiler::domain::Domain;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::denial::Log;
use crate::judge::Judge;
use crate::request::Status;
use crate::serve::{self, Shared};
use crate::sys::{self, Child, Forked, SharedWord};
use crate::{boundary, filter};

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
    /// The supervisor is gone; what it confined goes on, and every supervised action of it fails.
    #[error(
        "the supervisor was killed; the command goes on without it, and every action that needs it fails"
    )]
    SupervisorDied,
}

fn step<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Step { step, source: source.into() }
}

/// What the supervisor tells the waiter, one JSON line each.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    Running(u32),
    Stopped(i32),
    Ended(Ended),
    Failed(String),
}

/// Runs `command` with the rules of `domain` in force and waits for it. The calling process must have one thread.
///
/// no_new_privs is set for the command. Denials go to `log`, also those of processes that outlive the command.
pub fn run(domain: Domain, log: Log, command: Command) -> Result<Ended, Error> {
    let (ours, theirs) = UnixStream::pair().map_err(step("cannot make a socket pair"))?;
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    match sys::fork().map_err(step("cannot start the supervisor"))? {
        Forked::Child => {
            drop(ours);
            supervise(Judge::new(domain, log), command, mask, theirs)
        }
        Forked::Parent(_) => {
            drop((theirs, domain, log, command));
            let ended = wait(ours);
            drop(sys::set_signal_mask(&mask));
            ended
        }
    }
}

/// The waiter: reports in, signals out.
fn wait(reports: UnixStream) -> Result<Ended, Error> {
    let signals = sys::signal_fd().map_err(step("cannot receive signals"))?;
    let mut command = None;
    let mut lines = BufReader::new(reports);
    loop {
        let mut ready = [PollFd::new(&signals, PollFlags::IN), PollFd::new(lines.get_ref(), PollFlags::IN)];
        if !lines.buffer().contains(&b'\n') {
            poll(&mut ready, None).map_err(step("cannot wait"))?;
        }
        if ready[0].revents().contains(PollFlags::IN) {
            let signal = sys::take_signal(signals.as_fd()).map_err(step("cannot receive signals"))?;
            pass_on(signal, command);
        }
        if ready[1].revents().is_empty() && lines.buffer().is_empty() {
            continue;
        }
        let mut line = String::new();
        lines.read_line(&mut line).map_err(step("cannot hear the supervisor"))?;
        match serde_json::from_str(&line) {
            Ok(Report::Running(pid)) => command = Pid::from_raw(pid.cast_signed()),
            Ok(Report::Stopped(_)) => drop(kill_process(rustix::process::getpid(), Signal::STOP)),
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
        drop(kill_process(command, signal));
    }
}

/// The supervisor: everything from here to its end. Does not return.
fn supervise(judge: Judge, command: Command, mask: libc::sigset_t, mut reports: UnixStream) -> ! {
    let code = match establish(judge, command, mask) {
        Ok((child, shared)) => {
            tell(&mut reports, &Report::Running(child));
            tend(child, &shared, reports);
            0
        }
        Err(Refused::NotStarted(errno)) => {
            tell(&mut reports, &Report::Ended(Ended::NotStarted(errno)));
            1
        }
        Err(Refused::Setup(why)) => {
            tell(&mut reports, &Report::Failed(why));
            1
        }
    };
    std::process::exit(code)
}

fn tell(reports: &mut UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        // A waiter that is gone needs no report.
        drop(reports.write_all(line.as_bytes()));
    }
}

enum Refused {
    Setup(String),
    NotStarted(i32),
}

fn setup<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Refused {
    move |error| Refused::Setup(format!("{what}: {error}"))
}

/// Draws the boundary, starts the command confined, and serves its notifications.
fn establish(
    judge: Judge,
    mut command: Command,
    mask: libc::sigset_t,
) -> Result<(u32, Arc<Shared>), Refused> {
    sys::become_subreaper().map_err(setup("cannot become the reaper of the tree"))?;
    let status = Status::of("/proc/self/status").map_err(setup("cannot read /proc/self/status"))?;
    let ids = status.file_ids().zip(status.bits("CapPrm:"));
    let ids = ids.ok_or_else(|| Refused::Setup("cannot read our own identity from /proc".to_owned()))?;
    let inner = boundary::layer().map_err(setup("ptrace boundary"))?;
    let outer = boundary::layer().map_err(setup("ptrace boundary"))?;
    boundary::enter(outer).map_err(setup("ptrace boundary"))?;
    sys::prepare_interrupt().map_err(setup("cannot install a signal handler"))?;

    let handshake = Arc::new(Handshake::new().map_err(setup("cannot share memory with the command"))?);
    confine(&mut command, filter::compose(&judge.domain), inner, Arc::clone(&handshake), mask);
    let theirs = Arc::clone(&handshake);
    let server = std::thread::Builder::new()
        .name(format!("{}start", serve::THREAD_NAME))
        .spawn(move || receive_listener(&theirs, judge, ids))
        .map_err(setup("cannot start a thread"))?;
    let spawned = command.spawn();
    if spawned.is_err() {
        handshake.give_up();
    }
    let shared = server.join().map_err(|_| Refused::Setup("the supervisor's start panicked".to_owned()))?;
    match (spawned, shared) {
        (Ok(child), Ok(Some(shared))) => {
            detach().map_err(setup("cannot leave the terminal's process group"))?;
            Ok((child.id(), shared))
        }
        (Err(error), Ok(Some(_))) => Err(Refused::NotStarted(error.raw_os_error().unwrap_or(libc::EIO))),
        (_, Err(error)) => Err(Refused::Setup(format!("cannot serve the command: {error}"))),
        (Err(error), Ok(None)) => Err(Refused::Setup(handshake.explain(&error))),
        (Ok(_), Ok(None)) => Err(Refused::Setup("the command started without its filter".to_owned())),
    }
}

/// Words through which the command, between fork and exec, and the supervisor meet.
struct Handshake {
    /// How far the command has come.
    stage: SharedWord,
    /// Its pid.
    pid: SharedWord,
    /// The number of its listener, plus one; then [`TAKEN`] or [`GIVEN_UP`].
    listener: SharedWord,
}

const TAKEN: u32 = u32::MAX;
const GIVEN_UP: u32 = u32::MAX - 1;
const AT_BOUNDARY: u32 = 1;
const AT_FILTER: u32 = 2;

impl Handshake {
    fn new() -> std::io::Result<Handshake> {
        Ok(Handshake { stage: SharedWord::new()?, pid: SharedWord::new()?, listener: SharedWord::new()? })
    }

    fn give_up(&self) {
        if self.listener.get() != TAKEN {
            self.listener.set(GIVEN_UP);
        }
    }

    fn explain(&self, error: &std::io::Error) -> String {
        match (self.stage.get(), error.raw_os_error()) {
            (AT_FILTER, Some(libc::EBUSY)) => {
                "a supervisor is in force on this process already; a second one \
                                               inside it is not possible yet"
                    .to_owned()
            }
            (AT_FILTER, _) => format!("cannot install the seccomp filter: {error}"),
            (AT_BOUNDARY, _) => format!("cannot enter the ptrace boundary: {error}"),
            _ => format!("cannot start a process: {error}"),
        }
    }
}

/// Makes `command` confine itself before it runs anything.
fn confine(
    command: &mut Command,
    filter: Vec<libc::sock_filter>,
    layer: landlock::RulesetCreated,
    handshake: Arc<Handshake>,
    mask: libc::sigset_t,
) {
    let supervisor = std::process::id();
    let mut layer = Some(layer);
    sys::before_exec(command, move || {
        handshake.stage.set(AT_BOUNDARY);
        let layer = layer.take().ok_or_else(|| std::io::Error::from_raw_os_error(libc::EALREADY))?;
        boundary::enter(layer).map_err(|_| std::io::Error::from_raw_os_error(libc::EPERM))?;
        handshake.stage.set(AT_FILTER);
        handshake.pid.set(std::process::id());
        let listener = sys::install_filter(&filter)?;
        // From here on only syscalls that no rule can see, until the supervisor serves the others.
        let offered = listener.cast_unsigned() + 1;
        handshake.listener.set(offered);
        while handshake.listener.wait_while(offered, 1) == offered {
            if std::os::unix::process::parent_id() != supervisor {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        // Held by nobody but the supervisor: if it dies, the kernel fails what would wait for it.
        sys::close(listener);
        sys::set_signal_mask(&mask)
    });
}

/// Takes the listener over from the command and starts serving it. `None`: the command never had one.
fn receive_listener(
    handshake: &Handshake,
    judge: Judge,
    ids: (sys::FileIds, u64),
) -> std::io::Result<Option<Arc<Shared>>> {
    let mut offered = 0;
    while offered == 0 {
        offered = handshake.listener.wait_while(0, 1);
    }
    if offered == GIVEN_UP {
        return Ok(None);
    }
    let taken = take(handshake.pid.get(), offered - 1).and_then(|listener| {
        // Only speed depends on it.
        drop(sys::wake_on_same_cpu(listener.as_fd()));
        let shared = Arc::new(Shared::new(listener, judge, ids));
        serve::start(&shared)?;
        Ok(shared)
    });
    handshake.listener.set(TAKEN);
    taken.map(Some)
}

/// A copy of descriptor `listener` of a child.
pub(crate) fn take(pid: u32, listener: u32) -> std::io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid.cast_signed()).ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(pidfd_getfd(&pidfd, listener.cast_signed(), PidfdGetfdFlags::empty())?)
}

/// Lets go of what the tree shares with us: terminal signals, descriptors, and any view into our memory.
fn detach() -> std::io::Result<()> {
    rustix::process::setpgid(None, None)?;
    sys::become_undumpable()?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // Ours are all close-on-exec; what is not was inherited, and would keep pipes of others open.
    let numbers = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.collect::<Vec<i32>>() {
        if number > 2 && sys::is_inheritable(number) {
            sys::close(number);
        }
    }
    Ok(())
}

/// Reaps the tree and reports on the command, until nothing confined is left.
fn tend(command: u32, shared: &Shared, reports: UnixStream) {
    let Ok(signals) = sys::signal_fd() else { return };
    let mut reports = Some(reports);
    let mut confined = true;
    while confined || reports.is_some() {
        // The listener hangs up with the last confined thread; the command may still have to be reaped then.
        let mut ready = vec![PollFd::new(&signals, PollFlags::IN)];
        ready.extend(confined.then(|| PollFd::new(&shared.listener, PollFlags::empty())));
        ready.extend(reports.as_ref().map(|waiter| PollFd::new(waiter, PollFlags::empty())));
        if poll(&mut ready, None).is_err() {
            continue;
        }
        let happened: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        let waiter_gone = reports.is_some() && happened.last() == Some(&true);
        let last_gone = confined && happened.get(1) == Some(&true);
        if happened[0] {
            drop(sys::take_signal(signals.as_fd()));
        }
        while let Some(change) = sys::reap() {
            report(change, command, &mut reports);
        }
        if waiter_gone && reports.take().is_some() {
            // Who kills the waiter means the command.
            drop(Pid::from_raw(command.cast_signed()).map(|pid| kill_process(pid, Signal::KILL)));
        }
        confined &= !last_gone;
    }
}

fn report(change: Child, command: u32, reports: &mut Option<UnixStream>) {
    let said = match change {
        Child::Exited(pid, code) if pid == command => Report::Ended(Ended::Exited(code)),
        Child::Killed(pid, signal) if pid == command => Report::Ended(Ended::Killed(signal)),
        Child::Stopped(pid, signal) if pid == command => Report::Stopped(signal),
        _ => return,
    };
    if let Some(waiter) = reports {
        tell(waiter, &said);
    }
    if matches!(said, Report::Ended(_)) {
        *reports = None;
    }
}
