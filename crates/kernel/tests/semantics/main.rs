// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rules mean in a real kernel: every row of the hook table, v7's own tests, the context's fields, and
//! who is in a domain. `cargo xtask guest-test` runs these in guests of each series, as root, with an ext4
//! file system on /mnt.
//!
//! Every denial has its twin: the same steps in a thread that is in no domain.
#![cfg(target_arch = "x86_64")]

mod cases;
mod context;
mod depth;
mod hooks;
mod inheritance;
mod place;
mod ptrace;
mod support;
mod sys;
mod uring;
mod v7;
