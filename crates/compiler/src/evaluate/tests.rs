// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::abi::{Abilities, Actions, context, helper};
use crate::object::RuleObject;
use crate::op::{AluOp, AtomicOp, CompareOp, Op, Reg, Size};
use crate::testing::build::{Byte, Double, Word, alu, branch, call, load, load_imm, mov, program, store};

/// A rule of these operations, believed without a verifier.
pub(crate) fn rule(event: Event, ops: &[Op]) -> Rule {
    let object = RuleObject { name: "test".into(), insns: program(ops), ..RuleObject::default() };
    Rule::proven(object, event, Abilities::DEBUG, 512)
}

pub(crate) fn input(arg2: u64, mode: Option<u32>) -> Input {
    let current =
        Current { pid_tgid: 7 << 32 | 8, uid_gid: 100 << 32 | 1000, comm: *b"make\0\0\0\0\0\0\0\0\0\0\0\0" };
    Input { event: Event::Fs, arg2, mode, arch: 0xc000_003e, syscall_nr: 257, current }
}

/// `dst` = a field of the context, which `r1` points to.
pub(crate) fn field(dst: Reg, off: i16) -> Op {
    load(Double, dst, Reg::R1, off)
}

/// Denies what writes, except to character devices and FIFOs: v7's sample, without its messages.
pub(crate) fn read_only() -> Vec<Op> {
    vec![
        field(Reg::R2, context::ARG2),
        alu(AluOp::And, Reg::R2, 2),
        branch(CompareOp::Eq, Reg::R2, 0, 6),
        field(Reg::R1, context::ARG1),
        call(helper::HANDLE_FS_GET_MODE),
        branch(CompareOp::Slt, Reg::R0, 0, 5),
        alu(AluOp::And, Reg::R0, 0o170_000),
        branch(CompareOp::Eq, Reg::R0, 0o020_000, 1),
        branch(CompareOp::Ne, Reg::R0, 0o010_000, 2),
        mov(Reg::R0, 0),
        Op::Exit,
        mov(Reg::R0, 1),
        Op::Exit,
    ]
}

const DENIED_BY_SAMPLE: Verdict = Verdict::Deny { rule: 0, insn: 12 };

#[test]
fn the_sample_denies_writes_but_to_devices_and_pipes() {
    let rule = rule(Event::Fs, &read_only());
    let write = Actions::WRITE.bits();
    for (arg2, mode, verdict) in [
        (write, Some(0o100_644), DENIED_BY_SAMPLE),
        (write, None, DENIED_BY_SAMPLE),
        (write | Actions::GET.bits(), Some(0o040_755), DENIED_BY_SAMPLE),
        (write, Some(0o020_666), Verdict::Allow),
        (write, Some(0o010_600), Verdict::Allow),
        (Actions::READ.bits(), Some(0o100_644), Verdict::Allow),
        (0, None, Verdict::Allow),
    ] {
        assert_eq!(rule.evaluate(&input(arg2, mode)), verdict, "{arg2:#x} {mode:?}");
    }
}

#[test]
fn only_the_low_half_of_r0_counts() {
    let returns = |value| rule(Event::Fs, &[load_imm(Reg::R0, value), Op::Exit]);
    assert_eq!(returns(1 << 32).evaluate(&input(0, None)), Verdict::Allow);
    assert_eq!(returns(1 << 31).evaluate(&input(0, None)), Verdict::Deny { rule: 0, insn: 2 });
}

#[test]
fn the_context_is_what_the_caller_gave() {
    for (offset, expected) in [
        (context::STATUS, 0),
        (context::EVENT, 1),
        (context::ARG2, 0x55),
        (context::ARCH, 0xc000_003e),
        (context::SYSCALL_NR, 257),
    ] {
        let equal = branch(CompareOp::Eq, Reg::R2, Reg::R3, 1);
        let wanted = load_imm(Reg::R3, expected);
        let program = [field(Reg::R2, offset), wanted, mov(Reg::R0, 0), equal, mov(Reg::R0, 1), Op::Exit];
        assert_eq!(rule(Event::Fs, &program).evaluate(&input(0x55, None)), Verdict::Allow, "offset {offset}");
    }
}

#[test]
fn a_spilled_handle_still_names_the_object() {
    let program = [
        field(Reg::R6, context::ARG1),
        store(Double, Reg::R10, -8, Reg::R6),
        load(Double, Reg::R1, Reg::R10, -8),
        call(helper::HANDLE_FS_GET_MODE),
        alu(AluOp::And, Reg::R0, 0o111),
        Op::Exit,
    ];
    let rule = rule(Event::Fs, &program);
    assert_eq!(rule.evaluate(&input(0, Some(0o100_644))), Verdict::Allow);
    assert!(rule.evaluate(&input(0, Some(0o100_755))).is_deny());
}

#[test]
fn the_stack_is_bytes_in_little_endian_order() {
    let byte = |off, imm| store(Byte, Reg::R10, off, imm);
    let program = [
        byte(-4, 0),
        byte(-3, 1),
        byte(-2, 0),
        byte(-1, 0),
        mov(Reg::R1, 0x100),
        Op::Atomic { op: AtomicOp::FetchXor, size: Size::Word, base: Reg::R10, off: -4, src: Reg::R1 },
        load(Word, Reg::R0, Reg::R10, -4),
        alu(AluOp::Sub, Reg::R1, 0x100),
        alu(AluOp::Or, Reg::R0, Reg::R1),
        Op::Exit,
    ];
    assert_eq!(rule(Event::Fs, &program).evaluate(&input(0, None)), Verdict::Allow);
}

