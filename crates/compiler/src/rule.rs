// SPDX-License-Identifier: MIT OR Apache-2.0
//! A verified rule. Only the verifier can make one.

use std::sync::Arc;

use crate::abi::{Abilities, Event};
use crate::insn::Insn;
use crate::object::{RuleObject, SourceLine};

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
}

impl Rule {
    /// For the verifier alone: `object` must have passed every check.
    #[allow(dead_code, reason = "the verifier, its only caller, is the next commit")]
    pub(crate) fn proven(object: RuleObject, event: Event, abilities: Abilities) -> Rule {
        Rule(Arc::new(Inner { object, event, abilities }))
    }

    /// Name for messages and denials.
    pub fn name(&self) -> &str {
        &self.0.object.name
    }

    /// The event the rule is tied to; it never runs for another.
    pub fn event(&self) -> Event {
        self.0.event
    }

    /// The abilities it declared.
    pub fn abilities(&self) -> Abilities {
        self.0.abilities
    }

    /// The program.
    pub fn insns(&self) -> &[Insn] {
        &self.0.object.insns
    }

    /// Where instruction `index` comes from, when known.
    pub fn line(&self, index: usize) -> Option<&SourceLine> {
        self.0.object.lines.get(index)?.as_ref()
    }
}
