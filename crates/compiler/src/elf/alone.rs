// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules stand alone but for the maps of their object: whatever else would have to be patched in, and every call
//! that is not a helper's, is named and refused.

use super::Function;
use super::error::{Fault, ReadError};
use super::maps::{Maps, References, is_maps, place};
use super::sections::{Elf, Relocation, Symbol};
use crate::insn::Insn;
use crate::map::Map;

/// Relocation of a 64-bit immediate load.
const R_BPF_64_64: u32 = 1;
/// Relocation of a call.
const R_BPF_64_32: u32 = 10;

/// Checks relocations before calls: an unresolved call looks like one to somewhere in the section. What is left
/// are the loads of maps.
pub(super) fn check(elf: &Elf, functions: &[Function], maps: &Maps) -> Result<References, ReadError> {
    let is_ours = |index: usize| {
        let is_rule = functions.iter().any(|function| function.section == index);
        is_rule || elf.section(index).is_some_and(|section| is_metadata(section.name))
    };
    let mut references = References::new();
    for relocation in elf.relocations(is_ours)? {
        match (place(&relocation), load_of_map(elf, functions, maps, &relocation)?) {
            (Some(at), Some(map)) => drop(references.insert(at, map)),
            _ => return Err(refusal(elf, functions, &relocation)?),
        }
    }
    functions.iter().try_for_each(|function| no_calls(function, functions))?;
    Ok(references)
}

/// The map a relocation fills in, if that is what it does.
fn load_of_map(
    elf: &Elf,
    functions: &[Function],
    maps: &Maps,
    relocation: &Relocation,
) -> Result<Option<Map>, ReadError> {
    let Some((symbol, at)) = relocation.symbol.zip(place(relocation)) else { return Ok(None) };
    let is_code = functions.iter().any(|function| function.section == relocation.target);
    if !is_code || relocation.kind != R_BPF_64_64 {
        return Ok(None);
    }
    let code = elf.section(relocation.target).and_then(|section| section.data.get(at.1..)?.first_chunk());
    let Some(insn) = code.copied().map(Insn::decode) else { return Ok(None) };
    Ok(maps.referred(&elf.symbol(symbol)?, insn).cloned())
}

/// Calls inside a section are resolved by the assembler and leave no relocation behind.
fn no_calls(function: &Function, functions: &[Function]) -> Result<(), ReadError> {
    const CALL: u8 = 0x85;
    const PSEUDO_CALL: u8 = 1;
    const LD_IMM64: u8 = 0x18;
    let mut index = 0;
    while let Some(insn) = function.insns.get(index) {
        let offset = function.start + index * Insn::SIZE;
        if insn.code == CALL && insn.src == PSEUDO_CALL {
            let target = offset as i64 + (i64::from(insn.imm) + 1) * Insn::SIZE as i64;
            let is_callee = |other: &&Function| {
                other.section == function.section && i64::try_from(other.start) == Ok(target)
            };
            let callee = functions.iter().find(is_callee).map_or("code", |callee| callee.name).to_owned();
            return Err(ReadError::at(function.section_name, offset, Fault::Call { callee }));
        }
        index += if insn.code == LD_IMM64 { 2 } else { 1 };
    }
    Ok(())
}

fn refusal(elf: &Elf, functions: &[Function], relocation: &Relocation) -> Result<ReadError, ReadError> {
    let target = elf.section(relocation.target);
    let offset = usize::try_from(relocation.offset).unwrap_or(usize::MAX);
    let offset = offset - offset % Insn::SIZE;
    let fault = match relocation.symbol {
        None => Fault::Relocation { kind: relocation.kind },
        Some(index) => {
            let mut symbol = elf.symbol(index)?;
            if symbol.name.is_empty() {
                symbol.name = target
                    .and_then(|target| local_name(functions, &symbol, target.data, offset))
                    .unwrap_or("");
            }
            fault(elf, relocation.kind, &symbol)
        }
    };
    Ok(ReadError::at(target.map_or("", |section| section.name), offset, fault))
}

/// The function that a call at `offset` of `code` means by the symbol of its section: `imm` says how far in.
fn local_name<'a>(
    functions: &[Function<'a>],
    symbol: &Symbol,
    code: &[u8],
    offset: usize,
) -> Option<&'a str> {
    let insn = Insn::decode(*code.get(offset..)?.first_chunk()?);
    let start = usize::try_from(i64::from(insn.imm) + 1).ok()? * Insn::SIZE;
    let is_callee = |other: &&Function| Some(other.section) == symbol.section && other.start == start;
    functions.iter().find(is_callee).map(|callee| callee.name)
}

fn fault(elf: &Elf, kind: u32, symbol: &Symbol) -> Fault {
    let section = symbol.section.and_then(|index| elf.section(index));
    let name = match (symbol.name, section) {
        ("", Some(section)) => section.name.to_owned(),
        (name, _) => name.to_owned(),
    };
    match (kind, section) {
        (R_BPF_64_32, None) => Fault::UndefinedCall { callee: name },
        (R_BPF_64_32, Some(_)) => Fault::Call { callee: name },
        (_, Some(section)) if is_maps(section.name) => Fault::MapReference { map: name },
        (R_BPF_64_64, _) => Fault::DataReference { symbol: name },
        (kind, _) => Fault::Relocation { kind },
    }
}

fn is_metadata(name: &str) -> bool {
    name == "license" || name == "subtype" || name.starts_with("subtype/")
}
