// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a published domain: pinned beside it, so that other processes and later ones know it.
//!
//! JSON in the elements of an array map, padded with blanks, closed to changes.

use landlock_bpf::map::{Map, MapKind, MapSpec, Update};
use landlock_bpf::pin::Folder;
use landlock_bpf::prctl;
use landlock_compiler::abi::Subtype;
use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::hooks;
use landlock_compiler::insn::Insn;
use landlock_compiler::map::{self as handles, Definition};
use landlock_compiler::object::RuleObject;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, Problems, verify_newest};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::shown::Shown;
use crate::state::SPEC;

const NAME: &str = "about";
/// Bytes of an element.
const CHUNK: usize = 1024;

/// A domain's identity: its number, which is never another's, and its slot, which others have before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) slot: u32,
}

impl Place {
    /// Both in one word, as programs have it: in no domain is 0.
    pub(crate) fn word(self) -> u64 {
        self.number * u64::from(crate::programs::SLOTS) + u64::from(self.slot)
    }
}

/// Which domain of which engine: what a thread can say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainId {
    /// The engine's number: that of its map of threads.
    pub engine: u32,
    /// The domain's [`Place::word`].
    pub domain: u64,
}

impl DomainId {
    /// The calling thread's domain, of the engine that was the first to have it in one. It takes no privilege.
    pub fn of_this_thread() -> Option<DomainId> {
        let engine = answered(|byte| prctl::ask(0, 8 + byte))?;
        DomainId::of_this_thread_in(u32::from_ne_bytes(engine))
    }

    /// The calling thread's domain of this engine ([`crate::Engine::id`]). It takes no privilege.
    pub fn of_this_thread_in(engine: u32) -> Option<DomainId> {
        DomainId::of_thread_in(engine, prctl::call)
    }

    /// The domain of this engine that another thread is in, which is made to call prctl(2) with an option and two
    /// arguments, and gives the errno.
    pub fn of_thread_in(engine: u32, mut prctl: impl FnMut([u64; 3]) -> Option<Errno>) -> Option<DomainId> {
        let domain = answered(|byte| prctl::told(prctl(prctl::asking(engine, byte))?))?;
        Some(DomainId { engine, domain: u64::from_ne_bytes(domain) })
    }
}

/// The bytes the gate tells, the lowest first.
fn answered<const N: usize>(byte: impl FnMut(u8) -> Option<u8>) -> Option<[u8; N]> {
    let bytes: Option<Vec<u8>> = (0..).map(byte).take(N).collect();
    bytes?.try_into().ok()
}

/// What makes a domain the same as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The domains it extends, oldest first.
    pub(crate) ancestors: Vec<Place>,
    /// Newest first.
    pub(crate) rules: Vec<RuleContent>,
    /// Oldest first.
    filters: Vec<FilterContent>,
    /// The maps of handles, as [`Domain::maps`] numbers them.
    maps: Vec<Definition>,
    /// The engine's own, for [`crate::canary`].
    pub(crate) canary: bool,
    /// The user it was loaded for, if for one: no other shares it.
    pub(crate) owner: Option<u32>,
}

/// A classic filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FilterContent {
    /// So many rules are older.
    older: usize,
    insns: Vec<u64>,
}

/// A rule as far as it can make a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleContent {
    pub(crate) name: String,
    abi: u32,
    event: u32,
    abilities: u64,
    pub(crate) insns: Vec<u64>,
    /// Numbers of maps.
    maps: Vec<usize>,
}

impl RuleContent {
    fn of(rule: &Rule, maps: &[&handles::Map]) -> RuleContent {
        RuleContent {
            name: rule.name().to_owned(),
            abi: rule.abi(),
            event: rule.event() as u32,
            abilities: rule.abilities().bits(),
            insns: rule.insns().iter().map(|insn| u64::from_le_bytes(insn.encode())).collect(),
            maps: rule.maps().iter().filter_map(|map| maps.iter().position(|one| one.is(map))).collect(),
        }
    }

