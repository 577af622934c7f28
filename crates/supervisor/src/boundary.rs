// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ptrace boundary, kept by mainline Landlock.
//!
//! The supervisor enters one Landlock domain, and the confined tree a second one inside it. Mainline lets
//! a thread trace only into its own domain and deeper ones, so the tree reaches neither the supervisor nor
//! anything outside; and what the supervisor does for the tree has the same limits.
//!
//! A domain must handle some right. REFER, granted everywhere, is the one that changes least: renames and
//! links go on as before. What it does cost: a domain that handles any file system right may not mount.

use std::os::fd::OwnedFd;

use landlock::{
    AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};

/// Why the boundary cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no mainline Landlock, or an older one than ABI 2 (Linux 5.19).
    #[error("mainline Landlock, ABI 2 or newer, is needed for the ptrace boundary: {0}")]
    Landlock(#[from] RulesetError),
    /// `/` could not be opened.
    #[error("cannot open the root directory: {0}")]
    Root(#[from] landlock::PathFdError),
    /// The kernel took the ruleset but does not enforce all of it.
    #[error("mainline Landlock would enforce the ptrace boundary only in part")]
    Partial,
}

impl Error {
    /// What the kernel said; `EPERM` where it said nothing.
    pub fn errno(&self) -> std::io::Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let errno = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
            if let Some(errno) = errno {
                return std::io::Error::from_raw_os_error(errno);
            }
            cause = error.source();
        }
        std::io::Error::from_raw_os_error(libc::EPERM)
    }
}

/// A layer ready to be entered; making it may allocate and fail, entering it hardly.
pub fn layer() -> Result<RulesetCreated, Error> {
    ruleset(BitFlags::empty())
}

/// A layer that also handles `more`, and grants none of it yet.
pub fn ruleset(more: BitFlags<AccessFs>) -> Result<RulesetCreated, Error> {
    let refer: BitFlags<AccessFs> = AccessFs::Refer.into();
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(refer | more)?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new("/")?, refer))?;
    Ok(ruleset)
}

/// The same as a descriptor, for another thread to enter by landlock_restrict_self(2).
pub fn layer_descriptor() -> Result<OwnedFd, Error> {
    Option::from(layer()?).ok_or(Error::Partial)
}

/// Enters the layer, on the calling thread; sets no_new_privs. It holds for all the thread starts.
pub fn enter(layer: RulesetCreated) -> Result<(), Error> {
    let status = layer.restrict_self()?;
    if status.ruleset == RulesetStatus::FullyEnforced { Ok(()) } else { Err(Error::Partial) }
}
