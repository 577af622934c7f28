// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a comparison of two words says about the inputs.

use super::Bits;
use super::inputs::{Field, Restriction};
use super::word::{Copies, Word};
use crate::op::{AluOp, CompareOp, Width};

/// What is known of a comparison beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It always comes out like this.
    Known(bool),
    /// It holds for inputs that `holds` admits, and fails for those that `fails` admits. Inputs admitted
    /// by both are there only if it is not `exact`.
    Depends { field: Field, holds: Restriction, fails: Restriction, exact: bool },
    /// It may come out either way, and nothing can be said of the inputs; knowing these bits would help.
    Lost([Copies; 2]),
}

impl Condition {
    /// Of `a op b`, both resolved.
    pub fn of(op: CompareOp, width: Width, a: Word, b: Word) -> Condition {
        let (a, b) = (Word::alu(AluOp::Mov, width, a, a), Word::alu(AluOp::Mov, width, b, b));
        let flip = |word: Word| word.sign_flipped(width);
        match op {
            CompareOp::Eq => equal(a, b),
            CompareOp::Ne => equal(a, b).negated(),
            CompareOp::Set => equal(Word::alu(AluOp::And, Width::W64, a, b), Word::exactly(0)).negated(),
            CompareOp::Gt => greater(a, b),
            CompareOp::Lt => greater(b, a),
            CompareOp::Ge => greater(b, a).negated(),
            CompareOp::Le => greater(a, b).negated(),
            CompareOp::Sgt => greater(flip(a), flip(b)),
            CompareOp::Slt => greater(flip(b), flip(a)),
            CompareOp::Sge => greater(flip(b), flip(a)).negated(),
            CompareOp::Sle => greater(flip(a), flip(b)).negated(),
        }
    }

    pub fn negated(self) -> Condition {
        match self {
            Condition::Known(known) => Condition::Known(!known),
            Condition::Depends { field, holds, fails, exact } => {
                Condition::Depends { field, holds: fails, fails: holds, exact }
            }
            Condition::Lost(copies) => Condition::Lost(copies),
        }
    }
}

/// Of `a == b`.
pub(super) fn equal(a: Word, b: Word) -> Condition {
    let difference = Word::alu(AluOp::Xor, Width::W64, a, b);
    let bits = difference.bits();
    let copies = difference.copies();
    if bits.min() != 0 {
        return Condition::Known(false);
    }
    if bits.max() == 0 {
        return Condition::Known(true);
    }
    if copies.mask == 0 {
        return Condition::Lost([a.copies(), b.copies()]);
    }
    // Equal needs every copied bit to be 0; an unknown bit may still make them differ.
    let zero = difference.field_bits(u64::MAX, 0);
    let exact = !difference.has_any();
    let fails = if exact { Restriction::except(vec![zero]) } else { Restriction::within(Bits::ANY) };
    Condition::Depends { field: copies.field, holds: Restriction::within(zero), fails, exact }
}

/// Of `a > b`, unsigned.
fn greater(a: Word, b: Word) -> Condition {
    if a.bits().min() > b.bits().max() {
        return Condition::Known(true);
    }
    if a.bits().max() <= b.bits().min() {
        return Condition::Known(false);
    }
    match (a.known(), b.known()) {
        (_, Some(bound)) if !a.has_any() => {
            let (above, below) = split(a, bound);
            sides(a, above, below)
        }
        // What is below or the same is not above.
        (Some(bound), _) if !b.has_any() => {
            let (above, below) = split(b, bound.wrapping_sub(1));
            sides(b, below, above)
        }
        _ => Condition::Lost([a.copies(), b.copies()]),
    }
}

/// Of `first <= word && word <= last` or, if `last` is below `first`, of `word <= last || first <= word`;
/// of a word of known bits and copies.
pub(super) fn between(word: Word, first: u64, last: u64) -> Condition {
    let (above, up_to) = split(word, last);
    // What is below the first number is at most the one before it, if there is one.
    let (from, below) = match first.checked_sub(1) {
        Some(before) => split(word, before),
        None => (vec![Bits::ANY], Vec::new()),
    };
    let both =
        |a: &[Bits], b: &[Bits]| a.iter().flat_map(|a| b.iter().filter_map(|b| a.intersect(*b))).collect();
    if first <= last {
        sides(word, both(&from, &up_to), [below, above].concat())
    } else {
        sides(word, [up_to, from].concat(), both(&above, &below))
    }
}

/// The inputs for which a word of known bits and copies is above `bound`, and the others. They are told
/// apart by the first bit, from the top, in which word and bound differ.
fn split(word: Word, bound: u64) -> (Vec<Bits>, Vec<Bits>) {
    let (mut above, mut others) = (Vec::new(), Vec::new());
    let copied = word.bits().unknown;
    for bit in (0..u64::BITS).rev().map(|at| 1u64 << at) {
        let higher = copied & !(bit << 1).wrapping_sub(1);
        let side = if bound & bit == 0 { &mut above } else { &mut others };
        if copied & bit != 0 {
            side.push(word.field_bits(higher | bit, bound ^ bit));
        } else if (word.bits().value ^ bound) & bit != 0 {
            side.push(word.field_bits(higher, bound));
            return (above, others);
        }
    }
    others.push(word.field_bits(u64::MAX, bound));
    (above, others)
}

/// A condition that holds for some inputs and fails for all others.
fn sides(word: Word, holds: Vec<Bits>, fails: Vec<Bits>) -> Condition {
    if holds.is_empty() || fails.is_empty() {
        return Condition::Known(fails.is_empty());
    }
    let hull = |sets: &[Bits]| sets.iter().copied().reduce(Bits::hull).unwrap_or(Bits::ANY);
    Condition::Depends {
        field: word.copies().field,
        holds: Restriction { within: hull(&holds), except: fails.clone() },
        fails: Restriction { within: hull(&fails), except: holds },
        exact: true,
    }
}
