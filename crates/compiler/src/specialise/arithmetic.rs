// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic on, and comparisons of, everything a register may hold.

use super::condition::Condition;
use super::state::Value;
use super::sum::Sum;
use super::word::{Copies, Word};
use crate::op::{AluOp, CompareOp, Width};

/// What an operation leaves.
pub(super) struct Computed {
    pub value: Value,
    /// The copies that, if they were known, would make the value more exact.
    pub lost: Option<[Copies; 2]>,
}

impl Computed {
    fn exactly(value: Value) -> Computed {
        Computed { value, lost: None }
    }
}

/// `a op b`, both resolved.
pub(super) fn computed(op: AluOp, width: Width, a: Value, b: Value) -> Computed {
    use Value::{Sum, Word as Number};
    match (op, width, a, b) {
        (AluOp::Mov, Width::W64, _, b) => Computed::exactly(b),
        (AluOp::Mov, Width::W32, _, Sum(b)) => Computed::exactly(Sum(b.cut())),
        (AluOp::Mov, Width::W32, _, b) => Computed::exactly(Number(Word::alu(op, width, b.word(), b.word()))),
        (AluOp::And, _, Sum(sum), Number(mask)) => masked(sum, Word::alu(AluOp::Mov, width, mask, mask)),
        (_, _, Number(_) | Sum(_), Number(_) | Sum(_)) => match sum(op, width, a, b) {
            Some(sum) => Computed::exactly(sum),
            None => numbers(op, width, a, b),
        },
        (_, Width::W64, pointer, Number(distance)) => Computed::exactly(moved(op, pointer, distance)),
        (AluOp::Add, Width::W64, Number(distance), pointer) => {
            Computed::exactly(moved(op, pointer, distance))
        }
        _ => Computed::exactly(Value::Unusable),
    }
}

/// What is known of `a op b` beforehand.
pub(super) fn compared(op: CompareOp, width: Width, a: Value, b: Value) -> Condition {
    let of_sum = match (a, b) {
        (Value::Sum(sum), Value::Word(bound)) => {
            bound.known().and_then(|bound| sum.compared(op, width, bound))
        }
        _ => None,
    };
    of_sum.unwrap_or_else(|| match Condition::of(op, width, a.word(), b.word()) {
        Condition::Lost(_) => Condition::Lost([a.copies(), b.copies()]),
        condition => condition,
    })
}

/// A number and a constant, kept apart where adding them would lose what the number copies.
fn sum(op: AluOp, width: Width, a: Value, b: Value) -> Option<Value> {
    let (number, constant) = match (op, a, b) {
        (AluOp::Add | AluOp::Sub, number, Value::Word(constant)) if constant.known().is_some() => {
            (number, constant)
        }
        (AluOp::Add, Value::Word(constant), number) if constant.known().is_some() => (number, constant),
        _ => return None,
    };
    let distance = constant.known()?;
    let distance = if op == AluOp::Sub { distance.wrapping_neg() } else { distance };
    let sum = Sum::of(number, width)?.plus(distance);
    Some(if sum.word().has_any() { Value::Sum(sum) } else { Value::Word(sum.word()) })
}

/// A sum under a mask needs only the bits up to the mask's highest.
fn masked(sum: Sum, mask: Word) -> Computed {
    let low = u64::MAX.checked_shr(mask.bits().max().leading_zeros()).unwrap_or(0);
    let sum = sum.under(low);
    let (word, base) = (sum.word(), sum.base());
    let value = Value::Word(Word::alu(AluOp::And, Width::W64, word, mask));
    let lost = mask.known().filter(|mask| word.bits().unknown & mask != 0 && word.has_any());
    Computed { value, lost: lost.map(|_| [base.copies(), Copies::NONE]) }
}

fn numbers(op: AluOp, width: Width, a: Value, b: Value) -> Computed {
    let result = Word::alu(op, width, a.word(), b.word());
    let value = Value::Word(result);
    match (a, b) {
        (Value::Word(a), Value::Word(b)) => Computed { value, lost: Word::lost(op, result, a, b) },
        _ if result.has_any() => Computed { value, lost: Some([a.copies(), b.copies()]) },
        _ => Computed::exactly(value),
    }
}

/// A pointer after adding or subtracting a known distance.
fn moved(op: AluOp, pointer: Value, distance: Word) -> Value {
    let Some(distance) = distance.known().map(u64::cast_signed) else { return Value::Unusable };
    let distance = match op {
        AluOp::Add => distance,
        AluOp::Sub => distance.wrapping_neg(),
        _ => return Value::Unusable,
    };
    match pointer {
        Value::Context(at) => Value::Context(at.wrapping_add(distance)),
        Value::Stack(at) => Value::Stack(at.wrapping_add(distance)),
        _ => Value::Unusable,
    }
}
