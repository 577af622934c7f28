// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each check: what is refused with which words and which errno, and a twin that is accepted.

mod calls;
mod cost;
mod form;
mod handles;
mod hooks;
mod memory;
mod messages;
mod object;
mod random;
mod registers;
mod sound;
mod v7;

use super::{Errno, Loader, Problems, verify, verify_newest};
use crate::object::RuleObject;

const ADMIN: Loader = Loader { cap_sys_admin: true };
const NOBODY: Loader = Loader { cap_sys_admin: false };

/// The rule is accepted from a loader with CAP_SYS_ADMIN.
#[track_caller]
fn accepted(object: RuleObject) {
    if let Err(problems) = verify_newest(object, &ADMIN) {
        panic!("{problems}");
    }
}

#[track_caller]
fn problems(object: RuleObject) -> Problems {
    verify_newest(object, &ADMIN).expect_err("the rule should be refused")
}

/// The rule is refused for one thing alone: where, as what, and in these words.
#[track_caller]
fn refused(object: RuleObject, insn: Option<usize>, errno: Errno, fact: &str) {
    let problems = problems(object);
    assert_eq!(problems.problems().len(), 1, "{problems}");
    let only = &problems.problems()[0];
    assert_eq!(only.fact.to_string(), fact, "{problems}");
    assert_eq!(only.place.as_ref().map(|place| place.insn), insn, "{problems}");
    assert_eq!(problems.errno(), errno, "{problems}");
}

/// Refused at an instruction, with EACCES.
#[track_caller]
fn denied(object: RuleObject, insn: usize, fact: &str) {
    refused(object, Some(insn), Errno::Acces, fact);
}

/// Refused at an instruction, with EINVAL.
#[track_caller]
fn invalid(object: RuleObject, insn: usize, fact: &str) {
    refused(object, Some(insn), Errno::Inval, fact);
}
