// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a rule, where, and how to say it.

use std::fmt;

use super::fact::Fact;
use crate::asm;
use crate::object::{Printable, RuleObject, SourceLine};

/// Most problems told at once; the rest is counted.
pub const MAX_PROBLEMS: usize = 20;

/// The class of error v7's `BPF_PROG_LOAD` gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Errno {
    /// `EPERM`: the loader lacks a privilege.
    Perm,
    /// `E2BIG`: too many instructions, or none.
    TooBig,
    /// `EACCES`: an access that is not allowed.
    Acces,
    /// `EINVAL`: not a valid rule.
    Inval,
}

impl Errno {
    /// Linux's number.
    pub fn number(self) -> i32 {
        match self {
            Errno::Perm => 1,
            Errno::TooBig => 7,
            Errno::Acces => 13,
            Errno::Inval => 22,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Errno::Perm => "EPERM",
            Errno::TooBig => "E2BIG",
            Errno::Acces => "EACCES",
            Errno::Inval => "EINVAL",
        })
    }
}

/// One thing wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` when it is about the whole rule.
    pub place: Option<Place>,
    /// What.
    pub fact: Fact,
}

/// An instruction of the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub insn: usize,
    /// Its text.
    pub text: String,
    /// Where it comes from, when known.
    pub line: Option<SourceLine>,
}

/// Everything wrong with a rule, in the order v7 would have come to it: the object, the form of the
/// program, then what its instructions do, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    rule: String,
    problems: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    /// Name of the rule.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The problems, never none; at most [`MAX_PROBLEMS`].
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// What v7 would have answered: the class of the first problem.
    pub fn errno(&self) -> Errno {
        self.problems.first().map_or(Errno::Inval, |first| first.fact.errno())
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: refused ({})", Printable(&self.rule), self.errno())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n  and {} more, not shown", self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "instruction {}: {}\n    ", place.insn, place.text)?;
            if let Some(line) = &place.line {
                writeln!(f, "at {line}")?;
                write!(f, "    ")?;
            }
        }
        write!(f, "{}\n    help: {}", self.fact, self.fact.help())
    }
}

/// Collects what is found.
#[derive(Default)]
pub(super) struct Found {
    facts: Vec<(Option<usize>, Fact)>,
}

impl Found {
    /// About the whole rule.
    pub(super) fn whole(&mut self, fact: Fact) {
        self.facts.push((None, fact));
    }

    /// About an instruction.
    pub(super) fn at(&mut self, insn: usize, fact: Fact) {
        self.facts.push((Some(insn), fact));
    }

    /// Whether there is anything wrong with an instruction so far.
    pub(super) fn any(&self) -> bool {
        self.facts.iter().any(|(insn, _)| insn.is_some())
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// What is wrong with the object, in v7's order.
    pub(super) fn problems(mut self, object: &RuleObject) -> Problems {
        self.facts.sort_by_key(|(insn, fact)| (fact.stage(), *insn));
        let omitted = self.facts.len().saturating_sub(MAX_PROBLEMS);
        self.facts.truncate(MAX_PROBLEMS);
        let problem = |(insn, fact): (Option<usize>, Fact)| Problem {
            place: insn.map(|insn| place(object, insn)),
            fact,
        };
        let problems = self.facts.into_iter().map(problem).collect();
        Problems { rule: object.name.clone(), problems, omitted }
    }
}

/// An instruction that was looked at, so it exists.
fn place(object: &RuleObject, insn: usize) -> Place {
    let text = asm::print_insn_of(object, insn);
    Place { insn, text, line: object.lines.get(insn).cloned().flatten() }
}
