// SPDX-License-Identifier: MIT OR Apache-2.0
//! From raw instructions to operations, with the kernel's checks of form.

use super::{
    AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, Order, Reg, Size, Source, SwapBits, Undecodable, Width,
};
use crate::insn::Insn;

/// Opcode fields: the class is the low three bits.
pub(super) mod class {
    pub const LD: u8 = 0;
    pub const LDX: u8 = 1;
    pub const ST: u8 = 2;
    pub const STX: u8 = 3;
    pub const ALU32: u8 = 4;
    pub const JMP: u8 = 5;
    pub const JMP32: u8 = 6;
    pub const ALU64: u8 = 7;
}

/// The operand is a register (arithmetic and jumps).
pub(super) const SRC_X: u8 = 0x08;

/// Addressing modes of loads and stores, the high three bits.
pub(super) mod mode {
    pub const IMM: u8 = 0x00;
    pub const ABS: u8 = 0x20;
    pub const IND: u8 = 0x40;
    pub const MEM: u8 = 0x60;
    pub const MEMSX: u8 = 0x80;
    pub const ATOMIC: u8 = 0xc0;
}

/// Arithmetic operations that are not [`AluOp`]s.
pub(super) const NEG: u8 = 0x80;
pub(super) const END: u8 = 0xd0;

/// Jumps that are not [`CompareOp`]s.
pub(super) const JA: u8 = 0x00;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;

pub(super) const ALU_OPS: [(u8, AluOp); 12] = [
    (0x00, AluOp::Add),
    (0x10, AluOp::Sub),
    (0x20, AluOp::Mul),
    (0x30, AluOp::Div),
    (0x40, AluOp::Or),
    (0x50, AluOp::And),
    (0x60, AluOp::Lsh),
    (0x70, AluOp::Rsh),
    (0x90, AluOp::Mod),
    (0xa0, AluOp::Xor),
    (0xb0, AluOp::Mov),
    (0xc0, AluOp::Arsh),
];

pub(super) const COMPARE_OPS: [(u8, CompareOp); 11] = [
    (0x10, CompareOp::Eq),
    (0x20, CompareOp::Gt),
    (0x30, CompareOp::Ge),
    (0x40, CompareOp::Set),
    (0x50, CompareOp::Ne),
    (0x60, CompareOp::Sgt),
    (0x70, CompareOp::Sge),
    (0xa0, CompareOp::Lt),
    (0xb0, CompareOp::Le),
    (0xc0, CompareOp::Slt),
    (0xd0, CompareOp::Sle),
];

pub(super) const ATOMIC_OPS: [(i32, AtomicOp); 10] = [
    (0x00, AtomicOp::Add),
    (0x40, AtomicOp::Or),
    (0x50, AtomicOp::And),
    (0xa0, AtomicOp::Xor),
    (0x01, AtomicOp::FetchAdd),
    (0x41, AtomicOp::FetchOr),
    (0x51, AtomicOp::FetchAnd),
    (0xa1, AtomicOp::FetchXor),
    (0xe1, AtomicOp::Exchange),
    (0xf1, AtomicOp::CompareExchange),
];

impl Op {
    /// Decodes the instruction at `at`, and the one after it if it is the first half of a 64-bit load.
    pub fn decode(insns: &[Insn], at: usize) -> Result<Op, Undecodable> {
        let insn = *insns.get(at).ok_or(Undecodable::End)?;
        match insn.code & 7 {
            class::LD => ld(insn, insns.get(at.saturating_add(1)).copied()),
            class::LDX => ldx(insn),
            class::ST => st(insn),
            class::STX => stx(insn),
            class::ALU32 => arithmetic(insn, Width::W32),
            class::ALU64 => arithmetic(insn, Width::W64),
            class::JMP => jump(insn, Width::W64),
            _ => jump(insn, Width::W32),
        }
    }
}

fn unknown<T>(insn: Insn) -> Result<T, Undecodable> {
    Err(Undecodable::Opcode { code: insn.code })
}

fn newer<T>(what: &'static str) -> Result<T, Undecodable> {
    Err(Undecodable::Newer { what })
}

