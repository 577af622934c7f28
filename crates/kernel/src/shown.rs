// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is shown of a rule that denied: its name, and the source lines of its exits, for only exits deny.
//!
//! It outlives the rule's domain, for whoever reads its denials afterwards, and so is bounded: names and paths lose
//! what is over their limit (paths their beginning), and lines that do not fit into [`SHOWN_SIZE`] are dropped, the
//! last ones first.

use landlock_compiler::denial::RuleSeen;
use landlock_compiler::object::SourceLine;
use landlock_compiler::op::Op;
use landlock_compiler::rule::Rule;
use serde::{Deserialize, Serialize};

/// Bytes of all of it.
pub(crate) const SHOWN_SIZE: u32 = 1024;
/// Characters of a name, and of a path: few enough that a name and a line always fit.
const NAME: usize = 64;
const PATH: usize = 80;

/// What is shown of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    name: String,
    /// Source files of the lines.
    files: Vec<String>,
    /// Of exits: instruction, number of the file, line.
    exits: Vec<(usize, usize, u32)>,
}

impl Shown {
    pub(crate) fn of(rule: &Rule) -> Shown {
        let mut shown = Shown { name: rule.name().chars().take(NAME).collect(), ..Shown::default() };
        let exits = rule.ops().iter().enumerate().filter(|(_, op)| matches!(op, Some(Op::Exit)));
        for (at, line) in exits.filter_map(|(at, _)| Some((at, rule.line(at)?))) {
            shown.add(at, line);
        }
        // Each exit takes at least 6 bytes of text, so that this is short.
        while shown.text().len() > SHOWN_SIZE as usize {
            shown.exits.pop();
            let used = shown.exits.iter().map(|(_, file, _)| file + 1).max().unwrap_or(0);
            shown.files.truncate(used);
        }
        shown
    }

    /// Of a rule nobody knows any more.
    pub(crate) fn unknown() -> Shown {
        Shown { name: "?".to_owned(), ..Shown::default() }
    }

    fn add(&mut self, at: usize, line: &SourceLine) {
        if self.exits.len() * 6 > SHOWN_SIZE as usize {
            return;
        }
        let length = line.file.chars().count();
        let path: String = match length > PATH {
            true => "…".chars().chain(line.file.chars().skip(length - PATH)).collect(),
            false => line.file.clone(),
        };
        let known = self.files.iter().position(|file| *file == path);
        let file = known.unwrap_or_else(|| {
            self.files.push(path);
            self.files.len() - 1
        });
        self.exits.push((at, file, line.line));
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// Padded with blanks.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.text();
        text.resize(SHOWN_SIZE as usize, b' ');
        text
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Shown> {
        serde_json::from_slice(bytes).ok()
    }

    /// The rule, as a denial shows it.
    pub(crate) fn seen(&self, index: usize, insn: Option<usize>, domain: u64) -> RuleSeen {
        let line = insn.and_then(|insn| self.line(insn)).map(|line| format!("{}:{}", line.file, line.line));
        RuleSeen { name: self.name.clone(), index, insn, line, map: None, cookie: None, domain: Some(domain) }
    }

    /// What is known of an instruction's source.
    pub(crate) fn line(&self, insn: usize) -> Option<SourceLine> {
        let (_, file, line) = self.exits.iter().find(|(at, ..)| *at == insn)?;
        Some(SourceLine { file: self.files.get(*file)?.clone(), line: *line, text: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use landlock_compiler::abi::Subtype;
    use landlock_compiler::insn::Insn;
    use landlock_compiler::object::RuleObject;
    use landlock_compiler::verify::{Loader, verify};

    use super::*;

    /// A rule with a test and an exit in each line of a file.
    fn rule(name: &str, file: &str, exits: u32) -> Rule {
        let [mov, test, exit] = [(0xb7, 0), (0x55, 1), (0x95, 0)].map(|(code, off)| Insn {
            code,
            off,
            dst: 0,
            ..Insn::default()
        });
        let mut insns = vec![mov];
        let mut lines = vec![None];
        for line in 1..=exits {
            let exit = [test, exit];
            insns.extend(if line == exits { &exit[1..] } else { &exit });
            let source = Some(SourceLine { file: file.to_owned(), line, text: "return 1;".to_owned() });
            lines.resize(insns.len(), source);
        }
        let subtype = Subtype { abi: 1, event: 1, ..Subtype::default() };
        let object = RuleObject { lines, ..RuleObject::from_insns(name, insns, subtype, "GPL") };
        verify(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn told(shown: &Shown, insn: usize) -> Option<String> {
        Shown::from_bytes(&shown.to_bytes()).unwrap().seen(0, Some(insn), 1).line
    }

    #[test]
    fn exits_are_shown_with_their_lines() {
        let shown = Shown::of(&rule("few", "rules/few.c", 3));
        assert_eq!(shown.seen(5, Some(2), 7).name, "few");
        let lines: Vec<_> = (0..6).map(|insn| told(&shown, insn)).collect();
        let line = |line: u32| Some(format!("rules/few.c:{line}"));
        assert_eq!(lines, [None, None, line(1), None, line(2), line(3)]);
    }

    #[test]
    fn what_is_too_much_is_dropped_from_the_end() {
        let name = "\u{1}".repeat(1000);
        let path = format!("{}/end.c", "\u{1}".repeat(300));
        let shown = Shown::of(&rule(&name, &path, 1000));
        assert_eq!(shown.to_bytes().len(), SHOWN_SIZE as usize);
        assert!(told(&shown, 2).unwrap().ends_with("/end.c:1"));
        assert_eq!(told(&shown, 1998), None);
        let shown = Shown::of(&rule("many", "many.c", 1000));
        assert_eq!(told(&shown, 40).as_deref(), Some("many.c:20"));
    }
}
