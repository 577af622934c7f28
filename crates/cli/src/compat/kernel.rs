// SPDX-License-Identifier: MIT OR Apache-2.0
//! On the kernel target: each prepended rule makes a domain that extends the thread's, which the thread enters by itself.
//!
//! Which domain a thread is in it is asked, and believed only so far: the gate lets none enter a domain that extends
//! another than its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Denials, DomainId, Engine, Error};
use landlock_supervisor::{Call, Keeper};
use rustix::io::Errno;

use crate::speak;

/// Most rules on a thread: v7's budget of 64 pages, a page for each.
const MAX_RULES: usize = 64;

/// Whether there is a kernel target here. What keeps it from being used is told to those who want to know.
pub fn works(tell: bool) -> bool {
    match Engine::open() {
        Ok(_) => true,
        Err(error) => {
            if tell {
                speak::notice(&error);
            }
            false
        }
    }
}

/// For the process that answers.
pub fn keeper() -> Result<Box<dyn Keeper>, String> {
    let engine = Engine::open().map_err(|error| error.to_string())?;
    Ok(Box::new(Kernel { engine: Mutex::new(engine), prepended: AtomicU64::new(0) }))
}

#[derive(Debug)]
struct Kernel {
    engine: Mutex<Engine>,
    /// How often so far.
    prepended: AtomicU64,
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
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prctl = |arguments| {
            let error = call(PRCTL, arguments).err()?;
            error.raw_os_error().map(Errno::from_raw_os_error)
        };
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
