// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a rule declares about itself.

use super::Loader;
use super::fact::Fact;
use super::problem::Found;
use crate::abi::handles::MAX_ENTRIES;
use crate::abi::{ABI, Abilities, Event, Subtype};
use crate::map::Map;

/// What a rule declares, as far as it exists. Where nothing can be known nothing is missing, so that one mistake
/// is one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub abi: u32,
    pub event: Option<Event>,
    pub abilities: Abilities,
}

/// Checks the subtype.
pub(super) fn check(subtype: Option<Subtype>, loader: &Loader, newest: u32, found: &mut Found) -> Declared {
    let Some(Subtype { abi, event, ability, option }) = subtype else {
        found.whole(Fact::NoSubtype);
        return Declared { abi: ABI, event: None, abilities: Abilities::all() };
    };
    let known_abi = (1..=newest).contains(&abi);
    if !known_abi {
        found.whole(Fact::Abi { abi, newest });
    }
    let known = Event::from_u32(event);
    match known {
        None => found.whole(Fact::Event { event }),
        Some(event) if known_abi && event.abi() > abi => found.whole(Fact::EventAbi { event, abi }),
        Some(_) => {}
    }
    let abilities = Abilities::from_bits_truncate(ability);
    if ability != abilities.bits() {
        found.whole(Fact::Ability { bits: ability & !abilities.bits() });
    }
    if option != 0 {
        found.whole(Fact::Option { bits: option });
    }
    if !abilities.is_empty() && known.is_some_and(Event::is_hook) {
        found.whole(Fact::HookAbility);
    } else if abilities.contains(Abilities::DEBUG) && !loader.cap_sys_admin {
        found.whole(Fact::DebugNeedsAdmin);
    }
    let at_least = known.map_or(1, Event::abi);
    Declared { abi: if known_abi { abi.max(at_least) } else { ABI }, event: known, abilities }
}

/// Checks what the rule's maps are said to be.
pub(super) fn check_maps(maps: &[Map], found: &mut Found) {
    for definition in maps.iter().map(Map::definition) {
        if !(1..=MAX_ENTRIES).contains(&definition.max_entries) {
            let (name, entries) = (definition.name.clone(), definition.max_entries);
            found.whole(Fact::MapEntries { name, entries });
        }
    }
}
