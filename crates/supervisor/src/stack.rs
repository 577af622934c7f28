// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxes inside sandboxes: a confined thread prepends rules to itself, and its supervisor keeps them.
//!
//! The kernel allows one listener for a tree of processes, so a sandbox inside another has no supervisor of its
//! own. A thread asks the one it has, with a prctl(2) that our filter notifies and the kernel does not know, for a
//! domain of its present rules and new ones. It gets a number for it, and enters by personality(2).
//!
//! # Which thread is in which domain
//!
//! is kept by the kernel, in bits of the personality that mean nothing to it ([`tag`]): a child has those of the
//! thread that made it from its first instruction, exec keeps them, and nobody can change those of another thread. Our
//! filter notifies every personality(2) that sets something, and lets the bits change only to a domain that has all
//! the rules of the one before. So a thread can but confine itself further, whoever it is and whatever it claims.
//!
//! # What the filter has to notify
//!
//! is decided when it is installed: at the start of the outermost sandbox. Rules that can deny nothing but what it
//! notifies anyway can be prepended at any time. For others, the outermost sandbox must have been started to
//! notify everything: [`Stacking::Any`](crate::Stacking).

mod client;
mod definition;
mod domains;
mod serve;
pub mod tag;

pub use client::{Entry, define, is_offered, while_layering};
pub use domains::Domains;
pub use serve::{create_ruleset, loader, personality, prctl};

use rustix::io::Errno;

/// The prctl option: "LLst".
pub const OPTION: u32 = 0x4c4c_7374;

/// The second argument: whether there is a supervisor to ask. Answers [`VERSION`].
const OFFER: u32 = 0;
/// A domain of the caller's layers and those of the [`definition`] at (address, length). Answers its number.
const DEFINE: u32 = 1;
/// The log given with the domain of this number is not to be written any more.
const FORGET_LOG: u32 = 2;

/// Whether the calling thread is about to make a layer of mainline Landlock for the ptrace boundary: 1 or 0.
const LAYERS: u32 = 3;

/// The personality of a thread that cannot change it now.
pub fn personality_of(tid: u32) -> Result<u32, Errno> {
    domains::personality(&tid.to_string())
}

/// What both sides must agree on.
const VERSION: i64 = 1;
