// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps of handles: what is behind descriptors is written down as programs compare it, and watched.
//!
//! A file is known by the address of its inode, and where names and mounts are compared by those of its dentry and its
//! mount, all of which a descriptor keeps alive. It need not: where the kernel frees such an inode, a program of ours
//! notes that it is lost before its memory can be another's (`programs/lost.s`), and from then on nothing can be told
//! of the map. The same where a descriptor is closed, for what is told by dentries and mounts. So who kills the
//! process that holds the descriptors lifts nothing. A cgroup is known by the numbers of those it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use landlock_bpf::link::Link;
use landlock_bpf::map::{Map, MapFlags, MapKind, MapSpec, Update};
use landlock_bpf::memory::Bytes;
use landlock_bpf::pin::Folder;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::emit::handles::{
    self, CGROUP, COUNT, FLAGS, FS, LOST_SIZE, MARKS, MAX_OBJECTS, SEEN, entry, mark,
};
use landlock_compiler::map::{Definition, Handle};
use rustix::fs::FileType;

use crate::attachment::Attachment;
use crate::change::u64_of;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::programs::{assemble, fd, offset, offset_of};
use crate::state::{Maps, SPEC};

pub(crate) const LOST: &str = include_str!("programs/lost.s");
const FILES: &str = include_str!("programs/files.s");
/// The folder with the links of what watches, while a published domain has maps of files.
pub(crate) const WATCH: &str = "watch";
/// The folder with the memory of maps, see [`fill`].
pub(crate) const MEMORIES: &str = "memories";
/// Before the number of a map, in a domain's folder.
const PIN: &str = "handles-";
const INODES: &str = "inodes";
const DESCRIPTORS: &str = "descriptors";
const ROOT_CGROUP: u64 = 1;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
/// Numbers of what a file is, and of inodes on the way up.
const NUMBERS: usize = 9;
const LEVELS: usize = CGROUP.levels.unsigned_abs() as usize;

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

/// Places for notes that something is lost.
#[derive(Default)]
struct Places {
    by_address: BTreeMap<u64, u32>,
    /// Those of something, and those with a note.
    taken: BTreeSet<u32>,
    lost: BTreeSet<u32>,
    /// None below is free.
    next: u32,
}

impl Places {
    fn read(maps: &Maps) -> Result<Places> {
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
    fn addresses_but(&self, used: &BTreeSet<u32>) -> Vec<u64> {
        let others = self.by_address.iter().filter(|(_, place)| !used.contains(place));
        others.map(|(address, _)| *address).collect()
    }

    /// The place for the note that what has this address is lost.
    fn of(&mut self, maps: &Maps, address: u64) -> Result<u64> {
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

/// A number in some bytes; 0 beyond the end.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn small(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
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

/// What is behind a descriptor of this process.
#[derive(Clone)]
struct Seen {
    file: u64,
    dentry: u64,
    mount: u64,
    inode: u64,
    super_block: u64,
    number: u64,
    mode: u64,
    magic: u64,
    /// Numbers of the inodes on the way up, its own first.
    path: Vec<u64>,
}

impl Seen {
    /// From a record of `programs/files.s`, with the descriptor.
    fn parse(record: &[u64]) -> Option<(RawFd, Seen)> {
        let (numbers, path) = record.split_first_chunk::<NUMBERS>()?;
        let [descriptor, file, dentry, mount, inode, super_block, number, mode, magic] = *numbers;
        let path = path.to_vec();
        let seen = Seen { file, dentry, mount, inode, super_block, number, mode, magic, path };
        Some((RawFd::try_from(descriptor).ok()?, seen))
    }

    /// The numbers of the cgroups on the way to one, the root's first.
    fn cgroup_path(&self) -> Result<Vec<u64>> {
        let mode = u32::try_from(self.mode).unwrap_or(0);
        let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
        if self.magic != CGROUP2_SUPER_MAGIC || !is_directory {
            return Err(Error::Handle("it is no directory of a cgroup of version 2".to_owned()));
        }
        let too_deep = || Error::Handle(format!("a cgroup more than {} below the root", LEVELS - 1));
        let root = self.path.iter().position(|id| *id == ROOT_CGROUP).ok_or_else(too_deep)?;
        Ok(self.path[..=root].iter().rev().copied().collect())
    }
}

/// Looks at descriptors of this process. The kernel tells of them without asking their file systems.
fn look(kernel: &Kernel, descriptors: &[BorrowedFd<'_>]) -> Result<Vec<Seen>> {
    let target = kernel.target()?;
    let btf = target.btf;
    let filling = [
        ("tgid", offset_of(btf, "struct task_struct", "tgid", 4)?),
        ("f_dentry", offset(btf, "struct file", "f_path.dentry")?),
        ("f_mnt", offset(btf, "struct file", "f_path.mnt")?),
        ("d_inode", offset(btf, "struct dentry", "d_inode")?),
        ("d_parent", offset(btf, "struct dentry", "d_parent")?),
        ("i_sb", offset(btf, "struct inode", "i_sb")?),
        ("i_ino", offset(btf, "struct inode", "i_ino")?),
        ("i_mode", offset_of(btf, "struct inode", "i_mode", 2)?),
        ("s_magic", offset(btf, "struct super_block", "s_magic")?),
        ("seq", offset(btf, "struct bpf_iter_meta", "seq").unwrap_or(0)),
    ];
    // Not of all there are: how many files others have open is not to matter.
    let written = target.iterate("task_file", Some(std::process::id()), &files(), &filling)?;
    let numbers: Vec<u64> =
        written.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
    let seen: BTreeMap<RawFd, Seen> = numbers.chunks(NUMBERS + LEVELS).filter_map(Seen::parse).collect();
    let unseen = || Error::Handle("the kernel does not show what is open".to_owned());
    descriptors.iter().map(|one| seen.get(&one.as_raw_fd()).cloned().ok_or_else(unseen)).collect()
}

/// The program that looks: its beginning, and for every level the same.
fn files() -> String {
    let levels = (0..LEVELS).map(|level| {
        let at = 8 * (LEVELS - level);
        format!(
            "    r1 = *(u64 *)(r9 + {{d_inode}})\n    r1 = *(u64 *)(r1 + {{i_ino}})\n    *(u64 *)(r10 - {at}) = r1\n    \
             r9 = *(u64 *)(r9 + {{d_parent}})\n"
        )
    });
    let size = 8 * (NUMBERS + LEVELS);
    let end = format!(
        "    r1 = *(u64 *)(r6 + 0)\n    r1 = *(u64 *)(r1 + {{seq}})\n    r2 = r10\n    r2 += -{size}\n    r3 = {size}\n    \
         call 127\nend:\n    r0 = 0\n    exit\n"
    );
    [FILES.to_owned(), levels.collect(), end].concat()
}
