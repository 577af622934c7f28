// SPDX-License-Identifier: MIT OR Apache-2.0
//! The evaluator: a slow, obvious interpreter of verified rules, and the second opinion on every
//! other answer the project gives.

use crate::abi::Event;

/// Everything one run of a rule can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The event the run is for.
    pub event: Event,
    /// Action bits, or the command of a sub-event.
    pub arg2: u64,
    /// Whole mode (`st_mode`) of the object behind the handle; `None` for a negative dentry.
    pub mode: Option<u32>,
    /// `AUDIT_ARCH_*` of the running syscall; 0 outside one.
    pub arch: u32,
    /// Number of the running syscall.
    pub syscall_nr: u32,
    /// Who is asking, for the debug helpers.
    pub current: Current,
}

/// The running thread, as the debug helpers report it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Thread group id in the high 32 bits, thread id in the low.
    pub pid_tgid: u64,
    /// Group id in the high 32 bits, user id in the low.
    pub uid_gid: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
}

/// The answer of a rule, or of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The action goes on.
    Allow,
    /// The action fails with EPERM.
    Deny {
        /// Position of the deciding rule in its domain, newest first; 0 for a lone rule.
        rule: usize,
        /// Index of the exit instruction that returned non-zero.
        insn: usize,
    },
}
