// SPDX-License-Identifier: MIT OR Apache-2.0
//! The number of a domain as bits of a thread's personality.
//!
//! They are the bits no flag and no execution domain uses: 8 to 16 and 28 to 31. The kernel stores and copies
//! all 32, and exec clears none of these.

/// The bits of a personality that hold the number.
pub const MASK: u32 = 0xf001_ff00;
/// The highest number.
pub const MAX: u32 = (1 << 13) - 1;

const LOW: u32 = 0x1ff;

/// The number in a personality; 0: the outermost domain.
pub fn of(personality: u32) -> u32 {
    (personality >> 8) & LOW | (personality >> 28 << 9)
}

/// The personality with the number, at most [`MAX`], instead of the one it has.
pub fn set(personality: u32, number: u32) -> u32 {
    personality & !MASK | (number & LOW) << 8 | (number >> 9) << 28
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_and_leaves_the_rest_alone() {
        for number in 0..=MAX {
            for personality in [0, !0, 0x0040_0000] {
                let with = set(personality, number);
                assert_eq!(of(with), number);
                assert_eq!(with & !MASK, personality & !MASK);
            }
        }
    }

    /// `uapi/linux/personality.h`: flags from 0x0020000 to 0x8000000, execution domains in the low byte.
    #[test]
    fn no_flag_is_touched() {
        assert_eq!(MASK & (0x0ffe_0000 | 0xff), 0);
        assert_eq!(MASK.count_ones(), (MAX + 1).ilog2());
    }
}
