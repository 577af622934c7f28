// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock v7's two system calls as data: what the attributes of a load say, and what the descriptor of a rule is.
//!
//! Whose memory the attributes are in is the caller's to know: [`Memory`]. The C library reads its own process, the
//! supervisor that of a program which makes the raw calls.
//!
//! A rule's descriptor is a sealed memory file that holds the rule. Who makes one up has made a rule like everybody
//! can: it is verified again where it is used.
#![forbid(unsafe_code)]

mod attr;
mod descriptor;
mod load;
mod memory;

pub use attr::Attr;
pub use descriptor::{described, rule_in};
pub use load::{errno, load};
pub use memory::Memory;
