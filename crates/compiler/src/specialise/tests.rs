// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::abi::{Actions, context, helper};
use crate::evaluate::tests::{field, input, read_only, rule};
use crate::evaluate::{HookInput, Input, Relation, Tracer, Unrelated, Verdict};
use crate::hooks;
use crate::op::{AluOp, CompareOp, Op, Reg, SwapBits, Width};
use crate::testing::build::{self, Word, alu, branch, branch32, call, mov, object, store};
use crate::testing::{relations, rules};
use crate::verify::{Loader, verify, verify_newest};

pub(crate) mod random;
mod values;

fn fs(actions: Actions) -> Known {
    Known::new(Event::Fs, Bits::exactly(actions.bits()))
}

fn typed(file_type: u64) -> ObjectKnown {
    ObjectKnown::Mode(Bits { value: file_type, unknown: 0o7777 })
}

fn residual(rule: &Rule, known: &Known) -> Residual {
    match specialise(rule, known) {
        Specialised::Residual(residual) => residual,
        answer => panic!("{answer:?} instead of a residual"),
    }
}

fn always(rule: &Rule, known: &Known) -> Option<Answer> {
    specialise(rule, known).always()
}

/// `return arg2 & actions ? 1 : 0`, as clang writes it: with and without a branch.
fn deny_actions(actions: Actions) -> [Rule; 2] {
    let bit = i32::try_from(actions.bits()).unwrap();
    let branching = [
        field(Reg::R1, context::ARG2),
        mov(Reg::R0, 1),
        branch(CompareOp::Set, Reg::R1, bit, 1),
        mov(Reg::R0, 0),
        Op::Exit,
    ];
    let shifting = [
        field(Reg::R0, context::ARG2),
        alu(AluOp::Rsh, Reg::R0, bit.trailing_zeros().cast_signed()),
        alu(AluOp::And, Reg::R0, 1),
        Op::Exit,
    ];
    [rule(Event::Fs, &branching), rule(Event::Fs, &shifting)]
}

#[test]
fn rules_on_one_action_are_decided_wherever_the_actions_are_known() {
    for action in [Actions::NEW, Actions::WRITE, Actions::GET] {
        for rule in deny_actions(action) {
            for actions in (0..512).map(Actions::from_bits_truncate) {
                let expected = if actions.contains(action) { Answer::Deny } else { Answer::Allow };
                assert_eq!(always(&rule, &fs(actions)), Some(expected), "{action:?} of {actions:?}");
            }
        }
    }
}

#[test]
fn what_an_action_decides_is_left_as_exactly_two_cases() {
    for rule in deny_actions(Actions::WRITE) {
        let left = residual(&rule, &Known::new(Event::Fs, Bits { value: 0, unknown: 0x1ff }));
        let cases: Vec<_> = left
            .cases()
            .unwrap()
            .iter()
            .map(|case| {
                assert!(case.inputs.field(Field::Arg2).except().is_empty());
                (case.denies, case.inputs.field(Field::Arg2).bits())
            })
            .collect();
        assert_eq!(cases.len(), 2);
        assert!(cases.contains(&(true, Bits { value: 2, unknown: 0x1fd })));
        assert!(cases.contains(&(false, Bits { value: 0, unknown: 0x1fd })));
    }
}

#[test]
fn the_sample_is_decided_by_the_file_type() {
    let rule = rule(Event::Fs, &read_only());
    assert_eq!(always(&rule, &fs(Actions::READ | Actions::GET)), Some(Answer::Allow));
    assert_eq!(always(&rule, &fs(Actions::WRITE).with_object(ObjectKnown::Absent)), Some(Answer::Deny));
    for (file_type, expected) in [
        (0o100_000, Answer::Deny),
        (0o040_000, Answer::Deny),
        (0o120_000, Answer::Deny),
        (0o020_000, Answer::Allow),
        (0o060_000, Answer::Deny),
        (0o010_000, Answer::Allow),
        (0o140_000, Answer::Deny),
        (0, Answer::Deny),
    ] {
        let known = fs(Actions::WRITE).with_object(typed(file_type));
        assert_eq!(always(&rule, &known), Some(expected), "{file_type:o}");
        assert!(!matches!(specialise(&rule, &known), Specialised::Residual(_)));
    }
}

