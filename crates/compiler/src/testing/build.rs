// SPDX-License-Identifier: MIT OR Apache-2.0
//! One function per instruction.

use crate::abi::handles::ArrayKind;
use crate::abi::{Abilities, Event, Subtype};
use crate::insn::Insn;
use crate::map::{Definition, Map};
use crate::object::RuleObject;
use crate::op::{AluOp, Callee, CompareOp, Imm64, Op, PSEUDO_MAP, Reg, Size, Source, Width};

pub use crate::op::Size::{Byte, Double, Half, Word};

/// `r0` to `r10`, short.
#[allow(missing_docs, reason = "the names say it")]
pub mod regs {
    use crate::op::Reg;
    pub const R0: Reg = Reg::R0;
    pub const R1: Reg = Reg::R1;
    pub const R2: Reg = Reg::R2;
    pub const R3: Reg = Reg::R3;
    pub const R4: Reg = Reg::R4;
    pub const R5: Reg = Reg::R5;
    pub const R6: Reg = Reg::R6;
    pub const R7: Reg = Reg::R7;
    pub const R8: Reg = Reg::R8;
    pub const R9: Reg = Reg::R9;
    pub const R10: Reg = Reg::R10;
}

/// `dst = src`.
pub fn mov(dst: Reg, src: impl Into<Source>) -> Op {
    alu(AluOp::Mov, dst, src)
}

/// `dst op= src`.
pub fn alu(op: AluOp, dst: Reg, src: impl Into<Source>) -> Op {
    Op::Alu { op, width: Width::W64, dst, src: src.into() }
}

/// `dst op= src` on the low halves.
pub fn alu32(op: AluOp, dst: Reg, src: impl Into<Source>) -> Op {
    Op::Alu { op, width: Width::W32, dst, src: src.into() }
}

/// `dst = value`, two instructions.
pub fn load_imm(dst: Reg, value: u64) -> Op {
    Op::LoadImm { dst, imm: Imm64::Value(value) }
}

/// `dst = *(size *)(base + off)`.
pub fn load(size: Size, dst: Reg, base: Reg, off: i16) -> Op {
    Op::Load { size, dst, base, off }
}

/// `*(size *)(base + off) = src`.
pub fn store(size: Size, base: Reg, off: i16, src: impl Into<Source>) -> Op {
    Op::Store { size, base, off, src: src.into() }
}

/// `goto off`.
pub fn jump(off: i16) -> Op {
    Op::Jump { off }
}

/// `if dst op src goto off`.
pub fn branch(op: CompareOp, dst: Reg, src: impl Into<Source>, off: i16) -> Op {
    Op::Branch { op, width: Width::W64, dst, src: src.into(), off }
}

/// `if dst op src goto off`, on the low halves.
pub fn branch32(op: CompareOp, dst: Reg, src: impl Into<Source>, off: i16) -> Op {
    Op::Branch { op, width: Width::W32, dst, src: src.into(), off }
}

/// `call number`.
pub fn call(number: i32) -> Op {
    Op::Call(Callee::Helper(number))
}

/// `exit`.
pub fn exit() -> Op {
    Op::Exit
}

/// The instructions of these operations.
pub fn program(ops: &[Op]) -> Vec<Insn> {
    let pair = |op: &Op| {
        let (first, second) = op.encode();
        std::iter::once(first).chain(second)
    };
    ops.iter().flat_map(pair).collect()
}

/// A GPL rule of these instructions.
pub fn object(event: Event, abilities: Abilities, insns: Vec<Insn>) -> RuleObject {
    RuleObject {
        name: "landlock1".into(),
        insns,
        subtype: Some(Subtype { abi: 1, event: event as u32, ability: abilities.bits(), option: 0 }),
        license: "GPL".into(),
        ..RuleObject::default()
    }
}

/// A GPL rule of ABI 2 without abilities that refers to these maps.
pub fn abi2(event: Event, maps: &[Map], ops: &[Op]) -> RuleObject {
    let subtype = Some(Subtype { abi: 2, event: event as u32, ability: 0, option: 0 });
    RuleObject { subtype, maps: maps.to_vec(), ..object(event, Abilities::empty(), program(ops)) }
}

/// A map for up to ten handles.
pub fn map(name: &str, kind: ArrayKind) -> Map {
    Map::new(Definition { name: name.into(), kind, max_entries: 10 })
}

/// `dst =` the address of the rule's map with this index, two instructions.
pub fn load_map(dst: Reg, index: u64) -> Op {
    Op::LoadImm { dst, imm: Imm64::Pseudo { kind: PSEUDO_MAP, value: index } }
}

/// `r0 = cmp…(flags, map, op, object)`; the object, if there is one, is already in `r4`.
pub fn compare(helper: i32, flags: i32, map: u64, op: i32) -> [Op; 4] {
    [mov(Reg::R1, flags), load_map(Reg::R2, map), mov(Reg::R3, op), call(helper)]
}

/// A GPL rule of event FS without abilities.
pub fn fs(ops: &[Op]) -> RuleObject {
    object(Event::Fs, Abilities::empty(), program(ops))
}

/// A GPL rule of event FS with ability DEBUG.
pub fn debug(ops: &[Op]) -> RuleObject {
    object(Event::Fs, Abilities::DEBUG, program(ops))
}
