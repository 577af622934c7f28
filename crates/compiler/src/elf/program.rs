// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code sections divided into functions, each of which is a rule.

use super::error::{Fault, ReadError};
use super::sections::{Elf, Section, Symbol};
use super::{Function, MAX_RULES};
use crate::insn::Insn;
use crate::object::insns_from_bytes;

/// Every function of every `landlock*` section. Code anywhere else is an error: it might be a rule whose
/// section name was mistyped, and a rule that is silently left out is a hole.
pub(super) fn functions<'a>(elf: &Elf<'a>) -> Result<Vec<Function<'a>>, ReadError> {
    let mut functions: Vec<Function> = Vec::new();
    for (index, section) in elf.sections() {
        match (section.name.starts_with("landlock"), section.is_code && !section.data.is_empty()) {
            (true, true) => functions.extend(functions_of(elf, index, section)?),
            (true, false) => return Err(ReadError::section(section.name, Fault::NoCode)),
            (false, true) => return Err(stray_code(elf, index, section)),
            (false, false) => {}
        }
        if functions.len() > MAX_RULES {
            return Err(ReadError::section(section.name, Fault::TooManyRules));
        }
    }
    match functions.is_empty() {
        true => Err(ReadError::file(Fault::NoRule)),
        false => Ok(functions),
    }
}

fn functions_of<'a>(
    elf: &Elf<'a>,
    index: usize,
    section: &Section<'a>,
) -> Result<Vec<Function<'a>>, ReadError> {
    elf.unique(section.name)?;
    let insns = insns_from_bytes(section.data).ok_or_else(|| {
        ReadError::section(section.name, Fault::Damaged { what: "its size is not a multiple of 8" })
    })?;
    let mut symbols =
        elf.functions_of(index).take(MAX_RULES + 1).collect::<Result<Vec<Symbol>, ReadError>>()?;
    symbols.sort_by_key(|symbol| symbol.value);

    let function = |name, start, insns: &[Insn]| -> Result<Function<'a>, ReadError> {
        let name = rule_name(section.name, name)?;
        Ok(Function { name, section: index, section_name: section.name, start, insns: insns.to_vec() })
    };
    if symbols.is_empty() {
        let name = section.name.strip_prefix("landlock/").unwrap_or(section.name);
        return Ok(vec![function(name, 0, &insns)?]);
    }
    if symbols.len() > MAX_RULES {
        return Err(ReadError::section(section.name, Fault::TooManyRules));
    }
    divide(section, &symbols)?
        .into_iter()
        .map(|(name, range)| function(name, range.start * Insn::SIZE, &insns[range]))
        .collect()
}

/// The instructions of each function; together they are the whole section.
fn divide<'a>(
    section: &Section<'a>,
    symbols: &[Symbol<'a>],
) -> Result<Vec<(&'a str, std::ops::Range<usize>)>, ReadError> {
    let bad = || ReadError::section(section.name, Fault::BadFunctions);
    let mut end = 0;
    let mut ranges = Vec::new();
    for symbol in symbols {
        let start = end;
        let size = usize::try_from(symbol.size).map_err(|_| bad())?;
        end = size.checked_add(start).filter(|end| *end <= section.data.len()).ok_or_else(bad)?;
        if symbol.value != start as u64 || size == 0 || size % Insn::SIZE != 0 {
            return Err(bad());
        }
        ranges.push((symbol.name, start / Insn::SIZE..end / Insn::SIZE));
    }
    if end == section.data.len() { Ok(ranges) } else { Err(bad()) }
}

fn rule_name<'a>(section: &str, name: &'a str) -> Result<&'a str, ReadError> {
    match name.is_empty() || name.chars().any(char::is_control) {
        true => Err(ReadError::section(section, Fault::BadName { name: name.to_owned() })),
        false => Ok(name),
    }
}

fn stray_code(elf: &Elf, index: usize, section: &Section) -> ReadError {
    let function = elf.functions_of(index).next().and_then(Result::ok).map(|symbol| symbol.name.to_owned());
    ReadError::section(section.name, Fault::StrayCode { function })
}
