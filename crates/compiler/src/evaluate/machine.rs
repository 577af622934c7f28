// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine a rule runs on.
//!
//! Pointers are plain numbers in two far-apart ranges, so that spilling them, and arithmetic on
//! them, needs no special case. Every access is checked against the ranges all the same.

mod helpers;

use crate::abi::{STACK_SIZE, context, hook};
use crate::map::Map;
use crate::op::{
    self, AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, PSEUDO_MAP, Reg, Size, Source, Width, immediate,
};

use super::compare::Relation;
use super::{HookInput, HookVerdict, Input, Tracer, Verdict};

const STACK_TOP: u64 = STACK_SIZE as u64;

/// What a rule must not be able to tell: where things are, and what was there before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Address of the context.
    pub context: u64,
    /// Address of the lowest byte of the stack.
    pub stack: u64,
    /// What `arg1` holds, or a hook's file. Outside both, and the same for every object: nothing can depend on it.
    pub handle: u64,
    /// The address of credentials, which nothing takes.
    pub cred: u64,
    /// The address of a rule's first map; the next ones follow.
    pub maps: u64,
    /// What fills the stack, and the registers that carry no argument, on entry.
    pub junk: u8,
}

impl World {
    /// The one rules are run in.
    pub const USUAL: World = World {
        context: 0x1000_0000,
        stack: 0x2000_0000,
        handle: 0x3000_0000,
        cred: 0x4000_0000,
        maps: 0x5000_0000,
        junk: 0,
    };
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

    /// The verdict of the rule at `rule` of a domain, at a hook. A run that could not go on is `EPERM`.
    pub fn at_hook(self, rule: usize, cookie: u16) -> HookVerdict {
        match hook::errno(self.returned.unwrap_or(u64::MAX)) {
            None => HookVerdict::Allow,
            Some(errno) => HookVerdict::Deny { errno, rule, insn: self.at, cookie: Some(cookie) },
        }
    }
}

/// What is run: decoded instructions (one entry per slot), and the maps they load.
#[derive(Clone, Copy)]
pub(crate) struct Program<'a> {
    pub ops: &'a [Option<Op>],
    pub maps: &'a [Map],
}

/// What a run is asked.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    FileSystem(&'a Input),
    Hook(&'a HookInput),
}

impl Question<'_> {
    fn context(&self, world: &World) -> Vec<u8> {
        match self {
            Question::FileSystem(input) => context_of(input, world.handle),
            Question::Hook(input) => input.context(world.handle, world.cred),
        }
    }
}

/// Runs a program to its exit.
pub(crate) fn run(
    program: Program<'_>,
    question: Question<'_>,
    relation: &dyn Relation,
    tracer: Tracer<'_>,
) -> Exit {
    run_in(&World::USUAL, program, question, relation, tracer)
}

/// As [`run`], in any world.
pub(crate) fn run_in(
    world: &World,
    program: Program<'_>,
    question: Question<'_>,
    relation: &dyn Relation,
    tracer: Tracer<'_>,
) -> Exit {
    let mut machine = Machine::new(*world, program.maps, question, relation, tracer);
    let mut exit = Exit { at: 0, branch: None, returned: None };
    while let Some(Some(op)) = program.ops.get(exit.at).copied() {
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
    context: Vec<u8>,
    world: World,
    maps: &'a [Map],
    question: Question<'a>,
    relation: &'a dyn Relation,
    tracer: Tracer<'t>,
}

impl<'a, 't> Machine<'a, 't> {
    fn new(
        world: World,
        maps: &'a [Map],
        question: Question<'a>,
        relation: &'a dyn Relation,
        tracer: Tracer<'t>,
    ) -> Self {
        let mut regs = [u64::from_le_bytes([world.junk; 8]); Reg::COUNT];
        regs[Reg::R1.index()..=Reg::R5.index()].fill(0);
        regs[Reg::R1.index()] = world.context;
        regs[Reg::R10.index()] = world.stack + STACK_TOP;
        let context = question.context(&world);
        Machine { regs, stack: [world.junk; STACK_SIZE], context, world, maps, question, relation, tracer }
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
            Op::LoadImm { dst, imm: Imm64::Pseudo { kind: PSEUDO_MAP, value } } => {
                self.regs[dst.index()] = self.world.maps.wrapping_add(value);
            }
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
            (Some(at), _) if at < self.context.len() => self.context.get(at..at.checked_add(len)?),
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
}

fn offset_in(base: u64, address: u64) -> Option<usize> {
    usize::try_from(address.checked_sub(base)?).ok()
}

/// `struct landlock_context`; its status is 0.
fn context_of(input: &Input, handle: u64) -> Vec<u8> {
    let fields = [
        (context::EVENT, input.event as u64),
        (context::ARG1, handle),
        (context::ARG2, input.arg2),
        (context::ARCH, u64::from(input.arch)),
        (context::SYSCALL_NR, u64::from(input.syscall_nr)),
    ];
    let mut bytes = vec![0; usize::from(context::SIZE.unsigned_abs())];
    for (offset, value) in fields {
        let at = usize::from(offset.unsigned_abs());
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}
