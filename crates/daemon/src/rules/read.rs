// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading layers that a client handed over.

use std::os::fd::OwnedFd;

use landlock_compiler::abi::Subtype;
use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::insn::Insn;
use landlock_compiler::map::{Definition, Handle, Map};
use landlock_compiler::object::{RuleObject, insns_from_bytes};
use landlock_compiler::verify::{Loader, verify_newest};

use super::{
    FILTER, MAX_FILTER_INSNS, MAX_FILTERS, MAX_HANDLES, MAX_MAPS, MAX_RULES, MAX_TEXT, MAX_TOTAL_INSNS,
    Wrong, kind,
};

/// What a client wants enforced, oldest first. The verifier has not seen it.
#[derive(Debug, Default)]
pub struct Layers {
    layers: Vec<Unverified>,
    /// Every map, with how many handles it is to have.
    maps: Vec<(Map, usize)>,
    insns: usize,
    filter_insns: usize,
}

#[derive(Debug)]
enum Unverified {
    Rule(RuleObject),
    Filter(Vec<ClassicInsn>),
}

impl Layers {
    /// The rules among them.
    pub fn rules(&self) -> impl Iterator<Item = &RuleObject> {
        self.layers.iter().filter_map(|layer| match layer {
            Unverified::Rule(object) => Some(object),
            Unverified::Filter(_) => None,
        })
    }

    /// The maps, and how many handles each is to have.
    pub fn wanted(&self) -> Vec<(Map, usize)> {
        self.maps.clone()
    }

    /// How many descriptors belong to it.
    pub fn handles(&self) -> usize {
        self.maps.iter().map(|(_, handles)| handles).sum()
    }

    /// The domain, verified for a user who has no privilege, with handles of these descriptors in its maps.
    ///
    /// # Errors
    /// What is wrong with the first layer that is wrong.
    pub fn verified(self, descriptors: Vec<OwnedFd>) -> Result<Domain, String> {
        let layers: Result<Vec<Layer>, String> = self.layers.into_iter().map(Unverified::verified).collect();
        let mut descriptors = descriptors.into_iter();
        for (map, handles) in &self.maps {
            for descriptor in descriptors.by_ref().take(*handles) {
                map.append(Handle::held(descriptor)).map_err(|error| error.to_string())?;
            }
        }
        layers.map(Domain::layered)
    }

    fn check(&self) -> Result<(), Wrong> {
        let rules = self.rules().count();
        let most = [
            (rules, MAX_RULES, Wrong::TooMany),
            (self.insns, MAX_TOTAL_INSNS, Wrong::TooLong),
            (self.layers.len() - rules, MAX_FILTERS, Wrong::Filters),
            (self.filter_insns, MAX_FILTER_INSNS, Wrong::Filters),
            (self.handles(), MAX_HANDLES, Wrong::Handles),
        ];
        most.into_iter().find(|(count, most, _)| count > most).map_or(Ok(()), |(.., wrong)| Err(wrong))
    }
}

impl Unverified {
    fn verified(self) -> Result<Layer, String> {
        match self {
            Unverified::Rule(object) => {
                let rule = verify_newest(object, &Loader::default());
                rule.map(Layer::Rule).map_err(|problems| problems.to_string())
            }
            Unverified::Filter(insns) => {
                Filter::new(insns).map(Layer::Filter).map_err(|error| error.to_string())
            }
        }
    }
}

/// The layers in some bytes.
///
/// # Errors
/// What is wrong with the first one that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Layers, Wrong> {
    let (mut rest, mut read) = (Rest(bytes), Layers::default());
    while !rest.0.is_empty() {
        let layer = rest.layer(&mut read)?;
        read.layers.push(layer);
        read.check()?;
    }
    if read.layers.is_empty() { Err(Wrong::Nothing) } else { Ok(read) }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn layer(&mut self, read: &mut Layers) -> Result<Unverified, Wrong> {
        match self.word()? {
            FILTER => {
                let insns = self.count(MAX_FILTER_INSNS, Wrong::Filters)?;
                read.filter_insns += insns;
                let insns = self.take(insns * ClassicInsn::SIZE)?.as_chunks().0;
                Ok(Unverified::Filter(insns.iter().copied().map(ClassicInsn::decode).collect()))
            }
            abi => self.rule(abi, read).map(Unverified::Rule),
        }
    }

    fn rule(&mut self, abi: u32, read: &mut Layers) -> Result<RuleObject, Wrong> {
        let event = self.word()?;
        let (ability, option) = (self.long()?, self.long()?);
        let [name, license] = [self.word()?, self.word()?].map(|length| length as usize);
        let insns = self.count(MAX_TOTAL_INSNS, Wrong::TooLong)?;
        read.insns += insns;
        let (name, license) = (self.text(name)?, self.text(license)?);
        let insns = insns_from_bytes(self.take(insns * Insn::SIZE)?).ok_or(Wrong::Short)?;
        let maps = if abi > 1 { self.count(MAX_MAPS, Wrong::Maps)? } else { 0 };
        let maps = (0..maps).map(|_| self.map(read)).collect::<Result<_, _>>()?;
        let subtype = Some(Subtype { abi, event, ability, option });
        Ok(RuleObject { name, license, insns, subtype, maps, ..RuleObject::default() })
    }

    fn map(&mut self, read: &mut Layers) -> Result<Map, Wrong> {
        let number = self.word()? as usize;
        if let Some((map, _)) = read.maps.get(number) {
            return Ok(map.clone());
        }
        if number != read.maps.len() || number >= MAX_MAPS {
            return Err(Wrong::Maps);
        }
        let (kind, max_entries) = (kind(self.word()?)?, self.word()?);
        let handles = self.count(MAX_HANDLES.min(max_entries as usize), Wrong::Handles)?;
        let length = self.word()? as usize;
        let map = Map::new(Definition { name: self.text(length)?, kind, max_entries });
        read.maps.push((map.clone(), handles));
        Ok(map)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Wrong::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, Wrong> {
        self.take(4)?.try_into().map(u32::from_ne_bytes).map_err(|_| Wrong::Short)
    }

    /// A number of things, of which there are at most so many.
    fn count(&mut self, most: usize, too_many: Wrong) -> Result<usize, Wrong> {
        let count = self.word()? as usize;
        if count > most { Err(too_many) } else { Ok(count) }
    }

    fn long(&mut self) -> Result<u64, Wrong> {
        self.take(8)?.try_into().map(u64::from_ne_bytes).map_err(|_| Wrong::Short)
    }

    fn text(&mut self, length: usize) -> Result<String, Wrong> {
        if length > MAX_TEXT {
            return Err(Wrong::Text);
        }
        str::from_utf8(self.take(length)?).map(str::to_owned).map_err(|_| Wrong::Text)
    }
}
