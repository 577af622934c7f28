// SPDX-License-Identifier: MIT OR Apache-2.0
//! BPF arithmetic on plain numbers: total, without overflow or division errors.

use super::{AluOp, CompareOp, Order, SwapBits, Width};

/// `a op b`. Division by zero gives 0, remainder by zero gives `a`; shift distances are taken
/// modulo the width; a 32-bit operation sees the low halves only and zero-extends its result.
pub fn alu(op: AluOp, width: Width, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => alu64(op, a, b),
        Width::W32 => u64::from(alu32(op, low(a), low(b))),
    }
}

/// Whether `a op b` holds, on the low halves only if `width` is 32 bits.
pub fn compare(op: CompareOp, width: Width, a: u64, b: u64) -> bool {
    // Extending both operands in the same way keeps their order, signed or not.
    let (a, b) = match width {
        Width::W64 => (a, b),
        Width::W32 if signed(op) => (extend(a), extend(b)),
        Width::W32 => (u64::from(low(a)), u64::from(low(b))),
    };
    let (sa, sb) = (a.cast_signed(), b.cast_signed());
    match op {
        CompareOp::Eq => a == b,
        CompareOp::Ne => a != b,
        CompareOp::Set => a & b != 0,
        CompareOp::Gt => a > b,
        CompareOp::Ge => a >= b,
        CompareOp::Lt => a < b,
        CompareOp::Le => a <= b,
        CompareOp::Sgt => sa > sb,
        CompareOp::Sge => sa >= sb,
        CompareOp::Slt => sa < sb,
        CompareOp::Sle => sa <= sb,
    }
}

/// The low `bits` of `value` in the byte order asked for, on a little-endian machine.
pub fn swap(order: Order, bits: SwapBits, value: u64) -> u64 {
    let cut = u64::from(64 - bits.bits());
    match order {
        Order::Little => value << cut >> cut,
        Order::Big => value.swap_bytes() >> cut,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "cutting to the low half is what it is for")]
const fn low(value: u64) -> u32 {
    value as u32
}

fn extend(value: u64) -> u64 {
    i64::from(low(value).cast_signed()).cast_unsigned()
}

const fn signed(op: CompareOp) -> bool {
    matches!(op, CompareOp::Sgt | CompareOp::Sge | CompareOp::Slt | CompareOp::Sle)
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    let shift = low(b);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(shift),
        AluOp::Rsh => a.wrapping_shr(shift),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => a.cast_signed().wrapping_shr(shift).cast_unsigned(),
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => a.cast_signed().wrapping_shr(b).cast_unsigned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Width::{W32, W64};

    const HIGH: u64 = 0xdead_beef_0000_0000;

    #[test]
    fn division_by_zero_gives_zero_and_remainder_keeps_the_dividend() {
        assert_eq!(alu(AluOp::Div, W64, 7, 0), 0);
        assert_eq!(alu(AluOp::Mod, W64, HIGH | 7, 0), HIGH | 7);
        assert_eq!(alu(AluOp::Div, W32, HIGH | 7, HIGH), 0);
        assert_eq!(alu(AluOp::Mod, W32, HIGH | 7, HIGH), 7);
    }

    #[test]
    fn division_is_unsigned_and_cut_before_it_starts() {
        assert_eq!(alu(AluOp::Div, W64, u64::MAX, 2), u64::MAX / 2);
        assert_eq!(alu(AluOp::Div, W32, u64::MAX, 2), 0x7fff_ffff);
    }

    #[test]
    fn shifts_take_their_distance_modulo_the_width() {
        assert_eq!(alu(AluOp::Lsh, W64, 1, 65), 2);
        assert_eq!(alu(AluOp::Lsh, W32, 1, 33), 2);
        assert_eq!(alu(AluOp::Rsh, W64, HIGH, 32), 0xdead_beef);
        assert_eq!(alu(AluOp::Arsh, W64, HIGH, 32), 0xffff_ffff_dead_beef);
        assert_eq!(alu(AluOp::Arsh, W32, HIGH | 0x8000_0000, 31), 0xffff_ffff);
    }

    #[test]
    fn thirty_two_bit_results_are_zero_extended() {
        for op in [AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Or, AluOp::And, AluOp::Xor, AluOp::Mov] {
            assert_eq!(alu(op, W32, u64::MAX, u64::MAX) >> 32, 0, "{op:?}");
        }
        assert_eq!(alu(AluOp::Sub, W32, 0, 1), 0xffff_ffff);
        assert_eq!(alu(AluOp::Sub, W64, 0, 1), u64::MAX);
    }

    #[test]
    fn comparisons_are_unsigned_unless_they_say_signed() {
        assert!(compare(CompareOp::Gt, W64, u64::MAX, 1));
        assert!(compare(CompareOp::Slt, W64, u64::MAX, 1));
        assert!(compare(CompareOp::Slt, W32, 0xffff_ffff, 0));
        assert!(!compare(CompareOp::Slt, W64, 0xffff_ffff, 0));
        assert!(compare(CompareOp::Eq, W32, HIGH | 5, 5));
        assert!(!compare(CompareOp::Eq, W64, HIGH | 5, 5));
        assert!(!compare(CompareOp::Set, W32, HIGH, HIGH));
        assert!(compare(CompareOp::Le, W32, HIGH | 1, 1));
    }

    #[test]
    fn swaps_cut_to_their_width() {
        let value = 0x1122_3344_5566_7788;
        assert_eq!(swap(Order::Little, SwapBits::B16, value), 0x7788);
        assert_eq!(swap(Order::Big, SwapBits::B16, value), 0x8877);
        assert_eq!(swap(Order::Big, SwapBits::B32, value), 0x8877_6655);
        assert_eq!(swap(Order::Big, SwapBits::B64, value), 0x8877_6655_4433_2211);
        assert_eq!(swap(Order::Little, SwapBits::B64, value), value);
    }
}
