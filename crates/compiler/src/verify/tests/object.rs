// SPDX-License-Identifier: MIT OR Apache-2.0
//! Size, subtype and loader.

use super::*;
use crate::abi::{Abilities, Event, Subtype};
use crate::op::AluOp;
use crate::testing::build::regs::R0;
use crate::testing::build::{self, alu, exit, mov, program};

const VALID: Subtype = Subtype { abi: 1, event: 1, ability: 0, option: 0 };

fn with(subtype: Option<Subtype>) -> RuleObject {
    RuleObject { subtype, ..build::fs(&[mov(R0, 0), exit()]) }
}

fn whole(object: RuleObject, errno: Errno, fact: &str) {
    refused(object, None, errno, fact);
}

#[test]
fn a_rule_has_1_to_4096_instructions() {
    let long = |len: usize| {
        let mut ops = vec![mov(R0, 0)];
        ops.resize(len - 1, alu(AluOp::Add, R0, 1));
        ops.push(exit());
        build::fs(&ops)
    };
    accepted(long(4096));
    whole(long(4097), Errno::TooBig, "the program has 4097 instructions, the limit is 4096");
    whole(build::fs(&[]), Errno::TooBig, "the program has no instructions");
}

#[test]
fn the_subtype_is_there() {
    accepted(with(Some(VALID)));
    whole(with(None), Errno::Inval, "the rule has no subtype");
}

#[test]
fn the_abi_is_1_or_2() {
    accepted(with(Some(Subtype { abi: 1, ..VALID })));
    accepted(with(Some(Subtype { abi: 2, ..VALID })));
    let problems = verify(with(Some(Subtype { abi: 2, ..VALID })), &NOBODY).unwrap_err();
    let fact = problems.problems()[0].fact.to_string();
    assert_eq!(fact, "the rule asks for ABI 2, ABI 1 to 1 can be had", "no target knows more");
    for abi in [0, 3, u32::MAX] {
        let fact = format!("the rule asks for ABI {abi}, ABI 1 to 2 can be had");
        whole(with(Some(Subtype { abi, ..VALID })), Errno::Inval, &fact);
    }
}

#[test]
fn the_event_exists() {
    for event in Event::ALL {
        let subtype = Subtype { abi: event.abi(), event: event as u32, ..VALID };
        let rule = verify_newest(with(Some(subtype)), &NOBODY).unwrap();
        assert_eq!((rule.event(), rule.abi()), (event, event.abi()));
    }
    for event in Event::HOOKS {
        let fact = format!("event {} is of ABI 2, the rule asks for ABI 1", event.name());
        whole(with(Some(Subtype { event: event as u32, ..VALID })), Errno::Inval, &fact);
    }
    for event in [0, 5, u32::MAX] {
        let fact = format!("event number {event} does not exist");
        whole(with(Some(Subtype { event, ..VALID })), Errno::Inval, &fact);
    }
}

#[test]
fn abilities_and_options_exist() {
    accepted(with(Some(Subtype { ability: 1, ..VALID })));
    let ability = with(Some(Subtype { ability: 0b111, ..VALID }));
    whole(ability, Errno::Inval, "ability bits 0x6 do not exist");
    let option = with(Some(Subtype { option: 1, ..VALID }));
    whole(option, Errno::Inval, "option bits 0x1 do not exist");
}

/// v7 let nobody without CAP_SYS_ADMIN load anything, and said so before it looked at the subtype.
#[test]
fn ability_debug_is_for_admins_and_nothing_else_is() {
    let debug = || build::debug(&[mov(R0, 0), exit()]);
    let rule = verify(debug(), &ADMIN).unwrap();
    assert_eq!(rule.abilities(), Abilities::DEBUG);
    let problems = verify(debug(), &NOBODY).unwrap_err();
    assert_eq!(problems.errno(), Errno::Perm);
    assert_eq!(problems.problems()[0].fact.to_string(), "ability DEBUG is for loaders with CAP_SYS_ADMIN");
    let broken = RuleObject { subtype: Some(Subtype { abi: 7, ability: 1, ..VALID }), ..debug() };
    assert_eq!(verify(broken, &NOBODY).unwrap_err().errno(), Errno::Perm);
    assert!(verify(with(Some(VALID)), &NOBODY).is_ok());
}

#[test]
fn a_rule_keeps_its_program() {
    let insns = program(&[mov(R0, 1), exit()]);
    let rule = verify(build::object(Event::FsLock, Abilities::empty(), insns.clone()), &NOBODY).unwrap();
    assert_eq!((rule.name(), rule.insns()), ("landlock1", &insns[..]));
}
