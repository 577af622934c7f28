// SPDX-License-Identifier: MIT OR Apache-2.0
//! A verified rule. Only the verifier can make one.

mod decided;

use std::sync::Arc;

use crate::abi::{Abilities, Event};
use crate::insn::Insn;
use crate::map::Map;
use crate::object::{RuleObject, SourceLine};
use crate::op::Op;

/// A program the verifier accepted: no loops, defined reads only, the handle kept opaque.
///
/// Cheap to clone; never changes.
#[derive(Clone, Debug)]
pub struct Rule(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    object: RuleObject,
    event: Event,
    abilities: Abilities,
    /// The program decoded once, so that running it is fast.
    ops: Vec<Option<Op>>,
    stack_used: usize,
}

impl Rule {
    /// For the verifier alone: `object` must have passed every check.
    pub(crate) fn proven(object: RuleObject, event: Event, abilities: Abilities, stack_used: usize) -> Rule {
        let ops = decode(&object.insns);
        Rule(Arc::new(Inner { object, event, abilities, ops, stack_used }))
    }

    /// What it was before it was verified.
    pub fn object(&self) -> &RuleObject {
        &self.0.object
    }

    /// Name for messages and denials.
    pub fn name(&self) -> &str {
        &self.0.object.name
    }

    /// The event the rule is tied to; it never runs for another.
    pub fn event(&self) -> Event {
        self.0.event
    }

    /// The lowest ABI it needs, as it declared.
    pub fn abi(&self) -> u32 {
        self.0.object.subtype.map_or(1, |subtype| subtype.abi).max(self.event().abi())
    }

    /// The arrays of handles it refers to, by the index its map loads hold.
    pub fn maps(&self) -> &[Map] {
        &self.0.object.maps
    }

    /// The abilities it declared.
    pub fn abilities(&self) -> Abilities {
        self.0.abilities
    }

    /// The program.
    pub fn insns(&self) -> &[Insn] {
        &self.0.object.insns
    }

    /// The program decoded, one entry per instruction; the second half of a 64-bit load has none.
    pub fn ops(&self) -> &[Option<Op>] {
        &self.0.ops
    }

    /// Bytes of stack it may use: from `r10` down to the lowest byte it may write.
    pub fn stack_used(&self) -> usize {
        self.0.stack_used
    }

    /// Where instruction `index` comes from, when known.
    pub fn line(&self, index: usize) -> Option<&SourceLine> {
        self.0.object.lines.get(index)?.as_ref()
    }
}

/// The operation that starts at each instruction. The second half of a 64-bit load starts none.
pub(crate) fn decode(insns: &[Insn]) -> Vec<Option<Op>> {
    (0..insns.len()).map(|at| Op::decode(insns, at).ok()).collect()
}
