// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps: defined in `.maps` by the types of their variables, or in `maps` by numbers; and the loads of them.

use std::collections::BTreeMap;

use super::btf::{Said, Types};
use super::error::{Fault, ReadError};
use super::lines::u32_at;
use super::sections::{Elf, Relocation, Symbol};
use super::{Function, MAX_MAPS};
use crate::abi::handles::{ArrayKind, KEY_SIZE, MAP_TYPE, VALUE_SIZE};
use crate::insn::Insn;
use crate::map::{Definition, Map};
use crate::op::PSEUDO_MAP;

/// Bytes of an old definition: type, key size, value size, entries, flags, kind; each a u32.
const OLD: usize = 24;
const LD_IMM64: u8 = 0x18;

/// The maps of an object, by section and offset.
pub(super) struct Maps {
    all: BTreeMap<(usize, u64), Map>,
}

/// Which map each patched place of the code loads: by section and offset of the instruction.
pub(super) type References = BTreeMap<(usize, usize), Map>;

/// Whether definitions of maps are to be found in a section of this name.
pub(super) fn is_maps(name: &str) -> bool {
    name == "maps" || name == ".maps" || name.starts_with("maps/")
}

impl Maps {
    /// Every definition. What is in a section for maps and none is an error: it would be missed.
    pub fn read(elf: &Elf) -> Result<Maps, ReadError> {
        let mut all: BTreeMap<(usize, u64), Map> = BTreeMap::new();
        for (index, section) in elf.sections().filter(|(_, found)| is_maps(found.name) && found.size() != 0) {
            let define = match section.name {
                ".maps" => typed(elf)?,
                _ => Vec::new(),
            };
            let before = all.len();
            for symbol in elf.variables_of(index).take(MAX_MAPS + 1) {
                let symbol = symbol?;
                let fault = |what: &str| refused(section.name, symbol.name, what);
                if symbol.name.is_empty() || symbol.name.chars().any(char::is_control) {
                    return Err(fault("not a name"));
                }
                if all.len() == MAX_MAPS {
                    return Err(ReadError::section(section.name, Fault::TooManyMaps));
                }
                let said = match section.name {
                    ".maps" => {
                        define.iter().find(|(name, _)| *name == symbol.name).map(|(_, said)| said.clone())
                    }
                    _ => numbers(section.data, &symbol),
                };
                let said = said.ok_or_else(|| fault("not a definition of handles"))?;
                let map = Map::new(definition(symbol.name, &said).map_err(|what| fault(&what))?);
                if all.values().any(|other| other.definition().name == symbol.name) {
                    return Err(fault("there is another of this name"));
                }
                if all.insert((index, symbol.value), map).is_some() {
                    return Err(fault("another begins at the same place"));
                }
            }
            if all.len() == before {
                return Err(refused(section.name, "", "the section holds no definition"));
            }
        }
        Ok(Maps { all })
    }

    /// The map that a relocation of `insn` refers to: by its own symbol, or by that of its section and an
    /// offset in the instruction.
    pub fn referred(&self, symbol: &Symbol, insn: Insn) -> Option<&Map> {
        let offset = symbol.value.checked_add(u64::from(insn.imm.cast_unsigned()))?;
        (insn.code == LD_IMM64 && insn.src == 0).then(|| self.all.get(&(symbol.section?, offset)))?
    }

    /// The instructions of a function with its map loads filled in, and the maps it loads, first used first.
    pub fn loaded(&self, function: &Function, references: &References) -> (Vec<Insn>, Vec<Map>) {
        let (mut insns, mut maps) = (function.insns.clone(), Vec::<Map>::new());
        if self.all.is_empty() {
            return (insns, maps);
        }
        for (at, insn) in insns.iter_mut().enumerate() {
            let place = (function.section, function.start + at * Insn::SIZE);
            let Some(map) = references.get(&place) else { continue };
            let index = maps.iter().position(|known| known.is(map)).unwrap_or_else(|| {
                maps.push(map.clone());
                maps.len() - 1
            });
            *insn = Insn { src: PSEUDO_MAP, imm: i32::try_from(index).expect("few maps"), ..*insn };
        }
        (insns, maps)
    }
}

/// The place of the code that a relocation patches: section and offset of a whole instruction.
pub(super) fn place(relocation: &Relocation) -> Option<(usize, usize)> {
    let offset = usize::try_from(relocation.offset).ok().filter(|offset| offset % Insn::SIZE == 0)?;
    Some((relocation.target, offset))
}

fn refused(section: &str, map: &str, what: &str) -> ReadError {
    ReadError::section(section, Fault::Map { map: map.to_owned(), what: what.to_owned() })
}

/// A definition's members, whichever way it was written.
type Members<'a> = Vec<(&'a str, Said)>;

/// The definitions in the types of `.maps`.
fn typed<'a>(elf: &Elf<'a>) -> Result<Vec<(&'a str, Members<'a>)>, ReadError> {
    let Some(types) = Types::read(elf)? else {
        return Err(ReadError::section(".maps", Fault::MapsWithoutBtf));
    };
    let variables = types.variables(".maps").into_iter().take(MAX_MAPS + 1);
    Ok(variables.filter_map(|(name, of)| Some((name, types.members(of)?))).collect())
}

/// The definition in the bytes of a variable.
fn numbers(section: &[u8], symbol: &Symbol) -> Option<Members<'static>> {
    let start = usize::try_from(symbol.value).ok()?;
    let bytes = section.get(start..)?.get(..OLD).filter(|_| symbol.size == OLD as u64)?;
    let names = ["type", "key_size", "value_size", "max_entries", "map_flags", "array_type"];
    let number = |(at, name)| Some((name, Said::Number(u32_at(bytes, 4 * at)?)));
    names.into_iter().enumerate().map(number).collect()
}

/// The map that these members define.
fn definition(name: &str, members: &[(&str, Said)]) -> Result<Definition, String> {
    let (mut is_array, mut kind, mut max_entries) = (false, None, None);
    for (member, said) in members {
        match (*member, *said) {
            ("type", Said::Number(MAP_TYPE)) => is_array = true,
            ("array_type", Said::Number(number)) => kind = ArrayKind::from_u32(number),
            ("max_entries", Said::Number(number)) => max_entries = Some(number),
            ("key_size", Said::Number(KEY_SIZE)) | ("key", Said::Size(KEY_SIZE)) => {}
            ("value_size", Said::Number(VALUE_SIZE)) | ("value", Said::Size(VALUE_SIZE)) => {}
            ("map_flags", Said::Number(0)) => {}
            _ => return Err(format!("its {member} is not that of an array of handles")),
        }
    }
    if !is_array {
        return Err("its type is not that of an array of handles".to_owned());
    }
    let kind = kind.ok_or("its array_type is neither files nor cgroups")?;
    let max_entries = max_entries.ok_or("it does not say how many entries it has")?;
    Ok(Definition { name: name.to_owned(), kind, max_entries })
}
