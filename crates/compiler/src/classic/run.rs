// SPDX-License-Identifier: MIT OR Apache-2.0
//! A checked filter is run.

use super::check::{MEMORY, code};
use super::{ClassicInsn, SyscallData};

/// What a filter that cannot go on returns: kills the thread. No checked one does, but by dividing by zero.
const KILL: u32 = 0;

pub(super) struct Machine<'a> {
    pub a: u32,
    pub x: u32,
    pub memory: [u32; MEMORY],
    pub data: &'a SyscallData,
}

pub(super) enum Next {
    Skip(u32),
    Return(u32),
}

/// The number a filter returns.
pub(super) fn run(insns: &[ClassicInsn], data: &SyscallData) -> u32 {
    let mut machine = Machine { a: 0, x: 0, memory: [0; MEMORY], data };
    let mut at = 0;
    while let Some(insn) = insns.get(at) {
        match machine.step(insn) {
            Next::Skip(skipped) => at += 1 + skipped as usize,
            Next::Return(value) => return value,
        }
    }
    KILL
}

impl Machine<'_> {
    pub fn step(&mut self, insn: &ClassicInsn) -> Next {
        let k = insn.k;
        let word = k as usize % MEMORY;
        match insn.code {
            code::LD_ABS => self.a = self.data.word(k),
            code::LD_IMM => self.a = k,
            code::LD_MEM => self.a = self.memory[word],
            code::LD_LEN => self.a = SyscallData::SIZE,
            code::LDX_IMM => self.x = k,
            code::LDX_MEM => self.x = self.memory[word],
            code::LDX_LEN => self.x = SyscallData::SIZE,
            code::ST => self.memory[word] = self.a,
            code::STX => self.memory[word] = self.x,
            code::TAX => self.x = self.a,
            code::TXA => self.a = self.x,
            code::NEG => self.a = self.a.wrapping_neg(),
            code::JA => return Next::Skip(k),
            code::RET_K => return Next::Return(k),
            code::RET_A => return Next::Return(self.a),
            other => {
                let operand = if other & code::X != 0 { self.x } else { k };
                if other & 7 == code::JMP {
                    let holds = self.holds(other & code::OP, operand);
                    return Next::Skip(if holds { insn.jt } else { insn.jf }.into());
                }
                match self.computed(other & code::OP, operand) {
                    Some(value) => self.a = value,
                    None => return Next::Return(KILL),
                }
            }
        }
        Next::Skip(0)
    }

    fn holds(&self, op: u16, operand: u32) -> bool {
        match op {
            code::JEQ => self.a == operand,
            code::JGT => self.a > operand,
            code::JGE => self.a >= operand,
            _ => self.a & operand != 0,
        }
    }

    /// `None` for a division by zero.
    fn computed(&self, op: u16, operand: u32) -> Option<u32> {
        let a = self.a;
        Some(match op {
            code::ADD => a.wrapping_add(operand),
            code::SUB => a.wrapping_sub(operand),
            code::MUL => a.wrapping_mul(operand),
            code::DIV => a.checked_div(operand)?,
            code::OR => a | operand,
            code::AND => a & operand,
            code::LSH => a.wrapping_shl(operand),
            code::RSH => a.wrapping_shr(operand),
            code::XOR => a ^ operand,
            _ => return None,
        })
    }
}
