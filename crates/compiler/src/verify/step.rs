// SPDX-License-Identifier: MIT OR Apache-2.0
//! One instruction: what must be known before it, and what is known after it.

use super::context::field;
use super::fact::Fact;
use super::helper::{self, Caller};
use super::state::{Kind, State, Value};
use crate::abi::STACK_SIZE;
use crate::op::{self, AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, PSEUDO_MAP, Reg, Size, Source, Width};

/// Does one instruction. What it would have written is suspect if there is something to report.
pub(super) fn step(state: &mut State, caller: &Caller<'_>, op: Op) -> Result<(), Vec<Fact>> {
    let done = match op {
        Op::Call(Callee::Helper(number)) => helper::call(state, caller, number),
        op => simple(state, caller, op).map_err(|fact| vec![fact]),
    };
    match done {
        Ok(()) => after(state, op, Value::Number(None)),
        Err(_) => {
            distrust(state, op);
            after(state, op, Value::Suspect);
        }
    }
    done
}

/// What a call does to the registers, be it right or wrong.
fn after(state: &mut State, op: Op, result: Value) {
    if matches!(op, Op::Call(_) | Op::LoadPacket) {
        state.returned(result);
    }
}

/// Nothing the instruction writes is known.
fn distrust(state: &mut State, op: Op) {
    match op {
        Op::Alu { dst, .. }
        | Op::Neg { dst, .. }
        | Op::Swap { dst, .. }
        | Op::LoadImm { dst, .. }
        | Op::Load { dst, .. } => state.distrust(dst),
        Op::Store { .. } | Op::Call(_) => state.stack.suspect(),
        Op::Atomic { src, .. } => {
            state.stack.suspect();
            state.distrust(src);
            state.distrust(Reg::R0);
        }
        Op::LoadPacket | Op::Jump { .. } | Op::Branch { .. } | Op::Exit => {}
    }
}

fn simple(state: &mut State, caller: &Caller<'_>, op: Op) -> Result<(), Fact> {
    match op {
        Op::Alu { op: AluOp::Mov, width, dst, src } => moved(state, width, dst, src),
        Op::Alu { op, width, dst, src } => alu(state, op, width, dst, src),
        Op::Neg { dst, .. } | Op::Swap { dst, .. } => {
            let value = number(state.read(dst)?)?;
            state.write(dst, value)
        }
        Op::LoadImm { dst, imm: Imm64::Value(value) } => state.write(dst, Value::Number(Some(value))),
        Op::LoadImm { dst, imm: Imm64::Pseudo { kind: PSEUDO_MAP, value } } => {
            state.write(dst, map(caller, value)?)
        }
        Op::LoadImm { imm: Imm64::Pseudo { kind, .. }, .. } => Err(Fact::PseudoLoad { kind }),
        Op::Load { size, dst, base, off } => {
            let value = load(state, caller, size, base, off)?;
            state.write(dst, value)
        }
        Op::Store { size, base, off, src } => store(state, size, base, off, src),
        Op::Atomic { op, size, base, off, src } => atomic(state, caller, op, (size, base, off), src),
        Op::LoadPacket => Err(Fact::PacketLoad),
        Op::Branch { op, width, dst, src, .. } => {
            let (src, dst) = (state.source(src)?, state.read(dst)?);
            match src.pointer().or(dst.pointer()) {
                Some(kind) if !tests_null(op, width, dst, src) => Err(Fact::PointerCompared { kind }),
                _ => Ok(()),
            }
        }
        Op::Exit => match state.read(Reg::R0)?.pointer() {
            Some(kind) => Err(Fact::PointerReturned { kind }),
            None => Ok(()),
        },
        Op::Call(Callee::Local(_)) => Err(Fact::LocalCall),
        Op::Call(Callee::Kernel(id)) => Err(Fact::KernelCall { id }),
        Op::Call(Callee::Helper(_)) | Op::Jump { .. } => Ok(()),
    }
}

/// Whether something that may be NULL is compared with NULL.
fn tests_null(op: CompareOp, width: Width, dst: Value, src: Value) -> bool {
    let nullable = matches!((dst, src), (Value::File { nullable: true }, Value::Number(Some(0))));
    nullable && width == Width::W64 && matches!(op, CompareOp::Eq | CompareOp::Ne)
}

/// The map with this index.
fn map(caller: &Caller<'_>, index: u64) -> Result<Value, Fact> {
    let abi = caller.declared.abi;
    let map = usize::try_from(index).ok().and_then(|index| caller.maps.get(index));
    match map {
        None => Err(Fact::UnknownMap { index, len: caller.maps.len() }),
        Some(_) if abi < 2 => Err(Fact::MapAbi { abi }),
        Some(map) => Ok(Value::Handles(map.definition().kind)),
    }
}

