// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left of a rule: branches with a known outcome cut, known results as constants, and what
//! then serves nothing removed. The result has the shape of a verified rule, and its instructions
//! know where in the rule they come from.

use super::Answer;
use super::explore::{Case, Explored, Mark, Outcome};
use super::inputs::{Field, InputSet, ValueSet};
use crate::abi::helper;
use crate::evaluate::{Exit, Input, Program, Question, Relation, Tracer, Unrelated, Verdict, run};
use crate::insn::Insn;
use crate::map::Map;
use crate::op::{self, AluOp, AtomicOp, Callee, Op, Reg, Source, Width, immediate};
use crate::rule::{Rule, decode};

/// The helpers that compare with handles.
pub(crate) const COMPARISONS: [i32; 3] =
    [helper::CMP_FS_PROP, helper::CMP_FS_BENEATH, helper::CMP_CGROUP_BENEATH];

/// The part of a rule that matters at a hook instance.
#[derive(Clone, Debug)]
pub struct Residual {
    insns: Vec<Insn>,
    ops: Vec<Option<Op>>,
    origins: Vec<usize>,
    maps: Vec<Map>,
    always: Option<Answer>,
    traces: bool,
    cases: Option<Vec<Case>>,
    looks_at: [u64; Field::ALL.len()],
}

impl Residual {
    /// `inputs` is what `explored` started from.
    pub(super) fn of(rule: &Rule, inputs: &InputSet, explored: Explored, always: Option<Answer>) -> Residual {
        let keep_calls = explored.traces;
        let nodes = swept(cut(rule.ops(), &explored.marks, keep_calls), &explored.marks, keep_calls);
        let (insns, origins) = encoded(&nodes);
        let fields = nodes.iter().flat_map(|node| explored.marks[node.at].fields).copied().collect();
        let cases = explored.exact.then_some(explored.cases);
        let looks_at = looks_at(inputs, cases.as_deref(), fields);
        let (ops, maps, traces) = (decode(&insns), rule.maps().to_vec(), explored.traces);
        Residual { ops, insns, origins, maps, always, traces, cases, looks_at }
    }

    /// The program, for the same context as the rule.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The program decoded, one entry per instruction; the second half of a 64-bit load has none.
    pub fn ops(&self) -> &[Option<Op>] {
        &self.ops
    }

    /// The instruction of the rule that instruction `index` comes from.
    pub fn origin(&self, index: usize) -> Option<usize> {
        self.origins.get(index).copied()
    }

    /// The answer, if it is the same for every input: such a rule is here for what it traces.
    pub fn always(&self) -> Option<Answer> {
        self.always
    }

    /// The arrays of handles it refers to, by the index its map loads hold.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// Whether it may call `trace_printk`.
    pub fn traces(&self) -> bool {
        self.traces
    }

    /// The inputs of each way it can end: disjoint, and together all there are. `None` if that could
    /// not be found out exactly.
    pub fn cases(&self) -> Option<&[Case]> {
        self.cases.as_deref()
    }

    /// The bits of a field that the answer may depend on; 0 if the field does not matter.
    pub fn looks_at(&self, field: Field) -> u64 {
        self.looks_at[field as usize]
    }

    /// Whether it may compare the object or the caller with handles.
    pub fn compares(&self) -> bool {
        let is_comparison = |op: &Op| match op {
            Op::Call(Callee::Helper(number)) => COMPARISONS.contains(number),
            _ => false,
        };
        self.ops.iter().flatten().any(is_comparison)
    }

    /// The rule's answer for an input of the hook instance; the instruction named is the rule's. One that compares
    /// with handles denies, see [`Residual::evaluate_among`].
    pub fn evaluate(&self, input: &Input, tracer: Tracer<'_>) -> Verdict {
        self.evaluate_among(input, &Unrelated, tracer)
    }

    /// As [`Residual::evaluate`], where handles relate to the object like this.
    pub fn evaluate_among(&self, input: &Input, relation: &dyn Relation, tracer: Tracer<'_>) -> Verdict {
        let program = Program { ops: &self.ops, maps: &self.maps };
        let exit = run(program, Question::FileSystem(input), relation, tracer);
        Exit { at: self.origin(exit.at).unwrap_or(exit.at), ..exit }.verdict(0)
    }
}

