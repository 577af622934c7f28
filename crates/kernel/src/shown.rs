// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is shown of a rule that denied: its name, and of its exits, for only exits deny, the source lines and the maps of
//! handles they decide by.
//!
//! It outlives the rule's domain, for whoever reads its denials afterwards, and so is bounded: names and paths lose
//! what is over their limit (paths their beginning), and what does not fit into [`SHOWN_SIZE`] is dropped: maps, then
//! lines, the last ones first.

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
    /// Names of maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    maps: Vec<String>,
    /// Of exits that decide by a map: instruction, number of the map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    decided: Vec<(usize, usize)>,
}

impl Shown {
    pub(crate) fn of(rule: &Rule) -> Shown {
        let mut shown = Shown { name: short(rule.name()), ..Shown::default() };
        let exits = rule.ops().iter().enumerate().filter(|(_, op)| matches!(op, Some(Op::Exit)));
        for (at, _) in exits {
            rule.line(at).into_iter().for_each(|line| shown.add(at, line));
            shown.add_map(at, rule);
        }
        // Each exit takes at least 6 bytes of text, so that this is short.
        while shown.text().len() > SHOWN_SIZE as usize {
            shown.drop_last();
        }
        shown
    }

    fn drop_last(&mut self) {
        if self.decided.pop().is_none() {
            self.exits.pop();
        }
        let used = self.decided.iter().map(|(_, map)| map + 1).max().unwrap_or(0);
        self.maps.truncate(used);
        let used = self.exits.iter().map(|(_, file, _)| file + 1).max().unwrap_or(0);
        self.files.truncate(used);
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
        let file = number_in(&mut self.files, path);
        self.exits.push((at, file, line.line));
    }

    fn add_map(&mut self, at: usize, rule: &Rule) {
        if self.decided.len() * 6 > SHOWN_SIZE as usize {
            return;
        }
        if let Some(map) = rule.decided_by(at) {
            let map = number_in(&mut self.maps, short(&map.definition().name));
            self.decided.push((at, map));
        }
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
        let map = insn.and_then(|insn| self.map(insn));
        RuleSeen { name: self.name.clone(), index, insn, line, map, cookie: None, domain: Some(domain) }
    }

    /// By which map an exit decides, if it is known.
    fn map(&self, insn: usize) -> Option<String> {
        let (_, map) = self.decided.iter().find(|(at, _)| *at == insn)?;
        self.maps.get(*map).cloned()
    }

    /// What is known of an instruction's source.
    pub(crate) fn line(&self, insn: usize) -> Option<SourceLine> {
        let (_, file, line) = self.exits.iter().find(|(at, ..)| *at == insn)?;
        Some(SourceLine { file: self.files.get(*file)?.clone(), line: *line, text: String::new() })
    }
}

fn short(name: &str) -> String {
    name.chars().take(NAME).collect()
}

/// Where it is in a list, to the end of which it is put otherwise.
fn number_in(list: &mut Vec<String>, text: String) -> usize {
    list.iter().position(|known| *known == text).unwrap_or_else(|| {
        list.push(text);
        list.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use landlock_compiler::abi::Subtype;
    use landlock_compiler::asm;
    use landlock_compiler::insn::Insn;
    use landlock_compiler::object::RuleObject;
    use landlock_compiler::verify::{Loader, verify, verify_newest};

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
    /// A rule that denies by the map `first` at its first exit and by `second` at all others.
    fn comparing(first: &str, second: &str, exits: usize) -> Rule {
        let compare = |map: &str| {
            format!(
                "r1 = 0\nr2 = map \"{map}\"\nr3 = 1\nr4 = r6\ncall cmp_fs_beneath\nif r0 == 0 goto +1\nexit\n"
            )
        };
        let bodies: String = (0..exits).map(|at| compare(if at == 0 { first } else { second })).collect();
        let head = ".rule compares\n.event FILE_OPEN\n.license \"GPL\"\n";
        let maps = format!(".map \"{first}\" fs 1\n.map \"{second}\" fs 1\n");
        let text = format!("{head}{maps}r6 = *(u64 *)(r1 + 8)\n{bodies}r0 = 0\nexit\n");
        let object = asm::parse(&text, "r.s").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
        verify_newest(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn maps(shown: &Shown) -> Vec<Option<String>> {
        let shown = Shown::from_bytes(&shown.to_bytes()).unwrap();
        // Each comparison is 8 instructions, the map's is two.
        (0..4).map(|exit| shown.seen(0, Some(8 * exit + 8), 1).map).collect()
    }

    #[test]
    fn exits_say_by_which_map_they_decide() {
        let shown = Shown::of(&comparing("open", "closed", 3));
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(maps(&shown), [name("open"), name("closed"), name("closed"), None]);
        // As versions before this one left it.
        assert_eq!(Shown::from_bytes(br#"{"name":"r","files":[],"exits":[]}"#).unwrap().maps, [""; 0]);
    }

    #[test]
    fn maps_are_dropped_before_lines() {
        let [first, second] = ["a", "b"].map(|name| name.repeat(1000));
        let shown = Shown::of(&comparing(&first, &second, 2));
        assert_eq!(maps(&shown)[..2], ["a", "b"].map(|name| Some(name.repeat(NAME))));
        let many = Shown::of(&comparing("a", "b", 200));
        assert_eq!(many.to_bytes().len(), SHOWN_SIZE as usize);
        let first = many.seen(0, Some(8), 1);
        assert!(first.line.is_some() && first.map.is_none(), "{first:?}");
    }
}
