// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel target: a domain is loaded, and threads enter it by themselves.
//!
//! The rules are in the kernel before anybody is confined, and stay in force whatever happens to us. Who may loads
//! them itself; others, and who is in a domain already, ask landlockd.

mod keeper;
mod served;

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landlock_bpf::ring::Ring;
use landlock_compiler::denial::{Denial, Log, Lost, RuleSeen, now};
use landlock_compiler::domain::Domain;
use landlock_daemon::client::{self, Daemon};
use landlock_kernel::{Denials, DomainId, Engine, Loaded};
use landlock_supervisor::{Filters, Outcome};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use crate::{loader, records};
use served::{Changes, Served};

/// Why the kernel target does not do what was asked. Nothing ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target does not work for this process, or not for these rules.
    #[error(transparent)]
    Target(#[from] landlock_kernel::Error),
    /// This process may not load rules, and landlockd does not do it for it.
    #[error("only root outside of domains loads rules itself, and {0}")]
    Daemon(#[from] client::Error),
    /// A process could not be started, or be confined.
    #[error(transparent)]
    Process(#[from] landlock_supervisor::Error),
    /// A classic filter cannot be enforced.
    #[error("{0}")]
    Filters(String),
    /// The kernel does not take a classic filter.
    #[error("cannot install a filter: {0}")]
    Filter(#[source] std::io::Error),
}

/// [`std::result::Result`] with this module's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Who loads rules for the calling thread. While it is there, the kernel target is kept up.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Loads {
    /// This process.
    Ourselves(Engine),
    /// landlockd, for who may not, and who is in a domain already.
    Daemon(Daemon),
}

impl Loads {
    /// Asks whether somebody does.
    ///
    /// # Errors
    /// Why not.
    pub fn ask() -> Result<Loads> {
        let loads = Loads::unasked()?;
        if let Loads::Daemon(daemon) = &loads {
            daemon.hello()?;
        }
        Ok(loads)
    }

    /// The daemon may not be there: it will say so when it is asked for a domain.
    fn unasked() -> Result<Loads> {
        match loader().cap_sys_admin && DomainId::of_this_thread().is_none() {
            true => Ok(Loads::Ourselves(Engine::open()?)),
            false => Ok(Loads::Daemon(Daemon::default())),
        }
    }
}

/// A domain in the kernel, for threads to enter.
#[derive(Debug)]
pub struct Prepared {
    source: Source,
    domain: Domain,
    /// What seccomp does of the domain.
    filters: Filters,
}

/// Who loaded it.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, in a box")]
enum Source {
    Ourselves { shared: Shared, loaded: Loaded },
    Daemon(Served),
}

/// The engine with a domain of its own, for who changes what handles the domain's maps hold.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<(Engine, Loaded)>>);

/// Who changes what handles a domain's maps hold.
#[derive(Clone, Debug)]
pub(crate) enum Changer {
    Ourselves(Shared),
    Daemon(Changes),
}

impl Changer {
    /// Has the domain's programs compare with what is in a map now.
    pub fn refresh(&self, map: u32) -> Result<()> {
        match self {
            Changer::Ourselves(shared) => Ok(shared.refresh(map)?),
            Changer::Daemon(changes) => Ok(changes.refresh(map)?),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Engine, Loaded)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, map: u32) -> std::result::Result<(), landlock_kernel::Error> {
        if DomainId::of_this_thread().is_some() {
            return Err(landlock_kernel::Error::Confined);
        }
        let (engine, loaded) = &mut *self.lock();
        engine.refresh(loaded, usize::try_from(map).unwrap_or(usize::MAX))
    }
}

impl Prepared {
    /// Loads the domain. Its denials are its own, to be read through [`Prepared::log`], or for `landlock log`.
    ///
    /// # Errors
    /// The kernel target does not work for this process, or the rules do not fit. Nobody is confined by it.
    pub fn new(domain: &Domain, own_log: bool) -> Result<Prepared> {
        let filters = Filters::of(domain).map_err(Error::Filters)?;
        let source = match Loads::unasked()? {
            Loads::Ourselves(mut engine) => {
                let loaded = engine.load(domain, if own_log { Denials::Own } else { Denials::Shared })?;
                let shared = Shared(Arc::new(Mutex::new((engine, loaded.clone()))));
                Source::Ourselves { shared, loaded }
            }
            Loads::Daemon(daemon) => Source::Daemon(Served::new(daemon, domain, own_log)?),
        };
        Ok(Prepared { source, domain: domain.clone(), filters })
    }

    /// Hooks at which a rule could deny and which this kernel lacks, or lets nobody attach to.
    pub fn lacking(&self) -> &[&'static str] {
        match &self.source {
            Source::Ourselves { loaded, .. } => loaded.lacking(),
            Source::Daemon(served) => served.lacking(),
        }
    }

    /// For changes of the domain's maps.
    pub(crate) fn changer(&self) -> Changer {
        match &self.source {
            Source::Ourselves { shared, .. } => Changer::Ourselves(shared.clone()),
            Source::Daemon(served) => Changer::Daemon(served.changes()),
        }
    }

    /// Puts the calling thread into the domain, as [`Entry::enter`]. Where landlockd loaded it, nobody changes its maps from
    /// then on: this process has what it would take.
    ///
    /// # Errors
    /// As [`Prepared::entry`] and [`Entry::enter`].
    pub fn enter(&self) -> Result<()> {
        let entry = self.entry()?;
        if let Source::Daemon(served) = &self.source {
            served.seal();
        }
        entry.enter()
    }

    /// What lets one thread in.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn entry(&self) -> Result<Entry> {
        let (token, connection) = match &self.source {
            Source::Ourselves { shared, loaded } => (shared.lock().0.token(loaded)?, None),
            Source::Daemon(served) => {
                let grant = served.grant()?;
                (grant.token, Some(grant.connection))
            }
        };
        Ok(Entry { token, _connection: connection, filters: self.filters.clone() })
    }

    /// The domain's own denials.
    ///
    /// # Errors
    /// [`landlock_kernel::Error::NotOwn`].
    pub fn log(&self) -> Result<OwnLog> {
        let (ring, counter) = match &self.source {
            Source::Ourselves { loaded, .. } => (loaded.denials()?, Counter::Loaded(loaded.clone())),
            Source::Daemon(served) => {
                let client::OwnLog { denials, lost } = served.log().ok_or(landlock_kernel::Error::NotOwn)?;
                (denials, Counter::Received(lost))
            }
        };
        Ok(OwnLog { ring, domain: self.domain.clone(), counter, lost: 0 })
    }

    /// Runs the command in the domain, and waits for it. The calling process must have one thread. A process beside the
    /// command writes the log, also what those that outlive the command are refused.
    ///
    /// # Errors
    /// Nothing ran.
    pub fn run(self, log: Log, command: Command) -> Result<Outcome> {
        let entry = self.entry()?;
        let own = if log.is_kept() { Some(self.log()?) } else { None };
        let enter = move || entry.enter().map_err(|error| error.to_string());
        Ok(landlock_supervisor::run_entering(command, enter, |waiter| keeper::keep(self, own, waiter, log))?)
    }

    fn is_inhabited(&self) -> bool {
        match &self.source {
            Source::Ourselves { shared, loaded } => {
                let here =
                    |living: landlock_kernel::Living| living.number == loaded.number() && living.threads > 0;
                match shared.lock().0.domains() {
                    Ok(domains) => domains.into_iter().any(here),
                    // It will be on again.
                    Err(error) => matches!(error, landlock_kernel::Error::SwitchedOff),
                }
            }
            Source::Daemon(served) => served.is_inhabited(),
        }
    }
}

/// Lets one thread into a domain, once.
#[derive(Debug)]
pub struct Entry {
    token: u64,
    /// The daemon's, good as long as this is.
    _connection: Option<client::Connection>,
    filters: Filters,
}

impl Entry {
    /// Puts the calling thread into the domain. no_new_privs is set only if it takes that.
    ///
    /// Async-signal-safe: a child of fork(2) may call it.
    ///
    /// # Errors
    /// The thread is not in the domain, though no_new_privs may be set; or, with [`Error::Filter`], it is confined by the
    /// rules and not by all classic filters.
    pub fn enter(&self) -> Result<()> {
        let unavailable = |_: Errno| {
            landlock_kernel::Error::Gate("its capabilities cannot be read, or no_new_privs cannot be set")
        };
        let effective = capabilities(None).map_err(unavailable)?.effective;
        if !effective.contains(CapabilitySet::SYS_ADMIN) {
            set_no_new_privs(true).map_err(unavailable)?;
        }
        landlock_kernel::enter(self.token)?;
        // They may forbid what the gate takes.
        self.filters.install().map_err(Error::Filter)
    }
}

/// The denials of a domain with a log of its own.
#[derive(Debug)]
pub struct OwnLog {
    ring: Ring,
    domain: Domain,
    counter: Counter,
    /// How many were told as lost.
    lost: u64,
}

/// Where denials that found no place are counted.
#[derive(Debug)]
enum Counter {
    Loaded(Loaded),
    Received(client::Lost),
}

impl OwnLog {
    /// Takes those that came since the last call, and how many found no place.
    pub fn take(&mut self, mut each: impl FnMut(Denial)) -> Option<Lost> {
        records::take(&mut self.ring, |record| {
            each(records::denial(record, RuleSeen::recorded(&self.domain, record)));
        });
        let lost = self.lost();
        let new = lost.checked_sub(self.lost).filter(|new| *new > 0)?;
        self.lost = lost;
        Some(Lost { time: now(), lost: new })
    }

    /// How many found no place so far.
    pub fn lost(&self) -> u64 {
        let lost = match &self.counter {
            Counter::Loaded(loaded) => loaded.lost_denials().ok(),
            Counter::Received(lost) => lost.count().ok(),
        };
        lost.unwrap_or(self.lost)
    }

    fn write(&mut self, log: &Log) {
        if let Some(lost) = self.take(|denial| log.write(&denial)) {
            log.write(&lost);
        }
    }
}