    /// The rule again, verified again. Who loaded it had what it takes, the licence included.
    fn rule(&self, shown: &Shown, maps: &[handles::Map]) -> std::result::Result<Rule, Problems> {
        let subtype = Subtype { abi: self.abi, event: self.event, ability: self.abilities, option: 0 };
        let insns: Vec<_> = self.insns.iter().map(|insn| Insn::decode(insn.to_le_bytes())).collect();
        let lines = (0..insns.len()).map(|at| shown.line(at)).collect();
        let maps = self.maps.iter().filter_map(|number| maps.get(*number).cloned()).collect();
        let object = RuleObject { lines, maps, ..RuleObject::from_insns(&self.name, insns, subtype, "GPL") };
        verify_newest(object, &Loader { cap_sys_admin: true })
    }
}

impl FilterContent {
    /// The filter again, checked again.
    fn filter(&self) -> std::result::Result<Filter, String> {
        let insns = self.insns.iter().map(|insn| ClassicInsn::decode(insn.to_le_bytes()));
        Filter::new(insns.collect()).map_err(|error| error.to_string())
    }
}

impl Content {
    pub(crate) fn of(domain: &Domain, ancestors: Vec<Place>, canary: bool) -> Content {
        let mut filters = Vec::new();
        let mut older = 0;
        for layer in domain.layers() {
            match layer {
                Layer::Rule(_) => older += 1,
                Layer::Filter(filter) => {
                    let insns = filter.insns().iter().map(|insn| u64::from_le_bytes(insn.encode()));
                    filters.push(FilterContent { older, insns: insns.collect() });
                }
            }
        }
        let maps = domain.maps();
        let rules = domain.rules().iter().map(|rule| RuleContent::of(rule, &maps)).collect();
        let maps = maps.into_iter().map(|map| map.definition().clone()).collect();
        Content { ancestors, rules, filters, maps, canary, owner: None }
    }

    /// Whether a domain with equal content is the same: handles in maps are not in it.
    pub(crate) fn is_all(&self) -> bool {
        self.maps.is_empty()
    }

    /// For how many handles its maps have room.
    pub(crate) fn handles(&self) -> usize {
        self.maps.iter().map(|map| map.max_entries as usize).sum()
    }

    /// Instructions of its rules and filters.
    pub(crate) fn insns(&self) -> usize {
        let rules = self.rules.iter().map(|rule| rule.insns.len());
        rules.chain(self.filters.iter().map(|filter| filter.insns.len())).sum()
    }

    /// The same, for a user.
    pub(crate) fn owned_by(self, owner: Option<u32>) -> Content {
        Content { owner, ..self }
    }

    /// Of equal content equal, so that few have to be compared; otherwise without meaning.
    pub(crate) fn hash(&self) -> u64 {
        fnv(serde_json::to_vec(self).expect("plain data"))
    }
}

/// What is needed most, so that it is the name of the folder of a published domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) place: Place,
    /// A bit for each hook it has programs for.
    pub(crate) mask: u64,
    /// Of its content; others may have the same.
    pub(crate) content: u64,
    /// Instructions of its rules and filters, before they were compiled for each hook.
    pub(crate) insns: usize,
    /// For how many handles its maps have room.
    pub(crate) handles: usize,
    /// The user it was loaded for.
    pub(crate) owner: Option<u32>,
}

impl Published {
    pub(crate) fn name(self) -> String {
        let Published { place: Place { number, slot }, mask, content, insns, handles, owner } = self;
        let owner = owner.map_or(String::new(), |owner| format!("-{owner}"));
        format!("{slot}-{number}-{mask:x}-{content:x}-{insns}-{handles}{owner}")
    }

    /// From the name; none if it is of something else.
    pub(crate) fn parse(name: &str) -> Option<Published> {
        let mut parts = name.split('-');
        let (slot, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let [mask, content] = [parts.next()?, parts.next()?].map(|part| u64::from_str_radix(part, 16).ok());
        let place = Place { number, slot };
        let (insns, handles) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let owner = parts.next().map(str::parse).transpose().ok()?;
        let (mask, content) = (mask?, content?);
        parts.next().is_none().then_some(Published { place, mask, content, insns, handles, owner })
    }

    /// Hooks it has programs for.
    pub(crate) fn hooks(self) -> impl Iterator<Item = &'static str> {
        hooks_of(self.mask)
    }
}

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) place: Place,
    pub(crate) content: Content,
    /// What is shown of its rules. Who gets the domain because of its content gets these.
    pub(crate) shown: Vec<Shown>,
    /// Its denials are its own, and so is the domain: it is not given to anybody else.
    pub(crate) own: bool,
    /// A bit for each hook it has programs for.
    pub(crate) mask: u64,
    /// Hooks at which it could deny and cannot on this kernel.
    pub(crate) lacking: Vec<String>,
}

