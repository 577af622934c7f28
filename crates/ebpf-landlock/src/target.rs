// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which target enforces rules.

use landlock_compiler::domain::Domain;
use landlock_kernel::DomainId;
use landlock_supervisor::is_offered;

use crate::Error;
use crate::kernel::{self, Prepared};

/// What enforces rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The running kernel, at its own hooks.
    Kernel,
    /// A process beside the confined ones.
    Supervisor,
}

/// What enforces rules on the calling thread, the newest of them; `None`: no sandbox of ours.
///
/// ```
/// assert_eq!(ebpf_landlock::target(), None);
/// ```
pub fn target() -> Option<Target> {
    let kernel = || DomainId::of_this_thread().map(|_| Target::Kernel);
    // Inside a supervisor's sandbox there is no other target, so that it is the newest.
    is_offered().then_some(Target::Supervisor).or_else(kernel)
}

/// Which target is to enforce rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The kernel where that works for this process, which is tried; else the supervisor.
    #[default]
    Auto,
    /// The kernel; else nothing runs.
    Kernel,
    /// The supervisor.
    Supervisor,
}

/// A target that is ready for a domain.
#[derive(Debug)]
pub enum Ready {
    /// The domain is in the kernel.
    Kernel(Box<Prepared>),
    /// Each command gets a supervisor, or the one there is takes the rules.
    Supervisor {
        /// Why not the kernel, if that was tried.
        instead: Option<kernel::Error>,
    },
}

impl Choice {
    /// Makes the target ready. On the kernel target, denials are in a log of the domain's own, or for `landlock log`.
    ///
    /// # Errors
    /// [`Error::Kernel`] and [`Error::OnlySupervisor`], if it is to be the kernel.
    pub fn ready(self, domain: &Domain, own_log: bool) -> Result<Ready, Error> {
        match self {
            Choice::Supervisor => Ok(Ready::Supervisor { instead: None }),
            // What a supervisor does for the command, the kernel would not ask about.
            Choice::Kernel if is_offered() => Err(Error::OnlySupervisor),
            Choice::Auto if is_offered() => Ok(Ready::Supervisor { instead: None }),
            Choice::Kernel => Ok(Ready::Kernel(Box::new(Prepared::new(domain, own_log)?))),
            Choice::Auto => Ok(match Prepared::new(domain, own_log) {
                Ok(prepared) => Ready::Kernel(Box::new(prepared)),
                Err(error) => Ready::Supervisor { instead: Some(error) },
            }),
        }
    }
}
