// SPDX-License-Identifier: MIT OR Apache-2.0
//! Warnings about rules that are in order and yet unlikely to be what their author meant.
//!
//! Every warning is a promise of the specialiser over the whole hook table: there are no false alarms,
//! but a rule too complicated to be seen through gets none.

use std::fmt;

use serde::Serialize;

use crate::abi::{Abilities, Actions, Event};
use crate::hooks;
use crate::op::{Callee, Op};
use crate::rule::Rule;
use crate::specialise::{Answer, Bits, Field, Known, Specialised, specialise};
use crate::verify::HELPERS;

/// Something odd about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// No hook can be denied by it.
    DeniesNothing,
    /// Every hook is denied whatever it is about.
    DeniesEverything,
    /// The answer depends on bits of `arg2` that no action has.
    UnknownActions(u64),
    /// The answer depends on the number of the system call but not on the architecture, which says
    /// what the number means.
    SyscallWithoutArchitecture,
    /// Ability DEBUG, which loaders need a privilege for, is declared and not used.
    UnusedDebug,
}

/// The warnings about a rule, in the order of [`Warning`].
pub fn lint(rule: &Rule) -> Vec<Warning> {
    let answers: Vec<Option<Answer>> =
        instances(rule.event()).map(|known| specialise(rule, &known).always()).collect();
    let all = |answer| answers.iter().all(|known| *known == Some(answer));
    let warnings = [
        all(Answer::Allow).then_some(Warning::DeniesNothing),
        all(Answer::Deny).then_some(Warning::DeniesEverything),
        unknown_actions(rule).map(Warning::UnknownActions),
        syscall_without_architecture(rule).then_some(Warning::SyscallWithoutArchitecture),
        unused_debug(rule).then_some(Warning::UnusedDebug),
    ];
    warnings.into_iter().flatten().collect()
}

/// What is known at each instance of the event. Of the RFC's hooks nothing is.
fn instances(event: Event) -> impl Iterator<Item = Known> {
    let all = hooks::TABLE.iter().flat_map(|hook| hook.instances);
    let table = all.filter(move |instance| instance.event == event).map(Known::at);
    table.chain(event.is_hook().then(|| Known::new(event, Bits::ANY)))
}

/// The bits no action has, if the rule was seen through and tells inputs apart by one of them.
fn unknown_actions(rule: &Rule) -> Option<u64> {
    if rule.event() != Event::Fs {
        return None;
    }
    match specialise(rule, &Known::new(Event::Fs, Bits::ANY)) {
        Specialised::Residual(left) if left.cases().is_some() && left.always().is_none() => {
            Some(left.looks_at(Field::Arg2) & !Actions::all().bits()).filter(|bits| *bits != 0)
        }
        _ => None,
    }
}

fn syscall_without_architecture(rule: &Rule) -> bool {
    instances(rule.event()).any(|known| match specialise(rule, &known) {
        Specialised::Residual(left) if left.always().is_none() => {
            left.looks_at(Field::SyscallNr) != 0 && left.looks_at(Field::Arch) == 0
        }
        _ => false,
    })
}

fn unused_debug(rule: &Rule) -> bool {
    let needs_debug = |op: &Op| match op {
        Op::Call(Callee::Helper(number)) => {
            HELPERS.iter().any(|helper| helper.number == *number && helper.ability.contains(Abilities::DEBUG))
        }
        _ => false,
    };
    rule.abilities().contains(Abilities::DEBUG) && !rule.ops().iter().flatten().any(needs_debug)
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::DeniesNothing => f.write_str("this rule denies nothing"),
            Warning::DeniesEverything => f.write_str("this rule denies everything its event covers"),
            Warning::UnknownActions(bits) => {
                write!(f, "this rule looks at bits of arg2 that no action has ({bits:#x})")
            }
            Warning::SyscallWithoutArchitecture => f.write_str(
                "this rule looks at syscall_nr without looking at arch: the same number is another \
                 system call on another architecture",
            ),
            Warning::UnusedDebug => f.write_str(
                "this rule declares ability DEBUG, which needs a privilege to load, and does not use it",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
