// SPDX-License-Identifier: MIT OR Apache-2.0
//! Helpers, their arguments, and what calls leave.

use super::*;
use crate::abi::{Abilities, context, helper};
use crate::op::{AluOp, Callee, CompareOp, Op};
use crate::testing::build::regs::*;
use crate::testing::build::{Byte, Double, alu, branch, call, debug, exit, fs, load, load_imm, mov, store};
use crate::verify::{GPL_COMPATIBLE, HELPERS};

const MODE: Op = Op::Call(Callee::Helper(helper::HANDLE_FS_GET_MODE));
const COMM: Op = Op::Call(Callee::Helper(helper::GET_CURRENT_COMM));
const PRINT: Op = Op::Call(Callee::Helper(helper::TRACE_PRINTK));
const HANDLE: Op = Op::Load { size: Double, dst: R1, base: R1, off: context::ARG1 };

/// A debug rule: `body`, then allow.
fn after(body: &[Op]) -> RuleObject {
    let mut ops = body.to_vec();
    ops.extend([mov(R0, 0), exit()]);
    debug(&ops)
}

fn licensed(license: &str, ops: &[Op]) -> RuleObject {
    RuleObject { license: license.into(), ..debug(ops) }
}

#[test]
fn rules_have_eight_helpers() {
    assert_eq!(HELPERS.each_ref().map(|helper| helper.number), [6, 14, 15, 16, 31, 32, 33, 54]);
    for number in [-1, 0, 1, 2, 5, 7, 12, 25, 53, 55, i32::MAX] {
        let fact = format!("helper {number} is not for rules");
        invalid(after(&[call(number)]), 0, &fact);
    }
}

#[test]
fn debug_helpers_need_the_ability() {
    let rule = |ability, number| {
        let ops = [call(number), mov(R0, 0), exit()];
        let object = debug(&ops);
        let subtype = object.subtype.map(|subtype| crate::abi::Subtype { ability, ..subtype });
        RuleObject { subtype, ..object }
    };
    let names = [(14, "bpf_get_current_pid_tgid()"), (15, "bpf_get_current_uid_gid()")];
    for (number, name) in names {
        accepted(rule(Abilities::DEBUG.bits(), number));
        invalid(rule(0, number), 0, &format!("{name} is for rules with ability DEBUG"));
    }
    for number in [6, 16] {
        assert!(problems(rule(0, number)).to_string().contains("is for rules with ability DEBUG"));
    }
    accepted(fs(&[HANDLE, MODE, mov(R0, 0), exit()]));
}

#[test]
fn some_helpers_need_a_gpl_compatible_licence() {
    let mode = [HANDLE, MODE, exit()];
    for license in GPL_COMPATIBLE {
        accepted(licensed(license, &mode));
    }
    for license in ["", "MIT", "gpl", "GPL ", "GPLv2", "Apache-2.0"] {
        let fact =
            format!("bpf_handle_fs_get_mode() is for GPL compatible rules, the licence is {license:?}");
        invalid(licensed(license, &mode), 1, &fact);
        accepted(licensed(license, &[call(helper::GET_CURRENT_PID_TGID), exit()]));
    }
    let print = [mov(R1, R10), alu(AluOp::Add, R1, -8), store(Double, R1, 0, 0), mov(R2, 8), PRINT, exit()];
    accepted(licensed("Dual MIT/GPL", &print));
    let fact = "bpf_trace_printk() is for GPL compatible rules, the licence is \"MIT\"";
    invalid(licensed("MIT", &print), 4, fact);
}

