// SPDX-License-Identifier: MIT OR Apache-2.0
//! A rule as it was read, before anyone believed it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::abi::Subtype;
use crate::insn::Insn;
use crate::map::Map;

/// Most characters of a name or of a source line that are shown.
const MAX_SHOWN: usize = 120;

/// Where an instruction comes from, when the object says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceLine {
    /// File name as the compiler recorded it.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Text of the line, without the surrounding white space; may be empty.
    pub text: String,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", Printable(&self.file), self.line, Printable(&self.text))
    }
}

/// Text from an object, shortened, and without anything a terminal would obey.
pub(crate) struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars().take(MAX_SHOWN) {
            match letter {
                '"' | '\'' | '\\' => write!(f, "{letter}")?,
                letter => write!(f, "{}", letter.escape_debug())?,
            }
        }
        if self.0.chars().nth(MAX_SHOWN).is_some() { write!(f, "…") } else { Ok(()) }
    }
}

/// One unverified program with its metadata. Anything may be wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleObject {
    /// Name for messages and denials: the program's section or label.
    pub name: String,
    /// The program.
    pub insns: Vec<Insn>,
    /// What it declares; `None` when the object had no subtype.
    pub subtype: Option<Subtype>,
    /// Licence text, empty when there was none.
    pub license: String,
    /// The arrays of handles it refers to: a map load holds an index of this list.
    pub maps: Vec<Map>,
    /// Source line of each instruction; shorter than `insns`, or empty, when unknown.
    pub lines: Vec<Option<SourceLine>>,
}

impl RuleObject {
    /// A rule from instructions in memory.
    pub fn from_insns(
        name: impl Into<String>,
        insns: Vec<Insn>,
        subtype: Subtype,
        license: impl Into<String>,
    ) -> RuleObject {
        let (name, license) = (name.into(), license.into());
        RuleObject { name, insns, subtype: Some(subtype), license, ..RuleObject::default() }
    }
}

/// The instructions in `bytes` (an array of `struct bpf_insn`); `None` if the last one is cut short.
pub fn insns_from_bytes(bytes: &[u8]) -> Option<Vec<Insn>> {
    let (whole, rest) = bytes.as_chunks::<{ Insn::SIZE }>();
    rest.is_empty().then(|| whole.iter().copied().map(Insn::decode).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_come_from_whole_ones_only() {
        let [mov, exit] = [[0xb7, 0x01, 0, 0, 0xfe, 0xff, 0xff, 0xff], [0x95, 0, 0, 0, 0, 0, 0, 0]];
        let insns = insns_from_bytes(&[mov, exit].concat()).unwrap();
        assert_eq!(insns[0], Insn { code: 0xb7, dst: 1, src: 0, off: 0, imm: -2 });
        assert_eq!(insns.iter().flat_map(|insn| insn.encode()).collect::<Vec<_>>(), [mov, exit].concat());
        assert_eq!(insns_from_bytes(&mov[..7]), None);
        assert_eq!(insns_from_bytes(&[]), Some(Vec::new()));
    }

    #[test]
    fn instructions_in_memory_make_a_rule() {
        let exit = Insn { code: 0x95, ..Insn::default() };
        let subtype = Subtype { abi: 1, event: 1, ..Subtype::default() };
        let rule = RuleObject::from_insns("memory", vec![exit], subtype, "GPL");
        assert_eq!(
            (rule.name.as_str(), rule.subtype, rule.license.as_str()),
            ("memory", Some(subtype), "GPL")
        );
        assert!(rule.lines.is_empty());
    }
}
