// SPDX-License-Identifier: MIT OR Apache-2.0
//! On the kernel target: each prepended rule makes a domain that extends the thread's, which the thread enters by itself.
//!
//! Which domain a thread is in it is asked, and believed only so far: the gate lets none enter a domain that extends
//! another than its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ebpf_landlock::kernel::Loads;
use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_daemon::client::{self, Daemon};
use landlock_daemon::protocol::Why;
use landlock_kernel::{Denials, DomainId, Engine, Error, enter_by};
use landlock_supervisor::{Call, Keeper};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use crate::speak;

/// Most rules on a thread: v7's budget of 64 pages, a page for each.
const MAX_RULES: usize = 64;

/// Whether there is a kernel target here. What keeps it from being used is told to those who want to know.
pub fn works(tell: bool) -> bool {
    match Loads::ask() {
        Ok(_) => true,
        Err(error) => {
            if tell {
                speak::notice(&error);
            }
            false
        }
    }
}

/// Installing a filter takes CAP_SYS_ADMIN or no_new_privs, which is set for the program only if it must be.
pub fn permit() -> anyhow::Result<()> {
    if !capabilities(None)?.effective.contains(CapabilitySet::SYS_ADMIN) {
        set_no_new_privs(true)?;
    }
    Ok(())
}

/// For the process that answers.
pub fn keeper() -> Result<Box<dyn Keeper>, String> {
    let loads = match Loads::ask().map_err(|error| error.to_string())? {
        Loads::Ourselves(engine) => By::Engine(Mutex::new(engine)),
        Loads::Daemon(daemon) => By::Daemon(daemon),
    };
    Ok(Box::new(Kernel { loads, prepended: AtomicU64::new(0) }))
}

#[derive(Debug)]
struct Kernel {
    loads: By,
    /// How often so far.
    prepended: AtomicU64,
}

/// Who loads rules for the program.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, in a box")]
enum By {
    Engine(Mutex<Engine>),
    Daemon(Daemon),
}

impl Kernel {
    /// The rule under a name of its own. The engine takes equal rules for one domain, and whoever is in it may trace the
    /// others; to v7, a rule that is prepended twice is two.
    fn apart(&self, rule: &Rule) -> Result<Rule, Errno> {
        let mut object = rule.object().clone();
        let count = self.prepended.fetch_add(1, Ordering::Relaxed);
        object.name = format!("{}-{}-{count}", object.name, std::process::id());
        // Whoever prepends it was asked already what it may load.
        verify(object, &Loader { cap_sys_admin: true }).map_err(|_| Errno::INVAL)
    }
}

impl Keeper for Kernel {
    fn prepend(&self, call: Call<'_>, rule: Rule) -> Result<(), Errno> {
        const PRCTL: u32 = 157;
        let rule = self.apart(&rule)?;
        let prctl = |arguments| {
            let error = call(PRCTL, arguments).err()?;
            error.raw_os_error().map(Errno::from_raw_os_error)
        };
        match &self.loads {
            By::Engine(engine) => {
                prepend(&mut engine.lock().unwrap_or_else(PoisonError::into_inner), rule, prctl)
            }
            By::Daemon(daemon) => prepend_by(daemon, rule, prctl),
        }
    }
}

fn prepend(
    engine: &mut Engine,
    rule: Rule,
    mut prctl: impl FnMut([u64; 3]) -> Option<Errno>,
) -> Result<(), Errno> {
    let loaded = match DomainId::of_thread_in(engine.id(), &mut prctl) {
        None => engine.load(&Domain::prepended([rule]), Denials::Shared),
        Some(id) => {
            // A domain with a thread in it is not collected.
            let parent = engine.hold(id).map_err(errno)?.ok_or(Errno::PERM)?;
            if parent.domain().rules().len() >= MAX_RULES {
                return Err(Errno::TOOBIG);
            }
            engine.extend(&parent, [rule], Denials::Shared)
        }
    };
    engine.enter_by(&loaded.map_err(errno)?, prctl).map_err(errno)
}

fn prepend_by(
    daemon: &Daemon,
    rule: Rule,
    mut prctl: impl FnMut([u64; 3]) -> Option<Errno>,
) -> Result<(), Errno> {
    let connection = daemon.connect().map_err(refused)?;
    let parent = DomainId::of_thread_in(connection.hello().map_err(refused)?, &mut prctl);
    let grant = connection.load(&Domain::prepended([rule]), parent, false).map_err(refused)?;
    enter_by(grant.token, prctl).map_err(errno)
}

fn errno(error: Error) -> Errno {
    match error {
        // Without no_new_privs and CAP_SYS_ADMIN, as a rule.
        Error::Gate(_) => Errno::PERM,
        Error::Emit(_) => Errno::TOOBIG,
        Error::Bug(_) => Errno::INVAL,
        _ => Errno::NOMEM,
    }
}

fn refused(error: client::Error) -> Errno {
    match error {
        client::Error::Refused(refusal) => match refusal.why {
            Why::TooMany => Errno::TOOBIG,
            // Ability DEBUG: what else could be wrong with it was looked at.
            Why::Rules | Why::Domain => Errno::PERM,
            _ => Errno::NOMEM,
        },
        _ => Errno::NOMEM,
    }
}
