// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock rules enforced on any kernel with seccomp user notification, without privileges.
//!
//! ```text
//! Domain ──compose──► filter (which syscalls must be asked about) ──install──► the confined tree
//!                                                                                  │ notification
//!    denial log ◄── judge (ask the rules about pinned objects) ◄── request ◄───────┘
//! ```
//!
//! A syscall that no rule can deny never leaves the kernel. Any other is carried out here, on objects
//! that are pinned before they are judged, and its result is injected; the kernel is told to go on by
//! itself only where nothing another thread can change would alter the verdict.
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the supervisor target knows the syscall table of x86-64 Linux only");

mod act;
mod boundary;
mod compat;
mod filter;
mod interruptible;
mod judge;
mod launch;
mod lowered;
mod maps;
mod object;
mod passing;
pub mod probe;
mod proc;
mod protecting;
mod proxy;
mod relate;
mod request;
mod serve;
mod stack;
mod sys;
mod syscalls;
mod walk;

pub use compat::{Call, Keeper};
pub use filter::{Filters, Stacking};
pub use landlock_compiler::denial;
pub use launch::{
    Ended, Error, Outcome, Running, Waiter, enter, run, run_entering, run_lowered, run_stacking, run_v7,
    run_v7_kept, spawn, spawn_entering, spawn_lowered,
};
pub use lowered::Lowered;
pub use maps::{Change, Link};
pub use stack::is_offered;
pub use syscalls::name as syscall_name;
