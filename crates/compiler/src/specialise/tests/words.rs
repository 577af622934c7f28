// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words and conditions against plain numbers, over short random calculations.

use super::*;
use crate::op::{self, Order, immediate};
use crate::specialise::condition::Condition;
use crate::specialise::inputs::Restriction;
use crate::specialise::word::Word;

/// A number and what is known of it.
type Pair = (u64, Word);

#[derive(Clone, Debug)]
enum Step {
    Alu(AluOp, Width, i32),
    AluPair(AluOp, Width),
    Swap(Order, SwapBits),
    Join(i32),
    Extract(u8, u8),
    Insert(u8, u8),
    Resolve,
}

fn step() -> impl Strategy<Value = Step> {
    let part = || (0..8u8, select(vec![1u8, 2, 4, 8])).prop_map(|(at, len)| (at / len * len, len));
    prop_oneof![
        6 => (select(&random::ALU[..]), random::width(), random::number()).prop_map(|(op, width, imm)| Step::Alu(op, width, imm)),
        3 => (select(&random::ALU[..]), random::width()).prop_map(|(op, width)| Step::AluPair(op, width)),
        1 => (select(vec![Order::Little, Order::Big]), select(vec![SwapBits::B16, SwapBits::B32, SwapBits::B64]))
            .prop_map(|(order, bits)| Step::Swap(order, bits)),
        1 => random::number().prop_map(Step::Join),
        1 => part().prop_map(|(at, len)| Step::Extract(at, len)),
        1 => part().prop_map(|(at, len)| Step::Insert(at, len)),
        2 => Just(Step::Resolve),
    ]
}

/// Runs a step on the newest number; the one before it is the other operand.
fn run(stack: &mut [Pair; 2], step: &Step, inputs: &InputSet) {
    let [(other, other_word), (value, word)] = *stack;
    let mask = |len: u8| u64::MAX >> (64 - u32::from(len) * 8);
    let next = match *step {
        Step::Alu(op, width, imm) => {
            let imm = immediate(imm);
            (op::alu(op, width, value, imm), Word::alu(op, width, word, Word::exactly(imm)))
        }
        Step::AluPair(op, width) => {
            (op::alu(op, width, value, other), Word::alu(op, width, word, other_word))
        }
        Step::Swap(order, bits) => (op::swap(order, bits, value), word.swapped(order, bits)),
        Step::Join(imm) => (value, word.join(Word::exactly(immediate(imm)))),
        Step::Extract(at, len) => (value >> (at * 8) & mask(len), word.extract(at, len)),
        Step::Insert(at, len) => {
            let hole = mask(len) << (at * 8);
            ((value & !hole) | ((other & mask(len)) << (at * 8)), word.insert(at, len, other_word))
        }
        Step::Resolve => (value, word.resolved(inputs)),
    };
    *stack = [(value, word), next];
}

/// Whether a word, with its copies read from the input, may be `value`.
fn agrees((value, word): Pair, exactly: &InputSet) -> bool {
    word.resolved(exactly).bits().contains(value)
}

fn admits(restriction: &Restriction, value: u64) -> bool {
    restriction.within.contains(value) && !restriction.except.iter().any(|except| except.contains(value))
}

fn field_of(input: &Input, field: Field) -> u64 {
    match field {
        Field::Arg2 => input.arg2,
        Field::Arch => input.arch.into(),
        field => panic!("{field:?} is not used here"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn words_cover_what_plain_numbers_do(
        (known, inputs) in random::known_and_inputs(Event::Fs),
        steps in proptest::collection::vec(step(), 0..8),
        compare in select(&random::COMPARE[..]),
        width in random::width(),
        bound in random::number(),
        with_bound: bool,
    ) {
        let input = &inputs[0];
        let known_inputs = InputSet::of(&known);
        let exactly = InputSet::of(&Known {
            arg2: Bits::exactly(input.arg2),
            arch: Bits::exactly(input.arch.into()),
            ..known
        });
        let mut stack = [(input.arch.into(), Word::of(Field::Arch)), (input.arg2, Word::of(Field::Arg2))];
        for step in &steps {
            run(&mut stack, step, &known_inputs);
            prop_assert!(agrees(stack[1], &exactly), "{:?} after {:?}", stack[1], step);
        }
        let [other, (value, word)] = stack;
        let (other, other_word) = if with_bound { (immediate(bound), Word::exactly(immediate(bound))) } else { other };
        let (word, other_word) = (word.resolved(&known_inputs), other_word.resolved(&known_inputs));
        let holds = op::compare(compare, width, value, other);
        match Condition::of(compare, width, word, other_word) {
            Condition::Known(known) => prop_assert_eq!(known, holds),
            Condition::Lost(_) => {}
            Condition::Depends { field, holds: yes, fails: no, exact } => {
                let value = field_of(input, field);
                let (this, that) = if holds { (yes, no) } else { (no, yes) };
                prop_assert!(admits(&this, value));
                prop_assert!(!exact || !admits(&that, value));
            }
        }
    }
}
