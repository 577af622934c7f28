// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps of handles: what is behind descriptors is written down as programs compare it, and watched.
//!
//! A file is known by the address of its inode, and where names and mounts are compared by those of its dentry and its
//! mount, all of which a descriptor keeps alive. It need not: where the kernel frees such an inode, a program of ours
//! notes that it is lost before its memory can be another's (`programs/lost.s`), and from then on nothing can be told
//! of the map. The same where a descriptor is closed, for what is told by dentries and mounts. So who kills the
//! process that holds the descriptors lifts nothing. A cgroup is known by the numbers of those it is in.

mod seen;
mod watch;

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use landlock_bpf::map::{Map, MapKind, MapSpec, Update};
use landlock_bpf::memory::Bytes;
use landlock_bpf::pin::Folder;
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::emit::handles::{self, CGROUP, COUNT, FLAGS, FS, MARKS, SEEN, entry, mark};
use landlock_compiler::map::{Definition, Handle};

use crate::change::u64_of;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::state::{Maps, SPEC};
use seen::{Seen, look};
use watch::Places;
pub(crate) use watch::{LOSSES, LOST, OBJECTS, is_watched, unwatch, watch};

/// The folder with the links of what watches, while a published domain has maps of files.
pub(crate) const WATCH: &str = "watch";
/// The folder with the memory of maps, see [`fill`].
pub(crate) const MEMORIES: &str = "memories";
/// Before the number of a map, in a domain's folder.
const PIN: &str = "handles-";

/// The pin of a domain's map.
pub(crate) fn pin(number: usize) -> String {
    format!("{PIN}{number}")
}

/// Whether a pin is such a one.
pub(crate) fn is_pin(name: &str) -> bool {
    name.starts_with(PIN)
}

/// A map in the kernel, to be filled: it holds one map, which is replaced as a whole.
pub(crate) fn create(definition: &Definition) -> Result<Map> {
    if definition.max_entries > handles::MAX_HANDLES {
        return Err(Error::Full { what: "handles in one map", limit: handles::MAX_HANDLES });
    }
    let memory = memory(definition)?;
    let (name, kind) = (map_name(definition.kind), MapKind::ArrayOfMaps);
    let spec =
        MapSpec { name, kind, key_size: 4, value_size: 4, max_entries: 1, inner: Some(&memory), ..SPEC };
    Ok(Map::create(&spec)?)
}

/// Memory that programs compare with, empty.
fn memory(definition: &Definition) -> Result<Map> {
    let value_size = u32::try_from(size(definition)).unwrap_or(u32::MAX);
    let (name, kind) = (map_name(definition.kind), MapKind::Array);
    Ok(Map::create(&MapSpec { name, kind, key_size: 4, value_size, max_entries: 1, ..SPEC })?)
}

fn size(definition: &Definition) -> usize {
    let entry = match definition.kind {
        ArrayKind::Fs => FS.size,
        ArrayKind::Cgroup => CGROUP.size,
    };
    handles::size(definition.max_entries, entry)
}

/// Puts handles into a map of the kernel's: a comparison sees all of the change or nothing of it. Once this is done no
/// program compares with what was there before. Under the lock of [`crate::change`]; the handles' descriptors stay
/// open until it is done.
///
/// What a map of maps has in it the kernel tells to `CAP_SYS_ADMIN` only, which landlockd lacks. So the memory is
/// pinned as well, by the ids of both, before programs see it; what was there before goes after.
pub(crate) fn fill(
    kernel: &Kernel,
    maps: &Maps,
    memories: &Folder,
    (map, definition): (&Map, &Definition),
    handles: &[Handle],
) -> Result<()> {
    let mut value = Value(vec![0; size(definition)]);
    value.put(COUNT, handles.len() as u64);
    // Before anything is looked up: what is lost later counts.
    value.put(SEEN, u64_of(&maps.losses, 0)?);
    let descriptors: Vec<BorrowedFd<'_>> = handles
        .iter()
        .map(|handle| {
            handle.descriptor().ok_or(Error::Handle("it stands for nothing that is open".to_owned()))
        })
        .collect::<Result<_>>()?;
    let seen = if descriptors.is_empty() { Vec::new() } else { look(kernel, &descriptors)? };
    match definition.kind {
        ArrayKind::Fs => value.files(maps, &seen)?,
        ArrayKind::Cgroup => value.cgroups(&seen)?,
    }
    let memory = memory(definition)?;
    memory.update(&[0; 4], &value.0, Update::Any)?;
    if definition.kind == ArrayKind::Cgroup {
        return Ok(map.set_map(&[0; 4], &memory)?);
    }
    let name = format!("{}-{}", map.info().id, memory.info().id);
    let there = memories.names()?;
    if there.contains(&name) {
        // Of maps that are gone, whose numbers these are now.
        memories.remove(&name)?;
    }
    memories.pin(&memory, &name)?;
    map.set_map(&[0; 4], &memory)?;
    let mut older = there.into_iter().filter(|one| *one != name && of(one) == Some(map.info().id));
    older.try_for_each(|one| Ok(memories.remove(&one)?))
}

