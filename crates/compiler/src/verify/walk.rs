// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way through a rule: each instruction once, in order, with all that any path may bring.
//!
//! Jumps only go forward, so every way to an instruction is known by the time the walk gets there.
//! The work is one step per instruction and one join per edge, at most two edges an instruction.

use super::fact::Fact;
use super::helper::Caller;
use super::problem::Found;
use super::state::State;
use super::step::step;
use crate::insn::Insn;
use crate::op::{self, Op};

/// What one walk took, at most two joins for each instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Instructions done.
    pub steps: usize,
    /// States joined into another.
    pub joins: usize,
    /// Bytes of stack that some path writes, from `r10` down.
    pub stack_used: usize,
}

/// What an instruction slot holds.
#[derive(Clone, Copy)]
enum Slot {
    Op(Op),
    /// Already reported.
    Undecodable,
    /// The second half of a 64-bit load.
    Middle,
}

/// Walks the program and reports what it finds.
pub(super) fn walk(insns: &[Insn], caller: &Caller<'_>, found: &mut Found) -> Work {
    let slots = decode(insns, found);
    let lost = found.any();
    let arrivals = slots.iter().map(|_| None).collect();
    let mut walk = Walk { slots: &slots, arrivals, found, lost, work: Work::default() };
    let mut unreached = Vec::new();
    walk.arrive(0, State::entry());
    for (at, slot) in slots.iter().enumerate() {
        match (slot, walk.arrivals[at].take()) {
            (Slot::Middle, _) => {}
            (_, None) => unreached.push(at),
            (Slot::Undecodable, Some(mut state)) => {
                state.suspect();
                walk.go_on(at, at + 1, *state);
            }
            (Slot::Op(op), Some(state)) => walk.visit(at, *op, *state, caller),
        }
    }
    walk.report_unreached(&unreached);
    walk.work
}

fn decode(insns: &[Insn], found: &mut Found) -> Vec<Slot> {
    let mut slots = Vec::with_capacity(insns.len());
    while slots.len() < insns.len() {
        let at = slots.len();
        match Op::decode(insns, at) {
            Ok(op) => {
                slots.push(Slot::Op(op));
                slots.extend((1..op.slots()).map(|_| Slot::Middle));
            }
            Err(error) => {
                found.at(at, Fact::Undecodable(error));
                slots.push(Slot::Undecodable);
            }
        }
    }
    slots
}

struct Walk<'a> {
    slots: &'a [Slot],
    /// What is known before each instruction ahead; `None` while no path leads there.
    arrivals: Vec<Option<Box<State>>>,
    found: &'a mut Found,
    /// Some way on is not known, so what is not reached proves nothing.
    lost: bool,
    work: Work,
}

impl Walk<'_> {
    fn visit(&mut self, at: usize, op: Op, mut state: State, caller: &Caller<'_>) {
        self.work.steps += 1;
        if let Err(facts) = step(&mut state, caller, op) {
            facts.into_iter().for_each(|fact| self.found.at(at, fact));
        }
        match op {
            Op::Exit => self.work.stack_used = self.work.stack_used.max(state.stack.used()),
            Op::Jump { off } => self.jump(at, off, state),
            Op::Branch { off, .. } => {
                self.jump(at, off, state.clone());
                self.go_on(at, at + 1, state);
            }
            op => self.go_on(at, at + op.slots(), state),
        }
    }

    fn jump(&mut self, at: usize, off: i16, state: State) {
        let len = self.slots.len();
        let fact = match op::target(at, off) {
            Some(to) if to <= at => Fact::JumpBack { to },
            Some(to) => match self.slots.get(to) {
                Some(Slot::Middle) => Fact::JumpIntoLoad { load: to - 1 },
                Some(_) => return self.arrive(to, state),
                None => Fact::JumpOutside { to: to as i64, len },
            },
            None => Fact::JumpOutside { to: at as i64 + 1 + i64::from(off), len },
        };
        self.lost = true;
        self.found.at(at, fact);
    }

    fn go_on(&mut self, at: usize, next: usize, state: State) {
        if next < self.slots.len() { self.arrive(next, state) } else { self.found.at(at, Fact::RunsOut) }
    }

    fn arrive(&mut self, to: usize, state: State) {
        match &mut self.arrivals[to] {
            Some(known) => {
                self.work.joins += 1;
                known.join(&state);
            }
            none => *none = Some(Box::new(state)),
        }
    }

    /// Reports each run of instructions no path leads to as one problem.
    fn report_unreached(&mut self, unreached: &[usize]) {
        if self.lost {
            return;
        }
        let middle = |at: &usize| matches!(self.slots.get(*at), Some(Slot::Middle));
        let follows = |a: &usize, b: &usize| (*a + 1..*b).all(|between| middle(&between));
        for run in unreached.chunk_by(follows) {
            if let [first, rest @ ..] = run {
                self.found.at(*first, Fact::Unreachable { last: rest.last().copied() });
            }
        }
    }
}
