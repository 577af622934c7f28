// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watching what handles stand for, and the places for notes that something of it is lost.

use std::collections::{BTreeMap, BTreeSet};

use landlock_bpf::link::Link;
use landlock_bpf::map::{MapFlags, MapKind, MapSpec, Update};
use landlock_bpf::pin::Folder;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::emit::handles::{FLAGS, LOST_SIZE, MAX_OBJECTS};

use super::number;
use crate::attachment::Attachment;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::programs::{assemble, fd};
use crate::state::{Maps, SPEC};

pub(crate) const LOST: &str = include_str!("../programs/lost.s");
const INODES: &str = "inodes";
const DESCRIPTORS: &str = "descriptors";

/// The map with the places of what is watched, by address.
pub(crate) const OBJECTS: MapSpec<'static> =
    MapSpec { name: "watched", value_size: 4, max_entries: MAX_OBJECTS, ..SPEC };
/// What was lost of it.
pub(crate) const LOSSES: MapSpec<'static> = MapSpec {
    name: "losses",
    kind: MapKind::Array,
    key_size: 4,
    value_size: LOST_SIZE,
    max_entries: 1,
    flags: MapFlags::MMAPABLE,
    ..SPEC
};

/// Watches inodes, and descriptors as well if it matters. Must be in force before anything is looked up.
pub(crate) fn watch(folder: &Folder, kernel: &Kernel, maps: &Maps, descriptors: bool) -> Result<()> {
    let there = folder.names()?;
    let wanted = [(INODES, "inode_free", true), (DESCRIPTORS, "file_free", descriptors)];
    for (name, function, _) in
        wanted.into_iter().filter(|(name, _, wanted)| *wanted && !there.iter().any(|pin| pin == name))
    {
        let target = kernel.target()?;
        let filling = [
            ("objects", fd(&maps.objects)),
            ("losses", fd(&maps.losses)),
            ("places", i64::from(MAX_OBJECTS - 1)),
            ("flags", FLAGS.into()),
        ];
        let insns = assemble(LOST, &filling);
        let (kind, function) = match target.attachment {
            Attachment::Lsm => (ProgramKind::Lsm, format!("bpf_lsm_{function}_security")),
            // Nothing a program returns there could be modified.
            Attachment::ModifyReturn => (ProgramKind::Entry, format!("security_{function}")),
        };
        let attach_to = target.btf.function(&function)?.id;
        let spec = ProgramSpec { name: "lost", kind, attach_to, insns: &insns, license: c"Dual MIT/GPL" };
        folder.pin(Link::attach(&Program::load(&spec)?, kind)?, name)?;
    }
    Ok(())
}

/// Whether everything is watched that a published domain needs.
pub(crate) fn is_watched(folder: &Folder, descriptors: bool) -> Result<bool> {
    let there = folder.names()?;
    let has = |name: &str| there.iter().any(|pin| pin == name);
    Ok(has(INODES) && (has(DESCRIPTORS) || !descriptors))
}

/// Watches nothing any more, and forgets what was lost: nobody compares.
pub(crate) fn unwatch(folder: &Folder, memories: &Folder, maps: &Maps) -> Result<()> {
    if folder.names()?.is_empty() {
        return Ok(());
    }
    folder.clear()?;
    memories.clear()?;
    for (address, _) in maps.objects.elements(MAX_OBJECTS)? {
        maps.objects.delete(&address)?;
    }
    Ok(maps.losses.update(&[0; 4], &vec![0; LOST_SIZE as usize], Update::Any)?)
}

/// Places for notes that something is lost.
#[derive(Default)]
pub(super) struct Places {
    by_address: BTreeMap<u64, u32>,
    /// Those of something, and those with a note.
    taken: BTreeSet<u32>,
    pub lost: BTreeSet<u32>,
    /// None below is free.
    next: u32,
}

impl Places {
    pub fn read(maps: &Maps) -> Result<Places> {
        // First: a program that notes a loss forgets the address after that.
        let known = maps.objects.elements(MAX_OBJECTS)?;
        let losses = maps.losses.lookup(&[0; 4])?.unwrap_or_default();
        let notes = losses.iter().skip(usize::from(FLAGS.unsigned_abs()));
        let noted = (0..).zip(notes).filter(|(_, note)| **note != 0);
        let lost: BTreeSet<u32> = noted.map(|(place, _)| place).collect();
        let by_address: BTreeMap<u64, u32> =
            known.iter().map(|(address, place)| (number(address, 0), small(place))).collect();
        let taken = by_address.values().chain(&lost).copied().collect();
        Ok(Places { by_address, taken, lost, next: 1 })
    }

    /// What has another place than these.
    pub fn addresses_but(&self, used: &BTreeSet<u32>) -> Vec<u64> {
        let others = self.by_address.iter().filter(|(_, place)| !used.contains(place));
        others.map(|(address, _)| *address).collect()
    }

    /// The place for the note that what has this address is lost.
    pub fn of(&mut self, maps: &Maps, address: u64) -> Result<u64> {
        let known = self.by_address.get(&address).filter(|place| !self.lost.contains(place));
        if let Some(known) = known {
            return Ok((*known).into());
        }
        let free = (self.next..MAX_OBJECTS).find(|place| !self.taken.contains(place));
        let free = free.ok_or(Error::Full { what: "handles", limit: MAX_OBJECTS })?;
        self.next = free + 1;
        maps.objects.update(&address.to_ne_bytes(), &free.to_ne_bytes(), Update::Any)?;
        self.by_address.insert(address, free);
        Ok(free.into())
    }
}

fn small(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}
