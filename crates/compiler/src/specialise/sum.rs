// SPDX-License-Identifier: MIT OR Apache-2.0
//! A copy of an input plus a constant. Compilers turn a list of cases into one: they shift it to start
//! at zero and compare its length. Added up, carries would hide what it copies.

use super::InputSet;
use super::condition::{Condition, between, equal};
use super::state::Value;
use super::word::Word;
use crate::op::{AluOp, CompareOp, Width};

/// `base + addend`, modulo 2^32 or 2^64; the base has known bits and copies only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    base: Word,
    addend: u64,
    width: Width,
}

impl Sum {
    /// A number as a sum of this width, if it copies inputs and is known otherwise.
    pub fn of(number: Value, width: Width) -> Option<Sum> {
        match number {
            Value::Word(base) if !base.has_any() && base.known().is_none() => {
                Some(Sum { base, addend: 0, width: Width::W64 }.in_width(width))
            }
            Value::Sum(sum) if sum.width == width || width == Width::W32 => Some(sum.in_width(width)),
            _ => None,
        }
    }

    pub fn base(self) -> Word {
        self.base
    }

    pub fn resolved(self, inputs: &InputSet) -> Sum {
        Sum { base: self.base.resolved(inputs), ..self }
    }

    /// The low half.
    pub fn cut(self) -> Sum {
        self.in_width(Width::W32)
    }

    fn in_width(self, width: Width) -> Sum {
        let cut = |number| Word::alu(AluOp::Mov, width, number, number);
        Sum { base: cut(self.base), addend: self.addend, width }
    }

    pub fn plus(self, distance: u64) -> Sum {
        Sum { addend: self.addend.wrapping_add(distance), ..self }
    }

    /// A sum with the same bits under `low`, a mask of low bits; the others may be anything.
    pub fn under(self, low: u64) -> Sum {
        let base = Word::alu(AluOp::And, Width::W64, self.base, Word::exactly(low));
        Sum { base, addend: self.addend & low, ..self }
    }

    /// The sum added up.
    pub fn word(self) -> Word {
        Word::alu(AluOp::Add, self.width, self.base, Word::exactly(self.addend))
    }

    /// Of `self op bound`; `None` if that says nothing of the inputs.
    pub fn compared(self, op: CompareOp, width: Width, bound: u64) -> Option<Condition> {
        if width == Width::W32 && self.width == Width::W64 {
            return self.cut().compared(op, width, bound);
        }
        let modulus = u64::MAX >> (64 - self.width.bits());
        let bound = if width == Width::W32 { bound & modulus } else { bound };
        if bound > modulus {
            return None;
        }
        // The sums from 0 to `last` are those of a stretch of the base, which may wrap around.
        let start = self.addend.wrapping_neg() & modulus;
        let up_to = |last: u64| between(self.base, start, start.wrapping_add(last) & modulus);
        let below = |bound: u64| bound.checked_sub(1).map_or(Condition::Known(false), up_to);
        Some(match op {
            CompareOp::Eq => equal(self.base, Word::exactly(start.wrapping_add(bound) & modulus)),
            CompareOp::Ne => equal(self.base, Word::exactly(start.wrapping_add(bound) & modulus)).negated(),
            CompareOp::Le => up_to(bound),
            CompareOp::Gt => up_to(bound).negated(),
            CompareOp::Lt => below(bound),
            CompareOp::Ge => below(bound).negated(),
            CompareOp::Set | CompareOp::Sgt | CompareOp::Sge | CompareOp::Slt | CompareOp::Sle => {
                return None;
            }
        })
    }
}
