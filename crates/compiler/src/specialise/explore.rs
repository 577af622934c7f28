// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a rule over a set of inputs at once.
//!
//! Rules only jump forwards, so instructions are visited in order, each with all the states that reach
//! it. A test the inputs leave open splits the state in two. Splitting stops after a fixed amount of
//! work: from then on the states that meet at an instruction are joined into one, so that the worst
//! rule costs [`BUDGET`] steps and one more per instruction. Joining loses precision, never soundness.

use super::Bits;
mod call;

use super::arithmetic::{self, Computed};
use super::condition::Condition;
use super::inputs::{Field, InputSet, Restriction};
use super::state::{State, Value};
use super::word::{Copies, Word};
use crate::abi::{Event, context, helper};
use crate::op::{self, AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, Reg, Size, Width, immediate};

/// Steps until states are joined.
const BUDGET: usize = 4096;
/// Most values of the inputs that are tried one by one to keep an operation exact.
const MAX_TRIED: u128 = 64;

/// One way a rule can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Whether it denies.
    pub denies: bool,
    /// The exit instruction of the rule.
    pub insn: usize,
    /// The inputs that end here.
    pub inputs: InputSet,
}

/// What was seen at one instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub reached: bool,
    /// A branch was taken; was not taken.
    pub taken: bool,
    pub passed: bool,
    pub result: Outcome,
    pub reads_stack: bool,
    /// The fields of the input that are read.
    pub fields: &'static [Field],
}

/// What an instruction leaves in its register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    #[default]
    Unseen,
    Always(u64),
    Varies,
}

#[derive(Debug)]
pub(super) struct Explored {
    pub marks: Vec<Mark>,
    pub cases: Vec<Case>,
    /// Whether the cases are disjoint and each is made of inputs that really end there.
    pub exact: bool,
    /// Whether a `trace_printk` is reached.
    pub traces: bool,
}

pub(super) fn explore(ops: &[Option<Op>], event: Event, inputs: InputSet) -> Explored {
    let mut explorer = Explorer {
        event,
        seen: Explored {
            marks: vec![Mark::default(); ops.len()],
            cases: Vec::new(),
            exact: true,
            traces: false,
        },
        pending: vec![Vec::new(); ops.len()],
        work: 0,
    };
    explorer.reach(0, State::entry(inputs));
    for (at, op) in ops.iter().enumerate() {
        while let Some(state) = explorer.next(at) {
            explorer.seen.marks[at].reached = true;
            if let Some(op) = op {
                explorer.step(at, *op, state);
            }
        }
    }
    let mut seen = explorer.seen;
    seen.exact &= !seen.cases.iter().any(|case| case.inputs.is_loose());
    seen
}

struct Explorer {
    event: Event,
    seen: Explored,
    /// The states that still have to run each instruction.
    pending: Vec<Vec<State>>,
    work: usize,
}

impl Explorer {
    fn reach(&mut self, at: usize, state: State) {
        if let Some(states) = self.pending.get_mut(at) {
            states.push(state);
        }
    }

    fn next(&mut self, at: usize) -> Option<State> {
        self.work += 1;
        let mut state = self.pending[at].pop()?;
        if self.work > BUDGET {
            for other in std::mem::take(&mut self.pending[at]) {
                state.join(&other);
                self.seen.exact = false;
            }
        }
        Some(state)
    }

    fn step(&mut self, at: usize, op: Op, state: State) {
        let next = at + op.slots();
        match op {
            Op::Alu { op, width, dst, src } => {
                let (a, b) = (state.get(dst), state.source(src));
                self.compute(at, state, dst, arithmetic::computed(op, width, a, b));
            }
            Op::Neg { width, dst } => {
                let (zero, b) = (Value::Word(Word::exactly(0)), state.get(dst));
                self.compute(at, state, dst, arithmetic::computed(AluOp::Sub, width, zero, b));
            }
            Op::Swap { order, bits, dst } => {
                let result = state.word(dst).swapped(order, bits);
                self.leave(at, next, state, dst, Value::Word(result));
            }
            Op::LoadImm { dst, imm: Imm64::Value(value) } => {
                self.leave(at, next, state, dst, Value::Word(Word::exactly(value)));
            }
            Op::LoadImm { dst, imm: Imm64::Pseudo { .. } } => self.leave(at, next, state, dst, Value::Opaque),
            Op::Load { size, dst, base, off } => {
                let base = state.get(base);
                match base {
                    Value::Context(_) if self.event.is_hook() => {}
                    Value::Context(at_base) => self.seen.marks[at].fields = context_field(at_base, off),
                    _ => self.seen.marks[at].reads_stack = true,
                }
                let value = state.load(base, off, size, self.event);
                self.leave(at, next, state, dst, value);
            }
            Op::Store { size, base, off, src } => {
                let mut state = state;
                let (base, value) = (state.get(base), state.source(src));
                state.store(base, off, size, value);
                self.reach(next, state);
            }
            Op::Atomic { op, size, base, off, src } => self.atomic(at, state, (op, size), (base, off), src),
            Op::Jump { off } => self.jump(at, off, state),
            Op::Branch { op, width, dst, src, off } => {
                let condition = arithmetic::compared(op, width, state.get(dst), state.source(src));
                self.branch(at, off, state, condition);
            }
            Op::Call(Callee::Helper(number)) => self.call(at, number, state),
            Op::Exit => self.exit(at, state),
            // No verified rule has them, and the evaluator denies.
            Op::Call(_) | Op::LoadPacket => self.case(at, true, state.inputs),
        }
    }

