// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine a rule runs on.
//!
//! Pointers are plain numbers in two far-apart ranges, so that spilling them, and arithmetic on
//! them, needs no special case. Every access is checked against the ranges all the same.

use crate::abi::{STACK_SIZE, context, helper};
use crate::op::{self, AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, Reg, Size, Source, Width, immediate};

use super::printk;
use super::{Input, Tracer, Verdict};

const CONTEXT_SIZE: usize = context::SIZE.unsigned_abs() as usize;
const STACK_TOP: u64 = STACK_SIZE as u64;
const ENOENT: i64 = 2;

/// What a rule must not be able to tell: where things are, and what was there before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Address of the context.
    pub context: u64,
    /// Address of the lowest byte of the stack.
    pub stack: u64,
    /// What `arg1` holds. Outside both, and the same for every object: nothing can depend on it.
    pub handle: u64,
    /// What fills the stack, and the registers that carry no argument, on entry.
    pub junk: u8,
}

impl World {
    /// The one rules are run in.
    pub const USUAL: World = World { context: 0x1000_0000, stack: 0x2000_0000, handle: 0x3000_0000, junk: 0 };
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// The instruction it ended at.
    pub at: usize,
    /// The branch last decided on the way, if there was one.
    pub branch: Option<usize>,
    /// What `r0` held; `None` if the run could not go on, which no verified rule does.
    pub returned: Option<u64>,
}

impl Exit {
    /// The verdict of the rule at `rule` in its domain. The low half of `r0` counts.
    pub fn verdict(self, rule: usize) -> Verdict {
        match self.returned {
            Some(value) if value.trailing_zeros() >= u32::BITS => Verdict::Allow,
            _ => Verdict::Deny { rule, insn: self.at },
        }
    }
}

/// Runs decoded instructions (one entry per slot) to their exit.
pub(crate) fn run(ops: &[Option<Op>], input: &Input, tracer: Tracer<'_>) -> Exit {
    run_in(&World::USUAL, ops, input, tracer)
}

/// As [`run`], in any world.
pub(crate) fn run_in(world: &World, ops: &[Option<Op>], input: &Input, tracer: Tracer<'_>) -> Exit {
    let mut machine = Machine::new(*world, input, tracer);
    let mut exit = Exit { at: 0, branch: None, returned: None };
    while let Some(Some(op)) = ops.get(exit.at).copied() {
        let next = match machine.step(op, exit.at) {
            Some(Next::At(next)) if next > exit.at => next,
            Some(Next::Exit) => return Exit { returned: Some(machine.regs[0]), ..exit },
            // No rule jumps back or faults; stop rather than guess.
            _ => return exit,
        };
        if matches!(op, Op::Branch { .. }) {
            exit.branch = Some(exit.at);
        }
        exit.at = next;
    }
    exit
}

enum Next {
    At(usize),
    Exit,
}

struct Machine<'a, 't> {
    regs: [u64; Reg::COUNT],
    stack: [u8; STACK_SIZE],
    context: [u8; CONTEXT_SIZE],
    world: World,
    input: &'a Input,
    tracer: Tracer<'t>,
}

impl<'a, 't> Machine<'a, 't> {
    fn new(world: World, input: &'a Input, tracer: Tracer<'t>) -> Self {
        let mut regs = [u64::from_le_bytes([world.junk; 8]); Reg::COUNT];
        regs[Reg::R1.index()..=Reg::R5.index()].fill(0);
        regs[Reg::R1.index()] = world.context;
        regs[Reg::R10.index()] = world.stack + STACK_TOP;
        let context = context_of(input, world.handle);
        Machine { regs, stack: [world.junk; STACK_SIZE], context, world, input, tracer }
    }

    /// Runs one instruction; `None` if it cannot be run.
    fn step(&mut self, op: Op, at: usize) -> Option<Next> {
        let mut next = at + op.slots();
        match op {
            Op::Alu { op, width, dst, src } => {
                self.regs[dst.index()] = op::alu(op, width, self.get(dst), self.source(src));
            }
            Op::Neg { width, dst } => self.regs[dst.index()] = op::alu(AluOp::Sub, width, 0, self.get(dst)),
            Op::Swap { order, bits, dst } => self.regs[dst.index()] = op::swap(order, bits, self.get(dst)),
            Op::LoadImm { dst, imm: Imm64::Value(value) } => self.regs[dst.index()] = value,
            Op::Load { size, dst, base, off } => {
                self.regs[dst.index()] = self.load(self.address(base, off), size)?;
            }
            Op::Store { size, base, off, src } => {
                self.store(self.address(base, off), size, self.source(src))?;
            }
            Op::Atomic { op, size, base, off, src } => self.atomic(op, size, self.address(base, off), src)?,
            Op::Jump { off } => next = op::target(at, off)?,
            Op::Branch { op, width, dst, src, off } => {
                if op::compare(op, width, self.get(dst), self.source(src)) {
                    next = op::target(at, off)?;
                }
            }
            Op::Call(Callee::Helper(number)) => {
                self.regs[0] = self.call(number)?;
                // An argument of trace_printk that is not set reads as 0.
                self.regs[Reg::R1.index()..=Reg::R5.index()].fill(0);
            }
            Op::Exit => return Some(Next::Exit),
            Op::Call(_) | Op::LoadPacket | Op::LoadImm { imm: Imm64::Pseudo { .. }, .. } => return None,
        }
        Some(Next::At(next))
    }

