// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a command without waiting for it.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use landlock_compiler::domain::Domain;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{Ended, Error, Report, Tied, nested, not_inside, step, supervise};
use crate::denial::Log;
use crate::filter::Stacking;
use crate::judge::Judge;
use crate::lowered::Lowered;
use crate::maps::{self, Link};
use crate::stack::{self, Domains};
use crate::sys::{self, Forked};

/// A confined command that was started. Dropping it kills the command.
#[derive(Debug)]
pub struct Running(Inner);

#[derive(Debug)]
enum Inner {
    Supervised { reports: BufReader<UnixStream>, command: Option<u32>, ended: Option<Ended> },
    Nested(nested::Started),
}

/// Starts `command` with the rules of `domain` in force, like [`run`](super::run). The calling process must have one
/// thread. Whether the command could be executed at all, [`Running::wait`] tells. With it comes a link by which the
/// arrays of the domain's rules are changed while it runs, if there are any; none in a sandbox.
pub fn spawn(
    domain: Domain,
    log: Log,
    command: Command,
    stacking: Stacking,
) -> Result<(Running, Option<Link>), Error> {
    if stack::is_offered() {
        let started = nested::spawn(&domain, &log, command)?;
        return Ok((Running(Inner::Nested(started)), None));
    }
    let (ours, theirs) = match domain.maps().is_empty() {
        true => (None, None),
        false => maps::pair()
            .map(|(ours, theirs)| (Some(ours), Some(theirs)))
            .map_err(step("cannot make a socket pair"))?,
    };
    let running = supervised(|| Domains::new(Judge::new(domain, log), stacking), command, theirs)?;
    Ok((running, ours))
}

/// [`spawn`], with opens decided by mainline Landlock: see [`run_lowered`](super::run_lowered).
pub fn spawn_lowered(domain: Domain, log: Log, command: Command, lowered: Lowered) -> Result<Running, Error> {
    not_inside()?;
    supervised(|| Domains::lowered(Judge::new(domain, log), lowered), command, None)
}

/// What `domains` holds is the supervisor's alone.
fn supervised(
    domains: impl FnOnce() -> Domains,
    command: Command,
    link: Option<OwnedFd>,
) -> Result<Running, Error> {
    let (ours, theirs) = UnixStream::pair().map_err(step("cannot make a socket pair"))?;
    let mask = sys::block_signals().map_err(step("cannot block signals"))?;
    let forked = sys::fork().map_err(step("cannot start the supervisor"));
    let between = match forked {
        Ok(Forked::Child) => {
            drop(ours);
            // The supervisor outlives the command: its parent should not be someone who does not expect it.
            if let Ok(Forked::Child) = sys::fork() {
                sys::exit(supervise::run(domains(), command, mask, theirs, Tied::Link(link)));
            }
            sys::exit(0)
        }
        Ok(Forked::Parent(between)) => Ok(between),
        Err(error) => Err(error),
    };
    drop(sys::set_signal_mask(&mask));
    let between = between?;
    drop((theirs, link, domains, command));
    while matches!(waitpid(Some(between), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
    let mut running = Inner::Supervised { reports: BufReader::new(ours), command: None, ended: None };
    running.hear(|command, ended| command.is_some() || ended.is_some())?;
    Ok(Running(running))
}

impl Inner {
    /// Takes reports in until it is enough.
    fn hear(&mut self, enough: impl Fn(&Option<u32>, &Option<Ended>) -> bool) -> Result<(), Error> {
        let Inner::Supervised { reports, command, ended } = self else { return Ok(()) };
        while !enough(command, ended) {
            let mut line = String::new();
            reports.read_line(&mut line).map_err(step("cannot hear the supervisor"))?;
            match serde_json::from_str(&line) {
                Ok(Report::Running { command: pid, .. }) => *command = Some(pid),
                Ok(Report::Ended(how)) => *ended = Some(how),
                Ok(Report::Failed(why)) => return Err(Error::Supervisor(why)),
                Err(_) => return Err(Error::SupervisorDied),
            }
        }
        Ok(())
    }
}

impl Running {
    /// The command's process id; `None` if it could not be executed.
    pub fn id(&self) -> Option<u32> {
        match &self.0 {
            Inner::Supervised { command, .. } => *command,
            Inner::Nested(started) => Some(started.child.as_raw_nonzero().get().cast_unsigned()),
        }
    }

    /// Waits for the command's end; the same answer every time.
    pub fn wait(&mut self) -> Result<Ended, Error> {
        self.0.hear(|_, ended| ended.is_some())?;
        match &mut self.0 {
            Inner::Supervised { ended, .. } => ended.clone().ok_or(Error::SupervisorDied),
            Inner::Nested(started) => started.wait(),
        }
    }

    /// Kills the command. What it has started goes on, confined.
    pub fn kill(&mut self) {
        match &mut self.0 {
            // The supervisor kills a command nobody waits for, without mistaking another process for it.
            Inner::Supervised { reports, .. } => drop(reports.get_ref().shutdown(std::net::Shutdown::Write)),
            Inner::Nested(started) if !started.is_over() => drop(kill(started.child)),
            Inner::Nested(_) => {}
        }
    }
}

fn kill(child: Pid) -> rustix::io::Result<()> {
    kill_process(child, Signal::KILL)
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0, Inner::Nested(_)) {
            self.kill();
            drop(self.wait());
        }
    }
}
