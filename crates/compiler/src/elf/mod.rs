// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules from ELF objects, as `clang -target bpf` makes them.
//!
//! ```text
//! landlock*      code: one rule per function
//! subtype        24 bytes: what every rule of the object declares …
//! subtype/NAME   … and what rule NAME declares instead
//! license        the licence of every rule
//! .maps, maps    arrays of handles: defined by their types, as today, or by numbers, as in the old days
//! .BTF, .BTF.ext types of maps; source lines, when present
//! ```
//!
//! v7's convention is one code section, `subtype` and `license`; `subtype/NAME`, NAME being the name of the
//! function, is for objects with several rules. Function symbols delimit the rules of a section; a section
//! without them (a stripped object) is one rule, named like the section without `landlock/`.
//!
//! Checked here: that the file is what it says (64-bit, little endian, relocatable, for eBPF; sections
//! inside the file and apart from each other, names inside their table), that all code in it belongs to a
//! rule, that rules stand alone (no calls between functions, no data but maps, no CO-RE), and that every
//! subtype belongs to a rule. What is left over (debug information, data nobody refers to) is ignored.
//! Work and memory are linear in the size of the file, which is limited to [`MAX_SIZE`].
//!
//! Not checked: the programs and what they declare. That is the verifier's, which is also why a rule
//! without a subtype or licence is read without complaint.

mod alone;
mod btf;
mod error;
mod lines;
mod maps;
mod metadata;
mod program;
mod sections;

pub use error::{Fault, ReadError};

use crate::insn::Insn;
use crate::object::RuleObject;
use lines::LineTable;
use metadata::Metadata;
use sections::Elf;

/// Most bytes an object file may have.
pub const MAX_SIZE: usize = 1 << 20;
/// Most rules one object may hold: v7's budget for all the rules of a thread.
pub const MAX_RULES: usize = 64;
/// Most maps one object may define.
pub const MAX_MAPS: usize = 64;

/// The rules of an ELF object, in the order of their sections, then of their addresses; at least one.
///
/// # Errors
/// The first thing that is wrong, with the section and offset where it is.
pub fn read_elf(bytes: &[u8]) -> Result<Vec<RuleObject>, ReadError> {
    let elf = Elf::open(bytes)?;
    let functions = program::functions(&elf)?;
    let maps = maps::Maps::read(&elf)?;
    let references = alone::check(&elf, &functions, &maps)?;
    let mut metadata = Metadata::read(&elf)?;
    let lines = LineTable::read(&elf)?;

    let rules = functions.iter().map(|function| {
        let (insns, maps) = maps.loaded(function, &references);
        let subtype = metadata.subtype_of(function.name);
        let (name, license) = (function.name.to_owned(), metadata.license.clone());
        RuleObject { name, insns, subtype, license, maps, lines: lines.of(function) }
    });
    let rules = rules.collect();
    metadata.all_used()?;
    Ok(rules)
}

/// A function of a `landlock*` section.
struct Function<'a> {
    name: &'a str,
    section: usize,
    /// Name of the section.
    section_name: &'a str,
    /// Byte offset of the first instruction in the section.
    start: usize,
    insns: Vec<Insn>,
}

#[cfg(test)]
mod tests;
