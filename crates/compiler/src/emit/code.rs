// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program under construction: instructions, jumps to labels, functions and references to maps.

use super::{EmitError, MapSlot};
use crate::insn::Insn;
use crate::op::{AluOp, Callee, CompareOp, Imm64, Op, Order, Reg, Size, Source, SwapBits, Width, target};

/// Most functions a program of the kernel may have, the one it begins with included.
const MAX_FUNCTIONS: usize = 256;
/// Most instructions a program of the kernel may have.
const MAX_INSNS: usize = 1_000_000;
/// Pseudo source registers of a 64-bit load: a map, and the address of a map's first value.
const BPF_PSEUDO_MAP_FD: u8 = 1;
const BPF_PSEUDO_MAP_VALUE: u8 = 2;
/// The address of a function.
const BPF_PSEUDO_FUNC: u8 = 4;

/// A place in the code, set now or later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// A function to call, after the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function(usize);

/// What an operation refers to besides its operands.
#[derive(Clone, Copy, Debug)]
enum Aim {
    Nothing,
    Label(Label),
    Function(Function),
    Map(MapSlot),
}

/// Code that ends in an exit or a jump.
#[derive(Debug, Default)]
pub(super) struct Code {
    ops: Vec<(Op, Aim)>,
    /// For each label the index in `ops`.
    places: Vec<Option<usize>>,
}

/// Instructions, which of them refer to maps, and which to functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    insns: Vec<Insn>,
    maps: Vec<(usize, MapSlot)>,
    functions: Vec<(usize, Function)>,
}

/// The functions a program calls, in any order; the same code is one function.
#[derive(Debug, Default)]
pub(super) struct Functions(Vec<Part>);

/// A program: instructions, which of them refer to maps, and where each function starts.
pub(super) struct Linked {
    pub insns: Vec<Insn>,
    pub maps: Vec<(usize, MapSlot)>,
    pub starts: Vec<usize>,
}

impl Code {
    pub fn op(&mut self, op: Op) {
        self.ops.push((op, Aim::Nothing));
    }

    pub fn set(&mut self, dst: Reg, src: impl Into<Source>) {
        self.alu(AluOp::Mov, dst, src);
    }

    /// Makes an unknown number of the register to the kernel's verifier, by a byte swap to the machine's own order.
    /// Before 6.8 it forgets that it relied on a value that went through another function's stack, takes ways that
    /// differ in it for the same, and drops tests in rules as dead: what differs by way must be unknown.
    pub fn forget(&mut self, dst: Reg) {
        self.op(Op::Swap { order: Order::Little, bits: SwapBits::B64, dst });
    }

