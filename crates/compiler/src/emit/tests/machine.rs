// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine that runs emitted programs over a make-believe kernel, and stops at whatever the kernel's
//! verifier would not let pass: unset registers and stack bytes, memory that is not there, loads through
//! NULL, jumps back, frames that together are too large.
//!
//! It shares the meaning of single instructions with the evaluator, and nothing with the emitter.

use std::collections::BTreeMap;

use crate::evaluate::{Current, trace_text};
use crate::insn::Insn;
use crate::op::{self, AluOp, AtomicOp, Callee, Imm64, Op, Reg, Size, Source, Width, immediate};

pub const DENIALS_FD: i32 = 70;
pub const LOST_FD: i32 = 71;

/// Nanoseconds the make-believe kernel has been up.
pub const BOOT_TIME: u64 = 0x0123_4567_89ab;

const FRAME_SIZE: u64 = 512;
const TOP: [u64; 2] = [0xffff_c900_0001_0000, 0xffff_c900_0002_0000];
const LOST_VALUE: u64 = 0xffff_c900_0003_0000;

/// Memory of the make-believe kernel: bytes that are there, by address.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<u64, u8>);

impl Memory {
    pub fn put(&mut self, address: u64, size: Size, value: u64) {
        let bytes = value.to_le_bytes();
        self.0.extend((address..).zip(bytes.into_iter().take(size.bytes().into())));
    }

    fn get(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        (address..address.checked_add(len)?).map(|at| self.0.get(&at).copied()).collect()
    }
}

/// What a run leaves behind.
#[derive(Debug, Default)]
pub struct Outcome {
    pub returned: u64,
    pub traced: Vec<String>,
    pub recorded: Vec<Vec<u8>>,
    pub lost: u64,
}

/// Where a program runs.
pub struct Kernel<'a> {
    pub memory: &'a Memory,
    /// Address of the hook's arguments.
    pub arguments: u64,
    /// Addresses of the running task and of its registers.
    pub task: u64,
    pub registers: u64,
    pub current: &'a Current,
    pub ring_is_full: bool,
}

/// Every instruction must have a way from the entry, calls and both sides of branches taken.
fn reachable(insns: &[Insn]) -> Result<(), String> {
    let mut reached = vec![false; insns.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if std::mem::replace(reached.get_mut(at).ok_or("runs out")?, true) {
            continue;
        }
        let op = Op::decode(insns, at).map_err(|error| format!("{at}: {error}"))?;
        let next = at + op.slots();
        match op {
            Op::Exit => {}
            Op::Jump { off } => open.extend(op::target(at, off)),
            Op::Branch { off, .. } => open.extend([op::target(at, off).unwrap_or(insns.len()), next]),
            Op::Call(Callee::Local(distance)) => {
                open.extend([next.saturating_add_signed(distance.try_into().unwrap_or(isize::MAX)), next]);
            }
            Op::LoadImm { .. } => {
                reached[at + 1] = true;
                open.push(next);
            }
            _ => open.push(next),
        }
    }
    match reached.iter().position(|reached| !reached) {
        Some(at) => Err(format!("nothing leads to {at}")),
        None => Ok(()),
    }
}

pub fn run(insns: &[Insn], kernel: &Kernel<'_>) -> Result<Outcome, String> {
    reachable(insns)?;
    let mut machine = Machine {
        kernel,
        regs: [None; Reg::COUNT],
        stack: Memory::default(),
        frames: vec![],
        deepest: [0; 2],
        outcome: Outcome::default(),
    };
    machine.regs[1] = Some(kernel.arguments);
    machine.regs[10] = Some(TOP[0]);
    let mut at = 0;
    loop {
        let op = Op::decode(insns, at).map_err(|error| format!("{at}: {error}"))?;
        match machine.step(op, at).ok_or_else(|| format!("stuck at {at}: {op:?}"))? {
            Some(next) => at = next,
            None => return Ok(machine.outcome),
        }
    }
}

struct Frame {
    back: usize,
    saved: [Option<u64>; 5],
}

