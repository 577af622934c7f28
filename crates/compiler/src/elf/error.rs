// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with an object file.

use std::fmt;

use thiserror::Error;

use super::{MAX_MAPS, MAX_RULES, MAX_SIZE};
use crate::abi::Subtype;

/// Why an object file was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ReadError {
    /// The section at fault, when it is one section's.
    pub section: Option<String>,
    /// Byte offset in that section, when it is one place.
    pub offset: Option<u64>,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

impl ReadError {
    pub(super) fn file(fault: Fault) -> ReadError {
        ReadError { section: None, offset: None, fault }
    }

    pub(super) fn section(name: &str, fault: Fault) -> ReadError {
        ReadError { section: Some(name.to_owned()), offset: None, fault }
    }

    pub(super) fn at(name: &str, offset: usize, fault: Fault) -> ReadError {
        ReadError { section: Some(name.to_owned()), offset: Some(offset as u64), fault }
    }

    /// What to do about it, when there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        self.fault.help()
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(section) = &self.section {
            write!(f, "section {section:?}")?;
            if let Some(offset) = self.offset {
                write!(f, ", offset {offset:#x}")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.fault)
    }
}

/// What is wrong with an object file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Fault {
    #[error("the file has {size} bytes, more than the limit of {MAX_SIZE}")]
    TooLarge { size: usize },
    #[error("not an ELF object")]
    NotElf,
    #[error("an ELF object, but not for eBPF: {what}")]
    NotBpf { what: String },
    #[error("damaged object: {what}")]
    Damaged { what: &'static str },
    #[error("damaged object: its bytes in the file overlap those of {other:?}")]
    Overlap { other: String },
    #[error("there is a second section of this name")]
    Duplicate,
    #[error("no rule: the object has no code in a section named landlock*")]
    NoRule,
    #[error("more than {MAX_RULES} rules in one object")]
    TooManyRules,
    #[error("code that belongs to no rule{}", named(.function))]
    StrayCode { function: Option<String> },
    #[error("named like a rule, but it holds no code")]
    NoCode,
    #[error("damaged object: function symbols do not divide the section into functions")]
    BadFunctions,
    #[error("rule name {name:?} holds control characters")]
    BadName { name: String },
    #[error("calls {callee}, which is another function of the object")]
    Call { callee: String },
    #[error("calls {callee}, which is not defined and not a helper")]
    UndefinedCall { callee: String },
    #[error("refers to a map ({map}) other than by loading its address")]
    MapReference { map: String },
    #[error("map {map:?}: {what}")]
    Map { map: String, what: String },
    #[error("more than {MAX_MAPS} maps in one object")]
    TooManyMaps,
    #[error("maps are defined in BTF, and the object has none")]
    MapsWithoutBtf,
    #[error("refers to {symbol}, which is outside of the rule")]
    DataReference { symbol: String },
    #[error("needs a relocation of kind {kind}, which rules cannot have")]
    Relocation { kind: u32 },
    #[error("has {size} bytes; a subtype has exactly {}", Subtype::SIZE)]
    SubtypeSize { size: usize },
    #[error("a subtype for {name:?}, but no rule has that name")]
    SubtypeWithoutRule { name: String },
    #[error("not a licence: one line of printable text of at most {limit} bytes is expected")]
    BadLicense { limit: usize },
    #[error("needs CO-RE: it depends on the kernel's own structures, which a rule never sees")]
    CoRe,
    #[error("damaged BTF: {what}")]
    DamagedBtf { what: &'static str },
}

fn named(function: &Option<String>) -> String {
    function.as_ref().map(|name| format!(" (function {name})")).unwrap_or_default()
}

impl Fault {
    fn help(&self) -> Option<&'static str> {
        Some(match self {
            Fault::NotElf => {
                "compile the rule with `clang -target bpf -O2 -c`, or name its source file .c or .s"
            }
            Fault::NotBpf { .. } => "compile it with `clang -target bpf` (little endian)",
            Fault::TooLarge { .. } => {
                "a rule is a few kilobytes; strip debug information with `llvm-strip -g`"
            }
            Fault::NoRule => "put SEC(\"landlock/NAME\") in front of the function, or use LANDLOCK_RULE()",
            Fault::StrayCode { .. } => {
                "if it is a rule, put it in a section named landlock*; if a rule calls it, make it `static __always_inline`"
            }
            Fault::TooManyRules => "split the file",
            Fault::Call { .. } => "rules cannot call their own functions; make it `static __always_inline`",
            Fault::UndefinedCall { .. } => "helpers are declared in <landlock/rule.h>",
            Fault::DataReference { .. } => {
                "rules have no global data: use constants and local variables (clang needs -O2 to keep strings local)"
            }
            Fault::SubtypeWithoutRule { .. } => "the part after subtype/ is the name of the rule's function",
            Fault::SubtypeSize { .. } => "a `union bpf_prog_subtype` belongs there, one per section",
            Fault::Map { .. } => "define maps with LANDLOCK_HANDLES(NAME, FS or CGROUP, entries)",
            Fault::MapReference { .. } => "pass &NAME to a helper",
            Fault::MapsWithoutBtf => "compile with -g, and keep the section .BTF",
            Fault::CoRe => "do not use preserve_access_index or vmlinux.h",
            Fault::DamagedBtf { .. } => {
                "line information is optional: remove it with `llvm-strip -g`, if the object has no maps"
            }
            _ => return None,
        })
    }
}