    /// Goes on with `value` in `dst`.
    fn leave(&mut self, at: usize, next: usize, mut state: State, dst: Reg, value: Value) {
        let known = match value {
            Value::Word(word) => word.resolved(&state.inputs).known(),
            _ => None,
        };
        let result = &mut self.seen.marks[at].result;
        *result = match (*result, known) {
            (Outcome::Unseen, Some(value)) => Outcome::Always(value),
            (Outcome::Always(before), Some(value)) if before == value => *result,
            _ => Outcome::Varies,
        };
        state.set(dst, value);
        self.reach(next, state);
    }

    fn compute(&mut self, at: usize, state: State, dst: Reg, computed: Computed) {
        if !computed.lost.is_some_and(|lost| self.tried(at, &state, lost)) {
            self.leave(at, at + 1, state, dst, computed.value);
        }
    }

    /// Runs the instruction again with the highest of these input bits tried both ways. `false` if there
    /// are none, or too many values to try.
    fn tried(&mut self, at: usize, state: &State, copies: [Copies; 2]) -> bool {
        let Some(Copies { field, mask }) = copies.into_iter().find(|copies| copies.mask != 0) else {
            return false;
        };
        let bits: u32 = copies.iter().map(|copies| copies.mask.count_ones()).sum();
        let few = bits <= MAX_TRIED.ilog2() || state.inputs.field(field).len_at_least() <= MAX_TRIED;
        if !few || self.work > BUDGET {
            return false;
        }
        // From the top: what a range excludes then settles the bits below.
        let bit = 1 << mask.ilog2();
        for value in [0, bit] {
            let within = Bits { value, unknown: !bit };
            if let Some(state) = state.restricted(field, &Restriction::within(within)) {
                self.reach(at, state);
            }
        }
        true
    }

    fn jump(&mut self, at: usize, off: i16, state: State) {
        // No rule jumps back; a state that did would never be visited, so it is a denial instead.
        match op::target(at, off).filter(|target| *target > at) {
            Some(target) => self.reach(target, state),
            None => self.case(at, true, state.inputs),
        }
    }

    fn branch(&mut self, at: usize, off: i16, state: State, condition: Condition) {
        let (taken, passed) = match condition {
            Condition::Known(true) => (Some(state), None),
            Condition::Known(false) => (None, Some(state)),
            Condition::Depends { field, holds, fails, exact } => {
                self.seen.exact &= exact;
                (state.restricted(field, &holds), state.restricted(field, &fails))
            }
            Condition::Lost(copies) => {
                if self.tried(at, &state, copies) {
                    return;
                }
                self.seen.exact = false;
                (Some(state.clone()), Some(state))
            }
        };
        if let Some(state) = taken {
            self.seen.marks[at].taken = true;
            self.jump(at, off, state);
        }
        if let Some(state) = passed {
            self.seen.marks[at].passed = true;
            self.reach(at + 1, state);
        }
    }

    fn exit(&mut self, at: usize, state: State) {
        let zero = Word::exactly(0);
        match Condition::of(CompareOp::Ne, Width::W32, state.word(Reg::R0), zero) {
            Condition::Known(denies) => self.case(at, denies, state.inputs),
            Condition::Depends { field, holds, fails, exact } => {
                self.seen.exact &= exact;
                for (denies, restriction) in [(true, holds), (false, fails)] {
                    if let Some(inputs) = state.inputs.restricted(field, &restriction) {
                        self.case(at, denies, inputs);
                    }
                }
            }
            Condition::Lost(copies) => {
                if !self.tried(at, &state, copies) {
                    self.seen.exact = false;
                    self.case(at, true, state.inputs.clone());
                    self.case(at, false, state.inputs);
                }
            }
        }
    }

    fn case(&mut self, insn: usize, denies: bool, inputs: InputSet) {
        self.seen.cases.push(Case { denies, insn, inputs });
    }

    fn atomic(
        &mut self,
        at: usize,
        mut state: State,
        (op, size): (AtomicOp, Size),
        (base, off): (Reg, i16),
        src: Reg,
    ) {
        let (base, operand) = (state.get(base), state.word(src));
        let old = match state.load(base, off, size, self.event) {
            Value::Word(word) => word.resolved(&state.inputs),
            _ => Word::ANY,
        };
        let width = if size == Size::Word { Width::W32 } else { Width::W64 };
        let alu = |op| Word::alu(op, width, old, operand);
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => alu(AluOp::Add),
            AtomicOp::Or | AtomicOp::FetchOr => alu(AluOp::Or),
            AtomicOp::And | AtomicOp::FetchAnd => alu(AluOp::And),
            AtomicOp::Xor | AtomicOp::FetchXor => alu(AluOp::Xor),
            AtomicOp::Exchange => alu(AluOp::Mov),
            AtomicOp::CompareExchange => {
                match Condition::of(CompareOp::Eq, width, old, state.word(Reg::R0)) {
                    Condition::Known(true) => alu(AluOp::Mov),
                    Condition::Known(false) => old,
                    _ => old.join(alu(AluOp::Mov)),
                }
            }
        };
        self.seen.marks[at].reads_stack = true;
        state.store(base, off, size, Value::Word(new));
        match op {
            AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {}
            AtomicOp::CompareExchange => state.set(Reg::R0, Value::Word(old)),
            _ => state.set(src, Value::Word(old)),
        }
        self.reach(at + 1, state);
    }
}

/// The field of the input at a place of the context, if it is one.
fn context_field(base: i64, off: i16) -> &'static [Field] {
    match i16::try_from(base.wrapping_add(i64::from(off)) & !7) {
        Ok(context::ARG2) => &[Field::Arg2],
        Ok(context::ARCH) => &[Field::Arch],
        Ok(context::SYSCALL_NR) => &[Field::SyscallNr],
        _ => &[],
    }
}
