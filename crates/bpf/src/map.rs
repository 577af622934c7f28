// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps: memory that programs and processes share.
//!
//! Keys and values are bytes, in the machine's byte order, and must have the sizes the map was made
//! with; anything else is refused here, before the kernel would read past a slice. That check is what
//! the unsafe blocks below rest on.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bitflags::bitflags;
use rustix::io::Errno;

use crate::btf::{LoadedBtf, TypeId};
use crate::error::{Command, Error, Result};
use crate::object::{self, Kind};
use crate::pin::Folder;
use crate::program::Program;
use crate::sys;

/// What a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// Any key to any value.
    Hash = 1,
    /// A u32 index to a value.
    Array = 2,
    /// A u32 index to a program, for tail calls. Empties itself when its last user reference goes.
    ProgArray = 3,
    /// Any key to one value per CPU.
    PerCpuHash = 5,
    /// A u32 index to one value per CPU.
    PerCpuArray = 6,
    /// A hash that drops what was used longest ago when it is full.
    LruHash = 9,
    /// A u32 index to another map.
    ArrayOfMaps = 12,
    /// Any key to another map.
    HashOfMaps = 13,
    /// Records from programs to processes: see [`crate::ring`].
    RingBuf = 27,
    /// A task to a value; programs go by task, processes by pidfd.
    TaskStorage = 29,
}

impl MapKind {
    pub(crate) const ALL: [MapKind; 10] = [
        MapKind::Hash,
        MapKind::Array,
        MapKind::ProgArray,
        MapKind::PerCpuHash,
        MapKind::PerCpuArray,
        MapKind::LruHash,
        MapKind::ArrayOfMaps,
        MapKind::HashOfMaps,
        MapKind::RingBuf,
        MapKind::TaskStorage,
    ];

    /// What the kernel calls it, without `BPF_MAP_TYPE_`.
    pub fn kernel_name(self) -> &'static str {
        match self {
            MapKind::Hash => "HASH",
            MapKind::Array => "ARRAY",
            MapKind::ProgArray => "PROG_ARRAY",
            MapKind::PerCpuHash => "PERCPU_HASH",
            MapKind::PerCpuArray => "PERCPU_ARRAY",
            MapKind::LruHash => "LRU_HASH",
            MapKind::ArrayOfMaps => "ARRAY_OF_MAPS",
            MapKind::HashOfMaps => "HASH_OF_MAPS",
            MapKind::RingBuf => "RINGBUF",
            MapKind::TaskStorage => "TASK_STORAGE",
        }
    }

    fn is_per_cpu(self) -> bool {
        matches!(self, MapKind::PerCpuArray | MapKind::PerCpuHash)
    }
}

bitflags! {
    /// How a map behaves.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MapFlags: u32 {
        /// Memory for elements is taken when they are made. Required of task storage.
        const NO_PREALLOC = 1;
        /// Programs only read it.
        const READ_ONLY_PROGRAM = 1 << 7;
        /// A process may map it into its memory (arrays only).
        const MMAPABLE = 1 << 10;
    }
}

/// A map to create.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<'a> {
    /// At most 15 letters, digits, `_` and `.`.
    pub name: &'a str,
    /// What it is.
    pub kind: MapKind,
    /// Bytes of a key; 0 for a ring buffer.
    pub key_size: u32,
    /// Bytes of a value (of one CPU's, for per-CPU maps); 0 for a ring buffer.
    pub value_size: u32,
    /// Elements; for a ring buffer its size in bytes, a power of two and of pages; 0 for task storage.
    pub max_entries: u32,
    /// How it behaves.
    pub flags: MapFlags,
    /// Types of key and value. Required of task storage.
    pub types: Option<MapTypes<'a>>,
    /// For maps of maps: a map like the ones it will hold.
    pub inner: Option<&'a Map>,
}

/// BTF types of a map's keys and values.
#[derive(Clone, Copy, Debug)]
pub struct MapTypes<'a> {
    /// Where the types are.
    pub btf: &'a LoadedBtf,
    /// The key's type.
    pub key: TypeId,
    /// The value's type.
    pub value: TypeId,
}

/// What an update may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Update {
    /// Make or replace.
    Any = 0,
    /// Only make: EEXIST if the key is there.
    Make = 1,
    /// Only replace: ENOENT if the key is not there.
    Replace = 2,
}

