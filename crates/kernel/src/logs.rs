// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs of users: what the denials of their domains are read from, and whether the kernel still has it.
//!
//! Whoever has a descriptor of a log keeps its memory, also when the domain is gone, and the engine. So the maps of a
//! log are noted by the kernel's numbers for them before anybody can have them, and a log counts until none of its maps
//! is there any more. That is asked of the kernel, which lets programs see all its maps: a map's name is of its maker's choice.

use std::collections::BTreeSet;

use landlock_bpf::map::{Map, MapSpec, Update};

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::load::full_or;
use crate::programs::offset_of;
use crate::state::SPEC;

const MAPS: &str = include_str!("programs/maps.s");
/// Most logs at a time, of all users.
const MAX_LOGS: u32 = 1 << 10;
const MAX_MAPS: u32 = 2 * MAX_LOGS;

/// The user and the domain's number, by the number of a map; a log has two.
pub(crate) const LOGS: MapSpec<'static> =
    MapSpec { name: "logs", key_size: 4, value_size: 16, max_entries: MAX_MAPS, ..SPEC };

/// Notes the maps of a domain's log.
pub(crate) fn note(logs: &Map, owner: u32, domain: u64, maps: [&Map; 2]) -> Result<()> {
    let value = [owner.into(), domain].map(u64::to_ne_bytes).concat();
    for map in maps {
        let noted = logs.update(&map.info().id.to_ne_bytes(), &value, Update::Any);
        noted.map_err(|error| full_or(error, "logs of domains", MAX_LOGS))?;
    }
    Ok(())
}

/// How many logs of a user's there are, of those that are noted.
pub(crate) fn count(logs: &Map, owner: u32) -> Result<usize> {
    let values = logs.elements(MAX_MAPS)?.into_iter().map(|(_, value)| value);
    let theirs = values.filter(|value| value.starts_with(&u64::from(owner).to_ne_bytes()));
    Ok(theirs.collect::<BTreeSet<_>>().len())
}

/// Forgets what the kernel has no more. Nobody may be making a log meanwhile.
pub(crate) fn forget(kernel: &Kernel, logs: &Map) -> Result<()> {
    let living = living(kernel)?;
    if !living.contains(&logs.info().id) {
        return Err(Error::Unavailable("the kernel does not show its maps to programs".to_owned()));
    }
    for (map, _) in logs.elements(MAX_MAPS)? {
        if !map.first_chunk().is_some_and(|id| living.contains(&u32::from_ne_bytes(*id))) {
            logs.delete(&map)?;
        }
    }
    Ok(())
}

/// Whether there is none of those that are noted.
pub(crate) fn are_gone(kernel: &Kernel, logs: &Map) -> Result<bool> {
    // Mostly nothing is noted, and nothing has to be asked.
    if !logs.elements(MAX_MAPS)?.is_empty() {
        forget(kernel, logs)?;
    }
    Ok(logs.elements(MAX_MAPS)?.is_empty())
}

/// The numbers of all maps there are.
fn living(kernel: &Kernel) -> Result<BTreeSet<u32>> {
    let target = kernel.target()?;
    let id = offset_of(target.btf, "struct bpf_map", "id", 4)?;
    let written = target.iterate("bpf_map", None, MAPS, &[("id", id)])?;
    Ok(written.as_chunks().0.iter().map(|id| u32::from_ne_bytes(*id)).collect())
}
