// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which programs are filters.

use std::fmt;

use thiserror::Error;

use super::{ClassicInsn, SyscallData};
use crate::abi::MAX_INSNS;

/// Words of scratch memory.
pub(super) const MEMORY: usize = 16;

/// Opcodes, by name: class, size or operation, source.
pub(crate) mod code {
    pub const LD_IMM: u16 = 0x00;
    pub const LDX_IMM: u16 = 0x01;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const JA: u16 = 0x05;
    pub const RET_K: u16 = 0x06;
    pub const RET_A: u16 = 0x16;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
    pub const LD_ABS: u16 = 0x20;
    pub const LD_MEM: u16 = 0x60;
    pub const LDX_MEM: u16 = 0x61;
    pub const LD_LEN: u16 = 0x80;
    pub const LDX_LEN: u16 = 0x81;
    pub const NEG: u16 = 0x84;
    /// Class of arithmetic, of jumps; the bits of the operation; whether X is the operand.
    pub const ALU: u16 = 0x04;
    pub const JMP: u16 = 0x05;
    pub const OP: u16 = 0xf0;
    pub const X: u16 = 0x08;
    pub const ADD: u16 = 0x00;
    pub const SUB: u16 = 0x10;
    pub const MUL: u16 = 0x20;
    pub const DIV: u16 = 0x30;
    pub const OR: u16 = 0x40;
    pub const AND: u16 = 0x50;
    pub const LSH: u16 = 0x60;
    pub const RSH: u16 = 0x70;
    pub const XOR: u16 = 0xa0;
    pub const JEQ: u16 = 0x10;
    pub const JGT: u16 = 0x20;
    pub const JGE: u16 = 0x30;
    pub const JSET: u16 = 0x40;
}

/// Why a program is no filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The instruction at fault, when it is one.
    pub insn: Option<usize>,
    /// What is wrong.
    pub fault: FilterFault,
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.insn {
            Some(insn) => write!(f, "instruction {insn} of the filter: {}", self.fault),
            None => write!(f, "the filter: {}", self.fault),
        }
    }
}

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FilterFault {
    #[error("it has {len} instructions, 1 to {MAX_INSNS} are possible")]
    Length { len: usize },
    #[error("cut short: an instruction has {} bytes", ClassicInsn::SIZE)]
    CutShort,
    #[error("opcode {code:#04x} is not one of seccomp's")]
    Opcode { code: u16 },
    #[error("a load at offset {off}: words of the data start at multiples of 4 below {}", SyscallData::SIZE)]
    Load { off: u32 },
    #[error("scratch memory has words 0 to {}, not {index}", MEMORY - 1)]
    Memory { index: u32 },
    #[error("word {index} of scratch memory is read, and was not written on every path")]
    Unwritten { index: u32 },
    #[error("division by the constant zero")]
    DivisionByZero,
    #[error("a shift by {by}, the limit is 31")]
    Shift { by: u32 },
    #[error("the jump leaves the filter")]
    Jump,
    #[error("it does not end in a return")]
    NoReturn,
}

pub(super) fn check(insns: &[ClassicInsn]) -> Result<(), FilterError> {
    if !(1..=MAX_INSNS).contains(&insns.len()) {
        return Err(FilterError { insn: None, fault: FilterFault::Length { len: insns.len() } });
    }
    for (at, insn) in insns.iter().enumerate() {
        alone(insn).and_then(|()| jump(insn, insns.len() - at - 1)).map_err(|fault| error(at, fault))?;
    }
    let last = insns.len() - 1;
    if !matches!(insns[last].code, code::RET_K | code::RET_A) {
        return Err(error(last, FilterFault::NoReturn));
    }
    memory(insns)
}

fn error(insn: usize, fault: FilterFault) -> FilterError {
    FilterError { insn: Some(insn), fault }
}

/// What an instruction says by itself.
fn alone(insn: &ClassicInsn) -> Result<(), FilterFault> {
    use code::{ADD, ALU, AND, DIV, JEQ, JGE, JGT, JMP, JSET, LSH, MUL, OR, RSH, SUB, X, XOR};
    let ClassicInsn { code, k, .. } = *insn;
    match code {
        code::LD_ABS if k >= SyscallData::SIZE || k % 4 != 0 => Err(FilterFault::Load { off: k }),
        code::LD_MEM | code::LDX_MEM | code::ST | code::STX if k as usize >= MEMORY => {
            Err(FilterFault::Memory { index: k })
        }
        code::LD_ABS | code::LD_MEM | code::LDX_MEM | code::ST | code::STX => Ok(()),
        code::LD_IMM | code::LDX_IMM | code::LD_LEN | code::LDX_LEN | code::TAX | code::TXA => Ok(()),
        code::RET_K | code::RET_A | code::JA | code::NEG => Ok(()),
        _ => match (code & !(code::OP | X), code & code::OP, code & X != 0) {
            (ALU, DIV, false) if k == 0 => Err(FilterFault::DivisionByZero),
            (ALU, LSH | RSH, false) if k >= u32::BITS => Err(FilterFault::Shift { by: k }),
            (ALU, ADD | SUB | MUL | DIV | OR | AND | LSH | RSH | XOR, _) => Ok(()),
            (JMP, JEQ | JGT | JGE | JSET, _) => Ok(()),
            _ => Err(FilterFault::Opcode { code }),
        },
    }
}

/// Jumps only go forward; `left` instructions follow.
fn jump(insn: &ClassicInsn, left: usize) -> Result<(), FilterFault> {
    let inside = targets(insn).into_iter().flatten().all(|skipped| (skipped as usize) < left);
    if inside { Ok(()) } else { Err(FilterFault::Jump) }
}

/// How many instructions a jump may skip; none for what is no jump.
pub(crate) fn targets(insn: &ClassicInsn) -> [Option<u32>; 2] {
    match insn.code {
        code::JA => [Some(insn.k), None],
        conditional if conditional & 7 == code::JMP => [Some(insn.jt.into()), Some(insn.jf.into())],
        _ => [None, None],
    }
}

/// Nothing is read from scratch memory that was not written on every path.
fn memory(insns: &[ClassicInsn]) -> Result<(), FilterError> {
    let mut arrivals = vec![u16::MAX; insns.len()];
    let mut written = 0;
    for (at, insn) in insns.iter().enumerate() {
        written &= arrivals[at];
        match insn.code {
            code::ST | code::STX => written |= 1 << insn.k,
            code::LD_MEM | code::LDX_MEM if written & 1 << insn.k == 0 => {
                return Err(error(at, FilterFault::Unwritten { index: insn.k }));
            }
            _ => {}
        }
        let targets = targets(insn);
        for skipped in targets.into_iter().flatten() {
            arrivals[at + 1 + skipped as usize] &= written;
        }
        if targets[0].is_some() {
            // What follows is only reached by jumps.
            written = u16::MAX;
        }
    }
    Ok(())
}
