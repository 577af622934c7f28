// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types from `.BTF`, as far as definitions of maps are made of them.
//!
//! Work is linear in the size of the section: what refers to something is followed a fixed number of steps.

use super::error::{Fault, ReadError};
use super::lines::{Blob, name_at, u32_at};
use super::sections::Elf;

/// Longest chain of typedefs and qualifiers that is followed.
const MAX_CHAIN: usize = 16;

/// Kinds of type.
mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// Every type of an object; the index is the type's number less one.
pub(super) struct Types<'a> {
    strings: &'a [u8],
    types: Vec<Type<'a>>,
}

#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    kind: u32,
    /// Its size, or the type it is made from.
    about: u32,
    /// What follows: members, bounds, …
    data: &'a [u8],
}

/// What the type of a member of a map's definition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// `int (*member)[NUMBER]`.
    Number(u32),
    /// `TYPE *member`, of a type of this size.
    Size(u32),
}

impl<'a> Types<'a> {
    /// Reads `.BTF`; `None` if there is none.
    pub fn read(elf: &Elf<'a>) -> Result<Option<Types<'a>>, ReadError> {
        let Some(section) = elf.unique(".BTF")? else { return Ok(None) };
        let damaged = |what| ReadError::section(".BTF", Fault::DamagedBtf { what });
        let blob = Blob::open(section.data).map_err(damaged)?;
        let (types, strings) = blob.part(8).and_then(|types| Ok((types, blob.part(16)?))).map_err(damaged)?;
        Ok(Some(Types { strings, types: split(types).map_err(damaged)? }))
    }

    /// The variables of the section of this name, with the number of their types.
    pub fn variables(&self, section: &str) -> Vec<(&'a str, u32)> {
        let named = |wanted: &&Type| wanted.kind == kind::DATASEC && self.name(wanted) == Some(section);
        let Some(section) = self.types.iter().find(named) else { return Vec::new() };
        let variables = section.data.chunks_exact(12).filter_map(|entry| self.get(u32_at(entry, 0)?));
        let variables = variables.filter(|variable| variable.kind == kind::VAR);
        variables.filter_map(|variable| Some((self.name(&variable)?, variable.about))).collect()
    }

    /// The members of a structure, each with what it says; `None` if it is none, or says something else.
    pub fn members(&self, structure: u32) -> Option<Vec<(&'a str, Said)>> {
        let structure = self.resolved(structure).filter(|found| found.kind == kind::STRUCT)?;
        let member = |entry: &[u8]| {
            let name = name_at(self.strings, u32_at(entry, 0)?)?;
            Some((name, self.said(u32_at(entry, 4)?)?))
        };
        structure.data.chunks_exact(12).map(member).collect()
    }

    fn said(&self, member: u32) -> Option<Said> {
        let pointer = self.resolved(member).filter(|found| found.kind == kind::PTR)?;
        let target = self.resolved(pointer.about)?;
        match target.kind {
            kind::ARRAY => u32_at(target.data, 8).map(Said::Number),
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM => Some(Said::Size(target.about)),
            _ => None,
        }
    }

    fn get(&self, number: u32) -> Option<Type<'a>> {
        self.types.get((number as usize).checked_sub(1)?).copied()
    }

    fn name(&self, found: &Type) -> Option<&'a str> {
        name_at(self.strings, found.name)
    }

    /// The type behind typedefs and qualifiers.
    fn resolved(&self, number: u32) -> Option<Type<'a>> {
        let mut found = self.get(number)?;
        for _ in 0..MAX_CHAIN {
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    found = self.get(found.about)?;
                }
                _ => return Some(found),
            }
        }
        None
    }
}

/// Divides the type part; every byte of it is used once.
fn split(mut rest: &[u8]) -> Result<Vec<Type<'_>>, &'static str> {
    let mut types = Vec::new();
    while !rest.is_empty() {
        let field = |at| u32_at(rest, at).ok_or("a type that is cut short");
        let (name, info, about) = (field(0)?, field(4)?, field(8)?);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let length = match kind {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * count,
            kind::ENUM | kind::FUNC_PROTO => 8 * count,
            kind::PTR | kind::FWD | kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT => 0,
            kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
            _ => return Err("a kind of type that is not known"),
        };
        let (data, next) = rest[12..].split_at_checked(length).ok_or("a type that is cut short")?;
        types.push(Type { name, kind, about, data });
        rest = next;
    }
    Ok(types)
}
