// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rules say about themselves: the `subtype` and `license` sections.

use std::collections::BTreeMap;

use super::error::{Fault, ReadError};
use super::sections::{Elf, Section};
use crate::abi::Subtype;

/// Longest licence text, in bytes; longer ones were cut by the kernel.
const MAX_LICENSE: usize = 127;

/// Subtypes and licence of an object.
pub(super) struct Metadata<'a> {
    pub license: String,
    shared: Option<Subtype>,
    own: BTreeMap<&'a str, Own>,
}

/// A subtype meant for one rule.
struct Own {
    subtype: Subtype,
    used: bool,
}

impl<'a> Metadata<'a> {
    pub fn read(elf: &Elf<'a>) -> Result<Metadata<'a>, ReadError> {
        let mut own = BTreeMap::new();
        for (_, section) in elf.sections() {
            let Some(rule) = section.name.strip_prefix("subtype/") else { continue };
            if own.insert(rule, Own { subtype: subtype(section)?, used: false }).is_some() {
                return Err(ReadError::section(section.name, Fault::Duplicate));
            }
        }
        Ok(Metadata {
            license: elf.unique("license")?.map(license).transpose()?.unwrap_or_default(),
            shared: elf.unique("subtype")?.map(subtype).transpose()?,
            own,
        })
    }

    /// What the rule of this name declares.
    pub fn subtype_of(&mut self, rule: &str) -> Option<Subtype> {
        let Some(own) = self.own.get_mut(rule) else { return self.shared };
        own.used = true;
        Some(own.subtype)
    }

    /// Refuses a subtype that was meant for a rule the object does not have.
    pub fn all_used(self) -> Result<(), ReadError> {
        match self.own.iter().find(|(_, own)| !own.used) {
            None => Ok(()),
            Some((name, _)) => Err(ReadError::section(
                &format!("subtype/{name}"),
                Fault::SubtypeWithoutRule { name: (*name).to_owned() },
            )),
        }
    }
}

fn subtype(section: &Section) -> Result<Subtype, ReadError> {
    let bytes: &[u8; Subtype::SIZE] = section
        .data
        .try_into()
        .map_err(|_| ReadError::section(section.name, Fault::SubtypeSize { size: section.data.len() }))?;
    let (abi, rest) = bytes.split_first_chunk().expect("4 of 24 bytes");
    let (event, rest) = rest.split_first_chunk().expect("4 of 20 bytes");
    let (ability, rest) = rest.split_first_chunk().expect("8 of 16 bytes");
    let (option, _) = rest.split_first_chunk().expect("8 of 8 bytes");
    Ok(Subtype {
        abi: u32::from_le_bytes(*abi),
        event: u32::from_le_bytes(*event),
        ability: u64::from_le_bytes(*ability),
        option: u64::from_le_bytes(*option),
    })
}

fn license(section: &Section) -> Result<String, ReadError> {
    let bad = || ReadError::section(section.name, Fault::BadLicense { limit: MAX_LICENSE });
    let end = section.data.iter().position(|byte| *byte == 0).unwrap_or(section.data.len());
    let text = std::str::from_utf8(&section.data[..end]).map_err(|_| bad())?;
    match text.len() <= MAX_LICENSE && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(bad()),
    }
}
