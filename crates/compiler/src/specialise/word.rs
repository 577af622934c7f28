// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a register: each bit is 0, 1, a copy of a bit of one input field (perhaps
//! inverted), or anything.
//!
//! Copies are what makes tests exact: `arg2 & WRITE` compared with 0 says something about `arg2`,
//! and a later test of the same bit finds it answered.

use super::Bits;
use super::inputs::{Field, InputSet};
use crate::op::{AluOp, Order, SwapBits, Width};

/// A register's worth of bits. The four kinds of bit are disjoint masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Known bits; of copies: whether they are inverted; 0 where anything is possible.
    value: u64,
    /// Copies: bit `i` is bit `i + shift` of `field`.
    copied: u64,
    /// Bits of which nothing is known.
    any: u64,
    field: Field,
    shift: i8,
}

impl Word {
    pub const ANY: Word = Word { value: 0, copied: 0, any: u64::MAX, field: Field::Arg2, shift: 0 };

    pub fn exactly(value: u64) -> Word {
        Word { value, any: 0, ..Word::ANY }
    }

    /// The whole of a field.
    pub fn of(field: Field) -> Word {
        Word { value: 0, copied: u64::MAX, any: 0, field, shift: 0 }
    }

    /// With the copies the inputs are sure about made known.
    pub fn resolved(self, inputs: &InputSet) -> Word {
        if self.copied == 0 {
            return self;
        }
        let Bits { value, unknown } = inputs.field(self.field).bits();
        let known = self.copied & !self.here(unknown);
        Word { value: self.value ^ (self.here(value) & known), copied: self.copied & !known, ..self }
    }

    pub fn bits(self) -> Bits {
        Bits::but_for(self.value, self.copied | self.any)
    }

    pub fn known(self) -> Option<u64> {
        self.bits().known()
    }

    /// Whether nothing is known of some bit.
    pub fn has_any(self) -> bool {
        self.any != 0
    }

    /// The bits of its field that it copies.
    pub fn copies(self) -> Copies {
        Copies { field: self.field, mask: self.there(self.copied) }
    }

    /// The copies behind the bits that `self op other` gave up, if it gave up any that knowing more of
    /// the inputs would have kept.
    pub fn lost(op: AluOp, result: Word, a: Word, b: Word) -> Option<[Copies; 2]> {
        if result.any == 0 || a.any != 0 || b.any != 0 {
            return None;
        }
        let bitwise = matches!(op, AluOp::And | AluOp::Or | AluOp::Xor);
        let given_up = |word: Word| if bitwise { word.masked(result.any).copies() } else { word.copies() };
        Some([given_up(a), given_up(b)])
    }

    /// The values of the field for which the copies under `mask` equal those bits of `value`.
    pub fn field_bits(self, mask: u64, value: u64) -> Bits {
        let mask = self.copied & mask;
        Bits::but_for(self.there((value ^ self.value) & mask), !self.there(mask))
    }

    /// Moves a mask of the field to where this word has it.
    fn here(self, mask: u64) -> u64 {
        let distance = u32::from(self.shift.unsigned_abs());
        let moved = if self.shift >= 0 { mask.checked_shr(distance) } else { mask.checked_shl(distance) };
        moved.unwrap_or(0)
    }

    /// Moves a mask of this word to the field.
    fn there(self, mask: u64) -> u64 {
        Word { shift: -self.shift, ..self }.here(mask)
    }

    /// Keeps the bits under `mask`, the others become 0.
    fn masked(self, mask: u64) -> Word {
        Word { value: self.value & mask, copied: self.copied & mask, any: self.any & mask, ..self }
    }

    fn cut(self, width: Width) -> Word {
        self.masked(u64::MAX >> (64 - width.bits()))
    }

    /// The low `bytes` bytes from byte `at`.
    pub fn extract(self, at: u8, bytes: u8) -> Word {
        self.shifted_right(u32::from(at) * 8).masked(u64::MAX >> (64 - u32::from(bytes) * 8))
    }

