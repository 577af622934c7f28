// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rules mean, in the words of those who live under them: which operations are always allowed,
//! always denied, or depend, and on what.
//!
//! An [`operation`](operations::OPERATIONS) is the sequence of questions its hooks ask; it is denied if
//! one of them is. The answers are the specialiser's: always allowed and always denied are promises,
//! "depends" may be said of something that in truth does not.

mod commands;
mod hooks;
mod operations;
mod reply;
mod text;

use serde::Serialize;

use crate::domain::Domain;
use crate::rule::Rule;
use operations::OPERATIONS;

pub use hooks::{HookFactor, HookReply, Hooked};
pub use reply::{Command, Factor, Group, Outcome, Reply};

/// What rules mean together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rules, newest first.
    pub rules: Vec<Summary>,
    /// Every operation, in a fixed order; none if no rule has an event of the file system.
    pub operations: Vec<Explained>,
    /// The answers of the rules tied to a hook, in the order of `rules`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hooked>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The name of its event.
    pub event: &'static str,
    /// Whether it declares ability DEBUG.
    pub debug: bool,
}

/// What the rules say about one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The operation, in words.
    pub operation: &'static str,
    /// The reply; if there are `commands`, to every other command.
    #[serde(flatten)]
    pub reply: Reply,
    /// The commands of an ioctl, a lock or an fcntl that get another reply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
}

/// Explains rules that are prepended in the given order.
pub fn explain(rules: &[Rule]) -> Explanation {
    let domain = Domain::prepended(rules.iter().cloned());
    let (at_hooks, others): (Vec<&Rule>, Vec<&Rule>) =
        domain.rules().iter().partition(|rule| rule.event().is_hook());
    let is_silent = others.is_empty() && !at_hooks.is_empty();
    let operations = if is_silent { &[][..] } else { OPERATIONS };
    Explanation {
        rules: domain.rules().iter().map(summary).collect(),
        operations: operations.iter().map(|operation| commands::explained(&domain, operation)).collect(),
        hooks: at_hooks.into_iter().map(hooks::explained).collect(),
    }
}

fn summary(rule: &Rule) -> Summary {
    Summary {
        name: rule.name().to_owned(),
        event: rule.event().name(),
        debug: rule.abilities().contains(crate::abi::Abilities::DEBUG),
    }
}

#[cfg(test)]
mod tests;