    pub fn alu(&mut self, op: AluOp, dst: Reg, src: impl Into<Source>) {
        self.op(Op::Alu { op, width: Width::W64, dst, src: src.into() });
    }

    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, off: i16) {
        self.op(Op::Load { size, dst, base, off });
    }

    pub fn store(&mut self, size: Size, base: Reg, off: i16, src: impl Into<Source>) {
        self.op(Op::Store { size, base, off, src: src.into() });
    }

    pub fn load_imm(&mut self, dst: Reg, value: u64) {
        self.op(Op::LoadImm { dst, imm: Imm64::Value(value) });
    }

    /// A map, for a helper's argument.
    pub fn map(&mut self, dst: Reg, slot: MapSlot) {
        let imm = Imm64::Pseudo { kind: BPF_PSEUDO_MAP_FD, value: 0 };
        self.ops.push((Op::LoadImm { dst, imm }, Aim::Map(slot)));
    }

    /// The address of the value of a map with one value.
    pub fn map_value(&mut self, dst: Reg, slot: MapSlot) {
        let imm = Imm64::Pseudo { kind: BPF_PSEUDO_MAP_VALUE, value: 0 };
        self.ops.push((Op::LoadImm { dst, imm }, Aim::Map(slot)));
    }

    pub fn helper(&mut self, number: i32) {
        self.op(Op::Call(Callee::Helper(number)));
    }

    pub fn exit(&mut self) {
        self.op(Op::Exit);
    }

    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The label is here.
    pub fn place(&mut self, label: Label) {
        self.places[label.0] = Some(self.ops.len());
    }

    pub fn jump(&mut self, to: Label) {
        self.ops.push((Op::Jump { off: 0 }, Aim::Label(to)));
    }

    pub fn branch(&mut self, op: CompareOp, width: Width, dst: Reg, src: impl Into<Source>, to: Label) {
        self.ops.push((Op::Branch { op, width, dst, src: src.into(), off: 0 }, Aim::Label(to)));
    }

    pub fn call(&mut self, function: Function) {
        self.ops.push((Op::Call(Callee::Local(0)), Aim::Function(function)));
    }

    /// The address of a function, for a helper that calls it.
    pub fn address_of(&mut self, dst: Reg, function: Function) {
        let imm = Imm64::Pseudo { kind: BPF_PSEUDO_FUNC, value: 0 };
        self.ops.push((Op::LoadImm { dst, imm }, Aim::Function(function)));
    }

    /// The code with its jumps aimed.
    pub fn part(self) -> Result<Part, EmitError> {
        let starts = running(self.ops.iter().map(|(op, _)| op.slots()), 0);
        let mut part = Part::default();
        for ((op, aim), at) in self.ops.iter().zip(&starts) {
            let op = match aim {
                Aim::Nothing => *op,
                Aim::Label(label) => {
                    let to = self.places[label.0].expect("every label is placed");
                    aimed(*op, *at, starts[to])?
                }
                Aim::Function(function) => {
                    part.functions.push((*at, *function));
                    *op
                }
                Aim::Map(slot) => {
                    part.maps.push((*at, *slot));
                    *op
                }
            };
            let (first, second) = op.encode();
            part.insns.extend(std::iter::once(first).chain(second));
        }
        Ok(part)
    }

    /// The program: the code, then the functions.
    pub fn link(self, functions: Functions) -> Result<Linked, EmitError> {
        let parts: Vec<Part> = std::iter::once(self.part()?).chain(functions.0).collect();
        if parts.len() > MAX_FUNCTIONS {
            return Err(EmitError::TooManyFunctions { functions: parts.len(), limit: MAX_FUNCTIONS });
        }
        let starts = running(parts.iter().map(|part| part.insns.len()), 0);
        let mut linked =
            Linked { insns: Vec::new(), maps: Vec::new(), starts: starts[..parts.len()].to_vec() };
        for (part, start) in parts.into_iter().zip(&starts) {
            linked.maps.extend(part.maps.into_iter().map(|(at, slot)| (start + at, slot)));
            linked.insns.extend(part.insns);
            for (at, function) in part.functions {
                linked.insns[start + at].imm = distance(start + at, starts[1 + function.0])?;
            }
        }
        match linked.insns.len() {
            insns if insns > MAX_INSNS => Err(EmitError::TooLong { insns, limit: MAX_INSNS }),
            _ => Ok(linked),
        }
    }
}

impl Functions {
    /// The function with this code.
    pub fn get(&mut self, part: Part) -> Function {
        let known = self.0.iter().position(|known| *known == part);
        Function(known.unwrap_or_else(|| {
            self.0.push(part);
            self.0.len() - 1
        }))
    }
}

/// Where each part starts, and where the last one ends.
fn running(lengths: impl Iterator<Item = usize>, from: usize) -> Vec<usize> {
    let mut starts = vec![from];
    starts.extend(lengths.scan(from, |end, length| {
        *end += length;
        Some(*end)
    }));
    starts
}

/// The jump at `at`, to `to`.
fn aimed(op: Op, at: usize, to: usize) -> Result<Op, EmitError> {
    let too_long = EmitError::TooLong { insns: to, limit: usize::from(i16::MAX.unsigned_abs()) };
    let Ok(off) = i16::try_from(to.cast_signed() - at.cast_signed() - 1) else { return Err(too_long) };
    debug_assert_eq!(target(at, off), Some(to));
    Ok(match op {
        Op::Branch { op, width, dst, src, .. } => Op::Branch { op, width, dst, src, off },
        _ => Op::Jump { off },
    })
}

/// From the instruction after `at` to `to`, as calls count; also backwards.
fn distance(at: usize, to: usize) -> Result<i32, EmitError> {
    let number = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    let too_long = |_| EmitError::TooLong { insns: to.max(at), limit: MAX_INSNS };
    i32::try_from(number(to) - number(at) - 1).map_err(too_long)
}