    /// This word with `bytes` bytes from byte `at` replaced by the low ones of `new`.
    pub fn insert(self, at: u8, bytes: u8, new: Word) -> Word {
        let hole = (u64::MAX >> (64 - u32::from(bytes) * 8)) << (u32::from(at) * 8);
        let new = new.extract(0, bytes).shifted_left(u32::from(at) * 8);
        self.masked(!hole).or(new)
    }

    /// `self op other`.
    pub fn alu(op: AluOp, width: Width, a: Word, b: Word) -> Word {
        let (a, b) = (a.cut(width), b.cut(width));
        let result = match (op, b.known()) {
            (AluOp::Mov, _) => b,
            (AluOp::And, _) => a.and(b),
            (AluOp::Or, _) => a.or(b),
            (AluOp::Xor, _) => a.xor(b),
            // Without a bit that both may have, nothing carries.
            (AluOp::Add, _) if a.bits().max() & b.bits().max() == 0 => a.or(b),
            (AluOp::Add, Some(addend)) => a.plus(addend),
            (AluOp::Lsh, Some(distance)) => a.shifted_left(modulo(distance, width)),
            (AluOp::Rsh, Some(distance)) => a.shifted_right(modulo(distance, width)),
            (AluOp::Arsh, Some(distance)) => a.shifted_signed(modulo(distance, width), width),
            (AluOp::Mul, Some(factor)) if factor.is_power_of_two() => a.shifted_left(factor.trailing_zeros()),
            (AluOp::Div, Some(divisor)) if divisor.is_power_of_two() => {
                a.shifted_right(divisor.trailing_zeros())
            }
            (AluOp::Mod, Some(divisor)) if divisor.is_power_of_two() => a.masked(divisor - 1),
            _ => Word::from_bits(Bits::alu(op, width, a.bits(), b.bits())),
        };
        result.cut(width)
    }

    /// [`crate::op::swap`]; big-endian order loses the copies.
    pub fn swapped(self, order: Order, bits: SwapBits) -> Word {
        let keep = u64::MAX >> (64 - bits.bits());
        match (order, self.known()) {
            (Order::Little, _) => self.masked(keep),
            (Order::Big, Some(value)) => Word::exactly(crate::op::swap(order, bits, value)),
            (Order::Big, None) => Word::ANY.masked(keep),
        }
    }

    /// What is known if it is one of two words.
    pub fn join(self, other: Word) -> Word {
        let equal = !(self.value ^ other.value);
        let known = !(self.copied | self.any) & !(other.copied | other.any) & equal;
        let aligned = self.field == other.field && self.shift == other.shift;
        let copied = if aligned { self.copied & other.copied & equal } else { 0 };
        Word { value: self.value & (known | copied), copied, any: !(known | copied), ..self }
    }

    /// Turns an order of signed numbers into one of unsigned numbers.
    pub fn sign_flipped(self, width: Width) -> Word {
        self.xor(Word::exactly(1 << (width.bits() - 1)))
    }

    fn from_bits(bits: Bits) -> Word {
        Word { value: bits.value, any: bits.unknown, ..Word::exactly(0) }
    }

    fn and(self, other: Word) -> Word {
        let zero = |word: Word| !(word.value | word.copied | word.any);
        let one = |word: Word| word.value & !word.copied;
        self.merged(
            other,
            one(other),
            one(self),
            zero(self) | zero(other),
            one(self) & one(other),
            AluOp::And,
        )
    }

    fn or(self, other: Word) -> Word {
        let zero = |word: Word| !(word.value | word.copied | word.any);
        let one = |word: Word| word.value & !word.copied;
        self.merged(
            other,
            zero(other),
            zero(self),
            zero(self) & zero(other),
            one(self) | one(other),
            AluOp::Or,
        )
    }

    fn xor(self, other: Word) -> Word {
        // Inverting a bit keeps what it is.
        match (self.known(), other.known()) {
            (_, Some(flip)) => Word { value: self.value ^ (flip & !self.any), ..self },
            (Some(flip), _) => Word { value: other.value ^ (flip & !other.any), ..other },
            (None, None) => {
                let known = |word: Word| !(word.copied | word.any);
                let (left, right) = (known(other), known(self));
                let flipped = Word { value: self.value ^ (other.value & left & !self.any), ..self };
                let other = Word { value: other.value ^ (self.value & right & !other.any), ..other };
                let both = left & right;
                let one = flipped.value & both;
                flipped.merged(other, left, right, both & !one, one, AluOp::Xor)
            }
        }
    }

