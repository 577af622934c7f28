// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps of handles: what is behind descriptors is written down as programs compare it, and watched.
//!
//! A file is known by the address of its inode, and where names and mounts are compared by those of its dentry and its
//! mount, all of which a descriptor keeps alive. It need not: where the kernel frees such an inode, a program of ours
//! notes that it is lost before its memory can be another's (`programs/lost.s`), and from then on nothing can be told
//! of the map. The same where a descriptor is closed, for what is told by dentries and mounts. So who kills the
//! process that holds the descriptors lifts nothing.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use landlock_bpf::link::Link;
use landlock_bpf::map::{Map, MapKind, MapSpec, Update};
use landlock_bpf::pin::Folder;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::emit::handles::{
    self, CGROUP, COUNT, FLAGS, FS, LOST_SIZE, MARKS, MAX_OBJECTS, SEEN, entry, mark,
};
use landlock_compiler::map::{Definition, Handle};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;

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
/// Before the number of a map, in a domain's folder.
const PIN: &str = "handles-";
const INODES: &str = "inodes";
const DESCRIPTORS: &str = "descriptors";
const ROOT_CGROUP: u64 = 1;
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

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
pub(crate) fn unwatch(folder: &Folder, maps: &Maps) -> Result<()> {
    if folder.names()?.is_empty() {
        return Ok(());
    }
    folder.clear()?;
    for (address, _) in maps.objects.elements(MAX_OBJECTS)? {
        maps.objects.delete(&address)?;
    }
    Ok(maps.losses.update(&[0; 4], &vec![0; LOST_SIZE as usize], Update::Any)?)
}

/// The pin of a domain's map.
pub(crate) fn pin(number: usize) -> String {
    format!("{PIN}{number}")
}

/// A map in the kernel, to be filled: it holds one map, which is replaced as a whole.
pub(crate) fn create(definition: &Definition) -> Result<Map> {
    if definition.max_entries > handles::MAX_HANDLES {
        return Err(Error::Full { what: "handles in one map", limit: handles::MAX_HANDLES });
    }
    let memory = memory(definition)?;
    let (name, kind) = (map_name(definition.kind), MapKind::ArrayOfMaps);
    Ok(Map::create(&MapSpec { name, kind, value_size: 4, inner: Some(&memory), ..LOSSES })?)
}

/// Memory that programs compare with, empty.
fn memory(definition: &Definition) -> Result<Map> {
    let value_size = u32::try_from(size(definition)).unwrap_or(u32::MAX);
    Ok(Map::create(&MapSpec { name: map_name(definition.kind), value_size, ..LOSSES })?)
}

