// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partial evaluation of a rule over what one hook instance knows beforehand.
//!
//! Reads a verified [`Rule`] and the [`Known`] part of its input. [`Specialised::Allow`] and
//! [`Specialised::Deny`] hold for every input that agrees with what is known, and say that running the
//! rule has no effect; a [`Residual`] answers and traces as the rule does for all those inputs. The
//! work is bounded, also for the worst rule; running out of it gives a larger residual, never a wrong
//! answer. What this does not promise is that a residual could not be smaller.

mod arithmetic;
mod bits;
mod condition;
mod explore;
mod inputs;
mod residual;
mod state;
mod sum;
mod word;

use crate::abi::{Actions, Event};
use crate::hooks::{Arg2, Instance};
use crate::rule::Rule;

pub use bits::Bits;
pub use explore::Case;
pub use inputs::{Field, InputSet, ValueSet};
pub(crate) use residual::COMPARISONS;
pub use residual::Residual;

/// What is known of the object behind the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKnown {
    /// It exists, and this much is known of its mode (32 bits; the upper half is 0).
    Mode(Bits),
    /// A negative dentry: it has no mode.
    Absent,
    /// It may exist, with any mode, or not.
    Any,
}

/// What a hook instance knows before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The event.
    pub event: Event,
    /// Action bits, or the command.
    pub arg2: Bits,
    /// The object.
    pub object: ObjectKnown,
    /// `AUDIT_ARCH_*`.
    pub arch: Bits,
    /// Syscall number.
    pub syscall_nr: Bits,
}

impl Known {
    /// The event, and what `arg2` may be; nothing of the object and the syscall.
    pub fn new(event: Event, arg2: Bits) -> Known {
        Known { event, arg2, object: ObjectKnown::Any, arch: Bits::ANY32, syscall_nr: Bits::ANY32 }
    }

    /// What every input of a hook instance has in common. Only a name may lead to no object.
    pub fn at(instance: &Instance) -> Known {
        let any = |actions: Actions| Bits::but_for(0, actions.bits());
        let memory = Actions::EXEC | Actions::READ | Actions::WRITE;
        let arg2 = match instance.arg2 {
            Arg2::Actions(actions) => Bits::exactly(actions.bits()),
            Arg2::Mask => any(memory | Actions::GET),
            Arg2::Protection => any(memory),
            Arg2::Command(_) => Bits::ANY32,
        };
        let object = match instance.arg2 {
            Arg2::Actions(Actions::NEW) => ObjectKnown::Any,
            _ => ObjectKnown::Mode(Bits::but_for(0, u16::MAX.into())),
        };
        Known::new(instance.event, arg2).with_object(object)
    }

    /// With this much known of the object.
    pub fn with_object(self, object: ObjectKnown) -> Known {
        Known { object, ..self }
    }
}

/// An answer without its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The action goes on.
    Allow,
    /// The action fails.
    Deny,
}

/// What is left of a rule at a hook instance.
#[derive(Clone, Debug)]
pub enum Specialised {
    /// It allows whatever comes, and traces nothing.
    Allow,
    /// It denies whatever comes, and traces nothing.
    Deny,
    /// It depends, or it traces.
    Residual(Residual),
}

impl Specialised {
    /// The answer, if it is the same for every input.
    pub fn always(&self) -> Option<Answer> {
        match self {
            Specialised::Allow => Some(Answer::Allow),
            Specialised::Deny => Some(Answer::Deny),
            Specialised::Residual(residual) => residual.always(),
        }
    }
}

/// Evaluates `rule` as far as `known` goes.
pub fn specialise(rule: &Rule, known: &Known) -> Specialised {
    over(rule, known.event, &InputSet::of(known))
}

/// Evaluates `rule` over a set of inputs.
pub(crate) fn over(rule: &Rule, event: Event, inputs: &InputSet) -> Specialised {
    let explored = explore::explore(rule.ops(), event, inputs.clone());
    match answer(&explored.cases) {
        Some(Answer::Deny) if !explored.traces => Specialised::Deny,
        Some(Answer::Allow) if !explored.traces => Specialised::Allow,
        always => Specialised::Residual(Residual::of(rule, inputs, explored, always)),
    }
}

/// The rule with what is known cut, also if only one answer is left.
pub(crate) fn residual(rule: &Rule, event: Event, inputs: &InputSet) -> Residual {
    let explored = explore::explore(rule.ops(), event, inputs.clone());
    let always = answer(&explored.cases);
    Residual::of(rule, inputs, explored, always)
}

/// The answer all cases have in common. Every run ends, so there is a case; were there none, this
/// says Deny.
fn answer(cases: &[Case]) -> Option<Answer> {
    if cases.iter().all(|case| case.denies) {
        Some(Answer::Deny)
    } else if cases.iter().all(|case| !case.denies) {
        Some(Answer::Allow)
    } else {
        None
    }
}

#[cfg(test)]
pub(crate) use tests::random;
#[cfg(test)]
mod tests;