#[test]
fn compare_and_exchange_leaves_the_old_value_in_r0() {
    let exchange = |expected| {
        [
            store(Double, Reg::R10, -8, 5),
            mov(Reg::R0, expected),
            mov(Reg::R1, 0),
            Op::Atomic {
                op: AtomicOp::CompareExchange,
                size: Size::Double,
                base: Reg::R10,
                off: -8,
                src: Reg::R1,
            },
            branch(CompareOp::Ne, Reg::R0, 5, 1),
            load(Double, Reg::R0, Reg::R10, -8),
            Op::Exit,
        ]
    };
    assert_eq!(rule(Event::Fs, &exchange(5)).evaluate(&input(0, None)), Verdict::Allow);
    assert!(rule(Event::Fs, &exchange(4)).evaluate(&input(0, None)).is_deny());
}

#[test]
fn debug_helpers_describe_the_caller() {
    let is = |number, value| {
        let program = [call(number), load_imm(Reg::R1, value), alu(AluOp::Xor, Reg::R0, Reg::R1), Op::Exit];
        rule(Event::Fs, &program).evaluate(&input(0, None))
    };
    assert_eq!(is(helper::GET_CURRENT_PID_TGID, 7 << 32 | 8), Verdict::Allow);
    assert_eq!(is(helper::GET_CURRENT_UID_GID, 100 << 32 | 1000), Verdict::Allow);
    assert!(is(helper::GET_CURRENT_UID_GID, 0).is_deny());
}

#[test]
fn comm_is_cut_to_the_buffer_and_terminated() {
    let program = [
        mov(Reg::R1, Reg::R10),
        alu(AluOp::Add, Reg::R1, -8),
        mov(Reg::R2, 4),
        store(Double, Reg::R10, -8, -1),
        call(helper::GET_CURRENT_COMM),
        load(Double, Reg::R0, Reg::R10, -8),
        load_imm(Reg::R1, u64::from_le_bytes(*b"mak\0\xff\xff\xff\xff")),
        alu(AluOp::Xor, Reg::R0, Reg::R1),
        Op::Exit,
    ];
    assert_eq!(rule(Event::Fs, &program).evaluate(&input(0, None)), Verdict::Allow);
}

/// Traces `format` (8 bytes) with arguments -2, the stack's `format` itself, and 5.
fn traced(format: [u8; 8]) -> (Vec<String>, Verdict) {
    let program = [
        load_imm(Reg::R1, u64::from_le_bytes(format)),
        store(Double, Reg::R10, -8, Reg::R1),
        mov(Reg::R1, Reg::R10),
        alu(AluOp::Add, Reg::R1, -8),
        mov(Reg::R2, 8),
        mov(Reg::R3, -2),
        mov(Reg::R4, Reg::R1),
        mov(Reg::R5, 5),
        call(helper::TRACE_PRINTK),
        Op::Exit,
    ];
    let mut texts = Vec::new();
    let verdict =
        rule(Event::Fs, &program).evaluate_traced(&input(0, None), &mut |text| texts.push(text.into()));
    (texts, verdict)
}

#[test]
fn trace_printk_formats_as_the_kernel_does() {
    for (format, text) in [
        (*b"%d\0\0\0\0\0\0", "-2"),
        (*b"%u %s\0\0\0", "4294967294 %u %s"),
        (*b"%llx%%\0\0", "fffffffffffffffe%"),
        (*b"plain\0\0\0", "plain"),
    ] {
        assert_eq!(traced(format).0, [text]);
    }
}

#[test]
fn a_format_that_is_not_understood_traces_nothing_and_fails() {
    for format in [*b"%c\0\0\0\0\0\0", *b"no end..", *b"%llld\0\0\0", *b"%\0\0\0\0\0\0\0", *b"%d%d%d%d"] {
        let (texts, verdict) = traced(format);
        assert_eq!(texts, [""; 0]);
        assert!(verdict.is_deny(), "-EINVAL is returned");
    }
}

#[test]
fn a_domain_asks_the_newest_first_and_stops_at_the_first_denial() {
    let returns = |event, value| rule(event, &[mov(Reg::R0, value), Op::Exit]);
    let domain = Domain::prepended([
        returns(Event::Fs, 1),
        returns(Event::FsIoctl, 1),
        returns(Event::Fs, 2),
        returns(Event::Fs, 0),
    ]);
    assert_eq!(domain.decide(&input(0, None)), Verdict::Deny { rule: 1, insn: 1 });
    assert_eq!(
        domain.decide(&Input { event: Event::FsIoctl, ..input(0, None) }),
        Verdict::Deny { rule: 2, insn: 1 }
    );
    assert_eq!(domain.decide(&Input { event: Event::FsLock, ..input(0, None) }), Verdict::Allow);
    assert_eq!(Domain::default().decide(&input(0, None)), Verdict::Allow);
}

#[test]
fn what_no_verified_rule_does_is_denied() {
    for program in [
        vec![],
        vec![mov(Reg::R0, 0)],
        vec![mov(Reg::R0, 0), Op::Jump { off: -2 }],
        vec![load(Byte, Reg::R0, Reg::R10, 0), Op::Exit],
        vec![store(Byte, Reg::R1, 0, 0), Op::Exit],
        vec![mov(Reg::R0, 0), call(1), Op::Exit],
        vec![Op::LoadPacket, Op::Exit],
    ] {
        assert!(rule(Event::Fs, &program).evaluate(&input(0, None)).is_deny(), "{program:?}");
    }
}
