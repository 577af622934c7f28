// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 512 bytes below `r10`: which were written, and which hold a spilled pointer.

use super::fact::Fact;
use super::state::Value;
use crate::abi::STACK_SIZE;
use crate::op::Size;

const SLOT: usize = 8;
const SLOTS: usize = STACK_SIZE / SLOT;

/// Eight aligned bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Bytes of numbers; a bit for each byte written on every path.
    Bytes(u8),
    /// A whole pointer, or something suspect.
    Spilled(Value),
}

impl Slot {
    /// The bytes that hold numbers.
    fn numbers(self) -> u8 {
        match self {
            Slot::Bytes(written) => written,
            Slot::Spilled(Value::Suspect) => u8::MAX,
            Slot::Spilled(_) => 0,
        }
    }

    fn join(self, other: Slot) -> Slot {
        match (self, other) {
            (a, b) if a == b => a,
            (Slot::Spilled(Value::Suspect), _) | (_, Slot::Spilled(Value::Suspect)) => {
                Slot::Spilled(Value::Suspect)
            }
            (a, b) => Slot::Bytes(a.numbers() & b.numbers()),
        }
    }
}

/// The stack, lowest address first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    slots: [Slot; SLOTS],
    /// Bytes below `r10` down to the lowest that some path has written.
    used: usize,
}

impl Default for Stack {
    fn default() -> Stack {
        Stack { slots: [Slot::Bytes(0); SLOTS], used: 0 }
    }
}

impl Stack {
    /// What is known if it may be either.
    pub(super) fn join(&mut self, other: &Stack) {
        for (mine, theirs) in self.slots.iter_mut().zip(other.slots) {
            *mine = mine.join(theirs);
        }
        self.used = self.used.max(other.used);
    }

    /// Bytes below `r10` down to the lowest that some path has written.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Its content is not known, for a reason already reported.
    pub(super) fn suspect(&mut self) {
        self.slots.fill(Slot::Spilled(Value::Suspect));
    }

    /// Loads `size` bytes at `off` from `r10`.
    pub(super) fn load(&self, off: i64, size: Size) -> Result<Value, Fact> {
        let start = aligned(off, size)?;
        match self.slots[start / SLOT] {
            Slot::Spilled(value) if size == Size::Double => Ok(value),
            Slot::Spilled(Value::Suspect) => Ok(Value::Suspect),
            Slot::Spilled(value) => Err(Fact::PartOfSpill { off, kind: value.pointer() }),
            Slot::Bytes(_) => {
                self.readable(off, size.bytes().into())?;
                Ok(Value::Number(None))
            }
        }
    }

    /// Stores `size` bytes at `off` from `r10`. A pointer is kept only whole; storing over a part of
    /// one leaves nothing of it.
    pub(super) fn store(&mut self, off: i64, size: Size, value: Value) -> Result<(), Fact> {
        let start = aligned(off, size)?;
        self.used = self.used.max(STACK_SIZE - start);
        match value {
            Value::Number(_) => self.fill(off, size.bytes().into()),
            _ if size == Size::Double => {
                self.slots[start / SLOT] = Slot::Spilled(value);
                Ok(())
            }
            Value::Suspect => {
                self.slots[start / SLOT] = Slot::Spilled(Value::Suspect);
                Ok(())
            }
            _ => Err(Fact::PartialSpill { kind: value.pointer(), bytes: size.bytes() }),
        }
    }

    /// Whether all of these bytes hold numbers.
    pub(super) fn readable(&self, off: i64, len: u32) -> Result<(), Fact> {
        for at in within(off, len)? {
            if self.slots[at / SLOT].numbers() & 1 << (at % SLOT) == 0 {
                return Err(Fact::StackUnset { off: at as i64 - STACK_SIZE as i64, access: off, len });
            }
        }
        Ok(())
    }

    /// Puts numbers into these bytes.
    pub(super) fn fill(&mut self, off: i64, len: u32) -> Result<(), Fact> {
        let bytes = within(off, len)?;
        self.used = self.used.max(STACK_SIZE - bytes.start);
        for at in bytes {
            let slot = &mut self.slots[at / SLOT];
            if *slot != Slot::Spilled(Value::Suspect) {
                *slot = Slot::Bytes(slot.numbers() | 1 << (at % SLOT));
            }
        }
        Ok(())
    }
}

/// Index of the first byte of an access, which must be inside and a multiple of its size.
fn aligned(off: i64, size: Size) -> Result<usize, Fact> {
    let bytes = size.bytes();
    let start = within(off, bytes.into())?.start;
    if start.is_multiple_of(bytes.into()) { Ok(start) } else { Err(Fact::Misaligned { off, bytes }) }
}

/// Indexes of the bytes of an access, counted from the lowest address.
fn within(off: i64, len: u32) -> Result<std::ops::Range<usize>, Fact> {
    let outside = || Fact::OutsideStack { off, len };
    let (start, len) = (off + STACK_SIZE as i64, i64::from(len));
    let start = usize::try_from(start).map_err(|_| outside())?;
    let end = start + usize::try_from(len).map_err(|_| outside())?;
    if end <= STACK_SIZE { Ok(start..end) } else { Err(outside()) }
}
