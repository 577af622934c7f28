// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon with a stand-in for the kernel: what it says, whom it believes, what it survives, and what it gives up.

mod confined;
mod fake;
mod name;
mod protocol;
mod service;