#[test]
fn a_residual_is_the_rule_without_what_is_known() {
    let rule = rule(Event::Fs, &read_only());
    let known = fs(Actions::WRITE).with_object(ObjectKnown::Mode(Bits::ANY32));
    let left = residual(&rule, &known);
    let expected = [
        field(Reg::R1, context::ARG1),
        call(helper::HANDLE_FS_GET_MODE),
        alu(AluOp::And, Reg::R0, 0o170_000),
        branch(CompareOp::Eq, Reg::R0, 0o020_000, 1),
        branch(CompareOp::Ne, Reg::R0, 0o010_000, 2),
        mov(Reg::R0, 0),
        Op::Exit,
        mov(Reg::R0, 1),
        Op::Exit,
    ];
    assert_eq!(left.insns(), expected.map(|op| op.encode().0));
    let origins: Vec<_> = (0..9).filter_map(|index| left.origin(index)).collect();
    assert_eq!(origins, [3, 4, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(left.origin(9), None);
}

#[test]
fn denials_of_a_residual_name_the_instruction_of_the_rule() {
    let rule = rule(Event::Fs, &read_only());
    let left = residual(&rule, &fs(Actions::WRITE));
    let ask = |mode| left.evaluate(&input(Actions::WRITE.bits(), mode), &mut |_| {});
    assert_eq!(ask(Some(0o100_644)), Verdict::Deny { rule: 0, insn: 12 });
    assert_eq!(ask(None), Verdict::Deny { rule: 0, insn: 12 });
    assert_eq!(ask(Some(0o020_644)), Verdict::Allow);
}

#[test]
fn a_file_type_ruled_out_by_every_test_is_not_left_over() {
    // switch over the whole type: what matches no case cannot be.
    let mut program = vec![
        field(Reg::R1, context::ARG1),
        call(helper::HANDLE_FS_GET_MODE),
        alu(AluOp::And, Reg::R0, 0o170_000),
    ];
    for file_type in 0..16 {
        program.push(branch(CompareOp::Eq, Reg::R0, file_type << 12, 17 - i16::try_from(file_type).unwrap()));
    }
    program.extend([mov(Reg::R0, 1), Op::Exit, mov(Reg::R0, 0), Op::Exit]);
    let rule = rule(Event::Fs, &program);
    let exists = fs(Actions::READ).with_object(ObjectKnown::Mode(Bits::ANY32));
    assert_eq!(always(&rule, &exists), Some(Answer::Allow));
}

#[test]
fn a_list_of_commands_is_found_exactly() {
    let commands = [0x5412, 0x541c, 0x5401, 0x541b, 0x8004_5430u32.cast_signed()];
    let mut program = vec![field(Reg::R1, context::ARG2), mov(Reg::R0, 1)];
    for (index, command) in (1..).zip(commands) {
        let off = i16::try_from(commands.len()).unwrap() - index + 1;
        program.push(branch32(CompareOp::Eq, Reg::R1, command, off));
    }
    program.extend([mov(Reg::R0, 0), Op::Exit]);
    let left = residual(&rule(Event::FsIoctl, &program), &Known::new(Event::FsIoctl, Bits::ANY32));
    let cases = left.cases().unwrap();
    let denied: Vec<_> = cases
        .iter()
        .filter(|case| case.denies)
        .filter_map(|case| case.inputs.field(Field::Arg2).bits().known())
        .collect();
    let mut expected = commands.map(|command| u64::from(command.cast_unsigned()));
    expected.sort_unstable();
    assert_eq!(
        {
            let mut denied = denied;
            denied.sort_unstable();
            denied
        },
        expected
    );
    let [allowed] = cases.iter().filter(|case| !case.denies).collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(allowed.inputs.field(Field::Arg2).except().len(), 5);
}

#[test]
fn a_rule_that_traces_stays_even_if_its_answer_is_known() {
    let program = |answer| {
        [
            store(Word, Reg::R10, -4, 0x6968),
            mov(Reg::R1, Reg::R10),
            alu(AluOp::Add, Reg::R1, -4),
            mov(Reg::R2, 4),
            mov(Reg::R3, 0),
            mov(Reg::R4, 0),
            mov(Reg::R5, 0),
            call(helper::TRACE_PRINTK),
            mov(Reg::R0, answer),
            Op::Exit,
        ]
    };
    for (value, answer) in [(0, Answer::Allow), (1, Answer::Deny)] {
        let left = residual(&rule(Event::Fs, &program(value)), &fs(Actions::READ));
        assert_eq!(left.always(), Some(answer));
        let mut texts = Vec::new();
        assert_eq!(
            left.evaluate(&input(4, None), &mut |text| texts.push(text.to_owned())).is_deny(),
            value == 1
        );
        assert_eq!(texts, ["hi"]);
    }
}

#[test]
fn the_worst_rule_is_answered_all_the_same() {
    // Diamonds upon diamonds: 2^1300 paths.
    let mut program = vec![field(Reg::R2, context::ARG2), mov(Reg::R0, 0)];
    while program.len() < 4090 {
        let shift = i32::try_from(program.len() % 64).unwrap();
        program.extend([
            alu(AluOp::Mul, Reg::R2, 3),
            branch(CompareOp::Gt, Reg::R2, shift, 1),
            alu(AluOp::Xor, Reg::R0, 2),
        ]);
    }
    program.push(Op::Exit);
    let rule = rule(Event::Fs, &program);
    let left = residual(&rule, &Known::new(Event::Fs, Bits::ANY));
    assert_eq!(left.always(), None);
    for arg2 in [0, 1, 2, 77, u64::MAX] {
        let input = input(arg2, None);
        assert_eq!(left.evaluate(&input, &mut |_| {}), rule.evaluate(&input));
    }
}

#[test]
fn a_computed_instance_knows_the_actions_that_can_be_computed_and_no_others() {
    let at = |name: &str| Known::at(&hooks::by_name(name).unwrap().instances[0]).arg2;
    let all = |actions: &mut dyn Iterator<Item = Actions>| {
        actions.map(|actions| Bits::exactly(actions.bits())).reduce(Bits::hull).unwrap()
    };
    assert_eq!(at("inode_permission"), all(&mut (0..0x100).map(hooks::may)));
    assert_eq!(at("mmap_file"), all(&mut (0..8).map(|prot| hooks::mem(prot, false))));
}

/// Everything a specialised rule promises for one input of the instance.
fn check(rule: &Rule, known: &Known, input: &Input) -> Result<(), TestCaseError> {
    check_among(rule, known, input, &Unrelated)
}

/// The same where handles relate to the object like this.
fn check_among(
    rule: &Rule,
    known: &Known,
    input: &Input,
    relation: &dyn Relation,
) -> Result<(), TestCaseError> {
    let run = |ask: &dyn Fn(Tracer<'_>) -> Verdict| {
        let mut texts = Vec::new();
        (ask(&mut |text| texts.push(text.to_owned())), texts)
    };
    let (verdict, texts) = run(&|tracer| rule.evaluate_among(input, relation, tracer));
    match specialise(rule, known) {
        Specialised::Allow => prop_assert!(!verdict.is_deny() && texts.is_empty()),
        Specialised::Deny => prop_assert!(verdict.is_deny() && texts.is_empty()),
        Specialised::Residual(left) => {
            prop_assert_eq!(run(&|tracer| left.evaluate_among(input, relation, tracer)), (verdict, texts));
            prop_assert!(left.insns().len() <= rule.insns().len());
            if let Some(answer) = left.always() {
                prop_assert_eq!(answer == Answer::Deny, verdict.is_deny());
            }
            if let Some(cases) = left.cases() {
                let [case] = cases.iter().filter(|case| case.inputs.contains(input)).collect::<Vec<_>>()[..]
                else {
                    return Err(TestCaseError::fail("an input is in no case, or in several"));
                };
                prop_assert_eq!(case.denies, verdict.is_deny());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn specialising_keeps_every_answer((rule, known, inputs) in random::rule_known_and_inputs()) {
        for input in inputs {
            check(&rule, &known, &input)?;
        }
    }

    #[test]
    fn specialising_keeps_every_answer_about_handles(
        (rule, known, inputs) in random::abi2_rule_known_and_inputs(),
        model in relations::model(),
    ) {
        model.fill(&rule);
        for input in inputs {
            check_among(&rule, &known, &input, &model)?;
        }
    }

    /// Nothing is known of a hook beforehand, so what is always so is so for every call and cookie.
    #[test]
    fn what_is_always_so_at_a_hook_is_so(
        (rule, call) in rules::abi2_rule_of(&Event::HOOKS).prop_flat_map(|rule| {
            let call = rules::hook_call(rule.event());
            (Just(rule), call)
        }),
        cookie: u16,
        model in relations::model(),
    ) {
        model.fill(&rule);
        let verdict = rule.evaluate_at_hook(&HookInput { call, cookie }, &model);
        if let Some(answer) = specialise(&rule, &Known::new(rule.event(), Bits::ANY)).always() {
            prop_assert_eq!(answer == Answer::Deny, verdict.is_deny());
        }
    }

    #[test]
    fn a_residual_that_compares_passes_the_verifier((rule, known, _) in random::abi2_rule_known_and_inputs()) {
        if let Specialised::Residual(left) = specialise(&rule, &known) {
            let mut again = build::abi2(rule.event(), rule.maps(), &[]);
            again.insns = left.insns().to_vec();
            let verified = verify_newest(again, &Loader::default());
            prop_assert!(verified.is_ok(), "{}", verified.unwrap_err());
        }
    }

    #[test]
    fn a_residual_passes_the_verifier((rule, known, _) in random::rule_known_and_inputs()) {
        if let Specialised::Residual(left) = specialise(&rule, &known) {
            let again = object(rule.event(), rule.abilities(), left.insns().to_vec());
            let verified = verify(again, &Loader { cap_sys_admin: true });
            prop_assert!(verified.is_ok(), "{}", verified.unwrap_err());
        }
    }
}
