// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a rule declares about itself.

use super::Loader;
use super::fact::Fact;
use super::problem::Found;
use crate::abi::{ABI, Abilities, Event, Subtype};

/// Checks the subtype; the event and the abilities it declares, as far as they exist.
pub(super) fn check(
    subtype: Option<Subtype>,
    loader: &Loader,
    found: &mut Found,
) -> (Option<Event>, Abilities) {
    let Some(Subtype { abi, event, ability, option }) = subtype else {
        found.whole(Fact::NoSubtype);
        // Nothing is known to be missing: not the ability either.
        return (None, Abilities::all());
    };
    if !(1..=ABI).contains(&abi) {
        found.whole(Fact::Abi { abi });
    }
    let known = Event::from_u32(event);
    if known.is_none() {
        found.whole(Fact::Event { event });
    }
    let abilities = Abilities::from_bits_truncate(ability);
    if ability != abilities.bits() {
        found.whole(Fact::Ability { bits: ability & !abilities.bits() });
    }
    if option != 0 {
        found.whole(Fact::Option { bits: option });
    }
    if abilities.contains(Abilities::DEBUG) && !loader.cap_sys_admin {
        found.whole(Fact::DebugNeedsAdmin);
    }
    (known, abilities)
}
