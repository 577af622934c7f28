// SPDX-License-Identifier: MIT OR Apache-2.0
//! From operations back to raw instructions: the inverse of decoding.

use super::decode::{ALU_OPS, ATOMIC_OPS, CALL, COMPARE_OPS, END, EXIT, JA, NEG, SRC_X, class, mode};
use super::{Callee, Imm64, Op, Order, Reg, Size, Source, Width};
use crate::insn::Insn;

impl Op {
    /// The instruction, and the second half if there is one. Packet loads, which no rule may have,
    /// encode as `LD_ABS` of one byte.
    pub fn encode(self) -> (Insn, Option<Insn>) {
        let insn = match self {
            Op::Alu { op, width, dst, src } => operand(bits_of(&ALU_OPS, op) | alu_class(width), dst, 0, src),
            Op::Neg { width, dst } => operand(NEG | alu_class(width), dst, 0, Source::Imm(0)),
            Op::Swap { order, bits, dst } => {
                let order = if order == Order::Big { SRC_X } else { 0 };
                let code = END | order | class::ALU32;
                Insn { code, dst: dst.number(), imm: i32::from(bits.bits()), ..Insn::default() }
            }
            Op::LoadImm { dst, imm } => return load_imm(dst, imm),
            Op::Load { size, dst, base, off } => {
                let code = class::LDX | mode::MEM | size_bits(size);
                Insn { code, dst: dst.number(), src: base.number(), off, imm: 0 }
            }
            Op::Store { size, base, off, src } => {
                let class = if matches!(src, Source::Reg(_)) { class::STX } else { class::ST };
                let insn = operand(class | mode::MEM | size_bits(size), base, off, src);
                // Loads and stores say by their class, not by SRC_X, what the operand is.
                Insn { code: class | mode::MEM | size_bits(size), ..insn }
            }
            Op::Atomic { op, size, base, off, src } => {
                let code = class::STX | mode::ATOMIC | size_bits(size);
                let imm = ATOMIC_OPS.into_iter().find(|(_, known)| *known == op).map_or(0, |(imm, _)| imm);
                Insn { code, dst: base.number(), src: src.number(), off, imm }
            }
            Op::LoadPacket => Insn { code: class::LD | mode::ABS | 0x10, ..Insn::default() },
            Op::Jump { off } => Insn { code: class::JMP | JA, off, ..Insn::default() },
            Op::Branch { op, width, dst, src, off } => {
                let class = if width == Width::W64 { class::JMP } else { class::JMP32 };
                operand(bits_of(&COMPARE_OPS, op) | class, dst, off, src)
            }
            Op::Call(callee) => {
                let (src, imm) = match callee {
                    Callee::Helper(imm) => (0, imm),
                    Callee::Local(imm) => (1, imm),
                    Callee::Kernel(imm) => (2, imm),
                };
                Insn { code: class::JMP | CALL, src, imm, ..Insn::default() }
            }
            Op::Exit => Insn { code: class::JMP | EXIT, ..Insn::default() },
        };
        (insn, None)
    }
}

fn bits_of<T: Copy + PartialEq, const N: usize>(table: &[(u8, T); N], op: T) -> u8 {
    table.iter().find(|(_, known)| *known == op).map_or(0, |(bits, _)| *bits)
}

fn operand(code: u8, dst: Reg, off: i16, src: Source) -> Insn {
    match src {
        Source::Reg(src) => Insn { code: code | SRC_X, dst: dst.number(), src: src.number(), off, imm: 0 },
        Source::Imm(imm) => Insn { code, dst: dst.number(), src: 0, off, imm },
    }
}

fn load_imm(dst: Reg, imm: Imm64) -> (Insn, Option<Insn>) {
    let (src, value) = match imm {
        Imm64::Value(value) => (0, value),
        Imm64::Pseudo { kind, value } => (kind, value),
    };
    let [b0, b1, b2, b3, b4, b5, b6, b7] = value.to_le_bytes();
    let low = i32::from_le_bytes([b0, b1, b2, b3]);
    let high = i32::from_le_bytes([b4, b5, b6, b7]);
    let code = class::LD | mode::IMM | size_bits(Size::Double);
    let first = Insn { code, dst: dst.number(), src, off: 0, imm: low };
    (first, Some(Insn { imm: high, ..Insn::default() }))
}

fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => class::ALU32,
        Width::W64 => class::ALU64,
    }
}

fn size_bits(size: Size) -> u8 {
    match size {
        Size::Word => 0x00,
        Size::Half => 0x08,
        Size::Byte => 0x10,
        Size::Double => 0x18,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Undecodable;
    use proptest::prelude::*;

    fn decode(insn: Insn) -> Result<Op, Undecodable> {
        Op::decode(&[insn, Insn { imm: 7, ..Insn::default() }], 0)
    }

    proptest! {
        /// Nothing panics, and what decodes encodes to itself (but for an exit's offset, which the
        /// kernel ignores, and packet loads, which no rule may have).
        #[test]
        fn encode_is_the_inverse_of_decode(bytes: [u8; 8], zero_off: bool, zero_imm: bool) {
            let mut insn = Insn::decode(bytes);
            if zero_off { insn.off = 0 }
            if zero_imm { insn.imm = 0 }
            match decode(insn) {
                Ok(Op::LoadPacket | Op::Exit) | Err(_) => {}
                Ok(op) => {
                    let (first, second) = op.encode();
                    prop_assert_eq!(first, insn);
                    prop_assert_eq!(second.is_some(), op.slots() == 2);
                }
            }
        }
    }

    #[test]
    fn every_opcode_is_known_or_refused_and_the_count_stays() {
        let zeroed = |code| Insn { code, imm: 0, ..Insn::default() };
        let known = (0..=u8::MAX).filter(|code| decode(zeroed(*code)).is_ok()).count();
        // 48 ALU (12 x K/X x 2) + 2 neg; 1 lddw; 8 packet loads; 4 ldx; 4 st; 4 stx; 2 atomic;
        // 44 branches (11 x K/X x 2); ja, call, exit. Swaps of 0 bits do not exist.
        assert_eq!(known, 48 + 2 + 1 + 8 + 4 + 4 + 4 + 2 + 44 + 3);
    }

    #[test]
    fn reserved_fields_are_named() {
        let exit = Op::Exit.encode().0;
        assert_eq!(decode(Insn { imm: 1, ..exit }), Err(Undecodable::Reserved { field: "imm" }));
        assert_eq!(decode(Insn { off: 1, ..exit }), Ok(Op::Exit));
        let mov = Insn { code: 0xbf, dst: 1, src: 2, ..Insn::default() };
        assert_eq!(decode(Insn { imm: 1, ..mov }), Err(Undecodable::Reserved { field: "imm" }));
        assert_eq!(decode(Insn { off: 1, ..mov }), Err(Undecodable::Reserved { field: "off" }));
        assert_eq!(decode(Insn { src: 11, ..mov }), Err(Undecodable::Register { number: 11 }));
        assert!(decode(mov).is_ok());
    }

    #[test]
    fn the_v4_instruction_set_is_refused_by_name() {
        let newer = |code, off, imm| {
            matches!(decode(Insn { code, off, imm, ..Insn::default() }), Err(Undecodable::Newer { .. }))
        };
        assert!(newer(0x37, 1, 3), "sdiv");
        assert!(newer(0xbf, 8, 0), "movsx");
        assert!(newer(0xd7, 0, 32), "bswap");
        assert!(newer(0x06, 0, 3), "gotol");
        assert!(newer(0x91, 0, 0), "ldxsx");
    }

    #[test]
    fn a_64_bit_load_needs_a_clean_second_half() {
        let first = Insn { code: 0x18, dst: 1, imm: -1, ..Insn::default() };
        let load = |half| Op::decode(&[first, half], 0);
        let good = Insn { imm: 1, ..Insn::default() };
        assert_eq!(load(good), Ok(Op::LoadImm { dst: Reg::R1, imm: Imm64::Value(0x1_ffff_ffff) }));
        assert_eq!(load(Insn { off: 1, ..good }), Err(Undecodable::HalfLoad));
        assert_eq!(Op::decode(&[first], 0), Err(Undecodable::HalfLoad));
    }
}