impl About {
    /// What the name of its folder says.
    pub(crate) fn published(&self) -> Published {
        let (insns, handles) = (self.content.insns(), self.content.handles());
        let (content, owner) = (self.content.hash(), self.content.owner);
        Published { place: self.place, mask: self.mask, content, insns, handles, owner }
    }

    /// The domain again; none if it is of no version that is known.
    pub(crate) fn domain(&self) -> std::result::Result<Domain, String> {
        let Content { rules, filters, maps, .. } = &self.content;
        let maps: Vec<_> = maps.iter().cloned().map(handles::Map::new).collect();
        let (mut layers, mut filters) = (Vec::new(), filters.iter().peekable());
        for (older, (rule, shown)) in rules.iter().zip(&self.shown).rev().enumerate() {
            while let Some(filter) = filters.next_if(|filter| filter.older <= older) {
                layers.push(Layer::Filter(filter.filter()?));
            }
            layers.push(Layer::Rule(rule.rule(shown, &maps).map_err(|problems| problems.to_string())?));
        }
        for filter in filters {
            layers.push(Layer::Filter(filter.filter()?));
        }
        Ok(Domain::layered(layers))
    }

    pub(crate) fn lacking(&self) -> Vec<&'static str> {
        self.lacking.iter().filter_map(|name| hooks::by_name(name)).map(|hook| hook.name).collect()
    }

    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        let mut text = serde_json::to_vec(self).expect("plain data");
        text.resize(text.len().next_multiple_of(CHUNK), b' ');
        let chunks = text.chunks(CHUNK);
        let max_entries = u32::try_from(chunks.len()).expect("rules are limited");
        let value_size = u32::try_from(CHUNK).expect("a constant");
        let map = Map::create(&MapSpec {
            name: NAME,
            kind: MapKind::Array,
            key_size: 4,
            value_size,
            max_entries,
            ..SPEC
        })?;
        for (index, chunk) in (0u32..).zip(chunks) {
            map.update(&index.to_ne_bytes(), chunk, Update::Any)?;
        }
        map.freeze()?;
        Ok(folder.pin(&map, NAME)?)
    }

    pub(crate) fn read(folder: &Folder) -> Result<About> {
        let damaged = |why: String| Error::Damaged { folder: folder.path().to_owned(), why };
        let map = Map::from_pin(folder, NAME)?;
        if (map.info().kind, map.info().key_size) != (MapKind::Array, 4) {
            return Err(damaged(format!("{NAME} is another map")));
        }
        let mut text = Vec::new();
        for index in 0..map.info().max_entries {
            text.extend(map.lookup(&index.to_ne_bytes())?.unwrap_or_default());
        }
        serde_json::from_slice(&text).map_err(|error| damaged(format!("{NAME}: {error}")))
    }
}

/// The hooks of a mask.
pub(crate) fn hooks_of(mask: u64) -> impl Iterator<Item = &'static str> {
    let rows = hooks::TABLE.iter().enumerate();
    rows.filter(move |(index, _)| mask & 1 << index != 0).map(|(_, hook)| hook.name)
}

/// FNV-1a: a number for bytes, the same everywhere.
pub(crate) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_says_what_it_was_made_of() {
        let place = Place { number: 1 << 50, slot: 4095 };
        let published = Published { place, mask: 1 << 63, content: 0xab, insns: 7, handles: 9, owner: None };
        assert_eq!(published.name(), "4095-1125899906842624-8000000000000000-ab-7-9");
        assert_eq!(Published::parse(&published.name()), Some(published));
        let of_a_user = Published { owner: Some(1000), ..published };
        assert_eq!(of_a_user.name(), "4095-1125899906842624-8000000000000000-ab-7-9-1000");
        assert_eq!(Published::parse(&of_a_user.name()), Some(of_a_user));
        for name in [
            "",
            "unpublished-7",
            "7",
            "7-1-0",
            "7-1-0-0",
            "7-1-0-0-0",
            "7-1-0-0-0-0-x",
            "7-1-0-0-0-0-0-0",
            "7-1-g-0-0-0",
            "-1-0-0-0-0",
        ] {
            assert_eq!(Published::parse(name), None, "{name}");
        }
    }
}
