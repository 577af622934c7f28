// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hook instance may know, made of inputs it can have.

use super::*;
use crate::op::AluOp;

pub(super) const ALU: [AluOp; 12] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
pub(super) const COMPARE: [CompareOp; 11] = [
    CompareOp::Eq,
    CompareOp::Ne,
    CompareOp::Set,
    CompareOp::Gt,
    CompareOp::Ge,
    CompareOp::Lt,
    CompareOp::Le,
    CompareOp::Sgt,
    CompareOp::Sge,
    CompareOp::Slt,
    CompareOp::Sle,
];

/// Numbers rules are made of.
pub(super) fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        0..20i32,
        select(vec![0o170_000, 0o100_000, 0o020_000, 0o111, 0x1ff, -1, -2, 0x5412, i32::MAX, i32::MIN]),
        (0..32u32).prop_map(|bit| 1i32.wrapping_shl(bit)),
        any::<i32>(),
    ]
}

pub(super) fn width() -> impl Strategy<Value = Width> {
    select(vec![Width::W32, Width::W64, Width::W64])
}

/// Inputs of an event, and something that holds of all of them.
pub(super) fn known_and_inputs(event: Event) -> impl Strategy<Value = (Known, Vec<Input>)> {
    let unknown = || prop_oneof![Just(0), Just(u64::MAX), Just(0x1ff), Just(0o7777), any::<u64>()];
    let unknown = [unknown(), unknown(), unknown(), unknown()];
    (proptest::collection::vec(rules::input(event), 1..6), unknown).prop_map(move |(inputs, unknown)| {
        let hull = |of: &dyn Fn(&Input) -> u64, unknown: u64| {
            let all = inputs.iter().map(|input| Bits::exactly(of(input))).reduce(Bits::hull).unwrap();
            Bits::but_for(all.value, all.unknown | unknown)
        };
        let mode = hull(&|input| input.mode.map_or(0, u64::from), unknown[1] & u64::from(u32::MAX));
        let object = match inputs.iter().filter(|input| input.mode.is_some()).count() {
            0 => ObjectKnown::Absent,
            count if count == inputs.len() => ObjectKnown::Mode(mode),
            _ => ObjectKnown::Any,
        };
        let known = Known {
            event,
            arg2: hull(&|input| input.arg2, unknown[0]),
            object,
            arch: hull(&|input| input.arch.into(), unknown[2]),
            syscall_nr: hull(&|input| input.syscall_nr.into(), unknown[3]),
        };
        (known, inputs)
    })
}

/// A rule, and what an instance of its event may know and ask.
pub(crate) fn rule_known_and_inputs() -> impl Strategy<Value = (Rule, Known, Vec<Input>)> {
    rules::rule().prop_flat_map(|rule| {
        let event = rule.event();
        (Just(rule), known_and_inputs(event)).prop_map(|(rule, (known, inputs))| (rule, known, inputs))
    })
}

/// The same of a rule that compares with handles.
pub(super) fn abi2_rule_known_and_inputs() -> impl Strategy<Value = (Rule, Known, Vec<Input>)> {
    rules::abi2_rule_of(&Event::FILE_SYSTEM).prop_flat_map(|rule| {
        let event = rule.event();
        (Just(rule), known_and_inputs(event)).prop_map(|(rule, (known, inputs))| (rule, known, inputs))
    })
}
