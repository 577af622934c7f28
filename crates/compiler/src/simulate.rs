// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a domain one question and tells who answered, and why.

use std::fmt;

use serde::Serialize;

use crate::abi::hook;
use crate::classic::SyscallData;
use crate::domain::{Domain, Filtered};
use crate::evaluate::{HookCall, HookInput, Input, Question, Relation, run};
use crate::object::{Printable, SourceLine};
use crate::rule::Rule;

/// The answer to one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// Whether the action is denied; by the last rule asked, then.
    pub denied: bool,
    /// The name of the event that was asked about.
    pub event: &'static str,
    /// What the filters said of the system call, newest first; none if it was not said which one it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Said>,
    /// What keeps the system call from being carried out, so that no rule is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The rules that were asked, newest first.
    pub asked: Vec<Asked>,
}

/// What one filter said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Its position among the filters, newest first.
    pub filter: usize,
    /// The cookie it handed on, or its action.
    pub said: String,
}

/// The answer of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its position in the domain, newest first.
    pub rule: usize,
    /// Its name.
    pub name: String,
    /// The cookie it ran with, at a hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u16>,
    /// Whether it denied.
    pub denied: bool,
    /// With which errno, at a hook; elsewhere it is `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<u32>,
    /// The exit it took.
    pub exit: Place,
    /// The last branch before that: mostly the test that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Place>,
    /// What it traced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<String>,
}

/// An instruction of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its index.
    pub insn: usize,
    /// Where it comes from, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<SourceLine>,
}

/// Asks the rules as [`Domain::decide_among`] does.
pub fn simulate(domain: &Domain, input: &Input, relation: &dyn Relation) -> Simulation {
    let ask = |(index, rule)| ask(index, rule, Question::FileSystem(input), relation);
    until_denied(input.event.name(), domain.rules_of(input.event).map(ask))
}

/// Asks the rules as [`Domain::decide_hook`] does within a system call.
pub fn simulate_hook(
    domain: &Domain,
    call: HookCall,
    filtered: &Filtered,
    relation: &dyn Relation,
) -> Simulation {
    let ask = |(index, rule, cookie)| ask(index, rule, Question::Hook(&HookInput { call, cookie }), relation);
    until_denied(call.event().name(), domain.runs(call.event(), filtered).map(ask))
}

fn until_denied(event: &'static str, answers: impl Iterator<Item = Asked>) -> Simulation {
    let mut asked = Vec::new();
    for answer in answers {
        let denied = answer.denied;
        asked.push(answer);
        if denied {
            break;
        }
    }
    let denied = asked.last().is_some_and(|last| last.denied);
    Simulation { denied, event, filters: Vec::new(), stopped: None, asked }
}

impl Simulation {
    /// The same in a system call, which the filters of the domain may stop before any rule is asked.
    #[must_use]
    pub fn within(self, domain: &Domain, data: &SyscallData) -> Simulation {
        let said = domain.filters().map(|filter| filter.evaluate(data).to_string());
        let filters = said.enumerate().map(|(filter, said)| Said { filter, said }).collect();
        let action = domain.filtered(data).action;
        match action.stops() {
            true => Simulation {
                denied: true,
                filters,
                stopped: Some(action.to_string()),
                asked: Vec::new(),
                ..self
            },
            false => Simulation { filters, ..self },
        }
    }
}

fn ask(index: usize, rule: &Rule, question: Question<'_>, relation: &dyn Relation) -> Asked {
    let mut traces = Vec::new();
    let tracer = &mut |text: &str| traces.push(text.to_owned());
    let exit = run(rule.program(), question, relation, tracer);
    let (cookie, errno) = match question {
        Question::FileSystem(_) => (None, None),
        Question::Hook(input) => (Some(input.cookie), hook::errno(exit.returned.unwrap_or(u64::MAX))),
    };
    let place = |insn| Place { insn, line: rule.line(insn).cloned() };
    Asked {
        rule: index,
        name: rule.name().to_owned(),
        cookie,
        denied: exit.verdict(index).is_deny(),
        errno,
        exit: place(exit.at),
        branch: exit.branch.map(place),
        traces,
    }
}

