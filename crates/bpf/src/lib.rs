// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's bpf(2) and BTF, typed. This crate does not know what a rule is.
//!
//! * [`program`], [`map`], [`link`], [`ring`], [`memory`], [`pin`]: objects of the kernel, each a file descriptor
//!   that closes itself, one function per command.
//! * [`btf`]: the types of the running kernel or of a saved blob, by name.
//! * [`probe`]: what this kernel can do: yes, no, or could not tell, with the reason.
//!
//! Unsafe code is in `sys` and `prctl` (the syscalls), `map` (sizes the kernel takes on trust) `ring` and
//! `memory` (shared memory), nowhere else.
#![deny(unsafe_code)]

pub mod btf;
mod error;
pub mod link;
pub mod map;
pub mod memory;
pub mod object;
pub mod pin;
pub mod prctl;
pub mod probe;
pub mod program;
pub mod ring;
mod sys;

pub use error::{Command, Error, Result};
