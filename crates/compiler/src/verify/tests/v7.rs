// SPDX-License-Identifier: MIT OR Apache-2.0
//! v7's own verifier tests, and its rules.

use super::*;
use crate::abi::{Actions, context, helper};
use crate::op::{AluOp, CompareOp};
use crate::testing::build::regs::*;
use crate::testing::build::{Double, alu, branch, call, exit, fs, load, mov};

#[test]
fn missing_subtype() {
    let object = RuleObject { subtype: None, ..fs(&[mov(R0, 0), exit()]) };
    refused(object, None, Errno::Inval, "the rule has no subtype");
}

#[test]
fn fs_always_accept() {
    accepted(fs(&[mov(R0, 0), exit()]));
}

#[test]
fn fs_read_context() {
    let mut ops = vec![mov(R6, R1)];
    for (reg, field) in [(R7, context::STATUS), (R8, context::EVENT), (R9, context::ARG2)] {
        ops.extend([load(Double, reg, R6, field), alu(AluOp::Add, reg, 1)]);
    }
    ops.extend([load(Double, R2, R6, context::ARG1), mov(R0, 0), exit()]);
    accepted(fs(&ops));
}

fn bits(actions: Actions) -> i32 {
    i32::try_from(actions.bits()).unwrap()
}

/// `return !!(ctx->arg2 & bits)`.
#[test]
fn the_rules_of_the_selftests() {
    for actions in [Actions::WRITE, Actions::GET] {
        accepted(fs(&[
            load(Double, R1, R1, context::ARG2),
            mov(R0, 1),
            branch(CompareOp::Set, R1, bits(actions), 1),
            mov(R0, 0),
            exit(),
        ]));
    }
}

/// Deny WRITE, but on character devices and FIFOs.
#[test]
fn the_sample_rule() {
    accepted(fs(&[
        load(Double, R2, R1, context::ARG2),
        alu(AluOp::And, R2, bits(Actions::WRITE)),
        mov(R0, 0),
        branch(CompareOp::Eq, R2, 0, 7),
        load(Double, R1, R1, context::ARG1),
        call(helper::HANDLE_FS_GET_MODE),
        mov(R1, R0),
        alu(AluOp::And, R1, 0o170_000),
        mov(R0, 0),
        branch(CompareOp::Eq, R1, 0o020_000, 2),
        branch(CompareOp::Eq, R1, 0o010_000, 1),
        mov(R0, 1),
        exit(),
    ]));
}
