// SPDX-License-Identifier: MIT OR Apache-2.0
//! Filters and rules in one order: which rules of a hook run, and with which cookies.
//!
//! A rule tied to a hook runs once for each older filter that handed it a cookie at the running system call. It
//! never runs for a newer filter, nor for one that said something else. What filters do besides is seccomp's.

use super::Domain;
use crate::abi::Event;
use crate::classic::{Action, Filter, SyscallData};
use crate::evaluate::{HookCall, HookInput, HookVerdict, Question, Relation, run};
use crate::map::Map;
use crate::rule::Rule;

/// One thing that is installed on a thread.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A filter, which says something about every later system call.
    Filter(Filter),
    /// A rule.
    Rule(Rule),
}

/// What the filters of a domain say of a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// What happens to it: of all that was said, what takes precedence; of equals, the newest filter's. A cookie
    /// takes precedence over TRACE and ALLOW and then lets the call go on, but rules get their cookies all the same
    /// if something else wins.
    pub action: Action,
    /// Position, newest first, and cookie of each filter that handed one on.
    pub cookies: Vec<(usize, u16)>,
}

impl Domain {
    /// A domain of what was installed in this order: the last rule becomes the newest.
    pub fn layered(layers: impl IntoIterator<Item = Layer>) -> Domain {
        let mut domain = Domain::default();
        for layer in layers {
            match layer {
                Layer::Filter(filter) => domain.filters.push((filter, domain.rules.len())),
                Layer::Rule(rule) => domain.rules.push(rule),
            }
        }
        domain.rules.reverse();
        domain.filters.reverse();
        domain
    }

    /// This domain with more installed, in the given order: newer than all it has.
    pub fn extended(&self, layers: impl IntoIterator<Item = Layer>) -> Domain {
        Domain::layered(self.layers().into_iter().chain(layers))
    }

    /// The arrays of handles its rules refer to, each once, in the order of the rules.
    pub fn maps(&self) -> Vec<&Map> {
        let mut maps: Vec<&Map> = Vec::new();
        for map in self.rules.iter().flat_map(Rule::maps) {
            if !maps.iter().any(|known| known.is(map)) {
                maps.push(map);
            }
        }
        maps
    }

    /// What it was made of, in the order it was installed.
    pub fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut filters = self.filters.iter().rev().peekable();
        for (older, rule) in self.rules.iter().rev().enumerate() {
            while let Some((filter, _)) = filters.next_if(|(_, rules)| *rules <= older) {
                layers.push(Layer::Filter(filter.clone()));
            }
            layers.push(Layer::Rule(rule.clone()));
        }
        layers.extend(filters.map(|(filter, _)| Layer::Filter(filter.clone())));
        layers
    }

    /// The filters, newest first.
    pub fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.filters.iter().map(|(filter, _)| filter)
    }

    /// Puts a system call to every filter.
    pub fn filtered(&self, data: &SyscallData) -> Filtered {
        let said: Vec<Action> = self.filters().map(|filter| filter.evaluate(data)).collect();
        let cookies = said.iter().enumerate().filter_map(|(filter, action)| Some((filter, action.cookie()?)));
        let cookies = cookies.collect();
        let action = said.into_iter().min_by_key(|action| action.precedence()).unwrap_or(Action::ALLOW);
        Filtered { action, cookies }
    }

    /// The runs of a hook, in order: for each cookie, newest filter first, the rules newer than its filter, newest
    /// first; each with its position.
    pub fn runs(&self, event: Event, filtered: &Filtered) -> impl Iterator<Item = (usize, &Rule, u16)> {
        filtered.cookies.iter().flat_map(move |(filter, cookie)| {
            self.after(event, *filter).map(move |(position, rule)| (position, rule, *cookie))
        })
    }

    /// The rules of an event that are newer than a filter, newest first.
    pub(crate) fn after(&self, event: Event, filter: usize) -> impl Iterator<Item = (usize, &Rule)> {
        let older = self.filters.get(filter).map_or(self.rules.len(), |(_, older)| *older);
        let newer = self.rules.len() - older;
        self.rules_of(event).take_while(move |(position, _)| *position < newer)
    }

    /// The answer to a call of a hook: that of the first run that does not allow it. What later runs would answer
    /// changes nothing, and they leave no trace, so they are not made.
    ///
    /// `filtered` is what the filters said of the running system call; `None` where there is none, as in a worker
    /// of io_uring. No filter has spoken then, and no rule can be told what it would have been told: a call that
    /// some rule behind a filter would be asked about is refused with `EPERM`.
    pub fn decide_hook(
        &self,
        call: HookCall,
        filtered: Option<&Filtered>,
        relation: &dyn Relation,
    ) -> HookVerdict {
        let Some(filtered) = filtered else { return self.outside_of_system_calls(call.event()) };
        for (position, rule, cookie) in self.runs(call.event(), filtered) {
            let input = HookInput { call, cookie };
            let exit = run(rule.program(), Question::Hook(&input), relation, &mut |_| {});
            let verdict = exit.at_hook(position, cookie);
            if verdict.is_deny() {
                return verdict;
            }
        }
        HookVerdict::Allow
    }

    fn outside_of_system_calls(&self, event: Event) -> HookVerdict {
        const EPERM: u32 = 1;
        let oldest = self.filters.len().checked_sub(1);
        match oldest.and_then(|oldest| self.after(event, oldest).next()) {
            Some((rule, _)) => HookVerdict::Deny { errno: EPERM, rule, insn: 0, cookie: None },
            None => HookVerdict::Allow,
        }
    }
}

#[cfg(test)]
mod tests;