/// The open bits of each field that tell cases apart or, without cases, of those in `fields`.
fn looks_at(inputs: &InputSet, cases: Option<&[Case]>, fields: Vec<Field>) -> [u64; Field::ALL.len()] {
    Field::ALL.map(|field| {
        let open = inputs.field(field).bits().unknown;
        let Some(cases) = cases else {
            return if fields.contains(&field) { open } else { 0 };
        };
        let told_apart = |set: &ValueSet| {
            set.except().iter().fold(!set.bits().unknown, |bits, except| bits | !except.unknown) & open
        };
        cases.iter().fold(0, |bits, case| bits | told_apart(case.inputs.field(field)))
    })
}

/// An operation that is kept, with places given as the rule's instructions.
struct Node {
    at: usize,
    op: Op,
    target: Option<usize>,
}

/// The operations that are reached, with known branches and results replaced. A rule that traces keeps
/// its calls: they set to 0 the arguments a later trace may print without having set them.
fn cut(ops: &[Option<Op>], marks: &[Mark], keep_calls: bool) -> Vec<Node> {
    let reached = ops.iter().zip(marks).enumerate().filter(|(_, (_, mark))| mark.reached);
    reached
        .filter_map(|(at, (op, mark))| {
            let op = replaced((*op)?, mark, keep_calls)?;
            let target = match op {
                Op::Jump { off } | Op::Branch { off, .. } => op::target(at, off),
                _ => None,
            };
            Some(Node { at, op, target })
        })
        .collect()
}

fn replaced(op: Op, mark: &Mark, keep_calls: bool) -> Option<Op> {
    match (op, mark.result) {
        (Op::Branch { off, .. }, _) if !mark.passed => Some(Op::Jump { off }),
        (Op::Branch { .. }, _) if !mark.taken => None,
        (Op::Call(_), _) if keep_calls => Some(op),
        // Its result is known, what it writes is not.
        (Op::Call(Callee::Helper(helper::GET_CURRENT_COMM)), _) => Some(op),
        (_, Outcome::Always(value)) => Some(constant(op, value)),
        _ => Some(op),
    }
}

/// A move of `value`, if one instruction can do it.
fn constant(op: Op, value: u64) -> Op {
    let dst = match op {
        Op::Alu { dst, .. } | Op::Neg { dst, .. } | Op::Swap { dst, .. } | Op::Load { dst, .. } => dst,
        Op::Call(_) => Reg::R0,
        _ => return op,
    };
    let low = i32::from_le_bytes([0, 1, 2, 3].map(|byte| value.to_le_bytes()[byte]));
    let width = match value {
        _ if immediate(low) == value => Width::W64,
        _ if u64::from(low.cast_unsigned()) == value => Width::W32,
        _ => return op,
    };
    Op::Alu { op: AluOp::Mov, width, dst, src: Source::Imm(low) }
}

/// Removes what nothing depends on, until there is no more of it.
fn swept(mut nodes: Vec<Node>, marks: &[Mark], keep_calls: bool) -> Vec<Node> {
    loop {
        let keep_stores = nodes.iter().any(|node| marks[node.at].reads_stack);
        let needed = needed(&nodes, Keep { stores: keep_stores, calls: keep_calls });
        let before = nodes.len();
        let mut needed = needed.into_iter();
        nodes.retain(|_| needed.next().unwrap_or(true));
        if nodes.len() == before {
            return nodes;
        }
    }
}

/// What is kept whether or not its result is used.
#[derive(Clone, Copy)]
struct Keep {
    stores: bool,
    calls: bool,
}

/// Whether each node is of use: walks backwards with the set of registers that are read later.
fn needed(nodes: &[Node], keep: Keep) -> Vec<bool> {
    let mut live = vec![0u16; nodes.len() + 1];
    let mut needed = vec![true; nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        let target = node.target.map(|target| place(nodes, target));
        let after = match (node.op, target) {
            (Op::Jump { .. }, Some(target)) => live[target],
            (Op::Branch { .. }, Some(target)) => live[index + 1] | live[target],
            (Op::Exit, _) => 0,
            _ => live[index + 1],
        };
        let effect = Effect::of(node.op, keep);
        needed[index] = match target {
            Some(target) => target != index + 1,
            None => effect.kept || effect.writes & after != 0,
        };
        live[index] = if needed[index] { (after & !effect.writes) | effect.reads } else { after };
    }
    needed
}