struct Machine<'a> {
    kernel: &'a Kernel<'a>,
    regs: [Option<u64>; Reg::COUNT],
    stack: Memory,
    frames: Vec<Frame>,
    deepest: [u64; 2],
    outcome: Outcome,
}

impl Machine<'_> {
    /// `None` if the instruction cannot be run, `Some(None)` if the program is over.
    fn step(&mut self, op: Op, at: usize) -> Option<Option<usize>> {
        let mut next = at + op.slots();
        match op {
            Op::Alu { op: AluOp::Mov, width, dst, src } => {
                self.set(dst, op::alu(AluOp::Mov, width, 0, self.source(src)?))
            }
            Op::Alu { op, width, dst, src } => {
                self.set(dst, op::alu(op, width, self.get(dst)?, self.source(src)?))
            }
            Op::Neg { width, dst } => self.set(dst, op::alu(AluOp::Sub, width, 0, self.get(dst)?)),
            Op::Swap { order, bits, dst } => self.set(dst, op::swap(order, bits, self.get(dst)?)),
            Op::LoadImm { dst, imm } => self.set(dst, self.immediate(imm)?),
            Op::Load { size, dst, base, off } => {
                let value = self.load(self.address(base, off)?, size)?;
                self.set(dst, value);
            }
            Op::Store { size, base, off, src } => {
                self.store(self.address(base, off)?, size, self.source(src)?)?
            }
            Op::Atomic { op, size, base, off, src } => {
                self.atomic(op, size, self.address(base, off)?, src)?
            }
            Op::Jump { off } => next = forward(at, off)?,
            Op::Branch { op, width, dst, src, off } => {
                if op::compare(op, width, self.get(dst)?, self.source(src)?) {
                    next = forward(at, off)?;
                }
            }
            Op::Call(Callee::Local(distance)) => next = self.enter(next, distance)?,
            Op::Call(Callee::Helper(number)) => {
                self.regs[0] = Some(self.helper(number)?);
                self.regs[1..=5].fill(None);
            }
            Op::Exit => return self.leave(),
            Op::LoadPacket | Op::Call(Callee::Kernel(_)) => return None,
        }
        Some(Some(next))
    }

    fn get(&self, reg: Reg) -> Option<u64> {
        self.regs[reg.index()]
    }

    fn set(&mut self, reg: Reg, value: u64) {
        self.regs[reg.index()] = Some(value);
    }

    fn source(&self, source: Source) -> Option<u64> {
        match source {
            Source::Reg(reg) => self.get(reg),
            Source::Imm(imm) => Some(immediate(imm)),
        }
    }

    fn immediate(&self, imm: Imm64) -> Option<u64> {
        match imm {
            Imm64::Value(value) => Some(value),
            Imm64::Pseudo { kind: 1, value } if value == u64::from(DENIALS_FD.unsigned_abs()) => Some(value),
            Imm64::Pseudo { kind: 2, value } if value == u64::from(LOST_FD.unsigned_abs()) => {
                Some(LOST_VALUE)
            }
            Imm64::Pseudo { .. } => None,
        }
    }

    fn address(&self, base: Reg, off: i16) -> Option<u64> {
        Some(self.get(base)?.wrapping_add_signed(off.into()))
    }

    fn enter(&mut self, back: usize, distance: i32) -> Option<usize> {
        self.frames.push(Frame { back, saved: [6, 7, 8, 9, 10].map(|reg| self.regs[reg]) });
        self.regs[0] = None;
        self.regs[6..].fill(None);
        self.regs[10] = Some(*TOP.get(self.frames.len())?);
        self.deepest[1] = 0;
        back.checked_add(usize::try_from(distance).ok()?)
    }

    fn leave(&mut self) -> Option<Option<usize>> {
        let result = self.regs[0]?;
        let Some(frame) = self.frames.pop() else {
            self.outcome.returned = result;
            return Some(None);
        };
        self.stack.0.retain(|at, _| *at < TOP[1] - FRAME_SIZE);
        self.regs[1..=5].fill(None);
        self.regs[6..].copy_from_slice(&frame.saved);
        Some(Some(frame.back))
    }

    fn load(&self, address: u64, size: Size) -> Option<u64> {
        let len = size.bytes().into();
        let bytes = self.stack.get(address, len).or_else(|| self.kernel.memory.get(address, len))?;
        let mut value = [0; 8];
        value[..bytes.len()].copy_from_slice(&bytes);
        Some(u64::from_le_bytes(value))
    }

    /// Programs write to their frame only; a callee not to its caller's.
    fn store(&mut self, address: u64, size: Size, value: u64) -> Option<()> {
        self.touch(address, size.bytes().into())?;
        self.stack.put(address, size, value);
        Some(())
    }

    fn touch(&mut self, address: u64, len: u64) -> Option<()> {
        let frame = self.frames.len();
        let inside = address >= TOP[frame] - FRAME_SIZE && address.checked_add(len)? <= TOP[frame];
        self.deepest[frame] = self.deepest[frame].max(TOP[frame].checked_sub(address)?);
        let rounded = self.deepest.map(|bytes| bytes.next_multiple_of(32));
        (inside && rounded.iter().sum::<u64>() <= FRAME_SIZE).then_some(())
    }

    fn atomic(&mut self, op: AtomicOp, size: Size, address: u64, src: Reg) -> Option<()> {
        let operand = self.get(src)?;
        if address == LOST_VALUE && op == AtomicOp::Add {
            self.outcome.lost += operand;
            return Some(());
        }
        let old = self.load(address, size)?;
        let width = if size == Size::Word { Width::W32 } else { Width::W64 };
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => op::alu(AluOp::Add, width, old, operand),
            AtomicOp::Or | AtomicOp::FetchOr => old | operand,
            AtomicOp::And | AtomicOp::FetchAnd => old & operand,
            AtomicOp::Xor | AtomicOp::FetchXor => old ^ operand,
            AtomicOp::Exchange => operand,
            AtomicOp::CompareExchange => {
                let same = op::compare(op::CompareOp::Eq, width, old, self.regs[0]?);
                if same { operand } else { old }
            }
        };
        self.store(address, size, new)?;
        match op {
            AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {}
            AtomicOp::CompareExchange => self.regs[0] = Some(old),
            _ => self.set(src, old),
        }
        Some(())
    }

    fn helper(&mut self, number: i32) -> Option<u64> {
        let current = self.kernel.current;
        match number {
            6 => self.trace(),
            14 => Some(current.pid_tgid),
            15 => Some(current.uid_gid),
            16 => self.comm(),
            125 => Some(BOOT_TIME),
            130 => self.output(),
            158 => Some(self.kernel.task),
            175 => (self.regs[1]? == self.kernel.task).then_some(self.kernel.registers),
            _ => None,
        }
    }

    fn comm(&mut self) -> Option<u64> {
        let (buffer, len) = (self.regs[1]?, self.regs[2]?);
        self.touch(buffer, len)?;
        let text = self.kernel.current.comm.iter().copied().chain(std::iter::repeat(0));
        for (at, byte) in (buffer..buffer + len - 1).zip(text) {
            self.stack.put(at, Size::Byte, byte.into());
        }
        self.stack.put(buffer + len - 1, Size::Byte, 0);
        Some(0)
    }

    fn trace(&mut self) -> Option<u64> {
        let format = self.stack.get(self.regs[1]?, self.regs[2]?)?;
        let args = [self.regs[3]?, self.regs[4]?, self.regs[5]?];
        Some(match trace_text(&format, args) {
            Some(text) => {
                let len = text.len() as u64;
                self.outcome.traced.push(text);
                len
            }
            None => (-22_i64).cast_unsigned(),
        })
    }

    fn output(&mut self) -> Option<u64> {
        let [map, data, len, flags] = [self.regs[1]?, self.regs[2]?, self.regs[3]?, self.regs[4]?];
        let record = self.stack.get(data, len)?;
        if (map, flags) != (u64::from(DENIALS_FD.unsigned_abs()), 0) {
            return None;
        }
        if self.kernel.ring_is_full {
            return Some((-11_i64).cast_unsigned());
        }
        self.outcome.recorded.push(record);
        Some(0)
    }
}

fn forward(at: usize, off: i16) -> Option<usize> {
    op::target(at, off).filter(|to| *to > at)
}
