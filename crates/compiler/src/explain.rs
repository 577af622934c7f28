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

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classic::Filter;
use crate::domain::{Domain, Layer};
use crate::emit;
use crate::hooks::TABLE;
use crate::rule::Rule;
use operations::OPERATIONS;

pub use hooks::{Cookies, HookFactor, HookReply, Hooked};
pub use reply::{Command, Factor, Group, Outcome, Reply};

/// What rules mean together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rules, newest first.
    pub rules: Vec<Summary>,
    /// The filters, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterSummary>,
    /// Every operation, in a fixed order; none if no rule has an event of the file system.
    pub operations: Vec<Explained>,
    /// The answers of the rules tied to a hook, in the order of `rules`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hooked>,
    /// Rules for which the kernel target refuses the whole: they compare with handles where the kernel has no name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_the_kernel: Vec<Nameless>,
}

/// A rule of an event of the file system that compares with handles at hooks without a name to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nameless {
    /// Its name.
    pub rule: String,
    /// The hooks.
    pub hooks: Vec<&'static str>,
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

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterSummary {
    /// How many of the rules are newer; only these are asked for its cookies.
    pub newer_rules: usize,
    /// How long it is.
    pub instructions: usize,
    /// What it may say, in words; `None`: anything.
    pub may_say: Option<Vec<String>>,
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

/// Explains what is in force together.
pub fn explain(domain: &Domain) -> Explanation {
    let (at_hooks, others): (Vec<_>, Vec<_>) =
        domain.rules().iter().enumerate().partition(|(_, rule)| rule.event().is_hook());
    let is_silent = others.is_empty() && (!at_hooks.is_empty() || domain.rules().is_empty());
    let operations = if is_silent { &[][..] } else { OPERATIONS };
    let (filters, heard) = filters(domain);
    let hooked = |(position, rule): (usize, &Rule)| hooks::explained(rule, heard.get(position).cloned());
    Explanation {
        rules: domain.rules().iter().map(summary).collect(),
        filters,
        operations: operations.iter().map(|operation| commands::explained(domain, operation)).collect(),
        hooks: at_hooks.into_iter().map(hooked).collect(),
        not_in_the_kernel: nameless(domain),
    }
}

fn nameless(domain: &Domain) -> Vec<Nameless> {
    let mut hooks = BTreeMap::<usize, Vec<&'static str>>::new();
    for hook in TABLE {
        for rule in emit::without_a_name(hook, domain) {
            hooks.entry(rule).or_default().push(hook.name);
        }
    }
    let of = |(rule, hooks): (usize, _)| Nameless { rule: domain.rules()[rule].name().to_owned(), hooks };
    hooks.into_iter().map(of).collect()
}

/// The filters, and for each rule the cookies it may be asked for; nothing if there are no filters.
fn filters(domain: &Domain) -> (Vec<FilterSummary>, Vec<Cookies>) {
    let (mut filters, mut heard, mut known) = (Vec::new(), Vec::new(), Cookies::These(Vec::new()));
    for layer in domain.layers() {
        match layer {
            Layer::Filter(filter) => {
                known.add(&filter);
                filters.push((heard.len(), filter));
            }
            Layer::Rule(_) => heard.push(known.clone()),
        }
    }
    if filters.is_empty() {
        return (Vec::new(), Vec::new());
    }
    heard.reverse();
    let summary = |(older, filter): (usize, Filter)| FilterSummary {
        newer_rules: heard.len() - older,
        instructions: filter.insns().len(),
        may_say: filter.may_say_of_any().map(|said| said.iter().map(ToString::to_string).collect()),
    };
    (filters.into_iter().rev().map(summary).collect(), heard)
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
