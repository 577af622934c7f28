// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways out of a sandbox that have worked on somebody.
#![forbid(unsafe_code)]

mod attack;
mod names;
mod playground;
mod processes;
