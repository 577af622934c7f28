// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::abi::{Actions, context, helper};
use crate::evaluate::tests::{field, input, read_only, rule};
use crate::op::{AluOp, CompareOp, Op, Reg};
use crate::specialise::{Bits, ObjectKnown, random};
use crate::testing::build::{Word, alu, branch, call, mov, store};

fn returns(value: i32) -> Rule {
    rule(Event::Fs, &[mov(Reg::R0, value), Op::Exit])
}

fn deny_setuid() -> Rule {
    let program = [
        field(Reg::R1, context::ARG1),
        call(helper::HANDLE_FS_GET_MODE),
        alu(AluOp::And, Reg::R0, 0o4000),
        Op::Exit,
    ];
    rule(Event::Fs, &program)
}

/// Traces, then returns `value`.
fn tracing(value: i32) -> Rule {
    let program = [
        store(Word, Reg::R10, -4, 0x6968),
        mov(Reg::R1, Reg::R10),
        alu(AluOp::Add, Reg::R1, -4),
        mov(Reg::R2, 4),
        call(helper::TRACE_PRINTK),
        mov(Reg::R0, value),
        Op::Exit,
    ];
    rule(Event::Fs, &program)
}

fn write() -> Known {
    Known::new(Event::Fs, Bits::exactly(Actions::WRITE.bits()))
}

fn kept(composed: Composed) -> Vec<usize> {
    match composed {
        Composed::Residuals(left) => left.iter().map(|(rule, _)| *rule).collect(),
        answer => panic!("{answer:?} instead of residuals"),
    }
}

#[test]
fn rules_that_allow_drop_out_and_one_that_denies_decides() {
    let sample = || rule(Event::Fs, &read_only());
    let compose = |rules: Vec<Rule>| Domain::prepended(rules).specialise(&write());
    assert!(matches!(compose(vec![]), Composed::Allow));
    assert!(matches!(compose(vec![returns(0), returns(0)]), Composed::Allow));
    assert_eq!(kept(compose(vec![sample(), returns(0), deny_setuid()])), [0, 2]);
    assert!(matches!(compose(vec![returns(1), sample()]), Composed::Deny { rule: 1 }));
    assert!(matches!(compose(vec![sample(), returns(1)]), Composed::Deny { rule: 0 }));
}

#[test]
fn rules_of_other_events_have_no_say() {
    let domain = Domain::prepended([rule(Event::FsIoctl, &[mov(Reg::R0, 1), Op::Exit])]);
    assert!(matches!(domain.specialise(&write()), Composed::Allow));
    assert!(!domain.may_deny(&write()));
    assert!(domain.may_deny(&Known::new(Event::FsIoctl, Bits::ANY32)));
}

#[test]
fn what_a_newer_rule_traces_is_kept_before_a_denial() {
    let domain = Domain::prepended([returns(0), returns(1), tracing(0)]);
    let composed = domain.specialise(&write());
    assert_eq!(composed.always(), Some(Answer::Deny));
    assert_eq!(kept(composed.clone()), [0, 1]);
    let Composed::Residuals(left) = composed else { unreachable!() };
    let mut texts = Vec::new();
    let verdict = left.decide(&input(2, None), &mut |text| texts.push(text.to_owned()));
    assert_eq!((verdict, texts), (Verdict::Deny { rule: 1, insn: 1 }, vec!["hi".to_owned()]));
}

#[test]
fn tracing_alone_denies_nothing() {
    let domain = Domain::prepended([tracing(0)]);
    assert_eq!(domain.specialise(&write()).always(), Some(Answer::Allow));
    assert!(!domain.may_deny(&write()));
    assert!(Domain::prepended([tracing(1)]).may_deny(&write()));
}

#[test]
fn each_file_type_gets_its_answer_and_what_it_depends_on() {
    let domain = Domain::prepended([rule(Event::Fs, &read_only()), deny_setuid()]);
    for (file_type, composed) in domain.by_file_type(&write()) {
        let device = matches!(file_type, FileType::CharacterDevice | FileType::Fifo);
        let expected = if device { None } else { Some(Answer::Deny) };
        assert_eq!(composed.always(), expected, "{file_type:?}");
        assert_eq!(composed.looks_at(Field::Mode), if device { 0o4000 } else { 0 }, "{file_type:?}");
        assert_eq!(composed.looks_at(Field::UidGid), 0);
    }
}

#[test]
fn what_a_rule_reads_but_does_not_need_is_no_dependence() {
    let program = [
        field(Reg::R2, context::SYSCALL_NR),
        branch(CompareOp::Eq, Reg::R2, 2, 0),
        field(Reg::R0, context::ARCH),
        alu(AluOp::And, Reg::R0, 0x100),
        Op::Exit,
    ];
    let composed =
        Domain::prepended([rule(Event::Fs, &program)]).specialise(&write().with_object(ObjectKnown::Absent));
    assert_eq!(composed.looks_at(Field::Arch), 0x100);
    assert_eq!(composed.looks_at(Field::Mode), 0);
    assert_eq!(composed.looks_at(Field::Exists), 0);
    assert_eq!(composed.looks_at(Field::Arg2), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn composing_keeps_every_answer(
        (first, known, inputs) in random::rule_known_and_inputs(),
        others in proptest::collection::vec(crate::testing::rules::rule(), 0..3),
    ) {
        let domain = Domain::prepended([first].into_iter().chain(others));
        let composed = domain.specialise(&known);
        for input in inputs {
            let verdict = domain.decide(&input);
            match &composed {
                Composed::Allow => prop_assert_eq!(verdict, Verdict::Allow),
                Composed::Deny { rule } => {
                    let Verdict::Deny { rule: denied, .. } = verdict else {
                        return Err(TestCaseError::fail("allowed"));
                    };
                    prop_assert!(denied <= *rule);
                }
                Composed::Residuals(left) => prop_assert_eq!(left.decide(&input, &mut |_| {}), verdict),
            }
            prop_assert!(domain.may_deny(&known) || !verdict.is_deny());
        }
    }
}