/// Where the control flow that goes to instruction `target` of the rule arrives.
fn place(nodes: &[Node], target: usize) -> usize {
    nodes.partition_point(|node| node.at < target)
}

/// What an operation does to registers (one bit each), and whether it does more than that.
struct Effect {
    reads: u16,
    writes: u16,
    kept: bool,
}

impl Effect {
    fn of(op: Op, keep: Keep) -> Effect {
        let bit = |reg: Reg| 1u16 << reg.number();
        let source = |source| match source {
            Source::Reg(reg) => bit(reg),
            Source::Imm(_) => 0,
        };
        let pure = |reads, writes| Effect { reads, writes, kept: false };
        match op {
            Op::Alu { op: AluOp::Mov, dst, src, .. } => pure(source(src), bit(dst)),
            Op::Alu { dst, src, .. } => pure(bit(dst) | source(src), bit(dst)),
            Op::Neg { dst, .. } | Op::Swap { dst, .. } => pure(bit(dst), bit(dst)),
            Op::LoadImm { dst, .. } => pure(0, bit(dst)),
            Op::Load { dst, base, .. } => pure(bit(base), bit(dst)),
            Op::Store { base, src, .. } => Effect { kept: keep.stores, ..pure(bit(base) | source(src), 0) },
            Op::Atomic { op, base, src, .. } => {
                let compared = if op == AtomicOp::CompareExchange { bit(Reg::R0) } else { 0 };
                Effect { kept: true, ..pure(bit(base) | bit(src) | compared, 0) }
            }
            Op::Branch { dst, src, .. } => Effect { kept: true, ..pure(bit(dst) | source(src), 0) },
            Op::Call(Callee::Helper(number)) => Effect::of_call(number, keep),
            Op::Exit => Effect { kept: true, ..pure(bit(Reg::R0), 0) },
            Op::Jump { .. } | Op::Call(_) | Op::LoadPacket => Effect { kept: true, ..pure(0, 0) },
        }
    }

    fn of_call(number: i32, keep: Keep) -> Effect {
        let (arguments, kept) = match number {
            helper::HANDLE_FS_GET_MODE => (0b10, keep.calls),
            helper::GET_CURRENT_PID_TGID | helper::GET_CURRENT_UID_GID => (0, keep.calls),
            helper::CMP_FS_PROP | helper::CMP_FS_BENEATH => (0b1_1110, keep.calls),
            helper::CMP_CGROUP_BENEATH => (0b1110, keep.calls),
            helper::GET_CURRENT_COMM => (0b110, keep.calls || keep.stores),
            _ => (0b11_1110, true),
        };
        // r1 to r5 are lost too, but nobody calls for that.
        Effect { reads: arguments, writes: 1, kept }
    }
}

/// The instructions, and where each comes from.
fn encoded(nodes: &[Node]) -> (Vec<Insn>, Vec<usize>) {
    let mut starts = Vec::with_capacity(nodes.len() + 1);
    let mut end = 0;
    for node in nodes {
        starts.push(end);
        end += node.op.slots();
    }
    starts.push(end);
    let (mut insns, mut origins) = (Vec::new(), Vec::new());
    for (node, start) in nodes.iter().zip(&starts) {
        let distance = node.target.map(|target| starts[place(nodes, target)] - start - 1);
        let (first, second) = aimed(node.op, distance).encode();
        for insn in [Some(first), second].into_iter().flatten() {
            insns.push(insn);
            origins.push(node.at);
        }
    }
    (insns, origins)
}

/// The same jump over `distance` instructions: never more than before.
fn aimed(op: Op, distance: Option<usize>) -> Op {
    let distance = distance.and_then(|distance| i16::try_from(distance).ok());
    match (op, distance) {
        (Op::Jump { .. }, Some(off)) => Op::Jump { off },
        (Op::Branch { op, width, dst, src, .. }, Some(off)) => Op::Branch { op, width, dst, src, off },
        _ => op,
    }
}
