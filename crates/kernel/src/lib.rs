// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel target: rules run by the running kernel at its own LSM hooks.
//!
//! ```text
//! hook ──► dispatch.s ──► threads: in a domain? ──tail call──► the domain's program (compiler's emitter)
//! fork ──► inherit.s      exit ──► release.s      prctl ──► gate.s      ptrace ──► boundary.s
//! ```
#![forbid(unsafe_code)]

mod attachment;
mod canary;
mod engine;
mod error;
pub mod layout;
mod loaded;
mod programs;

pub use attachment::{Attachment, Lacking, attachment, lacking};
pub use engine::{Engine, MAX_DOMAINS, MAX_THREADS, enter};
pub use error::{Error, Result};
pub use loaded::Loaded;
