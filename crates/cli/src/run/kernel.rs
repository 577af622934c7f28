// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command on the kernel target: it enters its domain itself, between fork and exec.
//!
//! The rules are in the kernel before the command is made, and stay in force whatever happens to us. A
//! process beside the command writes the log, also what those that outlive the command are refused.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use landlock_bpf::ring::Ring;
use landlock_compiler::denial::{Log, Lost, RuleSeen, now};
use landlock_compiler::domain::Domain;
use landlock_kernel::{Denials, Engine, Loaded};
use landlock_supervisor::{Filters, Outcome, Waiter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use crate::denials;

/// A domain in the kernel, with nobody in it yet.
pub struct Prepared {
    engine: Engine,
    loaded: Loaded,
    /// What seccomp does of the domain.
    filters: Filters,
    /// Of its threads, if somebody wants to know; else they are for `landlock log`.
    denials: Option<Ring>,
    lost: u64,
}

impl Prepared {
    /// Loads the domain.
    pub fn new(domain: &Domain, is_logged: bool) -> anyhow::Result<Prepared> {
        let filters = Filters::of(domain).map_err(anyhow::Error::msg)?;
        let mut engine = Engine::open()?;
        let loaded = engine.load(domain, if is_logged { Denials::Own } else { Denials::Shared })?;
        let denials = if is_logged { Some(loaded.denials()?) } else { None };
        Ok(Prepared { engine, loaded, filters, denials, lost: 0 })
    }

    /// Hooks at which a rule could deny and which this kernel lacks, or lets nobody attach to.
    pub fn lacking(&self) -> &[&'static str] {
        self.loaded.lacking()
    }

    /// Runs the command in the domain.
    pub fn run(self, log: Log, command: Command) -> anyhow::Result<Outcome> {
        let token = self.engine.token(&self.loaded)?;
        let filters = Filters::clone(&self.filters);
        let enter = move || {
            enter(token).map_err(|error| format!("{error:#}"))?;
            filters.install().map_err(|error| format!("cannot install a filter: {error}"))
        };
        Ok(landlock_supervisor::run_entering(command, enter, |waiter| self.keep(waiter, &log))?)
    }

    /// The keeper's work.
    fn keep(mut self, waiter: Waiter, log: &Log) {
        while !self.wait(Some(&waiter), None, log) {}
        waiter.dismiss(|| self.write(log));
        if self.denials.is_none() {
            return;
        }
        // The kernel forgets a thread a while after its end.
        let mut pause = Duration::from_millis(2);
        while self.is_inhabited() {
            self.wait(None, Some(pause), log);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        self.write(log);
        // The waiter is gone, and whoever comes next need not find the domain.
        drop(Engine::open());
    }

    /// Waits for denials, and writes them; whether the waiter is to be dismissed.
    fn wait(&mut self, waiter: Option<&Waiter>, most: Option<Duration>, log: &Log) -> bool {
        let denials = self.denials.as_ref().map(|denials| PollFd::new(denials, PollFlags::IN));
        let waiting = waiter.map(|waiter| PollFd::new(waiter, PollFlags::IN));
        let mut ready: Vec<_> = waiting.into_iter().chain(denials).collect();
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        let polled = poll(&mut ready, most.as_ref());
        let is_over = polled.is_ok() && ready.first().is_some_and(|first| !first.revents().is_empty());
        self.write(log);
        waiter.is_some() && is_over
    }

    /// Writes the denials that are there.
    fn write(&mut self, log: &Log) {
        let Some(ring) = &mut self.denials else { return };
        denials::take(ring, |record| {
            let rule = RuleSeen::recorded(self.loaded.domain(), record);
            log.write(&denials::denial(record, rule));
        });
        let lost = self.loaded.lost_denials().unwrap_or(self.lost);
        if lost > self.lost {
            log.write(&Lost { time: now(), lost: lost - self.lost });
            self.lost = lost;
        }
    }

    fn is_inhabited(&self) -> bool {
        let here =
            |living: landlock_kernel::Living| living.number == self.loaded.number() && living.threads > 0;
        self.engine.domains().is_ok_and(|domains| domains.into_iter().any(here))
    }
}

/// How long the end of the last thread in the domain may go unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Puts the calling process into the domain. no_new_privs is set only if it takes that.
fn enter(token: u64) -> anyhow::Result<()> {
    let effective = capabilities(None).context("cannot read our capabilities")?.effective;
    if !effective.contains(CapabilitySet::SYS_ADMIN) {
        set_no_new_privs(true).context("cannot set no_new_privs")?;
    }
    Ok(landlock_kernel::enter(token)?)
}