#[test]
fn a_long_licence_is_cut() {
    let problems = problems(licensed(&"\u{1b}x".repeat(100_000), &[HANDLE, MODE, exit()]));
    let text = problems.to_string();
    assert!(text.len() < 500 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn get_mode_takes_the_handle() {
    accepted(after(&[HANDLE, MODE]));
    accepted(after(&[mov(R6, R1), HANDLE, store(Double, R10, -8, R1), load(Double, R1, R10, -8), MODE]));
    let holds = |what| format!("bpf_handle_fs_get_mode() takes the handle in r1, which holds {what}");
    denied(after(&[MODE]), 0, &holds("the address of the context"));
    denied(after(&[load(Double, R1, R1, context::ARG2), MODE]), 1, &holds("a number"));
    denied(after(&[mov(R1, R10), MODE]), 1, &holds("a stack address"));
    denied(after(&[mov(R1, 0), MODE]), 1, &holds("a number"));
}

#[test]
fn a_call_leaves_a_number_and_no_arguments() {
    accepted(fs(&[HANDLE, MODE, exit()]));
    accepted(after(&[mov(R6, R1), HANDLE, MODE, load(Double, R2, R6, context::ARG2)]));
    let fact = "r1 is read after a call, which leaves nothing in r1 to r5";
    denied(after(&[HANDLE, MODE, MODE]), 2, fact);
    let fact = "r5 is read after a call, which leaves nothing in r1 to r5";
    denied(after(&[mov(R5, 1), HANDLE, MODE, mov(R6, R5)]), 3, fact);
}

fn comm(off: i32, size: impl Into<crate::op::Source>) -> RuleObject {
    after(&[mov(R1, R10), alu(AluOp::Add, R1, off), mov(R2, size), COMM])
}

#[test]
fn get_comm_fills_stack_memory_of_a_known_size() {
    accepted(comm(-16, 16));
    accepted(comm(-512, 512));
    accepted(comm(-3, 3));
    let size = |size| format!("bpf_get_current_comm() takes a size in r2 of 1 to 512, not {size}");
    denied(comm(-16, 0), 3, &size(0));
    denied(comm(-512, 513), 3, &size(513));
    denied(comm(-16, -1), 3, &size(u64::MAX));
    denied(comm(-16, 17), 3, "access to 17 bytes at r10-16, the stack is r10-512 to r10");
    let pointer = "bpf_get_current_comm() takes the address of stack memory in r1, which holds";
    denied(after(&[mov(R2, 16), COMM]), 1, &format!("{pointer} the address of the context"));
    denied(after(&[mov(R1, 0), mov(R2, 16), COMM]), 2, &format!("{pointer} a number"));
    denied(after(&[HANDLE, mov(R2, 16), COMM]), 2, &format!("{pointer} the handle"));
    let number = "bpf_get_current_comm() takes a number in r2, which holds the address of the context";
    denied(after(&[mov(R2, R1), mov(R1, R10), alu(AluOp::Add, R1, -16), COMM]), 3, number);
}

#[test]
fn a_size_is_the_same_number_on_every_path() {
    let paths = |first, second| {
        after(&[
            load(Double, R3, R1, context::ARG2),
            mov(R1, R10),
            alu(AluOp::Add, R1, -16),
            mov(R2, first),
            branch(CompareOp::Eq, R3, 0, 1),
            mov(R2, second),
            COMM,
        ])
    };
    accepted(paths(8, 8));
    let fact = "bpf_get_current_comm() takes a size in r2 that is the same known number on every path";
    denied(paths(8, 16), 6, fact);
    let sized = |ops: &[Op]| {
        let mut all = vec![load(Double, R2, R1, context::ARG2), mov(R1, R10), alu(AluOp::Add, R1, -16)];
        all.extend_from_slice(ops);
        all.push(COMM);
        after(&all)
    };
    denied(sized(&[alu(AluOp::And, R2, 15)]), 4, fact);
    accepted(sized(&[load_imm(R2, 32), alu(AluOp::Rsh, R2, 1)]));
    denied(sized(&[mov(R2, 32), alu(AluOp::Div, R2, 2)]), 5, fact);
}

#[test]
fn what_a_helper_fills_is_initialised() {
    let read =
        |off| after(&[mov(R1, R10), alu(AluOp::Add, R1, -16), mov(R2, 12), COMM, load(Byte, R3, R10, off)]);
    accepted(read(-16));
    accepted(read(-5));
    denied(read(-4), 4, "read of 1 bytes at r10-4; the byte at r10-4 holds no number on some path");
    let spilled = |off| {
        after(&[
            store(Double, R10, -8, R1),
            mov(R1, R10),
            alu(AluOp::Add, R1, off),
            mov(R2, 4),
            COMM,
            load(Double, R3, R10, -8),
            load(Double, R4, R3, context::ARG2),
        ])
    };
    accepted(spilled(-16));
    let fact = "read of 8 bytes at r10-8; the byte at r10-4 holds no number on some path";
    assert_eq!(problems(spilled(-8)).problems()[0].fact.to_string(), fact);
}

#[test]
fn printk_reads_an_initialised_format() {
    let print = |size: i32, more: &[Op]| {
        let mut ops = vec![store(Double, R10, -16, 37), mov(R6, R1), mov(R1, R10), alu(AluOp::Add, R1, -16)];
        ops.push(mov(R2, size));
        ops.extend_from_slice(more);
        ops.push(PRINT);
        after(&ops)
    };
    accepted(print(8, &[]));
    accepted(print(3, &[mov(R3, 1), load(Double, R4, R6, context::ARG2), mov(R5, 3)]));
    let fact = "read of 9 bytes at r10-16; the byte at r10-8 holds no number on some path";
    denied(print(9, &[]), 5, fact);
    denied(
        print(8, &[store(Double, R10, -16, R6)]),
        6,
        "read of 8 bytes at r10-16; the byte at r10-16 holds no number on some path",
    );
    for (reg, name) in [(R3, "r3"), (R4, "r4"), (R5, "r5")] {
        let fact = format!("bpf_trace_printk() takes a number in {name}, which holds");
        denied(print(8, &[mov(reg, R6)]), 6, &format!("{fact} the address of the context"));
        denied(print(8, &[mov(reg, R10)]), 6, &format!("{fact} a stack address"));
    }
    let size = "bpf_trace_printk() takes a size in r2 of 1 to 512, not 0";
    denied(print(0, &[]), 5, size);
}

/// A pointer on one path is not "not set".
#[test]
fn printk_takes_no_pointer_of_one_path() {
    let print = |other: Op| {
        after(&[
            load(Double, R7, R1, context::ARG2),
            load(Double, R6, R1, context::ARG1),
            store(Double, R10, -8, 0),
            branch(CompareOp::Eq, R7, 0, 1),
            other,
            mov(R1, R10),
            alu(AluOp::Add, R1, -8),
            mov(R2, 8),
            PRINT,
        ])
    };
    accepted(print(mov(R8, R6)));
    denied(print(mov(R3, R6)), 8, "r3 is read, and was not written on every path");
    let once = [HANDLE, branch(CompareOp::Eq, R7, 0, 1), MODE];
    let mut ops = vec![load(Double, R7, R1, context::ARG2), store(Double, R10, -8, 0)];
    ops.extend(once);
    ops.extend([mov(R1, R10), alu(AluOp::Add, R1, -8), mov(R2, 8), PRINT]);
    accepted(after(&ops));
}

#[test]
fn only_helpers_are_called() {
    let calls = |callee| after(&[Op::Call(callee)]);
    accepted(calls(Callee::Helper(helper::GET_CURRENT_UID_GID)));
    invalid(calls(Callee::Local(0)), 0, "a call of a function of the program");
    invalid(calls(Callee::Kernel(9)), 0, "a call of a kernel function (BTF id 9)");
    invalid(after(&[Op::LoadPacket]), 0, "packet loads (LD_ABS, LD_IND) are for packets, a rule sees none");
}

#[test]
fn each_wrong_argument_is_told() {
    let problems = problems(after(&[mov(R1, 0), PRINT]));
    let facts: Vec<_> = problems.problems().iter().map(|problem| problem.fact.to_string()).collect();
    let pointer = "bpf_trace_printk() takes the address of stack memory in r1, which holds a number";
    assert_eq!(facts, [pointer, "r2 is read, and was never written"]);
}
