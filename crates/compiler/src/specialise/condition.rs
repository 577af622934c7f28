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

    fn negated(self) -> Condition {
        match self {
            Condition::Known(known) => Condition::Known(!known),
            Condition::Depends { field, holds, fails, exact } => {
                Condition::Depends { field, holds: fails, fails: holds, exact }
            }
            Condition::Lost(copies) => Condition::Lost(copies),
        }
    }
}

fn equal(a: Word, b: Word) -> Condition {
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
        (_, Some(bound)) if !a.has_any() => against(a, bound, false),
        // bound > b is !b > !bound.
        (Some(bound), _) if !b.has_any() => against(b, bound, true),
        _ => Condition::Lost([a.copies(), b.copies()]),
    }
}

/// Of `word > bound`, or of `bound > word` if `swapped`, of a word of known bits and copies. The inputs
/// are told apart by the first bit, from the top, in which word and bound differ.
fn against(word: Word, bound: u64, swapped: bool) -> Condition {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    let copied = word.bits().unknown;
    for bit in (0..u64::BITS).rev().map(|at| 1u64 << at) {
        let higher = copied & !(bit << 1).wrapping_sub(1);
        let side = if bound & bit == 0 { &mut above } else { &mut below };
        if copied & bit != 0 {
            side.push(word.field_bits(higher | bit, bound ^ bit));
        } else if (word.bits().value ^ bound) & bit != 0 {
            side.push(word.field_bits(higher, bound));
            return sides(word, above, below, swapped);
        }
    }
    let same = word.field_bits(u64::MAX, bound);
    if swapped {
        above.push(same)
    } else {
        below.push(same)
    }
    sides(word, above, below, swapped)
}

fn sides(word: Word, above: Vec<Bits>, below: Vec<Bits>, swapped: bool) -> Condition {
    let (holds, fails) = if swapped { (below, above) } else { (above, below) };
    let hull = |sets: &[Bits]| sets.iter().copied().reduce(Bits::hull).unwrap_or(Bits::ANY);
    Condition::Depends {
        field: word.copies().field,
        holds: Restriction { within: hull(&holds), except: fails.clone() },
        fails: Restriction { within: hull(&fails), except: holds },
        exact: true,
    }
}
