// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ordered rules in force on a thread, and what is left of them at a hook instance; and the classic filters
//! among them, which say when the rules tied to the RFC's hooks are asked.

mod cookies;
mod foresee;
mod lower;

use crate::abi::Event;
use crate::classic::Filter;
use crate::evaluate::{Input, Tracer, Verdict};
use crate::file_type::FileType;
use crate::rule::Rule;
use crate::specialise::{self, Answer, Field, InputSet, Known, Residual, Specialised};

pub use cookies::{Filtered, Layer};
pub use foresee::Foreseen;
pub use lower::NotLowered;
pub(crate) use lower::is_list;

/// Rules, newest first: the order they are asked in.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    rules: Vec<Rule>,
    /// Newest first, each with the number of rules that are older than it.
    filters: Vec<(Filter, usize)>,
}

impl Domain {
    /// A domain of rules prepended in the given order: the last one becomes the newest.
    pub fn prepended(rules: impl IntoIterator<Item = Rule>) -> Domain {
        let mut rules: Vec<Rule> = rules.into_iter().collect();
        rules.reverse();
        Domain { rules, filters: Vec::new() }
    }

    /// The lowest ABI that has all of it. A target that does not know that ABI must refuse the domain: it would
    /// not ask everything that is to be asked.
    pub fn abi(&self) -> u32 {
        let of_rules = self.rules.iter().map(Rule::abi).max().unwrap_or(1);
        if self.filters.is_empty() { of_rules } else { of_rules.max(2) }
    }

    /// The rules, newest first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules tied to `event`, newest first, each with its position in the domain.
    pub fn rules_of(&self, event: Event) -> impl Iterator<Item = (usize, &Rule)> {
        self.rules.iter().enumerate().filter(move |(_, rule)| rule.event() == event)
    }

    /// Evaluates the rules of `known.event` as far as `known` goes: rules that allow drop out, and a
    /// rule that denies hides all older ones.
    pub fn specialise(&self, known: &Known) -> Composed {
        self.over(known.event, &InputSet::of(known))
    }

    /// [`Domain::specialise`], but which instruction of which rule denies stays to be seen also where all inputs are
    /// denied: never [`Composed::Deny`].
    pub(crate) fn specialise_to_tell(&self, known: &Known) -> Composed {
        self.compose(known.event, &InputSet::of(known), true)
    }

    /// Whether there may be an input of the instance that a rule denies. What rules trace does not count.
    pub fn may_deny(&self, known: &Known) -> bool {
        let denies = |rule| specialise::specialise(rule, known).always() != Some(Answer::Allow);
        self.rules_of(known.event).any(|(_, rule)| denies(rule))
    }

    /// [`Domain::specialise`] for each file type an existing object may have; what `known` says of the
    /// object is replaced.
    pub fn by_file_type(&self, known: &Known) -> [(FileType, Composed); FileType::ALL.len()] {
        FileType::ALL.map(|file_type| (file_type, self.specialise(&known.with_object(file_type.known()))))
    }

    /// [`Domain::specialise`] over a set of inputs.
    pub(crate) fn over(&self, event: Event, inputs: &InputSet) -> Composed {
        self.compose(event, inputs, false)
    }

    fn compose(&self, event: Event, inputs: &InputSet, tells: bool) -> Composed {
        let mut left = Vec::new();
        for (index, rule) in self.rules_of(event) {
            let residual = match specialise::over(rule, event, inputs) {
                Specialised::Allow => continue,
                Specialised::Residual(residual) => residual,
                // Only what a newer rule traces still matters then.
                Specialised::Deny
                    if !tells && !left.iter().any(|(_, newer): &(_, Residual)| newer.traces()) =>
                {
                    return Composed::Deny { rule: index };
                }
                Specialised::Deny => specialise::residual(rule, event, inputs),
            };
            let last = residual.always() == Some(Answer::Deny);
            left.push((index, residual));
            if last {
                break;
            }
        }
        if left.is_empty() { Composed::Allow } else { Composed::Residuals(Residuals(left)) }
    }
}

/// What is left of a domain at a hook instance.
#[derive(Clone, Debug)]
pub enum Composed {
    /// No rule denies or traces, whatever comes.
    Allow,
    /// Some rule denies whatever comes, and no newer one traces.
    Deny {
        /// Position of the newest rule that always denies. A newer one may deny before it; which, only
        /// [`Domain::decide`] knows.
        rule: usize,
    },
    /// It depends, or a rule traces.
    Residuals(Residuals),
}

impl Composed {
    /// The answer, if it is the same for every input.
    pub fn always(&self) -> Option<Answer> {
        match self {
            Composed::Allow => Some(Answer::Allow),
            Composed::Deny { .. } => Some(Answer::Deny),
            Composed::Residuals(Residuals(left)) => {
                let all = |answer| move |(_, residual): &(_, Residual)| residual.always() == Some(answer);
                match (left.iter().any(all(Answer::Deny)), left.iter().all(all(Answer::Allow))) {
                    (true, _) => Some(Answer::Deny),
                    (_, true) => Some(Answer::Allow),
                    _ => None,
                }
            }
        }
    }

    /// Whether the answer may depend on how the object or the caller relates to handles.
    pub fn compares(&self) -> bool {
        match self {
            Composed::Residuals(left) if self.always().is_none() => {
                left.iter().any(|(_, residual)| residual.always().is_none() && residual.compares())
            }
            _ => false,
        }
    }

    /// The bits of a field that the answer may depend on; 0 if the field does not matter.
    pub fn looks_at(&self, field: Field) -> u64 {
        match self {
            Composed::Residuals(left) if self.always().is_none() => {
                let undecided = left.iter().filter(|(_, residual)| residual.always().is_none());
                undecided.fold(0, |bits, (_, residual)| bits | residual.looks_at(field))
            }
            _ => 0,
        }
    }
}

/// The residuals of a domain, newest first; never none.
#[derive(Clone, Debug)]
pub struct Residuals(Vec<(usize, Residual)>);

impl Residuals {
    /// Each residual with the position of its rule.
    pub fn iter(&self) -> impl Iterator<Item = &(usize, Residual)> {
        self.0.iter()
    }

    /// The domain's answer for an input of the hook instance; rule and instruction are the domain's.
    pub fn decide(&self, input: &Input, tracer: Tracer<'_>) -> Verdict {
        for (rule, residual) in &self.0 {
            if let Verdict::Deny { insn, .. } = residual.evaluate(input, tracer) {
                return Verdict::Deny { rule: *rule, insn };
            }
        }
        Verdict::Allow
    }
}

#[cfg(test)]
mod tests;