/// The outcome of arithmetic on something that must be a number.
fn number(value: Value) -> Result<Value, Fact> {
    match value.pointer() {
        Some(kind) => Err(Fact::PointerArithmetic { kind }),
        None if value == Value::Suspect => Ok(value),
        None => Ok(Value::Number(None)),
    }
}

fn moved(state: &mut State, width: Width, dst: Reg, src: Source) -> Result<(), Fact> {
    let value = match (state.source(src)?, width) {
        (value, Width::W64) => value,
        (Value::Number(known), width) => {
            Value::Number(known.map(|known| op::alu(AluOp::Mov, width, 0, known)))
        }
        (value, Width::W32) => match value.pointer() {
            Some(kind) => return Err(Fact::HalfPointer { kind }),
            None => value,
        },
    };
    state.write(dst, value)
}

fn alu(state: &mut State, op: AluOp, width: Width, dst: Reg, src: Source) -> Result<(), Fact> {
    let (b, a) = (state.source(src)?, state.read(dst)?);
    constant_operand(op, width, src)?;
    let value = match (op, width, a, b) {
        (_, _, Value::Suspect, _) | (_, _, _, Value::Suspect) => Value::Suspect,
        (_, _, Value::Number(a), Value::Number(b)) => Value::Number(fold(op, width, a, b)),
        (AluOp::Add, Width::W64, Value::Stack(off), Value::Number(by))
        | (AluOp::Add, Width::W64, Value::Number(by), Value::Stack(off)) => stack_address(off, by)?,
        (AluOp::Sub, Width::W64, Value::Stack(off), Value::Number(by)) => {
            stack_address(off, by.map(u64::wrapping_neg))?
        }
        (_, _, a, b) => {
            let kind = a.pointer().or(b.pointer()).unwrap_or(Kind::Number);
            return Err(Fact::PointerArithmetic { kind });
        }
    };
    state.write(dst, value)
}

fn constant_operand(op: AluOp, width: Width, src: Source) -> Result<(), Fact> {
    let Source::Imm(imm) = src else { return Ok(()) };
    match op {
        AluOp::Div | AluOp::Mod if imm == 0 => Err(Fact::DivisionByZero),
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if !(0..width.bits()).contains(&imm.cast_unsigned()) => {
            Err(Fact::Shift { imm, width })
        }
        _ => Ok(()),
    }
}

/// The result if it is known. Kernels do not follow division, so neither do we: what is a known size
/// here must be one there.
fn fold(op: AluOp, width: Width, a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match op {
        AluOp::Div | AluOp::Mod => None,
        _ => Some(op::alu(op, width, a?, b?)),
    }
}

fn stack_address(off: i16, by: Option<u64>) -> Result<Value, Fact> {
    let by = by.ok_or(Fact::VariableStackAddress)?.cast_signed();
    let off = i64::from(off).saturating_add(by);
    match i16::try_from(off) {
        Ok(within) if (-(STACK_SIZE as i64)..=0).contains(&off) => Ok(Value::Stack(within)),
        _ => Err(Fact::StackAddress { off }),
    }
}

fn load(state: &mut State, caller: &Caller<'_>, size: Size, base: Reg, off: i16) -> Result<Value, Fact> {
    match state.read(base)? {
        Value::Context => field(caller.declared.event, size, off),
        Value::Stack(start) => state.stack.load(i64::from(start) + i64::from(off), size),
        value => not_memory(value, base).map(|()| Value::Suspect),
    }
}

fn store(state: &mut State, size: Size, base: Reg, off: i16, src: Source) -> Result<(), Fact> {
    let (value, base_value) = (state.source(src)?, state.read(base)?);
    match base_value {
        Value::Stack(start) => state.stack.store(i64::from(start) + i64::from(off), size, value),
        Value::Context => Err(Fact::ContextStore),
        Value::Suspect => {
            state.stack.suspect();
            Ok(())
        }
        value => not_memory(value, base),
    }
}

fn atomic(
    state: &mut State,
    caller: &Caller<'_>,
    op: AtomicOp,
    (size, base, off): (Size, Reg, i16),
    src: Reg,
) -> Result<(), Fact> {
    let mut operands = vec![state.read(src)?];
    if op == AtomicOp::CompareExchange {
        operands.push(state.read(Reg::R0)?);
    }
    operands.push(load(state, caller, size, base, off)?);
    if let Some(kind) = operands.iter().find_map(|value| value.pointer()) {
        return Err(Fact::AtomicOnPointer { kind });
    }
    store(state, size, base, off, Source::Imm(0))?;
    match op {
        AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => Ok(()),
        AtomicOp::CompareExchange => state.write(Reg::R0, Value::Number(None)),
        _ => state.write(src, Value::Number(None)),
    }
}

/// Reports a base that is not an address; a suspect one passes.
fn not_memory(value: Value, reg: Reg) -> Result<(), Fact> {
    value.kind().map_or(Ok(()), |kind| Err(Fact::NotMemory { reg, kind }))
}