/// A map. The sizes are the kernel's own, so a key or value that passes their check is one.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    info: MapInfo,
    /// Bytes the kernel reads and writes for one value: all CPUs' for per-CPU maps.
    stride: usize,
}

/// What the kernel says of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapInfo {
    /// The kernel's id for it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of a value (of one CPU's, for per-CPU maps).
    pub value_size: usize,
    /// Elements, or bytes for a ring buffer.
    pub max_entries: u32,
}

impl Map {
    /// Makes a map.
    pub fn create(spec: &MapSpec<'_>) -> Result<Map> {
        use std::os::fd::AsRawFd;
        let number = |fd: BorrowedFd<'_>| fd.as_raw_fd().unsigned_abs();
        let attributes = sys::MapCreate {
            map_type: spec.kind as u32,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            map_flags: spec.flags.bits(),
            inner_map_fd: spec.inner.map_or(0, |map| number(map.as_fd())),
            map_name: object::name_bytes(spec.name)?,
            btf_fd: spec.types.map_or(0, |types| number(types.btf.as_fd())),
            btf_key_type_id: spec.types.map_or(0, |types| types.key.0),
            btf_value_type_id: spec.types.map_or(0, |types| types.value.0),
            ..sys::MapCreate::default()
        };
        let refused = |errno| Error::Refused {
            command: Command::MapCreate,
            object: format!("map {}", spec.name),
            errno,
        };
        Map::from_map_fd(sys::map_create(attributes).map_err(refused)?, spec.name)
    }

    /// Opens a living map by its id; none if there is no such map any more.
    pub fn open(id: u32) -> Result<Option<Map>> {
        Kind::Map.open(id)?.map(|fd| Map::from_map_fd(fd, &format!("map {id}"))).transpose()
    }

    /// Opens a pinned map.
    pub fn from_pin(folder: &Folder, name: &str) -> Result<Map> {
        let origin = format!("pin {name}");
        Map::from_map_fd(Kind::Map.check(folder.get(name)?, &origin)?, &origin)
    }

    /// A map that another process sent.
    pub fn received(fd: OwnedFd) -> Result<Map> {
        let origin = "the descriptor received";
        Map::from_map_fd(Kind::Map.check(fd, origin)?, origin)
    }

    /// `fd` is a map.
    fn from_map_fd(fd: OwnedFd, origin: &str) -> Result<Map> {
        let refused =
            |errno| Error::Refused { command: Command::ObjGetInfoByFd, object: origin.to_owned(), errno };
        let info: sys::MapInfo = sys::obj_info(fd.as_fd()).map_err(refused)?;
        let kind = MapKind::ALL.into_iter().find(|&kind| kind as u32 == info.map_type);
        let expected = "map of a kind used here";
        let kind = kind.ok_or_else(|| Error::Kind { object: origin.to_owned(), expected })?;
        let value_size = info.value_size as usize;
        let stride = match kind.is_per_cpu() {
            true => value_size.next_multiple_of(8) * possible_cpus()?,
            false => value_size,
        };
        let info = MapInfo {
            id: info.id,
            name: object::name_of(&info.name),
            kind,
            key_size: info.key_size as usize,
            value_size,
            max_entries: info.max_entries,
        };
        Ok(Map { fd, info, stride })
    }

    /// What the kernel says of the map.
    pub fn info(&self) -> &MapInfo {
        &self.info
    }

