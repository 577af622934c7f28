// SPDX-License-Identifier: MIT OR Apache-2.0
//! Syscalls carried out on behalf of a caller: one module per family.
//!
//! A handler copies its arguments, pins the objects, asks the questions of the hooks in the kernel's
//! order, and acts on the pinned objects. It changes nothing before the last question is answered.

pub mod attributes;
pub mod closed;
pub mod control;
pub mod exec;
pub mod io;
pub mod lookup;
pub mod memory;
pub mod names;
pub mod open;
pub mod place;
pub mod socket;
pub mod stat;
pub mod xattr;
