// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxing by small programs.
//!
//! A [`Rule`] is an eBPF program that says for every action on a file whether it may happen. A [`Domain`] is the rules
//! in force on a thread, newest first. A [`Sandbox`] starts a command in a domain, or puts the calling thread into
//! it: for ever, and for all it starts.
//!
//! ```
//! use ebpf_landlock::{Actions, Domain, RuleBuilder, Sandbox, When};
//! use std::process::Command;
//!
//! let no_new_files = RuleBuilder::new("no_new_files").deny(When::actions(Actions::NEW)).build()?;
//! let sandbox = Sandbox::new(Domain::prepended([no_new_files]));
//! let denials = sandbox.denials()?;
//!
//! let mut command = Command::new("mkdir");
//! command.arg("/tmp/never").stderr(std::process::Stdio::null());
//! let status = sandbox.spawn(command)?.wait()?;
//!
//! assert!(!status.success());
//! let denial = &denials.so_far()?[0];
//! assert_eq!((denial.syscall.as_str(), denial.action.as_str()), ("mkdir", "NEW"));
//! assert_eq!(denial.rule.as_ref().unwrap().name, "no_new_files");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What enforces it
//!
//! The **kernel**, where that works for this process ([`Target::Kernel`]): root outside of containers, Linux from 6.1 on,
//! with `bpf` among its security modules. Nothing else is needed then, and threads are confined one by one.
//!
//! Else a **supervisor**: a process beside the confined ones, without privileges, on any x86-64 kernel from 5.19 on. That
//! has two consequences for a program that uses the library:
//!
//! * [`Sandbox::spawn`] forks, so the calling process must have **one thread**. Else it is an error and nothing runs.
//! * [`Sandbox::enter`] works only where there is a supervisor already: **in a sandbox** that this library or
//!   `landlock run` started. Elsewhere it is [`Error::NoSupervisor`]. Rules that the outer sandbox does not watch for
//!   need it to be [`stackable`](Sandbox::stackable).
//!
//! [`Sandbox::with_target`] chooses; [`Sandbox::target`] tells what it will be, and [`target`] what is in force on the
//! calling thread.
#![forbid(unsafe_code)]

mod builder;
mod child;
mod denials;
mod error;
pub mod kernel;
mod maps;
pub mod records;
mod rules;
mod sandbox;
mod target;

pub use builder::{RuleBuilder, When};
pub use child::Child;
pub use denials::{Denial, Denials, Object, RuleSeen};
pub use error::Error;
pub use landlock_compiler::abi::{Abilities, Actions, Event, Subtype};
pub use landlock_compiler::classic::{Filter, FilterError};
pub use landlock_compiler::domain::{Domain, Layer};
pub use landlock_compiler::file_type::FileType;
pub use landlock_compiler::insn::Insn;
pub use landlock_compiler::rule::Rule;
pub use landlock_compiler::verify::Loader;
pub use maps::Handles;
pub use rules::{from_assembly, from_file, from_insns, from_object, loader};
pub use sandbox::Sandbox;
pub use target::{Choice, Ready, Target, target};
