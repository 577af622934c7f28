// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles of processes, which are made and not opened, whatever the kernel does to make them.
//!
//! Since Linux 6.9 a pidfd is a file of a file system of its own, so that pidfd_open(2), and clone(2) asked for one, come
//! by `file_open`. Before, and on the supervisor target, nobody is asked: there is no file a rule could mean. What is
//! done with a pidfd is asked as ever.

use super::EmitError;
use super::code::{Code, Label};
use super::layout::Member;
use super::object::{self, Arguments};
use crate::op::{CompareOp, Reg, Width};

/// `PID_FS_MAGIC`.
pub(super) const FILE_SYSTEM: i32 = 0x5049_4446;

/// At `file_open`, goes to `allow` for a pidfd. Clobbers `r1`.
pub(super) fn unless_made(code: &mut Code, arguments: Arguments<'_>, allow: Label) -> Result<(), EmitError> {
    if arguments.hook != "file_open" {
        return Ok(());
    }
    let next = code.label();
    arguments.follow(code, "file", next)?;
    object::unless_null(code, next);
    for member in [Member::FileDentry, Member::DentrySuper, Member::SuperBlockMagic] {
        arguments.member(code, member)?;
    }
    code.branch(CompareOp::Eq, Width::W64, Reg::R1, FILE_SYSTEM, allow);
    code.place(next);
    Ok(())
}
