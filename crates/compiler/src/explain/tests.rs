// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use proptest::sample::select;

use super::operations::{Arg2, Ask, Object, Operation};
use super::*;
use crate::abi::{Actions, Event, context, helper};
use crate::evaluate::Input;
use crate::evaluate::tests::{field, input, rule};
use crate::file_type::{FileType, PERMISSION_BITS};
use crate::hooks::{self, Instance};
use crate::op::{AluOp, CompareOp, Op, Reg};
use crate::testing::build::{alu, branch, call, mov};
use crate::testing::rules;

fn together(rules: &[Rule]) -> Explanation {
    explain(&Domain::prepended(rules.iter().cloned()))
}

/// Whether an instance of the hook table can put a question.
fn puts(instance: &Instance, ask: &Ask) -> bool {
    let any_of =
        |some: &[Actions], actions: Actions| some.iter().copied().collect::<Actions>().contains(actions);
    match (instance.arg2, &ask.arg2) {
        (hooks::Arg2::Actions(actions), Arg2::Actions(asked)) => actions == *asked,
        (hooks::Arg2::Mask, Arg2::Actions(asked)) => {
            any_of(&[Actions::EXEC, Actions::READ, Actions::WRITE, Actions::GET], *asked)
        }
        (hooks::Arg2::Protection, Arg2::Actions(asked)) => {
            any_of(&[Actions::EXEC, Actions::READ, Actions::WRITE], *asked)
        }
        (hooks::Arg2::Command(_), Arg2::Command(event)) => instance.event == *event,
        _ => false,
    }
}

fn asks() -> impl Iterator<Item = &'static Ask> {
    OPERATIONS.iter().flat_map(|operation| operation.asks)
}

#[test]
fn every_question_is_one_of_the_hook_table() {
    for ask in asks() {
        for name in ask.hooks {
            let hook = hooks::by_name(name).unwrap_or_else(|| panic!("{name} is not in the hook table"));
            assert!(hook.instances.iter().any(|instance| puts(instance, ask)), "{name} never asks this");
        }
    }
}

#[test]
fn every_instance_of_the_hook_table_is_part_of_an_operation() {
    for hook in hooks::TABLE {
        for instance in hook.instances {
            let mut asked = asks().filter(|ask| ask.hooks.contains(&hook.name));
            assert!(asked.any(|ask| puts(instance, ask)), "{}: {instance:?}", hook.name);
        }
    }
}

/// Denies the commands for which `test` goes to the denial.
fn command_rule(event: Event, test: &[Op]) -> Rule {
    let program: Vec<Op> = std::iter::once(field(Reg::R2, context::ARG2))
        .chain(test.iter().copied())
        .chain([mov(Reg::R0, 0), Op::Exit, mov(Reg::R0, 1), Op::Exit])
        .collect();
    rule(event, &program)
}

fn heading(rules: &[Rule], operation: &str) -> String {
    let text = together(rules).to_string();
    let sections = text.split("\n\n").skip(1);
    let has = |section: &&str| {
        section.replace("\n    ", " ").split([':', ';', '\n']).any(|word| word.trim() == operation)
    };
    let section = sections.into_iter().find(has).unwrap_or_else(|| panic!("no {operation} in:\n{text}"));
    section.lines().next().unwrap().to_owned()
}

#[test]
fn commands_are_listed_by_name_or_number() {
    let one = |event, command| command_rule(event, &[branch(CompareOp::Eq, Reg::R2, command, 2)]);
    assert_eq!(heading(&[one(Event::FsLock, 1)], "lock"), "allowed, but denied for F_WRLCK:");
    assert_eq!(heading(&[one(Event::FsFcntl, 4)], "fcntl"), "allowed, but denied for F_SETFL:");
    assert_eq!(heading(&[one(Event::FsIoctl, 0x7777)], "ioctl"), "allowed, but denied for 0x7777:");
    assert_eq!(heading(&[one(Event::FsIoctl, 0x7777)], "lock"), "always allowed:");
}

#[test]
fn a_list_of_what_is_allowed_reads_as_one() {
    let rule = command_rule(
        Event::FsIoctl,
        &[branch(CompareOp::Eq, Reg::R2, 0x5401, 1), branch(CompareOp::Ne, Reg::R2, 0x541b, 2)],
    );
    assert_eq!(heading(&[rule], "ioctl"), "denied, but allowed for TCGETS and FIONREAD:");
}

