// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel target: rules run by the running kernel at its own LSM hooks.
//!
//! ```text
//! hook ──► dispatch.s ──► threads: in a domain? ──tail call──► the domain's program (compiler's emitter)
//! fork ──► inherit.s      exit ──► release.s      prctl ──► gate.s      ptrace ──► boundary.s
//! inodes and descriptors behind handles that are freed ──► lost.s
//! bpf ──► objects.s       bpf file system ──► pins.s, unmount.s     /proc/sys ──► sysctl.s
//! ```
#![forbid(unsafe_code)]

mod about;
mod attached;
mod attachment;
mod bug;
mod canary;
mod change;
mod engine;
mod error;
mod guard;
mod handles;
mod kernel;
pub mod layout;
mod load;
mod loaded;
mod lock;
mod logs;
mod programs;
mod shown;
mod state;

pub use about::DomainId;
pub use attachment::{Attachment, Lacking, attachment, lacking};
pub use bug::Bug;
pub use engine::{Engine, FOLDER, KeptHooks, enter, enter_by};
pub use error::{Error, Result};
pub use loaded::{Denials, Living, Loaded, Usage};
pub use state::{MAX_DOMAINS, MAX_THREADS};
