// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known at one point of a path: registers, stack, and the inputs that lead there.

use std::collections::BTreeMap;

use super::inputs::{Field, InputSet, Restriction};
use super::sum::Sum;
use super::word::{Copies, Word};
use crate::abi::hook::{self, Arg};
use crate::abi::{Event, context};
use crate::op::{Reg, Size, Source, immediate};

/// What is known of a register or of eight bytes of stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Word(Word),
    Sum(Sum),
    /// Points this far into the context.
    Context(i64),
    /// Points this far above the stack's lowest byte; negative offsets of `r10` count from 512.
    Stack(i64),
    /// The handle, a file, a map: whatever can only be handed on.
    Opaque,
    /// Not written yet, or not the same on all ways here. No verified rule uses it as a pointer.
    Unusable,
}

impl Value {
    pub fn join(self, other: Value) -> Value {
        match (self, other) {
            (a, b) if a == b => a,
            (Value::Word(_) | Value::Sum(_), Value::Word(_) | Value::Sum(_)) => {
                Value::Word(self.word().join(other.word()))
            }
            _ => Value::Unusable,
        }
    }

    pub fn resolved(self, inputs: &InputSet) -> Value {
        match self {
            Value::Word(word) => Value::Word(word.resolved(inputs)),
            Value::Sum(sum) => {
                let sum = sum.resolved(inputs);
                if sum.word().has_any() { Value::Sum(sum) } else { Value::Word(sum.word()) }
            }
            pointer => pointer,
        }
    }

    pub fn word(self) -> Word {
        match self {
            Value::Word(word) => word,
            Value::Sum(sum) => sum.word(),
            _ => Word::ANY,
        }
    }

    /// The input bits that would tell all about it.
    pub fn copies(self) -> Copies {
        match self {
            Value::Word(word) => word.copies(),
            Value::Sum(sum) => sum.base().copies(),
            _ => Copies::NONE,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub inputs: InputSet,
    regs: [Value; Reg::COUNT],
    /// By index of eight aligned bytes; what is missing is [`Value::Unusable`].
    stack: BTreeMap<i64, Value>,
}

impl State {
    pub fn entry(inputs: InputSet) -> State {
        let mut regs = [Value::Unusable; Reg::COUNT];
        regs[Reg::R1.index()] = Value::Context(0);
        regs[Reg::R10.index()] = Value::Stack(0);
        State { inputs, regs, stack: BTreeMap::new() }
    }

    pub fn join(&mut self, other: &State) {
        self.inputs.join(&other.inputs);
        self.regs.iter_mut().zip(other.regs).for_each(|(mine, theirs)| *mine = mine.join(theirs));
        self.stack.retain(|slot, _| other.stack.contains_key(slot));
        for (slot, value) in &mut self.stack {
            *value = value.join(other.stack[slot]);
        }
    }

    /// As far as the inputs can be told apart by a test of `field`.
    pub fn restricted(&self, field: Field, restriction: &Restriction) -> Option<State> {
        let inputs = self.inputs.restricted(field, restriction)?;
        Some(State { inputs, regs: self.regs, stack: self.stack.clone() })
    }

    pub fn get(&self, reg: Reg) -> Value {
        self.regs[reg.index()].resolved(&self.inputs)
    }

    pub fn word(&self, reg: Reg) -> Word {
        self.get(reg).word()
    }

    pub fn source(&self, source: Source) -> Value {
        match source {
            Source::Reg(reg) => self.get(reg),
            Source::Imm(imm) => Value::Word(Word::exactly(immediate(imm))),
        }
    }

    pub fn set(&mut self, reg: Reg, value: Value) {
        self.regs[reg.index()] = value;
    }

    pub fn load(&self, base: Value, off: i16, size: Size, event: Event) -> Value {
        let len = size.bytes();
        match base {
            Value::Context(at) => load_context(at.wrapping_add(i64::from(off)), len, event),
            Value::Stack(at) => self.load_stack(at.wrapping_add(i64::from(off)), len),
            _ => Value::Word(Word::ANY.extract(0, len)),
        }
    }

    fn load_stack(&self, address: i64, len: u8) -> Value {
        let (slot, at) = slot(address);
        match self.stack.get(&slot).copied() {
            Some(value) if len == 8 && at == 0 => value,
            Some(Value::Word(word)) if at + len <= 8 => Value::Word(word.extract(at, len)),
            _ => Value::Word(Word::ANY.extract(0, len)),
        }
    }

    pub fn store(&mut self, base: Value, off: i16, size: Size, value: Value) {
        let Value::Stack(base) = base else {
            // No verified rule writes anywhere else; forget all rather than trust.
            return self.stack.clear();
        };
        self.store_stack(base.wrapping_add(i64::from(off)), size.bytes(), value);
    }

    pub fn store_stack(&mut self, address: i64, len: u8, value: Value) {
        let (slot, at) = slot(address);
        let new = if len == 8 && at == 0 {
            value
        } else if at + len <= 8 {
            let old = self.stack.get(&slot).map_or(Word::ANY, |old| old.word());
            Value::Word(old.resolved(&self.inputs).insert(at, len, value.word()))
        } else {
            self.stack.remove(&(slot + 1));
            Value::Unusable
        };
        self.stack.insert(slot, new);
    }
}

/// Index of the eight bytes with this address, and the byte of them.
fn slot(address: i64) -> (i64, u8) {
    (address.div_euclid(8), u8::try_from(address.rem_euclid(8)).unwrap_or(0))
}

fn load_context(address: i64, len: u8, event: Event) -> Value {
    if event.is_hook() {
        return load_hook_context(address, len, event);
    }
    let (field, at) = slot(address);
    let word = match i16::try_from(field * 8) {
        Ok(context::STATUS) => Word::exactly(0),
        Ok(context::EVENT) => Word::exactly(event as u64),
        Ok(context::ARG1) => return Value::Opaque,
        Ok(context::ARG2) => Word::of(Field::Arg2),
        Ok(context::ARCH) => Word::of(Field::Arch),
        Ok(context::SYSCALL_NR) => Word::of(Field::SyscallNr),
        _ => Word::ANY,
    };
    Value::Word(if at + len <= 8 { word.extract(at, len) } else { Word::ANY.extract(0, len) })
}

/// Of what a hook says, only which one it is is known beforehand.
fn load_hook_context(address: i64, len: u8, event: Event) -> Value {
    let off = i16::try_from(address).unwrap_or(hook::SIZE);
    let arg = hook::arg_at(off).and_then(|index| hook::args(event).get(index));
    match (off, arg) {
        (_, Some(Arg::File { .. } | Arg::Cred)) => Value::Opaque,
        (hook::HOOK, _) => Value::Word(Word::exactly(event as u64).extract(0, len.min(4))),
        _ => Value::Word(Word::ANY.extract(0, len)),
    }
}
