// SPDX-License-Identifier: MIT OR Apache-2.0
//! A classic filter as a function of the program: the address of the system call's data in, what the filter says out.
//!
//! The two machines differ in little: the accumulator and the index are registers here, scratch memory is stack, and
//! a division by zero ends a filter. What nothing leads to is left out: the kernel refuses code like that.

use super::EmitError;
use super::code::{Code, Label, Part};
use crate::classic::{ClassicInsn, Filter, code as opcode, targets};
use crate::op::{AluOp, CompareOp, Op, Reg, Size, Source, Width};

const A: Reg = Reg::R6;
const X: Reg = Reg::R7;
const DATA: Reg = Reg::R8;
/// Bytes of scratch memory.
const MEMORY: i16 = 64;
/// Bytes of the data, which is what "length" means to seccomp.
const LENGTH: i32 = 64;
/// What a filter says that divides by zero.
const KILL: i32 = 0;

/// What the filter says of every system call, if that is always the same.
pub(super) fn constant(filter: &Filter) -> Option<u32> {
    let reached = reached(filter.insns());
    let reached =
        || filter.insns().iter().zip(&reached).filter(|(_, reached)| **reached).map(|(insn, _)| insn);
    let divides = reached().any(|insn| insn.code == opcode::ALU | opcode::DIV | opcode::X);
    let mut said =
        reached().filter(|insn| returns(insn)).map(|insn| (insn.code == opcode::RET_K).then_some(insn.k));
    let first = said.next()??;
    (!divides && said.all(|other| other == Some(first))).then_some(first)
}

/// The function.
pub(super) fn function(filter: &Filter) -> Result<Part, EmitError> {
    let insns = filter.insns();
    let reached = reached(insns);
    let mut code = Code::default();
    let labels: Vec<Label> = insns.iter().map(|_| code.label()).collect();
    code.set(DATA, Reg::R1);
    code.set(A, 0);
    code.set(X, 0);
    for (at, insn) in insns.iter().enumerate() {
        code.place(labels[at]);
        if reached[at] {
            step(&mut code, insn, |skipped| labels[at + 1 + skipped as usize]);
        }
    }
    code.part()
}

fn returns(insn: &ClassicInsn) -> bool {
    matches!(insn.code, opcode::RET_K | opcode::RET_A)
}

/// Whether anything leads to each instruction.
fn reached(insns: &[ClassicInsn]) -> Vec<bool> {
    let mut reached = vec![false; insns.len() + 1];
    reached[0] = true;
    for (at, insn) in insns.iter().enumerate().filter(|(_, insn)| !returns(insn)) {
        if reached[at] {
            match targets(insn) {
                [None, None] => reached[at + 1] = true,
                ways => {
                    ways.into_iter().flatten().for_each(|skipped| reached[at + 1 + skipped as usize] = true)
                }
            }
        }
    }
    reached
}

/// `to` is the label of the instruction after so many that are skipped.
fn step(code: &mut Code, insn: &ClassicInsn, to: impl Fn(u32) -> Label) {
    let k = insn.k.cast_signed();
    let small = i16::try_from(insn.k % 64).unwrap_or(0);
    let memory = 4 * (small % 16) - MEMORY;
    match insn.code {
        opcode::LD_ABS => code.load(Size::Word, A, DATA, small),
        opcode::LD_IMM => alu(code, AluOp::Mov, A, k),
        opcode::LDX_IMM => alu(code, AluOp::Mov, X, k),
        opcode::LD_LEN => alu(code, AluOp::Mov, A, LENGTH),
        opcode::LDX_LEN => alu(code, AluOp::Mov, X, LENGTH),
        opcode::LD_MEM => code.load(Size::Word, A, Reg::R10, memory),
        opcode::LDX_MEM => code.load(Size::Word, X, Reg::R10, memory),
        opcode::ST => code.store(Size::Word, Reg::R10, memory, A),
        opcode::STX => code.store(Size::Word, Reg::R10, memory, X),
        opcode::TAX => alu(code, AluOp::Mov, X, A),
        opcode::TXA => alu(code, AluOp::Mov, A, X),
        opcode::NEG => code.op(Op::Neg { width: Width::W32, dst: A }),
        opcode::JA => code.jump(to(insn.k)),
        opcode::RET_K => answer(code, k),
        opcode::RET_A => answer(code, A),
        other => {
            let operand: Source = if other & opcode::X != 0 { X.into() } else { k.into() };
            match other & 7 == opcode::JMP {
                true => {
                    compare(code, other & opcode::OP, operand, [insn.jt, insn.jf].map(|skip| to(skip.into())))
                }
                false => compute(code, other & opcode::OP, operand),
            }
        }
    }
}

fn alu(code: &mut Code, op: AluOp, dst: Reg, src: impl Into<Source>) {
    code.op(Op::Alu { op, width: Width::W32, dst, src: src.into() });
}

fn answer(code: &mut Code, said: impl Into<Source>) {
    alu(code, AluOp::Mov, Reg::R0, said);
    code.exit();
}

fn compare(code: &mut Code, op: u16, operand: Source, [holds, fails]: [Label; 2]) {
    let op = match op {
        opcode::JEQ => CompareOp::Eq,
        opcode::JGT => CompareOp::Gt,
        opcode::JGE => CompareOp::Ge,
        _ => CompareOp::Set,
    };
    code.branch(op, Width::W32, A, operand, holds);
    code.jump(fails);
}

fn compute(code: &mut Code, op: u16, operand: Source) {
    let op = match op {
        opcode::ADD => AluOp::Add,
        opcode::SUB => AluOp::Sub,
        opcode::MUL => AluOp::Mul,
        opcode::DIV => AluOp::Div,
        opcode::OR => AluOp::Or,
        opcode::AND => AluOp::And,
        opcode::LSH => AluOp::Lsh,
        opcode::RSH => AluOp::Rsh,
        _ => AluOp::Xor,
    };
    if op == AluOp::Div && operand == Source::from(X) {
        let goes_on = code.label();
        code.branch(CompareOp::Ne, Width::W32, X, 0, goes_on);
        answer(code, KILL);
        code.place(goes_on);
    }
    alu(code, op, A, operand);
}
