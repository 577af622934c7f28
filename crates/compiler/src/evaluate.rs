// SPDX-License-Identifier: MIT OR Apache-2.0
//! The evaluator: a slow, obvious interpreter of verified rules, and the second opinion on every
//! other answer the project gives.
//!
//! Eleven registers, 512 bytes of stack, and the context; the handle is a number no rule can look
//! at. A verified rule always runs to its exit. Should one not (a bug of ours), the answer is a
//! denial: never a panic, never an allowance.

mod compare;
mod hook;
mod machine;
mod printk;

use crate::abi::Event;
use crate::domain::Domain;
use crate::rule::Rule;

pub use compare::{Direction, Relation, Unrelated, one_of};
pub use hook::{HookCall, HookInput, HookVerdict};
pub(crate) use machine::{Exit, Program, Question, run};
#[cfg(any(test, feature = "testing"))]
pub(crate) use machine::{World, run_in};

/// Everything one run of a rule can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The event the run is for.
    pub event: Event,
    /// Action bits, or the command of a sub-event.
    pub arg2: u64,
    /// Whole mode (`st_mode`) of the object behind the handle; `None` for a negative dentry.
    pub mode: Option<u32>,
    /// `AUDIT_ARCH_*` of the running syscall; 0 outside one.
    pub arch: u32,
    /// Number of the running syscall.
    pub syscall_nr: u32,
    /// Who is asking, for the debug helpers.
    pub current: Current,
}

/// The running thread, as the debug helpers report it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Thread group id in the high 32 bits, thread id in the low.
    pub pid_tgid: u64,
    /// Group id in the high 32 bits, user id in the low.
    pub uid_gid: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
}

/// The answer of a rule, or of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The action goes on.
    Allow,
    /// The action fails with EPERM.
    Deny {
        /// Position of the deciding rule in its domain, newest first; 0 for a lone rule.
        rule: usize,
        /// Index of the exit instruction that returned non-zero.
        insn: usize,
    },
}

impl Verdict {
    /// Whether the action fails.
    pub fn is_deny(self) -> bool {
        matches!(self, Verdict::Deny { .. })
    }
}

/// Takes the text of each `trace_printk` of a run.
pub type Tracer<'a> = &'a mut dyn FnMut(&str);

impl Rule {
    /// The rule's answer; what it traces is dropped. The rule is run whatever `input.event` is:
    /// only a [`Domain`] picks rules by event. A rule that compares with handles denies, unless it has none: what
    /// they stand for is not known here, see [`Rule::evaluate_among`].
    pub fn evaluate(&self, input: &Input) -> Verdict {
        self.evaluate_traced(input, &mut |_| {})
    }

    /// The rule's answer; what it traces goes to `tracer`.
    pub fn evaluate_traced(&self, input: &Input, tracer: Tracer<'_>) -> Verdict {
        self.evaluate_among(input, &Unrelated, tracer)
    }

    /// The rule's answer where handles relate to the object like this.
    pub fn evaluate_among(&self, input: &Input, relation: &dyn Relation, tracer: Tracer<'_>) -> Verdict {
        run(self.program(), Question::FileSystem(input), relation, tracer).verdict(0)
    }

    /// The answer of a rule tied to a hook. The rule is run whatever its event is.
    pub fn evaluate_at_hook(&self, input: &HookInput, relation: &dyn Relation) -> HookVerdict {
        let exit = run(self.program(), Question::Hook(input), relation, &mut |_| {});
        exit.at_hook(0, input.cookie)
    }

    pub(crate) fn program(&self) -> Program<'_> {
        Program { ops: self.ops(), maps: self.maps() }
    }
}

impl Domain {
    /// Asks the rules of the input's event, newest first, up to the first that denies; what they
    /// trace is dropped.
    pub fn decide(&self, input: &Input) -> Verdict {
        self.decide_traced(input, &mut |_| {})
    }

    /// As [`Domain::decide`]; what the rules trace goes to `tracer`.
    pub fn decide_traced(&self, input: &Input, tracer: Tracer<'_>) -> Verdict {
        self.decide_among(input, &Unrelated, tracer)
    }

    /// As [`Domain::decide_traced`], where handles relate to the object like this.
    pub fn decide_among(&self, input: &Input, relation: &dyn Relation, tracer: Tracer<'_>) -> Verdict {
        for (index, rule) in self.rules_of(input.event) {
            let verdict = run(rule.program(), Question::FileSystem(input), relation, tracer).verdict(index);
            if verdict.is_deny() {
                return verdict;
            }
        }
        Verdict::Allow
    }
}

/// What `trace_printk` prints of numbers.
#[cfg(test)]
pub(crate) fn trace_text(format: &[u8], args: [u64; 3]) -> Option<String> {
    printk::format(format, args, |_| None)
}

#[cfg(test)]
pub(crate) mod tests;
