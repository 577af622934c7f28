// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decoding, jumps and reachability.

use super::*;
use crate::insn::Insn;
use crate::op::{CompareOp, Imm64, Op, Reg};
use crate::testing::build::regs::{R0, R2};
use crate::testing::build::{branch, exit, fs, jump, load_imm, mov, program};

fn raw(insn: Insn) -> RuleObject {
    let mut insns = program(&[mov(R0, 0), exit()]);
    insns.insert(1, insn);
    RuleObject { insns, ..fs(&[]) }
}

#[test]
fn instructions_decode() {
    let good = mov(R2, 1).encode().0;
    accepted(raw(good));
    invalid(raw(Insn { code: 0xff, ..good }), 1, "opcode 0xff is not in the instruction set");
    invalid(raw(Insn { dst: 11, ..good }), 1, "register number 11 does not exist, r10 is the last");
    invalid(raw(Insn { src: 1, ..good }), 1, "the unused field src of the instruction is not zero");
    invalid(raw(Insn { off: 3, ..good }), 1, "the unused field off of the instruction is not zero");
    invalid(
        raw(Insn { code: 0xbf, src: 1, off: 8, imm: 0, ..good }),
        1,
        "a sign-extending move belongs to a later instruction set (-mcpu=v4)",
    );
}

#[test]
fn sixty_four_bit_loads_are_whole_and_plain() {
    accepted(fs(&[load_imm(R0, u64::MAX), exit()]));
    let half = RuleObject { insns: program(&[load_imm(R0, 7)])[..1].to_vec(), ..fs(&[]) };
    let problems = problems(half);
    assert_eq!(problems.errno(), Errno::Inval);
    assert!(problems.to_string().contains("the second half of this 64-bit load is missing"), "{problems}");
    let map = Op::LoadImm { dst: R2, imm: Imm64::Pseudo { kind: 1, value: 3 } };
    invalid(fs(&[map, mov(R0, 0), exit()]), 0, "the 64-bit load refers to map 3, the rule has 0");
    for kind in 2..16 {
        let load = Op::LoadImm { dst: R2, imm: Imm64::Pseudo { kind, value: 0 } };
        let fact =
            format!("the 64-bit load refers to an object of the kernel (kind {kind}), rules have only maps");
        invalid(fs(&[load, mov(R0, 0), exit()]), 0, &fact);
    }
}

#[test]
fn jumps_stay_inside() {
    accepted(fs(&[mov(R0, 0), jump(0), exit()]));
    invalid(fs(&[mov(R0, 0), jump(1), exit()]), 1, "the jump goes to instruction 3, the program has 3");
    invalid(fs(&[mov(R0, 0), jump(-3), exit()]), 1, "the jump goes to instruction -1, the program has 3");
    let branch = branch(CompareOp::Eq, R0, 0, i16::MAX);
    let fact = "the jump goes to instruction 32769, the program has 3";
    invalid(fs(&[mov(R0, 0), branch, exit()]), 1, fact);
}

#[test]
fn jumps_go_forward() {
    accepted(fs(&[mov(R0, 0), branch(CompareOp::Eq, R0, 1, 0), exit()]));
    let back = branch(CompareOp::Eq, R0, 1, -2);
    invalid(
        fs(&[mov(R0, 0), back, exit()]),
        1,
        "the jump goes back to instruction 0, rules only run forward",
    );
    invalid(fs(&[mov(R0, 0), jump(-1)]), 1, "the jump goes back to instruction 1, rules only run forward");
}

#[test]
fn jumps_land_on_instructions() {
    let over = |off| fs(&[mov(R0, 0), branch(CompareOp::Eq, R0, 0, off), load_imm(R0, 1), exit()]);
    accepted(over(2));
    accepted(over(0));
    invalid(over(1), 1, "the jump goes into the middle of the 64-bit load at instruction 2");
}

#[test]
fn paths_end_in_an_exit() {
    accepted(fs(&[mov(R0, 0), exit()]));
    invalid(fs(&[mov(R0, 0)]), 0, "the program runs past its last instruction");
    let half = branch(CompareOp::Eq, R0, 0, 1);
    invalid(fs(&[mov(R0, 0), half, exit(), mov(R0, 1)]), 3, "the program runs past its last instruction");
}

#[test]
fn every_instruction_is_reached() {
    accepted(fs(&[mov(R0, 0), branch(CompareOp::Eq, R0, 0, 1), mov(R0, 1), exit()]));
    invalid(fs(&[mov(R0, 0), jump(1), mov(R0, 1), exit()]), 2, "no path leads here");
    let dead = [mov(R0, 0), exit(), load_imm(R0, 1), mov(R0, 2), exit()];
    invalid(fs(&dead), 2, "no path leads here, nor to the instructions up to 5");
    let two = [mov(R0, 0), jump(1), mov(R0, 1), jump(1), mov(R0, 2), exit()];
    assert_eq!(problems(fs(&two)).problems().len(), 2);
}

/// A branch that always goes one way is verified both ways.
#[test]
fn constant_branches_hide_nothing() {
    let never = |body: Op| fs(&[mov(R0, 0), branch(CompareOp::Eq, R0, 0, 1), body, exit()]);
    accepted(never(mov(R0, 7)));
    denied(never(mov(R0, Reg::R9)), 2, "r9 is read, and was never written");
}
