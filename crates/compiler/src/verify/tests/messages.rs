// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people read, and v7's order of refusals.

use super::*;
use crate::abi::{Subtype, context};
use crate::insn::Insn;
use crate::object::SourceLine;
use crate::op::{AluOp, Op};
use crate::testing::build::regs::*;
use crate::testing::build::{Double, alu, exit, fs, load, mov, program, store};
use crate::verify::MAX_PROBLEMS;

fn line(text: &str) -> Option<SourceLine> {
    Some(SourceLine { file: "rule.c".into(), line: 7, text: text.into() })
}

#[test]
fn a_message_says_what_where_and_the_way_out() {
    let ops = [
        load(Double, R6, R1, context::ARG1),
        alu(AluOp::Add, R6, 8),
        load(Double, R2, R1, 4),
        mov(R0, 0),
        exit(),
    ];
    let lines = vec![None, line("handle + 1;")];
    let text = problems(RuleObject { lines, ..fs(&ops) }).to_string();
    assert_eq!(
        text,
        "\
rule landlock1: refused (EACCES)
  instruction 1: r6 += 8
    at rule.c:7: handle + 1;
    arithmetic on the handle
    help: the handle is opaque; hand it to a helper as it is
  instruction 2: r2 = *(u64 *)(r1 + 4)
    no field of the context starts at offset 4
    help: fields start at 0 (status), 8 (event), 16 (arg1), 24 (arg2), 32 (arch), 40 (syscall_nr); \
load from there, then shift"
    );
}

#[test]
fn all_problems_are_told_in_v7s_order() {
    let mut insns = program(&[mov(R0, R9), alu(AluOp::Div, R0, 0), exit()]);
    insns.insert(2, Insn { code: 0xff, ..Insn::default() });
    let subtype = Some(Subtype { abi: 3, event: 9, ability: 1, option: 0 });
    let object = || RuleObject { insns: insns.clone(), subtype, ..fs(&[]) };
    let facts = |problems: Problems| -> Vec<(String, Errno)> {
        problems.problems().iter().map(|problem| (problem.fact.to_string(), problem.fact.errno())).collect()
    };
    let expected = [
        ("ability DEBUG is for loaders with CAP_SYS_ADMIN", Errno::Perm),
        ("the rule asks for ABI 3, ABI 1 to 1 can be had", Errno::Inval),
        ("event number 9 does not exist", Errno::Inval),
        ("opcode 0xff is not in the instruction set", Errno::Inval),
        ("r9 is read, and was never written", Errno::Acces),
        ("division by the constant zero", Errno::Inval),
    ]
    .map(|(fact, errno)| (fact.to_owned(), errno));
    assert_eq!(facts(verify(object(), &NOBODY).unwrap_err()), expected);
    assert_eq!(facts(verify(object(), &ADMIN).unwrap_err()), expected[1..]);
}

#[test]
fn one_mistake_is_one_message() {
    let ops = [
        mov(R6, R9),
        mov(R7, R9),
        alu(AluOp::Add, R6, R7),
        store(Double, R6, 0, R7),
        load(Double, R2, R10, -8),
        load(Double, R0, R6, 0),
        exit(),
    ];
    denied(fs(&ops), 0, "r9 is read, and was never written");
}

#[test]
fn many_problems_are_cut_and_counted() {
    let bad = |count: usize| {
        let mut ops: Vec<Op> = vec![store(Double, R1, 0, 0); count];
        ops.extend([mov(R0, 0), exit()]);
        problems(fs(&ops))
    };
    assert_eq!((bad(MAX_PROBLEMS).problems().len(), bad(MAX_PROBLEMS).omitted()), (MAX_PROBLEMS, 0));
    let cut = bad(4000);
    assert_eq!((cut.problems().len(), cut.omitted()), (MAX_PROBLEMS, 4000 - MAX_PROBLEMS));
    assert!(cut.to_string().ends_with("\n  and 3980 more, not shown"));
}

#[test]
fn text_of_the_object_cannot_command_the_terminal() {
    let lines = vec![line(&"\u{1b}[2J\u{202e}".repeat(1000))];
    let object = RuleObject { name: "a\nb\u{7}".into(), lines, ..fs(&[mov(R0, R9), exit()]) };
    let text = problems(object).to_string();
    assert!(text.starts_with("rule a\\nb\\u{7}: refused"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.len() < 3000, "{text}");
    assert!(text.contains('…'), "{text}");
}

#[test]
fn the_errno_has_linux_numbers() {
    let all = [Errno::Perm, Errno::TooBig, Errno::Acces, Errno::Inval];
    assert_eq!(all.map(Errno::number), [1, 7, 13, 22]);
    assert_eq!(all.map(|errno| errno.to_string()), ["EPERM", "E2BIG", "EACCES", "EINVAL"]);
}
