// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlockd`: loads rules into the kernel for processes that may not.
//!
//! ```text
//! client ── socket, its user known from connect(2) ──► accept ──► the user's lane: a thread
//!    rules, in the message ─► verify ─► within the user's limits? ─► load ─► token
//! client ── prctl(token) ──► the gate, in the kernel
//! ```
//!
//! The daemon confines nobody: it gives a token, and the thread that has it goes through the gate itself. So it
//! need not know which process it talks to. Of a client it believes the user, which the kernel says; a domain that it
//! claims to be in is only good for a thread that is.
//!
//! What is enforced, and whose it is, is in the kernel target's folder of the bpf file system. The daemon has
//! nothing that must outlive it.
#![forbid(unsafe_code)]

pub mod client;
pub mod confine;
mod kernel;
pub mod limits;
pub mod listen;
pub mod protocol;
pub mod rules;
pub mod server;
mod socket;

pub use kernel::Kernel;

/// Where the daemon listens.
pub const SOCKET: &str = "/run/landlock/landlockd.sock";