/// What programs compare with now; `None` where that is not for this process to see, as for landlockd: the kernel gives
/// what is in a map of maps to `CAP_SYS_ADMIN` only.
fn current(map: &Map) -> Result<Option<Vec<u8>>> {
    let id = map.lookup(&[0; 4])?.and_then(|value| Some(u32::from_ne_bytes(*value.first_chunk()?)));
    let Some(id) = id else { return Ok(Some(Vec::new())) };
    match Map::open(id) {
        Ok(memory) => Ok(memory.map(|memory| memory.lookup(&[0; 4])).transpose()?.flatten()),
        Err(error) if error.errno() == Some(Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
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
pub(crate) fn fill(
    kernel: &Kernel,
    maps: &Maps,
    map: &Map,
    definition: &Definition,
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
    match definition.kind {
        ArrayKind::Fs if descriptors.is_empty() => {}
        ArrayKind::Fs => value.files(maps, &look(kernel)?, &descriptors)?,
        ArrayKind::Cgroup => value.cgroups(&descriptors)?,
    }
    let memory = memory(definition)?;
    memory.update(&[0; 4], &value.0, Update::Any)?;
    Ok(map.set_map(&[0; 4], &memory)?)
}

/// What a map's memory holds.
struct Value(Vec<u8>);

impl Value {
    fn put(&mut self, at: i16, number: u64) {
        let at = usize::from(at.unsigned_abs());
        self.0[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    }

    fn files(
        &mut self,
        maps: &Maps,
        seen: &BTreeMap<RawFd, Seen>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        let mut marks = 0;
        for (index, descriptor) in (0..).zip(descriptors) {
            let unseen = || Error::Handle("the kernel does not show what is open".to_owned());
            let seen = seen.get(&descriptor.as_raw_fd()).ok_or_else(unseen)?;
            let at = entry(index, FS.size);
            let objects = [seen.inode, seen.file].map(|address| place(maps, address));
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

    fn cgroups(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        for (index, descriptor) in (0..).zip(descriptors) {
            let path = cgroup_path(*descriptor)?;
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

/// The place for the note that what has this address is lost.
fn place(maps: &Maps, address: u64) -> Result<u64> {
    let losses = maps.losses.lookup(&[0; 4])?.unwrap_or_default();
    let is_lost = |place: u32| losses.get(usize::from(FLAGS.unsigned_abs()) + place as usize) != Some(&0);
    let number = |value: &[u8]| value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    let key = address.to_ne_bytes();
    if let Some(known) =
        maps.objects.lookup(&key)?.map(|value| number(&value)).filter(|place| !is_lost(*place))
    {
        return Ok(known.into());
    }
    let taken: Vec<u32> =
        maps.objects.elements(MAX_OBJECTS)?.iter().map(|(_, value)| number(value)).collect();
    let free = (1..MAX_OBJECTS).find(|place| !taken.contains(place) && !is_lost(*place));
    let free = free.ok_or(Error::Full { what: "handles", limit: MAX_OBJECTS })?;
    maps.objects.update(&key, &free.to_ne_bytes(), Update::Any)?;
    Ok(free.into())
}

/// Forgets what no map refers to any more.
pub(crate) fn forget(maps: &Maps, living: &[Map]) -> Result<()> {
    let mut used = Vec::new();
    for map in living.iter().filter(|map| is_of_files(map)) {
        // What is not known is not forgotten: another engine will.
        let Some(value) = current(map)? else { return Ok(()) };
        let number = |at: i16| {
            let at = usize::from(at.unsigned_abs());
            value.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        for index in (0..).zip(0..number(COUNT)).map(|(index, _)| index) {
            let at = entry(index, FS.size);
            used.extend([number(at + FS.inode_object), number(at + FS.file_object)]);
        }
    }
    for (address, value) in maps.objects.elements(MAX_OBJECTS)? {
        let place = value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        if !used.contains(&u64::from(place)) {
            maps.objects.delete(&address)?;
        }
    }
    Ok(())
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
struct Seen {
    file: u64,
    dentry: u64,
    mount: u64,
    inode: u64,
    super_block: u64,
    number: u64,
}

/// Looks at all descriptors of this process.
fn look(kernel: &Kernel) -> Result<BTreeMap<RawFd, Seen>> {
    let target = kernel.target()?;
    let btf = target.btf;
    let filling = [
        ("tgid", offset_of(btf, "struct task_struct", "tgid", 4)?),
        ("f_dentry", offset(btf, "struct file", "f_path.dentry")?),
        ("f_mnt", offset(btf, "struct file", "f_path.mnt")?),
        ("d_inode", offset(btf, "struct dentry", "d_inode")?),
        ("i_sb", offset(btf, "struct inode", "i_sb")?),
        ("i_ino", offset(btf, "struct inode", "i_ino")?),
        ("seq", offset(btf, "struct bpf_iter_meta", "seq").unwrap_or(0)),
    ];
    let written = target.iterate("task_file", FILES, &filling)?;
    let numbers: Vec<u64> =
        written.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
    let record = |record: &[u64; 7]| {
        let [descriptor, file, dentry, mount, inode, super_block, number] = *record;
        let descriptor = RawFd::try_from(descriptor).unwrap_or(-1);
        (descriptor, Seen { file, dentry, mount, inode, super_block, number })
    };
    Ok(numbers.as_chunks::<7>().0.iter().map(record).collect())
}

/// The numbers of the cgroups on the way to one, the root's first.
fn cgroup_path(descriptor: BorrowedFd<'_>) -> Result<Vec<u64>> {
    let failed = |errno: rustix::io::Errno| Error::Handle(format!("a cgroup: {errno}"));
    let mut path = Vec::new();
    let mut here: Option<OwnedFd> = None;
    loop {
        let current = here.as_ref().map_or(descriptor, AsFd::as_fd);
        if fstatfs(current).map_err(failed)?.f_type != CGROUP2_SUPER_MAGIC {
            let why = "a cgroup that is not seen from the root of cgroups, version 2".to_owned();
            return Err(Error::Handle(why));
        }
        path.push(fstat(current).map_err(failed)?.st_ino);
        if path.last() == Some(&ROOT_CGROUP) {
            path.reverse();
            return Ok(path);
        }
        if path.len() >= usize::from(CGROUP.levels.unsigned_abs()) {
            return Err(Error::Handle(format!("a cgroup more than {} below the root", CGROUP.levels - 1)));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        here = Some(openat(current, c"..", flags, Mode::empty()).map_err(failed)?);
    }
}
