// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values and conditions against plain numbers, over short random calculations.

use super::*;
use crate::op::{self, Order, immediate};
use crate::specialise::arithmetic::{compared, computed};
use crate::specialise::condition::Condition;
use crate::specialise::inputs::Restriction;
use crate::specialise::state::Value;
use crate::specialise::word::Word;

/// A number and what is known of it.
type Pair = (u64, Value);

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

/// What the newest number is compared with.
#[derive(Clone, Debug)]
enum Bound {
    Constant(i32),
    /// A constant that happens to be close to the number.
    Near(i64),
    /// The number before it.
    Other,
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        random::number().prop_map(Bound::Constant),
        (-2..=2i64).prop_map(Bound::Near),
        Just(Bound::Other)
    ]
}

/// Runs a step on the newest number; the one before it is the other operand.
fn run(stack: &mut [Pair; 2], step: &Step, inputs: &InputSet) {
    let [(other, other_known), (number, known)] = *stack;
    let mask = |len: u8| u64::MAX >> (64 - u32::from(len) * 8);
    let exactly = |value| Value::Word(Word::exactly(value));
    let word = known.word();
    let next = match *step {
        Step::Alu(op, width, imm) => {
            let imm = immediate(imm);
            (op::alu(op, width, number, imm), computed(op, width, known, exactly(imm)).value)
        }
        Step::AluPair(op, width) => {
            (op::alu(op, width, number, other), computed(op, width, known, other_known).value)
        }
        Step::Swap(order, bits) => (op::swap(order, bits, number), Value::Word(word.swapped(order, bits))),
        Step::Join(imm) => (number, known.join(exactly(immediate(imm)))),
        Step::Extract(at, len) => (number >> (at * 8) & mask(len), Value::Word(word.extract(at, len))),
        Step::Insert(at, len) => {
            let hole = mask(len) << (at * 8);
            let inserted = word.insert(at, len, other_known.word());
            ((number & !hole) | ((other & mask(len)) << (at * 8)), Value::Word(inserted))
        }
        Step::Resolve => (number, known.resolved(inputs)),
    };
    *stack = [(number, known), next];
}

/// Whether a value, with its copies read from the input, may be this number.
fn agrees((number, known): Pair, exactly: &InputSet) -> bool {
    known.resolved(exactly).word().bits().contains(number)
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
    fn values_cover_what_plain_numbers_do(
        (known, inputs) in random::known_and_inputs(Event::Fs),
        steps in proptest::collection::vec(step(), 0..8),
        compare in select(&random::COMPARE[..]),
        width in random::width(),
        bound in bound(),
    ) {
        let input = &inputs[0];
        let known_inputs = InputSet::of(&known);
        let exactly = InputSet::of(&Known {
            arg2: Bits::exactly(input.arg2),
            arch: Bits::exactly(input.arch.into()),
            ..known
        });
        let of = |field| Value::Word(Word::of(field));
        let mut stack = [(input.arch.into(), of(Field::Arch)), (input.arg2, of(Field::Arg2))];
        for step in &steps {
            run(&mut stack, step, &known_inputs);
            prop_assert!(agrees(stack[1], &exactly), "{:?} after {:?}", stack[1], step);
        }
        let [other, (number, value)] = stack;
        let constant = |number| (number, Value::Word(Word::exactly(number)));
        let (other, other_value) = match bound {
            Bound::Constant(imm) => constant(immediate(imm)),
            Bound::Near(distance) => constant(number.wrapping_add_signed(distance)),
            Bound::Other => other,
        };
        let (value, other_value) = (value.resolved(&known_inputs), other_value.resolved(&known_inputs));
        let holds = op::compare(compare, width, number, other);
        match compared(compare, width, value, other_value) {
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