    /// Puts a bitwise result together: `mine` are the bits that are `self`'s, `theirs` those that are
    /// `other`'s, unless they are in `zero` or `one`. A bit of the two that is open in both is known
    /// only if both copy the same bit. Of two fields the one with fewer copies is given up.
    fn merged(self, other: Word, mine: u64, theirs: u64, zero: u64, one: u64, op: AluOp) -> Word {
        let aligned = self.field == other.field && self.shift == other.shift;
        let open = !(zero | one);
        let mut copied = self.copied & mine & open;
        let mut theirs_copied = other.copied & theirs & open;
        let mut kept = self;
        if !aligned && copied.count_ones() < theirs_copied.count_ones() {
            (kept, copied) = (other, 0);
        } else if !aligned {
            theirs_copied = 0;
        }
        let inverted = (self.value & copied) | (other.value & theirs_copied);
        let same = if aligned { self.copied & other.copied & open } else { 0 };
        let equal = same & !(self.value ^ other.value);
        let opposite = same & (self.value ^ other.value);
        // x & x, x | x are x; x & !x and x ^ x are 0; x | !x and x ^ !x are 1.
        let (more, ones, zeros) = match op {
            AluOp::And => (equal, 0, opposite),
            AluOp::Or => (equal, opposite, 0),
            _ => (0, opposite, equal),
        };
        let copied = copied | theirs_copied | more;
        let one = one | ones;
        let value = one | inverted | (self.value & more);
        Word { value, copied, any: !(zero | zeros | one | copied), ..kept }
    }

    /// Nothing carries into the lowest bit of the addend, nor below it.
    fn plus(self, addend: u64) -> Word {
        let lowest = addend & addend.wrapping_neg();
        let unchanged = lowest.wrapping_sub(1);
        let low = self.xor(Word::exactly(lowest)).masked(lowest | unchanged);
        let high = Word::from_bits(Bits::alu(AluOp::Add, Width::W64, self.bits(), Bits::exactly(addend)))
            .masked(!(lowest | unchanged));
        Word { value: low.value | high.value, any: low.any | high.any, ..low }
    }

    fn shifted_left(self, distance: u32) -> Word {
        let up = |mask: u64| mask.checked_shl(distance).unwrap_or(0);
        self.moved(up, -i32::try_from(distance).unwrap_or(64))
    }

    fn shifted_right(self, distance: u32) -> Word {
        let down = |mask: u64| mask.checked_shr(distance).unwrap_or(0);
        self.moved(down, i32::try_from(distance).unwrap_or(64))
    }

    fn moved(self, by: impl Fn(u64) -> u64, shift: i32) -> Word {
        let (value, copied, any) = (by(self.value), by(self.copied), by(self.any));
        match i8::try_from(i32::from(self.shift) + shift) {
            Ok(shift) if copied != 0 => Word { value, copied, any, shift, ..self },
            // Only a word without copies is shifted that far.
            _ => Word { value: value & !copied, copied: 0, any: any | copied, ..Word::ANY },
        }
    }

    /// Arithmetic right shift; the copies of an open sign bit are open.
    fn shifted_signed(self, distance: u32, width: Width) -> Word {
        let sign = 1 << (width.bits() - 1);
        let filled = !(u64::MAX >> (64 - width.bits()) >> distance);
        let shifted = self.shifted_right(distance).masked(!filled);
        match (self.bits().unknown & sign, self.value & sign) {
            (0, 0) => shifted,
            (0, _) => Word { value: shifted.value | filled, ..shifted },
            _ => Word { any: shifted.any | filled, ..shifted },
        }
    }
}

/// Some bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copies {
    pub field: Field,
    pub mask: u64,
}

impl Copies {
    pub const NONE: Copies = Copies { field: Field::Arg2, mask: 0 };
}

fn modulo(distance: u64, width: Width) -> u32 {
    (distance & u64::from(width.bits() - 1)).try_into().unwrap_or(0)
}
