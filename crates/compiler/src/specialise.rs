// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partial evaluation of a rule over what one hook instance knows beforehand.

use crate::abi::Event;

/// A 64-bit value of which some bits are known.
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

    /// Everything is known.
    pub const fn exactly(value: u64) -> Bits {
        Bits { value, unknown: 0 }
    }
}

/// What is known of the object behind the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKnown {
    /// It exists, and this much is known of its mode (32 bits; the upper half is 0).
    Mode(Bits),
    /// A negative dentry: it has no mode.
    Absent,
    /// It may exist, with any mode, or not.
    Any,
}

/// What a hook instance knows before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The event.
    pub event: Event,
    /// Action bits, or the command.
    pub arg2: Bits,
    /// The object.
    pub object: ObjectKnown,
    /// `AUDIT_ARCH_*`.
    pub arch: Bits,
    /// Syscall number.
    pub syscall_nr: Bits,
}
