// SPDX-License-Identifier: MIT OR Apache-2.0
//! A rule as it was read, before anyone believed it.

use crate::abi::Subtype;
use crate::insn::Insn;

/// Where an instruction comes from, when the object says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLine {
    /// File name as the compiler recorded it.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Text of the line, without the surrounding white space; may be empty.
    pub text: String,
}

/// One unverified program with its metadata. Anything may be wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleObject {
    /// Name for messages and denials: the program's section or label.
    pub name: String,
    /// The program.
    pub insns: Vec<Insn>,
    /// What it declares; `None` when the object had no subtype.
    pub subtype: Option<Subtype>,
    /// Licence text, empty when there was none.
    pub license: String,
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
        RuleObject { name, insns, subtype: Some(subtype), license, lines: Vec::new() }
    }
}

/// The instructions in `bytes` (an array of `struct bpf_insn`); `None` if the last one is cut short.
pub fn insns_from_bytes(bytes: &[u8]) -> Option<Vec<Insn>> {
    let (whole, rest) = bytes.as_chunks::<{ Insn::SIZE }>();
    rest.is_empty().then(|| whole.iter().copied().map(Insn::decode).collect())
}