/// The map that a pinned memory is of.
fn of(name: &str) -> Option<u32> {
    name.split_once('-')?.0.parse().ok()
}

/// What a map's memory holds.
struct Value(Vec<u8>);

impl Value {
    fn put(&mut self, at: i16, number: u64) {
        let at = usize::from(at.unsigned_abs());
        self.0[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    }

    fn files(&mut self, maps: &Maps, seen: &[Seen]) -> Result<()> {
        let mut marks = 0;
        let mut places = if seen.is_empty() { Places::default() } else { Places::read(maps)? };
        for (index, seen) in (0..).zip(seen) {
            let at = entry(index, FS.size);
            let objects = [seen.inode, seen.file].map(|address| places.of(maps, address));
            let [inode_object, file_object] = objects;
            for (member, number) in [
                (FS.inode, seen.inode),
                (FS.dentry, seen.dentry),
                (FS.mount, seen.mount),
                (FS.super_block, seen.super_block),
                (FS.number, seen.number),
                (FS.inode_object, inode_object?),
                (FS.file_object, file_object?),
            ] {
                self.put(at + member, number);
            }
            marks |= mark(seen.inode);
        }
        self.put(MARKS, marks);
        Ok(())
    }

    fn cgroups(&mut self, seen: &[Seen]) -> Result<()> {
        for (index, seen) in (0..).zip(seen) {
            let path = seen.cgroup_path()?;
            let at = entry(index, CGROUP.size);
            self.put(at + CGROUP.level, path.len() as u64 - 1);
            self.put(at + CGROUP.id, *path.last().unwrap_or(&0));
            for (level, id) in (0_i16..).zip(&path) {
                self.put(at + CGROUP.path + 8 * level, *id);
            }
        }
        Ok(())
    }
}

/// A number in some bytes; 0 beyond the end.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Forgets what no map refers to any more, so that its place can be another's.
pub(crate) fn forget(maps: &Maps, memories: &Folder, living: &[Map]) -> Result<()> {
    let living = living.iter().filter(|map| is_of_files(map));
    let living: BTreeSet<u32> = living.map(|map| map.info().id).collect();
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    for name in memories.names()? {
        match of(&name).filter(|map| living.contains(map)) {
            Some(map) => {
                known.insert(map);
                used.extend(places_in(&Map::from_pin(memories, &name)?)?);
            }
            None => memories.remove(&name)?,
        }
    }
    // What is not known is not forgotten.
    if known != living {
        return Ok(());
    }
    let mut places = Places::read(maps)?;
    for address in places.addresses_but(&used) {
        maps.objects.delete(&address.to_ne_bytes())?;
    }
    places.lost.retain(|place| !used.contains(place));
    if places.lost.is_empty() {
        return Ok(());
    }
    // Should a program make such a note just now, of what is forgotten, its place's next owner counts as lost.
    let notes = Bytes::new(&maps.losses)?;
    for place in places.lost {
        notes.set(usize::from(FLAGS.unsigned_abs()) + place as usize, 0);
    }
    Ok(())
}

/// The places in the memory of a map.
fn places_in(memory: &Map) -> Result<Vec<u32>> {
    let value = memory.lookup(&[0; 4])?.unwrap_or_default();
    let at = |at: i16| number(&value, usize::from(at.unsigned_abs()));
    let entries = (0..).zip(0..at(COUNT)).map(|(index, _)| entry(index, FS.size));
    let objects = entries.flat_map(|entry| [at(entry + FS.inode_object), at(entry + FS.file_object)]);
    Ok(objects.filter_map(|place| u32::try_from(place).ok()).collect())
}

fn is_of_files(map: &Map) -> bool {
    map.info().name == map_name(ArrayKind::Fs)
}

/// What the kernel calls such a map.
fn map_name(kind: ArrayKind) -> &'static str {
    match kind {
        ArrayKind::Fs => "files",
        ArrayKind::Cgroup => "cgroups",
    }
}
