// SPDX-License-Identifier: MIT OR Apache-2.0
//! What registers hold, and what may be done with it.

use super::*;
use crate::abi::context;
use crate::op::{AluOp, CompareOp, Op, Order, Reg, SwapBits, Width};
use crate::testing::build::regs::*;
use crate::testing::build::{Double, alu, alu32, branch, branch32, exit, fs, load, mov, store};

/// `r6` is the handle, `r7` the action, `r8` a stack address, `r9` a number of two paths; then
/// `body`, then allow.
fn after(body: &[Op]) -> RuleObject {
    let mut ops = vec![
        load(Double, R6, R1, context::ARG1),
        load(Double, R7, R1, context::ARG2),
        mov(R8, R10),
        alu(AluOp::Add, R8, -16),
        mov(R9, 1),
        branch(CompareOp::Eq, R7, 2, 1),
        mov(R9, 2),
    ];
    ops.extend_from_slice(body);
    ops.extend([mov(R0, 0), exit()]);
    fs(&ops)
}
const BODY: usize = 7;

#[test]
fn registers_are_written_before_they_are_read() {
    accepted(fs(&[mov(R0, 0), exit()]));
    denied(fs(&[exit()]), 0, "r0 is read, and was never written");
    denied(fs(&[mov(R0, R2), exit()]), 0, "r2 is read, and was never written");
    denied(after(&[alu(AluOp::Add, R3, 1)]), BODY, "r3 is read, and was never written");
    denied(after(&[branch(CompareOp::Eq, R7, R3, 0)]), BODY, "r3 is read, and was never written");
    denied(after(&[store(Double, R10, -8, R3)]), BODY, "r3 is read, and was never written");
    denied(after(&[Op::Neg { width: Width::W64, dst: R3 }]), BODY, "r3 is read, and was never written");
}

#[test]
fn registers_are_written_on_every_path() {
    let diamond = |other: Op| after(&[branch(CompareOp::Eq, R7, 0, 1), mov(R3, 1), other, mov(R4, R3)]);
    accepted(diamond(mov(R3, 2)));
    denied(diamond(mov(R5, 2)), BODY + 3, "r3 is read, and was not written on every path");
}

#[test]
fn registers_hold_one_kind_on_every_path() {
    let diamond =
        |other: Reg, read: Op| after(&[mov(R3, R6), branch(CompareOp::Eq, R7, 0, 1), mov(R3, other), read]);
    accepted(diamond(R6, mov(R4, R3)));
    let fact = "r3 is read, and holds different kinds of things on different paths";
    denied(diamond(R7, mov(R4, R3)), BODY + 3, fact);
    denied(diamond(R8, mov(R4, R3)), BODY + 3, fact);
    accepted(diamond(R7, mov(R3, 0)));
}

#[test]
fn the_frame_pointer_is_read_only() {
    accepted(after(&[mov(R2, R10), alu(AluOp::Add, R2, -8)]));
    for write in [mov(R10, 0), alu(AluOp::Add, R10, -8), load(Double, R10, R1, context::ARG2)] {
        denied(after(&[write]), BODY, "r10, the frame pointer, is read-only");
    }
}

#[test]
fn arithmetic_is_for_numbers() {
    use AluOp::*;
    for op in [Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Mod, Xor, Arsh] {
        accepted(after(&[alu(op, R7, 1), alu32(op, R7, R7)]));
        denied(after(&[alu(op, R6, 1)]), BODY, "arithmetic on the handle");
        denied(after(&[alu(op, R7, R6)]), BODY, "arithmetic on the handle");
        denied(after(&[alu(op, R1, 8)]), BODY, "arithmetic on the address of the context");
        denied(after(&[alu32(op, R8, 1)]), BODY, "arithmetic on a stack address");
    }
    denied(after(&[Op::Neg { width: Width::W64, dst: R6 }]), BODY, "arithmetic on the handle");
    let swap = |dst| Op::Swap { order: Order::Big, bits: SwapBits::B64, dst };
    accepted(after(&[swap(R7)]));
    denied(after(&[swap(R6)]), BODY, "arithmetic on the handle");
}

