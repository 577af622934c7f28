// SPDX-License-Identifier: MIT OR Apache-2.0
//! One eBPF instruction and its 8-byte encoding (little endian).

use serde::{Deserialize, Serialize};

/// `struct bpf_insn`. A 64-bit immediate load takes two in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Insn {
    /// Opcode: class in the low three bits.
    pub code: u8,
    /// Destination register; 0 to 10 in a valid program, 4 bits wide.
    pub dst: u8,
    /// Source register, or a pseudo source; 4 bits wide.
    pub src: u8,
    /// Jump distance or memory offset.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

impl Insn {
    /// Bytes of one encoded instruction.
    pub const SIZE: usize = 8;

    /// Decodes one instruction.
    pub fn decode(bytes: [u8; Insn::SIZE]) -> Insn {
        let [code, regs, off0, off1, imm @ ..] = bytes;
        Insn {
            code,
            dst: regs & 0xf,
            src: regs >> 4,
            off: i16::from_le_bytes([off0, off1]),
            imm: i32::from_le_bytes(imm),
        }
    }

    /// Encodes the instruction; only the low four bits of a register number are kept.
    pub fn encode(self) -> [u8; Insn::SIZE] {
        let [off0, off1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        let regs = (self.dst & 0xf) | (self.src << 4);
        [self.code, regs, off0, off1, i0, i1, i2, i3]
    }
}
