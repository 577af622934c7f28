// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the kernel target does not do what was asked.

use landlock_bpf::btf::BtfError;
use landlock_compiler::emit::EmitError;

use crate::bug::Bug;

/// [`std::result::Result`] with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the kernel target does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command of the kernel's failed.
    #[error(transparent)]
    Bpf(#[from] landlock_bpf::Error),
    /// The kernel's types are not as expected.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A member of a structure of the kernel is of another size.
    #[error("{aggregate} has no member {member} of 8 bytes on this kernel")]
    Member {
        /// The structure.
        aggregate: String,
        /// The member.
        member: String,
    },
    /// A domain does not fit.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// This kernel does not run programs at its hooks.
    #[error("the kernel target is not available: {0}")]
    Unavailable(String),
    /// Root outside has switched the programs off.
    #[error(
        "the sysctl kernel.ftrace_enabled is 0, which switches off every program at a function of the kernel, those of \
         domains that live included"
    )]
    SwitchedOff,
    /// The calling thread is in a domain.
    #[error(
        "this process is confined by the kernel target, and what is confined may not load more into the kernel"
    )]
    Confined,
    /// The kernel refused a program made of rules our verifier accepted.
    #[error(transparent)]
    Bug(#[from] Box<Bug>),
    /// All places are taken.
    #[error("there is no place for more {what}: the limit is {limit}")]
    Full {
        /// What there can be no more of.
        what: &'static str,
        /// How many there can be.
        limit: u32,
    },
    /// What is pinned is not what was left there.
    #[error(
        "the state in {folder} is damaged, and nothing more is loaded while threads are in domains: {why}"
    )]
    Damaged {
        /// The folder.
        folder: String,
        /// What is wrong.
        why: String,
    },
    /// The engine's state was removed, or taken down and made anew, by somebody else.
    #[error("the state in {folder} is not this engine's any more; open it again")]
    Gone {
        /// The folder.
        folder: String,
    },
    /// Others could change the folder with the state.
    #[error("{folder} must belong to this user, and be closed to others (mode 0700)")]
    Open {
        /// The folder.
        folder: String,
    },
    /// Denials have one reader at a time.
    #[error("another process reads the denials of {folder}")]
    Read {
        /// The folder with the state.
        folder: String,
    },
    /// A handle cannot be put into a map.
    #[error("a handle cannot be compared with: {0}")]
    Handle(String),
    /// The domain's denials are with all others.
    #[error("the domain was loaded with Denials::Shared: its denials are the engine's to read")]
    NotOwn,
    /// The gate did not let the thread in.
    #[error("the thread did not enter the domain: {0}")]
    Gate(&'static str),
    /// A test thread in a domain did what the domain denies.
    #[error("denials have no effect on this kernel: {0}")]
    Canary(String),
}
