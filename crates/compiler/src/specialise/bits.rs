// SPDX-License-Identifier: MIT OR Apache-2.0
//! A 64-bit value of which some bits are known, and the set of values it may be.

use crate::op::{AluOp, Width};

/// A 64-bit value of which some bits are known. Seen as a set: every value that agrees on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// The known bits; 0 where unknown.
    pub value: u64,
    /// Set where the bit is not known.
    pub unknown: u64,
}

impl Bits {
    /// Nothing is known.
    pub const ANY: Bits = Bits { value: 0, unknown: u64::MAX };
    /// A 32-bit number, zero-extended, of which nothing else is known.
    pub const ANY32: Bits = Bits { value: 0, unknown: u32::MAX as u64 };

    /// Everything is known.
    pub const fn exactly(value: u64) -> Bits {
        Bits { value, unknown: 0 }
    }

    /// `value` but for the bits of `unknown`.
    pub const fn but_for(value: u64, unknown: u64) -> Bits {
        Bits { value: value & !unknown, unknown }
    }

    /// The value, if there is only one.
    pub fn known(self) -> Option<u64> {
        (self.unknown == 0).then_some(self.value)
    }

    /// The smallest value it may be.
    pub const fn min(self) -> u64 {
        self.value
    }

    /// The largest value it may be.
    pub const fn max(self) -> u64 {
        self.value | self.unknown
    }

    /// Whether it may be `value`.
    pub const fn contains(self, value: u64) -> bool {
        (self.value ^ value) & !self.unknown == 0
    }

    /// Whether it may be everything that `other` may be.
    pub const fn includes(self, other: Bits) -> bool {
        other.unknown & !self.unknown == 0 && self.contains(other.value)
    }

    /// What both may be; `None` if there is no such value.
    pub fn intersect(self, other: Bits) -> Option<Bits> {
        let both_known = !self.unknown & !other.unknown;
        ((self.value ^ other.value) & both_known == 0)
            .then_some(Bits { value: self.value | other.value, unknown: self.unknown & other.unknown })
    }

    /// The smallest such set with all of both.
    pub const fn hull(self, other: Bits) -> Bits {
        Bits::but_for(self.value, self.unknown | other.unknown | (self.value ^ other.value))
    }

    /// What `op` may make of `a` and `b`. Exact if both are known, and sound for every operation.
    pub(super) fn alu(op: AluOp, width: Width, a: Bits, b: Bits) -> Bits {
        if let (Some(a), Some(b)) = (a.known(), b.known()) {
            return Bits::exactly(crate::op::alu(op, width, a, b));
        }
        let (a, b) = (a.cut(width), b.cut(width));
        let wide = match op {
            AluOp::Mov => b,
            AluOp::And => Bits::but_for(a.value & b.value, a.max() & b.max() & (a.unknown | b.unknown)),
            AluOp::Or => Bits::but_for(a.value | b.value, (a.unknown | b.unknown) & !a.value & !b.value),
            AluOp::Xor => Bits::but_for(a.value ^ b.value, a.unknown | b.unknown),
            AluOp::Add => sum(a, b),
            AluOp::Sub => difference(a, b),
            AluOp::Mul => product(a, b),
            AluOp::Lsh => Bits::ANY,
            // Division by zero gives 0, a right shift gives at most what there was.
            AluOp::Div | AluOp::Rsh => at_most(a.max()),
            AluOp::Mod if b.min() > 0 => at_most(a.max().min(b.max() - 1)),
            AluOp::Mod => at_most(a.max()),
            AluOp::Arsh => Bits::ANY,
        };
        wide.cut(width)
    }

    fn cut(self, width: Width) -> Bits {
        let keep = u64::MAX >> (64 - width.bits());
        Bits { value: self.value & keep, unknown: self.unknown & keep }
    }
}

/// Everything up to the next power of two.
fn at_most(max: u64) -> Bits {
    Bits { value: 0, unknown: u64::MAX.checked_shr(max.leading_zeros()).unwrap_or(0) }
}

/// A bit of a sum is known if both its operands and the carry into it are; the carry is, if the
/// smallest and the largest operands carry alike.
fn sum(a: Bits, b: Bits) -> Bits {
    let (low, high) = (a.min().wrapping_add(b.min()), a.max().wrapping_add(b.max()));
    let carries = (low ^ a.min() ^ b.min()) ^ (high ^ a.max() ^ b.max());
    Bits::but_for(low, carries | a.unknown | b.unknown)
}

/// As [`sum`], with borrows: the least difference borrows most.
fn difference(a: Bits, b: Bits) -> Bits {
    let (low, high) = (a.min().wrapping_sub(b.max()), a.max().wrapping_sub(b.min()));
    let borrows = (low ^ a.min() ^ b.max()) ^ (high ^ a.max() ^ b.min());
    Bits::but_for(low, borrows | a.unknown | b.unknown)
}

/// A product ends in as many zeros as its factors together.
fn product(a: Bits, b: Bits) -> Bits {
    let zeros = a.max().trailing_zeros() + b.max().trailing_zeros();
    let bound = a.max().checked_mul(b.max()).map_or(Bits::ANY, at_most);
    Bits { value: 0, unknown: bound.unknown & u64::MAX.checked_shl(zeros).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    const OPS: [AluOp; 12] = [
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::Div,
        AluOp::Or,
        AluOp::And,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Mod,
        AluOp::Xor,
        AluOp::Mov,
        AluOp::Arsh,
    ];

    /// A value and what is known of it: often little, often nearly all.
    fn value_and_bits() -> impl Strategy<Value = (u64, Bits)> {
        let mask = || prop_oneof![any::<u64>(), 0..16u64, any::<u64>().prop_map(|mask| !(mask >> 32))];
        (mask(), mask()).prop_map(|(value, unknown)| (value, Bits::but_for(value, unknown)))
    }

    proptest! {
        #[test]
        fn arithmetic_covers_every_outcome(
            op in select(&OPS[..]),
            width in select(&[Width::W32, Width::W64][..]),
            (a, a_bits) in value_and_bits(),
            (b, b_bits) in value_and_bits(),
        ) {
            let result = Bits::alu(op, width, a_bits, b_bits);
            prop_assert_eq!(result.value & result.unknown, 0);
            prop_assert!(result.contains(crate::op::alu(op, width, a, b)), "{:?}", result);
        }

        #[test]
        fn sets_behave_as_sets((a, a_bits) in value_and_bits(), (b, b_bits) in value_and_bits()) {
            prop_assert!(a_bits.contains(a) && (a_bits.min()..=a_bits.max()).contains(&a));
            let hull = a_bits.hull(b_bits);
            prop_assert!(hull.includes(a_bits) && hull.includes(b_bits));
            match a_bits.intersect(b_bits) {
                Some(both) => {
                    prop_assert!(a_bits.includes(both) && b_bits.includes(both));
                    prop_assert_eq!(both.contains(a), b_bits.contains(a));
                }
                None => prop_assert!(!b_bits.contains(a) && !a_bits.contains(b)),
            }
        }
    }
}
