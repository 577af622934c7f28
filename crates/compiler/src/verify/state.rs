// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known when a rule gets to an instruction: the content of each register, and the stack.

use super::fact::Fact;
use super::stack::Stack;
use crate::abi::handles::ArrayKind;
use crate::op::{Reg, Source, immediate};

/// What a register holds on every path to the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing that may be read.
    Unset(Unset),
    /// A number; known if it is the same on every path.
    Number(Option<u64>),
    /// The address of the context.
    Context,
    /// The handle.
    Handle,
    /// The file of a hook.
    File {
        /// Whether it may be NULL.
        nullable: bool,
    },
    /// The credentials of a hook.
    Cred,
    /// The address of some map of handles of this kind.
    Handles(ArrayKind),
    /// A stack address: bytes from `r10`, -512 to 0.
    Stack(i16),
    /// The outcome of a problem already reported. Every use is accepted, so that one mistake is
    /// one message; the rule is refused anyway.
    Suspect,
}

/// Why a register may not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// No instruction on the way wrote it.
    Never,
    /// It was an argument register of a call.
    Call,
    /// It was written on some paths only.
    SomePath,
    /// It holds different kinds of things on different paths.
    Mixed,
}

/// What a value is, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// The address of the context.
    Context,
    /// The handle.
    Handle,
    /// The file of a hook.
    File,
    /// The credentials of a hook.
    Cred,
    /// The address of a map.
    Handles(ArrayKind),
    /// A stack address.
    Stack,
}

impl Value {
    /// The kind, of what may be read and is not suspect.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Value::Unset(_) | Value::Suspect => None,
            Value::Number(_) => Some(Kind::Number),
            Value::Context => Some(Kind::Context),
            Value::Handle => Some(Kind::Handle),
            Value::File { .. } => Some(Kind::File),
            Value::Cred => Some(Kind::Cred),
            Value::Handles(kind) => Some(Kind::Handles(kind)),
            Value::Stack(_) => Some(Kind::Stack),
        }
    }

    /// The kind, of what must not reach anything but registers and the stack.
    pub(super) fn pointer(self) -> Option<Kind> {
        self.kind().filter(|kind| *kind != Kind::Number)
    }

    /// What is known if it may be either.
    pub(super) fn join(self, other: Value) -> Value {
        match (self, other) {
            (a, b) if a == b => a,
            (Value::Suspect, _) | (_, Value::Suspect) => Value::Suspect,
            (Value::Number(_), Value::Number(_)) => Value::Number(None),
            (Value::Unset(Unset::Never | Unset::Call), Value::Unset(Unset::Never | Unset::Call)) => {
                Value::Unset(Unset::Call)
            }
            (Value::Unset(Unset::Mixed), _) | (_, Value::Unset(Unset::Mixed)) => Value::Unset(Unset::Mixed),
            (Value::Unset(_), _) | (_, Value::Unset(_)) => Value::Unset(Unset::SomePath),
            _ => Value::Unset(Unset::Mixed),
        }
    }
}

/// Everything known before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    regs: [Value; Reg::COUNT],
    pub(super) stack: Stack,
}

impl State {
    /// On entry: the context in `r1`, the frame pointer in `r10`, nothing else.
    pub(super) fn entry() -> State {
        let mut regs = [Value::Unset(Unset::Never); Reg::COUNT];
        regs[Reg::R1.index()] = Value::Context;
        regs[Reg::R10.index()] = Value::Stack(0);
        State { regs, stack: Stack::default() }
    }

    /// What is known if either state led here.
    pub(super) fn join(&mut self, other: &State) {
        for (mine, theirs) in self.regs.iter_mut().zip(other.regs) {
            *mine = mine.join(theirs);
        }
        self.stack.join(&other.stack);
    }

    /// Everything is suspect: what the instruction did is not known.
    pub(super) fn suspect(&mut self) {
        self.regs[..Reg::R10.index()].fill(Value::Suspect);
        self.stack.suspect();
    }

    /// The register, readable or not.
    pub(super) fn peek(&self, reg: Reg) -> Value {
        self.regs[reg.index()]
    }

    /// The register, which must have been written on every path.
    pub(super) fn read(&mut self, reg: Reg) -> Result<Value, Fact> {
        match self.peek(reg) {
            Value::Unset(why) => {
                self.regs[reg.index()] = Value::Suspect;
                Err(Fact::Unset { reg, why })
            }
            value => Ok(value),
        }
    }

    /// The register or the constant.
    pub(super) fn source(&mut self, source: Source) -> Result<Value, Fact> {
        match source {
            Source::Reg(reg) => self.read(reg),
            Source::Imm(imm) => Ok(Value::Number(Some(immediate(imm)))),
        }
    }

    /// Writes any register but the frame pointer.
    pub(super) fn write(&mut self, reg: Reg, value: Value) -> Result<(), Fact> {
        if reg == Reg::R10 {
            return Err(Fact::FramePointer);
        }
        self.regs[reg.index()] = value;
        Ok(())
    }

    /// What the register holds is not known, for a reason already reported.
    pub(super) fn distrust(&mut self, reg: Reg) {
        if reg != Reg::R10 {
            self.regs[reg.index()] = Value::Suspect;
        }
    }

    /// What a call leaves: a result, and no arguments.
    pub(super) fn returned(&mut self, result: Value) {
        self.regs[Reg::R0.index()] = result;
        for reg in Reg::arguments() {
            self.regs[reg.index()] = Value::Unset(Unset::Call);
        }
    }
}