    fn get(&self, reg: Reg) -> u64 {
        self.regs[reg.index()]
    }

    fn source(&self, source: Source) -> u64 {
        match source {
            Source::Reg(reg) => self.get(reg),
            Source::Imm(imm) => immediate(imm),
        }
    }

    fn address(&self, base: Reg, off: i16) -> u64 {
        self.get(base).wrapping_add_signed(i64::from(off))
    }

    fn memory(&self, address: u64, len: usize) -> Option<&[u8]> {
        match (offset_in(self.world.context, address), offset_in(self.world.stack, address)) {
            (Some(at), _) if at < CONTEXT_SIZE => self.context.get(at..at.checked_add(len)?),
            (_, Some(at)) if at < STACK_SIZE => self.stack.get(at..at.checked_add(len)?),
            _ => None,
        }
    }

    fn stack_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let at = offset_in(self.world.stack, address).filter(|at| *at < STACK_SIZE)?;
        self.stack.get_mut(at..at.checked_add(len)?)
    }

    fn load(&self, address: u64, size: Size) -> Option<u64> {
        let len = usize::from(size.bytes());
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.memory(address, len)?);
        Some(u64::from_le_bytes(bytes))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Option<()> {
        let len = usize::from(size.bytes());
        self.stack_mut(address, len)?.copy_from_slice(&value.to_le_bytes()[..len]);
        Some(())
    }

    fn atomic(&mut self, op: AtomicOp, size: Size, address: u64, src: Reg) -> Option<()> {
        let (old, operand) = (self.load(address, size)?, self.get(src));
        let width = if size == Size::Word { Width::W32 } else { Width::W64 };
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => op::alu(AluOp::Add, width, old, operand),
            AtomicOp::Or | AtomicOp::FetchOr => old | operand,
            AtomicOp::And | AtomicOp::FetchAnd => old & operand,
            AtomicOp::Xor | AtomicOp::FetchXor => old ^ operand,
            AtomicOp::Exchange => operand,
            AtomicOp::CompareExchange if op::compare(CompareOp::Eq, width, old, self.get(Reg::R0)) => operand,
            AtomicOp::CompareExchange => old,
        };
        self.store(address, size, new)?;
        match op {
            AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {}
            AtomicOp::CompareExchange => self.regs[0] = old,
            _ => self.regs[src.index()] = old,
        }
        Some(())
    }

    fn call(&mut self, number: i32) -> Option<u64> {
        match number {
            helper::HANDLE_FS_GET_MODE if self.get(Reg::R1) == self.world.handle => {
                Some(self.input.mode.map_or((-ENOENT).cast_unsigned(), u64::from))
            }
            helper::GET_CURRENT_PID_TGID => Some(self.input.current.pid_tgid),
            helper::GET_CURRENT_UID_GID => Some(self.input.current.uid_gid),
            helper::GET_CURRENT_COMM => self.comm(),
            helper::TRACE_PRINTK => self.trace(),
            _ => None,
        }
    }

    /// `get_current_comm(r1 buffer, r2 size)`: always NUL terminated, the rest of the buffer zeroed.
    fn comm(&mut self) -> Option<u64> {
        let comm = self.input.current.comm;
        let len = usize::try_from(self.get(Reg::R2)).ok()?;
        let buffer = self.stack_mut(self.get(Reg::R1), len)?;
        let (last, text) = buffer.split_last_mut()?;
        *last = 0;
        text.iter_mut().zip(comm.into_iter().chain(std::iter::repeat(0))).for_each(|(to, from)| *to = from);
        Some(0)
    }

    /// `trace_printk(r1 format, r2 size, r3, r4, r5)`.
    fn trace(&mut self) -> Option<u64> {
        let len = usize::try_from(self.get(Reg::R2)).ok()?;
        let format = self.memory(self.get(Reg::R1), len)?;
        let text =
            printk::format(format, [3, 4, 5].map(|arg| self.regs[arg]), |address| self.string(address));
        Some(match text {
            Some(text) => {
                (self.tracer)(&text);
                text.len() as u64
            }
            None => (-printk::EINVAL).cast_unsigned(),
        })
    }

    /// The NUL terminated bytes at an address of the stack.
    fn string(&self, address: u64) -> Option<&[u8]> {
        let at = offset_in(self.world.stack, address).filter(|at| *at < STACK_SIZE)?;
        self.stack[at..].split(|byte| *byte == 0).next()
    }
}

fn offset_in(base: u64, address: u64) -> Option<usize> {
    usize::try_from(address.checked_sub(base)?).ok()
}

/// `struct landlock_context`; its status is 0.
fn context_of(input: &Input, handle: u64) -> [u8; CONTEXT_SIZE] {
    let fields = [
        (context::EVENT, input.event as u64),
        (context::ARG1, handle),
        (context::ARG2, input.arg2),
        (context::ARCH, u64::from(input.arch)),
        (context::SYSCALL_NR, u64::from(input.syscall_nr)),
    ];
    let mut bytes = [0; CONTEXT_SIZE];
    for (offset, value) in fields {
        let at = usize::from(offset.unsigned_abs());
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}