#[test]
fn pointers_move_whole() {
    accepted(after(&[mov(R2, R6), mov(R3, R1), mov(R4, R8), alu32(AluOp::Mov, R5, R7)]));
    denied(after(&[alu32(AluOp::Mov, R2, R6)]), BODY, "a 32-bit move would keep half of the handle");
    denied(after(&[alu32(AluOp::Mov, R2, R8)]), BODY, "a 32-bit move would keep half of a stack address");
}

#[test]
fn stack_addresses_move_by_constants_within_the_stack() {
    let moves = [alu(AluOp::Add, R8, 8), alu(AluOp::Sub, R8, 16), mov(R2, -8), alu(AluOp::Add, R2, R8)];
    accepted(after(&moves));
    accepted(after(&[alu(AluOp::Add, R8, -496), alu(AluOp::Add, R8, 512)]));
    let out = "the stack address moves to r10-513, the stack is r10-512 to r10";
    denied(after(&[alu(AluOp::Add, R8, -497)]), BODY, out);
    let out = "the stack address moves to r10+1, the stack is r10-512 to r10";
    denied(after(&[alu(AluOp::Add, R8, 17)]), BODY, out);
    let variable = "a stack address moves by a distance that is not known";
    denied(after(&[alu(AluOp::Add, R8, R7)]), BODY, variable);
    denied(after(&[alu(AluOp::Sub, R8, R9)]), BODY, variable);
    denied(after(&[alu(AluOp::Mul, R8, 1)]), BODY, "arithmetic on a stack address");
    denied(after(&[mov(R2, 8), alu(AluOp::Sub, R2, R8)]), BODY + 1, "arithmetic on a stack address");
    denied(after(&[mov(R2, R8), alu(AluOp::Sub, R2, R8)]), BODY + 1, "arithmetic on a stack address");
}

#[test]
fn constant_shifts_stay_below_the_width() {
    for op in [AluOp::Lsh, AluOp::Rsh, AluOp::Arsh] {
        accepted(after(&[alu(op, R7, 63), alu32(op, R7, 31), alu(op, R7, R7)]));
        invalid(after(&[alu(op, R7, 64)]), BODY, "shift by 64, the limit is 63");
        invalid(after(&[alu(op, R7, -1)]), BODY, "shift by -1, the limit is 63");
        invalid(after(&[alu32(op, R7, 32)]), BODY, "shift by 32, the limit is 31");
    }
}

#[test]
fn constants_do_not_divide_by_zero() {
    for op in [AluOp::Div, AluOp::Mod] {
        accepted(after(&[alu(op, R7, 2), mov(R2, 0), alu(op, R7, R2)]));
        invalid(after(&[alu(op, R7, 0)]), BODY, "division by the constant zero");
        invalid(after(&[alu32(op, R7, 0)]), BODY, "division by the constant zero");
    }
}

#[test]
fn comparisons_are_for_numbers() {
    accepted(after(&[branch(CompareOp::Eq, R7, 0, 0), branch32(CompareOp::Set, R7, R9, 0)]));
    denied(after(&[branch(CompareOp::Eq, R6, 0, 0)]), BODY, "a comparison looks at the handle");
    denied(after(&[branch(CompareOp::Eq, R6, R6, 0)]), BODY, "a comparison looks at the handle");
    denied(after(&[branch(CompareOp::Gt, R7, R8, 0)]), BODY, "a comparison looks at a stack address");
    denied(
        after(&[branch32(CompareOp::Ne, R1, 0, 0)]),
        BODY,
        "a comparison looks at the address of the context",
    );
}

#[test]
fn the_result_is_a_number() {
    let returns = |from| {
        fs(&[load(Double, R6, R1, context::ARG1), load(Double, R7, R1, context::ARG2), mov(R0, from), exit()])
    };
    accepted(returns(R7));
    denied(returns(R6), 3, "the rule returns the handle");
    denied(returns(R1), 3, "the rule returns the address of the context");
    denied(returns(R10), 3, "the rule returns a stack address");
}