/// One entry per field an instruction does not use.
fn unused<const N: usize>(fields: [(&'static str, bool); N]) -> Result<(), Undecodable> {
    match fields.into_iter().find(|(_, zero)| !zero) {
        Some((field, _)) => Err(Undecodable::Reserved { field }),
        None => Ok(()),
    }
}

fn reg(number: u8) -> Result<Reg, Undecodable> {
    Reg::new(number).ok_or(Undecodable::Register { number })
}

fn size(insn: Insn) -> Size {
    match insn.code & 0x18 {
        0x00 => Size::Word,
        0x08 => Size::Half,
        0x10 => Size::Byte,
        _ => Size::Double,
    }
}

/// The second operand of arithmetic and jumps.
fn source(insn: Insn) -> Result<Source, Undecodable> {
    if insn.code & SRC_X != 0 {
        unused([("imm", insn.imm == 0)])?;
        return Ok(Source::Reg(reg(insn.src)?));
    }
    unused([("src", insn.src == 0)])?;
    Ok(Source::Imm(insn.imm))
}

fn arithmetic(insn: Insn, width: Width) -> Result<Op, Undecodable> {
    let dst = reg(insn.dst)?;
    match insn.code & 0xf0 {
        NEG => {
            if insn.code & SRC_X != 0 {
                return unknown(insn);
            }
            unused([("src", insn.src == 0), ("off", insn.off == 0), ("imm", insn.imm == 0)])?;
            Ok(Op::Neg { width, dst })
        }
        END => end(insn, width, dst),
        operation => {
            let Some((_, op)) = ALU_OPS.into_iter().find(|(bits, _)| *bits == operation) else {
                return unknown(insn);
            };
            match op {
                AluOp::Div | AluOp::Mod if insn.off == 1 => return newer("signed division"),
                AluOp::Mov if matches!(insn.off, 8 | 16 | 32) => return newer("a sign-extending move"),
                _ => unused([("off", insn.off == 0)])?,
            }
            Ok(Op::Alu { op, width, dst, src: source(insn)? })
        }
    }
}

fn end(insn: Insn, width: Width, dst: Reg) -> Result<Op, Undecodable> {
    if width == Width::W64 {
        return newer("an unconditional byte swap");
    }
    unused([("src", insn.src == 0), ("off", insn.off == 0)])?;
    let bits = match insn.imm {
        16 => SwapBits::B16,
        32 => SwapBits::B32,
        64 => SwapBits::B64,
        bits => return Err(Undecodable::SwapBits { bits }),
    };
    let order = if insn.code & SRC_X != 0 { Order::Big } else { Order::Little };
    Ok(Op::Swap { order, bits, dst })
}

fn ld(insn: Insn, second: Option<Insn>) -> Result<Op, Undecodable> {
    match (insn.code & 0xe0, size(insn)) {
        (mode::ABS | mode::IND, _) => Ok(Op::LoadPacket),
        (mode::IMM, Size::Double) => {
            let dst = reg(insn.dst)?;
            unused([("off", insn.off == 0)])?;
            let half = second.filter(|half| *half == Insn { imm: half.imm, ..Insn::default() });
            let high = half.ok_or(Undecodable::HalfLoad)?.imm;
            let value = u64::from(high.cast_unsigned()) << 32 | u64::from(insn.imm.cast_unsigned());
            let imm = match insn.src {
                0 => Imm64::Value(value),
                kind => Imm64::Pseudo { kind, value },
            };
            Ok(Op::LoadImm { dst, imm })
        }
        _ => unknown(insn),
    }
}

fn ldx(insn: Insn) -> Result<Op, Undecodable> {
    match insn.code & 0xe0 {
        mode::MEM => {
            unused([("imm", insn.imm == 0)])?;
            Ok(Op::Load { size: size(insn), dst: reg(insn.dst)?, base: reg(insn.src)?, off: insn.off })
        }
        mode::MEMSX => newer("a sign-extending load"),
        _ => unknown(insn),
    }
}

fn st(insn: Insn) -> Result<Op, Undecodable> {
    if insn.code & 0xe0 != mode::MEM {
        return unknown(insn);
    }
    unused([("src", insn.src == 0)])?;
    let src = Source::Imm(insn.imm);
    Ok(Op::Store { size: size(insn), base: reg(insn.dst)?, off: insn.off, src })
}

fn stx(insn: Insn) -> Result<Op, Undecodable> {
    let (size, base, off, src) = (size(insn), reg(insn.dst)?, insn.off, reg(insn.src)?);
    match insn.code & 0xe0 {
        mode::MEM => {
            unused([("imm", insn.imm == 0)])?;
            Ok(Op::Store { size, base, off, src: Source::Reg(src) })
        }
        mode::ATOMIC if matches!(size, Size::Word | Size::Double) => {
            match ATOMIC_OPS.into_iter().find(|(bits, _)| *bits == insn.imm) {
                Some((_, op)) => Ok(Op::Atomic { op, size, base, off, src }),
                None => Err(Undecodable::Atomic { imm: insn.imm }),
            }
        }
        _ => unknown(insn),
    }
}

fn jump(insn: Insn, width: Width) -> Result<Op, Undecodable> {
    match (insn.code & 0xf0, width) {
        (JA, Width::W32) => newer("a long jump"),
        (JA | CALL | EXIT, _) if width == Width::W32 || insn.code & SRC_X != 0 => unknown(insn),
        (JA, _) => {
            unused([("dst", insn.dst == 0), ("src", insn.src == 0), ("imm", insn.imm == 0)])?;
            Ok(Op::Jump { off: insn.off })
        }
        (CALL, _) => {
            unused([("dst", insn.dst == 0), ("off", insn.off == 0)])?;
            match insn.src {
                0 => Ok(Op::Call(Callee::Helper(insn.imm))),
                1 => Ok(Op::Call(Callee::Local(insn.imm))),
                2 => Ok(Op::Call(Callee::Kernel(insn.imm))),
                kind => Err(Undecodable::Callee { kind }),
            }
        }
        // The kernel does not look at the offset of an exit.
        (EXIT, _) => {
            unused([("dst", insn.dst == 0), ("src", insn.src == 0), ("imm", insn.imm == 0)])?;
            Ok(Op::Exit)
        }
        (operation, _) => match COMPARE_OPS.into_iter().find(|(bits, _)| *bits == operation) {
            Some((_, op)) => {
                Ok(Op::Branch { op, width, dst: reg(insn.dst)?, src: source(insn)?, off: insn.off })
            }
            None => unknown(insn),
        },
    }
}
