// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ordered rules in force on a thread.

use crate::abi::Event;
use crate::rule::Rule;

/// Rules, newest first: the order they are asked in.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    rules: Vec<Rule>,
}

impl Domain {
    /// A domain of rules prepended in the given order: the last one becomes the newest.
    pub fn prepended(rules: impl IntoIterator<Item = Rule>) -> Domain {
        let mut rules: Vec<Rule> = rules.into_iter().collect();
        rules.reverse();
        Domain { rules }
    }

    /// The rules, newest first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules tied to `event`, newest first, each with its position in the domain.
    pub fn rules_of(&self, event: Event) -> impl Iterator<Item = (usize, &Rule)> {
        self.rules.iter().enumerate().filter(move |(_, rule)| rule.event() == event)
    }

    /// Whether some rule may deny what is `known`.
    pub fn may_deny(&self, known: &crate::specialise::Known) -> bool {
        use crate::specialise::{Specialised, specialise};
        self.rules_of(known.event).any(|(_, rule)| !matches!(specialise(rule, known), Specialised::Allow))
    }
}