impl fmt::Display for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.asked.last(), &self.stopped) {
            (_, Some(action)) => writeln!(f, "denied by a filter: {action}")?,
            (None, _) if !self.filters.is_empty() => writeln!(f, "allowed: no rule is asked")?,
            (None, _) => writeln!(f, "allowed: no rule has event {}", self.event)?,
            (Some(last), _) if self.denied => writeln!(f, "denied by rule {}", Printable(&last.name))?,
            (Some(_), _) => writeln!(f, "allowed")?,
        }
        for Said { filter, said } in &self.filters {
            writeln!(f, "  filter {filter}: {said}")?;
        }
        self.asked.iter().try_for_each(|asked| asked.fmt(f))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.denied { "denies" } else { "allows" };
        write!(f, "  rule {} ({}) {verdict}", self.rule, Printable(&self.name))?;
        if let Some(errno) = self.errno {
            write!(f, " with {}", hook::errno_name(errno))?;
        }
        if let Some(cookie) = self.cookie {
            write!(f, ", for cookie {cookie}")?;
        }
        writeln!(f)?;
        if let Some(branch) = &self.branch {
            writeln!(f, "    after the branch at {branch}")?;
        }
        writeln!(f, "    by the exit at {}", self.exit)?;
        self.traces.iter().try_for_each(|text| writeln!(f, "    tracing: {}", Printable(text.trim_end())))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}", self.insn)?;
        match &self.line {
            Some(line) => write!(f, ", {line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Abilities, Actions, Event, helper};
    use crate::evaluate::tests::{input, read_only, rule};
    use crate::object::RuleObject;
    use crate::op::{AluOp, Op, Reg};
    use crate::testing::build::{Double, alu, call, mov, program, store};

    fn ask_all(domain: &Domain, input: &Input) -> Simulation {
        simulate(domain, input, &crate::evaluate::Unrelated)
    }

    fn with_lines(ops: &[Op]) -> Rule {
        let line =
            |line| Some(SourceLine { file: "read-only.c".into(), line, text: format!("line({line});") });
        let lines = (1..).take(program(ops).len()).map(line).collect();
        let object =
            RuleObject { name: "read_only".into(), insns: program(ops), lines, ..RuleObject::default() };
        Rule::proven(object, Event::Fs, Abilities::empty(), 512)
    }

    fn tracing() -> Rule {
        let program = [
            store(Double, Reg::R10, -8, 0x1b_6968),
            mov(Reg::R1, Reg::R10),
            alu(AluOp::Add, Reg::R1, -8),
            mov(Reg::R2, 8),
            call(helper::TRACE_PRINTK),
            mov(Reg::R0, 0),
            Op::Exit,
        ];
        rule(Event::Fs, &program)
    }

    #[test]
    fn a_denial_names_rule_instruction_and_line() {
        let domain = Domain::prepended([
            rule(Event::Fs, &[mov(Reg::R0, 1), Op::Exit]),
            with_lines(&read_only()),
            tracing(),
        ]);
        let write = input(Actions::WRITE.bits(), Some(0o100_644));
        insta::assert_snapshot!(ask_all(&domain, &write), @r"
        denied by rule read_only
          rule 0 (test) allows
            by the exit at instruction 6
            tracing: hi\u{1b}
          rule 1 (read_only) denies
            after the branch at instruction 8, read-only.c:9: line(9);
            by the exit at instruction 12, read-only.c:13: line(13);
        ");
    }

    #[test]
    fn an_allowance_names_every_rule_asked() {
        let domain = Domain::prepended([with_lines(&read_only()), tracing()]);
        insta::assert_snapshot!(ask_all(&domain, &input(Actions::READ.bits(), None)), @r"
        allowed
          rule 0 (test) allows
            by the exit at instruction 6
            tracing: hi\u{1b}
          rule 1 (read_only) allows
            after the branch at instruction 2, read-only.c:3: line(3);
            by the exit at instruction 10, read-only.c:11: line(11);
        ");
        insta::assert_snapshot!(ask_all(&domain, &Input { event: Event::FsLock, ..input(0, None) }), @"allowed: no rule has event FS_LOCK");
    }

    #[test]
    fn simulate_says_what_decide_says() {
        let domain = Domain::prepended([with_lines(&read_only()), tracing()]);
        for arg2 in 0..512 {
            for mode in [None, Some(0o100_644), Some(0o020_644), Some(0o010_644)] {
                let input = input(arg2, mode);
                assert_eq!(ask_all(&domain, &input).denied, domain.decide(&input).is_deny());
            }
        }
    }
}