    /// The value of a key; none if the key is not there. Per-CPU maps give all CPUs' values, each padded
    /// to 8 bytes.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_key(key)?;
        let mut value = vec![0; self.stride];
        // SAFETY: the key was checked, and `stride` is what the kernel writes.
        let answer = unsafe { sys::map_lookup(self.as_fd(), key, &mut value) };
        Ok(self.there(Command::MapLookupElem, answer)?.map(|()| value))
    }

    /// Sets the value of a key (of all CPUs, each padded to 8 bytes, for per-CPU maps).
    pub fn update(&self, key: &[u8], value: &[u8], update: Update) -> Result<()> {
        self.check_key(key)?;
        self.check("value", value, self.stride)?;
        // SAFETY: key and value were checked.
        let answer = unsafe { sys::map_update(self.as_fd(), key, value, update as u64) };
        answer.map_err(|errno| self.refused(Command::MapUpdateElem, errno))
    }

    /// Removes a key; says whether it was there.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        // SAFETY: the key was checked.
        let answer = unsafe { sys::map_delete(self.as_fd(), key) };
        Ok(self.there(Command::MapDeleteElem, answer)?.is_some())
    }

    /// The key after this one, in the map's own order; the first, if there is no such key (any more).
    /// None after the last.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        if let Some(key) = key {
            self.check_key(key)?;
        }
        let mut next = vec![0; self.info.key_size];
        // SAFETY: both have the key's size.
        let answer = unsafe { sys::map_next_key(self.as_fd(), key, &mut next) };
        Ok(self.there(Command::MapGetNextKey, answer)?.map(|()| next))
    }

    /// All elements, read in batches of `batch` (at least 1). What others add or remove meanwhile may
    /// or may not show. ENOSPC if `batch` is smaller than a bucket of the kernel's hash.
    pub fn elements(&self, batch: u32) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let count = batch.max(1) as usize;
        let key_size = self.info.key_size;
        let mut keys = vec![0; count * key_size];
        let mut values = vec![0; count * self.stride];
        let mut cursor = vec![0; key_size.max(4)];
        let mut next = cursor.clone();
        let mut elements = Vec::new();
        let mut started = false;
        loop {
            let from = started.then_some(cursor.as_slice());
            // SAFETY: keys and values hold `count` of each, the cursors the larger of 4 bytes and a key.
            let answer = unsafe {
                sys::map_lookup_batch(self.as_fd(), from, &mut next, (&mut keys, &mut values), batch.max(1))
            };
            let (read, more) = answer.map_err(|errno| self.refused(Command::MapLookupBatch, errno))?;
            let pairs = keys.chunks(key_size).zip(values.chunks(self.stride)).take(read as usize);
            elements.extend(pairs.map(|(key, value)| (key.to_vec(), value.to_vec())));
            if !more {
                return Ok(elements);
            }
            std::mem::swap(&mut cursor, &mut next);
            started = true;
        }
    }

    /// Puts a program at an index of a program array.
    pub fn set_program(&self, index: u32, program: &Program) -> Result<()> {
        self.set_fd(&index.to_ne_bytes(), program.as_fd())
    }

    /// Puts a map at a key of a map of maps.
    pub fn set_map(&self, key: &[u8], map: &Map) -> Result<()> {
        self.set_fd(key, map.as_fd())
    }

    fn set_fd(&self, key: &[u8], object: BorrowedFd<'_>) -> Result<()> {
        use std::os::fd::AsRawFd;
        self.update(key, &object.as_raw_fd().to_ne_bytes(), Update::Any)
    }

    /// Closes the map to writes by processes; programs still write.
    pub fn freeze(&self) -> Result<()> {
        sys::map_freeze(self.as_fd()).map_err(|errno| self.refused(Command::MapFreeze, errno))
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        self.check("key", key, self.info.key_size)
    }

    fn check(&self, what: &'static str, bytes: &[u8], expected: usize) -> Result<()> {
        match bytes.len() {
            given if given == expected => Ok(()),
            given => Err(Error::Size { map: self.info.name.clone(), what, given, expected }),
        }
    }

    fn there(&self, command: Command, answer: std::result::Result<(), Errno>) -> Result<Option<()>> {
        match answer {
            Ok(()) => Ok(Some(())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.refused(command, errno)),
        }
    }

    fn refused(&self, command: Command, errno: Errno) -> Error {
        Error::Refused { command, object: format!("map {}", self.info.name), errno }
    }
}

impl From<Map> for OwnedFd {
    fn from(map: Map) -> OwnedFd {
        map.fd
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How many CPUs this machine could have: what the kernel makes per-CPU values for.
pub fn possible_cpus() -> Result<usize> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(PATH).map_err(|error| Error::File { path: PATH.into(), error })?;
    count_cpus(text.trim()).ok_or_else(|| Error::Text { path: PATH.into(), text })
}

/// The number of CPUs in a list such as "0-3,8".
fn count_cpus(list: &str) -> Option<usize> {
    let range = |text: &str| -> Option<usize> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    list.split(',').map(range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(count_cpus("0-3"), Some(4));
        assert_eq!(count_cpus("0-3,8,10-11"), Some(7));
        for text in ["", "3-0", "0-", "a", "0,,1"] {
            assert_eq!(count_cpus(text), None, "{text}");
        }
    }
}
