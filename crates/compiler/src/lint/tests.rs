// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::abi::{context, helper};
use crate::evaluate::Input;
use crate::evaluate::tests::{field, read_only};
use crate::op::{AluOp, CompareOp, Reg};
use crate::testing::build::{alu, branch, call, mov, object, program};
use crate::testing::rules;

fn rule(event: Event, ops: &[Op]) -> Rule {
    Rule::proven(object(event, Abilities::empty(), program(ops)), event, Abilities::empty(), 512)
}

fn debug(ops: &[Op]) -> Rule {
    Rule::proven(object(Event::Fs, Abilities::DEBUG, program(ops)), Event::Fs, Abilities::DEBUG, 512)
}

fn actions(bits: i32) -> Rule {
    rule(Event::Fs, &[field(Reg::R0, context::ARG2), alu(AluOp::And, Reg::R0, bits), Op::Exit])
}

#[test]
fn ordinary_rules_get_no_warning() {
    assert_eq!(lint(&rule(Event::Fs, &read_only())), []);
    assert_eq!(lint(&actions(0x1ff)), [], "access(2) may ask with no action at all");
    for bit in 0..9 {
        assert_eq!(lint(&actions(1 << bit)), []);
    }
}

#[test]
fn a_rule_that_denies_nothing_or_everything_is_told() {
    for event in Event::ALL {
        let returns = |value| lint(&rule(event, &[mov(Reg::R0, value), Op::Exit]));
        assert_eq!(returns(0), [Warning::DeniesNothing]);
        assert_eq!(returns(2), [Warning::DeniesEverything]);
    }
}

#[test]
fn a_rule_on_actions_that_never_come_together_denies_nothing() {
    let both = [
        field(Reg::R2, context::ARG2),
        alu(AluOp::And, Reg::R2, 0b1010),
        mov(Reg::R0, 1),
        branch(CompareOp::Eq, Reg::R2, 0b1010, 1),
        mov(Reg::R0, 0),
        Op::Exit,
    ];
    assert_eq!(lint(&rule(Event::Fs, &both)), [Warning::DeniesNothing]);
}

#[test]
fn bits_that_are_no_action_are_told() {
    assert_eq!(lint(&actions(0x202)), [Warning::UnknownActions(0x200)]);
    assert_eq!(lint(&rule(Event::FsIoctl, &[field(Reg::R0, context::ARG2), Op::Exit])), []);
}

#[test]
fn the_number_of_a_system_call_needs_an_architecture() {
    let mut unlink = vec![
        field(Reg::R2, context::SYSCALL_NR),
        field(Reg::R3, context::ARCH),
        mov(Reg::R0, 0),
        branch(CompareOp::Ne, Reg::R3, 0x3e, 2),
        branch(CompareOp::Ne, Reg::R2, 87, 1),
        mov(Reg::R0, 1),
        Op::Exit,
    ];
    assert_eq!(lint(&rule(Event::Fs, &unlink)), []);
    unlink[3] = mov(Reg::R3, 0);
    assert_eq!(lint(&rule(Event::Fs, &unlink)), [Warning::SyscallWithoutArchitecture]);
}

#[test]
fn a_privilege_without_use_is_told() {
    assert_eq!(lint(&debug(&read_only())), [Warning::UnusedDebug]);
    let user = [call(helper::GET_CURRENT_UID_GID), Op::Exit];
    assert_eq!(lint(&debug(&user)), []);
}

#[test]
fn warnings_read_well() {
    let all = [
        Warning::DeniesNothing,
        Warning::DeniesEverything,
        Warning::UnknownActions(0x600),
        Warning::SyscallWithoutArchitecture,
        Warning::UnusedDebug,
    ];
    insta::assert_snapshot!(all.map(|warning| warning.to_string()).join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn what_is_said_to_deny_nothing_or_everything_does(rule in rules::rule(), base in rules::input(Event::Fs)) {
        let warnings = lint(&rule);
        let commands = base.arg2;
        for known in instances(rule.event()).filter(|_| !warnings.is_empty()) {
            let arg2 = known.arg2.value | commands & known.arg2.unknown;
            let input = Input { event: rule.event(), arg2, mode: base.mode.or(Some(0o100_644)), ..base.clone() };
            let denied = rule.evaluate(&input).is_deny();
            prop_assert!(!denied || !warnings.contains(&Warning::DeniesNothing));
            prop_assert!(denied || !warnings.contains(&Warning::DeniesEverything));
        }
    }
}
