// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `landlock` command as its users see it: what it prints, and how it exits.

mod support;

mod build;
mod check;
mod creation;
mod explain;
mod handles;
mod inside;
mod lowered;
mod man;
mod readme;
mod run;
mod sandbox;
mod selftests;
mod simulate;
mod status;
mod terminal;