#[test]
fn a_command_that_is_no_exception_among_exceptions_is_told() {
    // Allowed are those whose low half is 0, but for one of them.
    let rule = command_rule(
        Event::FsIoctl,
        &[
            branch(CompareOp::Eq, Reg::R2, 0x10000, 4),
            alu(AluOp::And, Reg::R2, 0xffff),
            branch(CompareOp::Ne, Reg::R2, 0, 2),
        ],
    );
    let domain = Domain::prepended([rule.clone()]);
    let explanation = together(&[rule]);
    let ioctl = explanation.operations.iter().find(|explained| explained.operation == "ioctl").unwrap();
    for (command, reply) in [(0x10000, Reply::Denied), (0x20000, Reply::Allowed), (1, Reply::Denied)] {
        assert_eq!(*reply_to(ioctl, command), reply, "{command:#x}");
        let asked = Input { event: Event::FsIoctl, ..input(command.into(), Some(0o100_644)) };
        assert_eq!(domain.decide(&asked).is_deny(), reply == Reply::Denied);
    }
}

#[test]
fn commands_under_a_mask_are_told_by_the_mask() {
    let rule = command_rule(
        Event::FsIoctl,
        &[
            branch(CompareOp::Eq, Reg::R2, 0x5413, 2),
            alu(AluOp::And, Reg::R2, 0xff00),
            branch(CompareOp::Eq, Reg::R2, 0x5400, 2),
        ],
    );
    assert_eq!(
        heading(&[rule], "ioctl"),
        "allowed, but denied for those with (command & 0xff00) == 0x5400, allowed for TIOCGWINSZ:"
    );
}

#[test]
fn an_answer_that_depends_on_the_caller_says_so() {
    let program =
        [call(helper::GET_CURRENT_UID_GID), branch(CompareOp::Eq, Reg::R0, 0, 1), mov(Reg::R0, 1), Op::Exit];
    let heading = heading(&[rule(Event::Fs, &program)], "stat");
    assert_eq!(heading, "depends on the caller's user id and the caller's group id:");
}

#[test]
fn a_hostile_name_cannot_draw_on_the_terminal() {
    let object = crate::object::RuleObject {
        name: "\x1b[2J\nrule".into(),
        ..crate::testing::build::fs(&[mov(Reg::R0, 0), Op::Exit])
    };
    let rule = Rule::proven(object, Event::Fs, crate::abi::Abilities::empty(), 512);
    assert!(together(&[rule]).to_string().starts_with("rule \\u{1b}[2J\\nrule, event FS\n"));
}

/// The questions of an operation as inputs, on a subject of this type.
fn inputs_of(operation: &Operation, file_type: FileType, permissions: u32, base: &Input) -> Vec<Input> {
    let mode = |file_type: FileType| Some(file_type.bits() | permissions & PERMISSION_BITS);
    let questions = operation.asks.iter().map(|ask| {
        let (event, arg2) = match ask.arg2 {
            Arg2::Actions(actions) => (Event::Fs, actions.bits()),
            Arg2::Command(event) => (event, base.arg2 & u64::from(u32::MAX)),
        };
        let mode = match ask.object {
            Object::Subject => mode(file_type),
            Object::Other(other) => mode(other),
            Object::Absent => None,
        };
        Input { event, arg2, mode, ..base.clone() }
    });
    questions.collect()
}

fn reply_to(explained: &Explained, command: u32) -> &Reply {
    let special = explained.commands.iter().find(|special| command & special.mask == special.value);
    special.map_or(&explained.reply, |special| &special.reply)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn always_allowed_and_always_denied_are_promises(
        rule_list in proptest::collection::vec(rules::rule(), 1..3),
        asked in proptest::collection::vec((select(OPERATIONS.iter().collect::<Vec<_>>()), rules::input(Event::FsIoctl), any::<u32>()), 20),
    ) {
        let explanation = together(&rule_list);
        let domain = Domain::prepended(rule_list);
        for (operation, base, permissions) in asked {
            let explained = explanation.operations.iter().find(|explained| explained.operation == operation.name).unwrap();
            let reply = reply_to(explained, u32::try_from(base.arg2).unwrap());
            for file_type in operation.types {
                let outcome = match reply {
                    Reply::Allowed => &Outcome::Allowed,
                    Reply::Denied => &Outcome::Denied,
                    Reply::Depends { groups } => &groups.iter().find(|group| group.types.contains(file_type)).unwrap().outcome,
                };
                let inputs = inputs_of(operation, *file_type, permissions, &base);
                let denied = inputs.iter().any(|input| domain.decide(input).is_deny());
                match outcome {
                    Outcome::Allowed => prop_assert!(!denied, "{} {file_type:?}", operation.name),
                    Outcome::Denied => prop_assert!(denied, "{} {file_type:?}", operation.name),
                    Outcome::DependsOn(_) => {}
                }
            }
        }
    }
}
