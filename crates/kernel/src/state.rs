// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engine leaves in a folder of a bpf file system, and how the next one takes it up.
//!
//! The folder is the database; a process only holds descriptors. Under the folder of the format:
//!
//! * the maps of [`Maps`] and the links of [`Always`]; the gate is attached and pinned last and
//!   unpinned first, so that without it nobody is in a domain and nothing else counts;
//! * `hooks/<hook>`, see [`crate::attached`]; `domains/<domain>`, see [`crate::change`];
//! * `watch` and `memories`, see [`crate::handles`];
//! * `reader`, whose lock is that of the one who reads the denials.
//!
//! The folders themselves stay, so that a lock on one is a lock for everybody.

use std::path::Path;

use landlock_bpf::link::Link;
use landlock_bpf::map::{Map, MapFlags, MapKind, MapSpec};
use landlock_bpf::pin::Folder;
use landlock_compiler::hooks;
use rustix::io::Errno;

use crate::about::fnv;
use crate::attached::HOOKS;
use crate::canary;
use crate::change::{Change, DOMAINS, delete_tokens};
use crate::error::{Error, Result};
use crate::handles::{LOSSES, MEMORIES, OBJECTS, WATCH};
use crate::kernel::Kernel;
use crate::lock::Lock;
use crate::logs::LOGS;
use crate::programs::{self, Always, GATE, PRESENCE_SIZE, SLOTS};
use crate::shown::SHOWN_SIZE;

/// Whoever changes what maps, [`crate::about`] or records of denials mean counts on.
const FORMAT: u32 = 8;
/// The folder with the lock of who reads the denials.
pub(crate) const READER: &str = "reader";
const FOLDERS: [&str; 5] = [DOMAINS, HOOKS, READER, WATCH, MEMORIES];

/// Most threads in domains at a time; a further one is not made (EAGAIN).
pub const MAX_THREADS: u32 = 1 << 16;
/// Most domains at a time.
pub const MAX_DOMAINS: u32 = SLOTS - 1;
/// Most tokens not used yet.
pub(crate) const MAX_TOKENS: u32 = 4096;
/// Most pairs of a domain and one that extends it.
pub(crate) const MAX_PAIRS: u32 = 1 << 16;
/// Rules to remember for who reads denials, those of domains that are gone included; the oldest are forgotten.
const MAX_SHOWN: u32 = 1 << 11;
/// Bytes of a ring buffer of denials.
const RING_SIZE: u32 = 1 << 20;

pub(crate) const SPEC: MapSpec<'static> = MapSpec {
    name: "",
    kind: MapKind::Hash,
    key_size: 8,
    value_size: 16,
    max_entries: MAX_THREADS,
    flags: MapFlags::empty(),
    types: None,
    inner: None,
};
pub(crate) const DENIALS: MapSpec<'static> = MapSpec {
    name: "denials",
    kind: MapKind::RingBuf,
    key_size: 0,
    value_size: 0,
    max_entries: RING_SIZE,
    ..SPEC
};
pub(crate) const LOST: MapSpec<'static> =
    MapSpec { name: "lost", kind: MapKind::Array, key_size: 4, value_size: 8, max_entries: 1, ..SPEC };

/// The maps of the engine.
#[derive(Debug)]
pub(crate) struct Maps {
    /// The only word on which domain a thread is in, and the hooks that domain has programs for: by the
    /// address of the task, because a lookup takes no lock and so cannot fail in a task that has an entry.
    pub(crate) threads: Map,
    /// Where no thread is in a domain, and hints on the domains of others, by groups of addresses of tasks: what
    /// spares looking into `threads`. `dispatch.s` says why it can be relied on.
    pub(crate) presence: Map,
    /// What lets a thread in, once: the domain, its hooks, the domain it extends, and when it was made.
    pub(crate) tokens: Map,
    /// Pairs of a domain and one that extends it.
    pub(crate) lineage: Map,
    /// How many threads are in the domain of a slot.
    pub(crate) counts: Map,
    pub(crate) denials: Map,
    /// Denials that found no place.
    pub(crate) lost: Map,
    /// How rules are shown ([`crate::shown`]), by the number of the domain and the position in it.
    pub(crate) shown: Map,
    /// The last number given to a domain.
    pub(crate) last: Map,
    /// Places in `losses` of inodes and descriptors behind handles, by address: see [`crate::handles`].
    pub(crate) objects: Map,
    /// Which of them were lost.
    pub(crate) losses: Map,
    /// Whose the maps are that denials of domains are read from: see [`crate::logs`].
    pub(crate) logs: Map,
}

impl Maps {
    fn each(mut get: impl FnMut(MapSpec<'static>) -> Result<Map>) -> Result<Maps> {
        let counts = MapSpec { kind: MapKind::Array, key_size: 4, value_size: 8, max_entries: SLOTS, ..SPEC };
        let shown = MapSpec { kind: MapKind::LruHash, key_size: 16, value_size: SHOWN_SIZE, ..SPEC };
        Ok(Maps {
            threads: get(MapSpec { name: "threads", ..SPEC })?,
            presence: get(MapSpec { name: "presence", value_size: PRESENCE_SIZE, max_entries: 1, ..counts })?,
            tokens: get(MapSpec { name: "tokens", value_size: 32, max_entries: MAX_TOKENS, ..SPEC })?,
            lineage: get(MapSpec {
                name: "lineage",
                key_size: 16,
                value_size: 1,
                max_entries: MAX_PAIRS,
                ..SPEC
            })?,
            counts: get(MapSpec { name: "counts", ..counts })?,
            denials: get(DENIALS)?,
            lost: get(LOST)?,
            shown: get(MapSpec { name: "shown", max_entries: MAX_SHOWN, ..shown })?,
            last: get(MapSpec { name: "last", max_entries: 1, ..counts })?,
            objects: get(OBJECTS)?,
            losses: get(LOSSES)?,
            logs: get(LOGS)?,
        })
    }
}

/// One process's hold on the state.
#[derive(Debug)]
pub(crate) struct State {
    /// The folder of the format; shared by all who have it open.
    user: Lock,
    pub(crate) maps: Maps,
}

impl State {
    /// Takes up what is there, or makes it.
    pub(crate) fn open(folder: &Path, kernel: &Kernel) -> Result<State> {
        is_switched_on()?;
        let format = format_folder(folder)?;
        let domains = Lock::exclusive(format.folder(DOMAINS)?)?;
        let user = Lock::shared(format_folder(folder)?)?;
        let maps = match adopt(&format, kernel, &domains) {
            Ok(maps) => maps,
            Err(why) if is_damage(&why) => {
                wipe(&format, &why)?;
                make(&format, kernel)?
            }
            Err(error) => return Err(error),
        };
        Ok(State { user, maps })
    }

    /// Changes what is published.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
        is_switched_on()?;
        let domains = Lock::exclusive(self.format().folder(DOMAINS)?)?;
        let gone = || Error::Gone { folder: self.format().path().to_owned() };
        match Map::from_pin(self.format(), "threads") {
            Ok(pinned) if pinned.info().id == self.id() => {
                change(&Change::new(self.format(), &self.maps, &domains)?)
            }
            Err(error) if error.errno() != Some(Errno::NOENT) => Err(error.into()),
            _ => Err(gone()),
        }
    }

    /// Whether it is still what is pinned.
    pub(crate) fn is_current(&self) -> bool {
        Map::from_pin(self.format(), "threads").is_ok_and(|pinned| pinned.info().id == self.id())
    }

    /// Gives this hold up, and takes everything down if nobody else has one, no thread is in a domain, and nobody has a log
    /// that is noted.
    pub(crate) fn take_down_if_last(&self, kernel: &Kernel) -> Result<()> {
        self.change(|change| match self.user.try_alone()? {
            None => change.collect(),
            Some(_alone) if change.collect_all()? && change.has_no_logs(kernel)? => {
                remove_pins(self.format())
            }
            Some(_) => Ok(()),
        })
    }

    /// Whether this process opened it, not one that forked it.
    pub(crate) fn is_ours(&self) -> bool {
        self.user.is_ours()
    }

    pub(crate) fn format(&self) -> &Folder {
        self.user.folder()
    }

    /// What tells one engine's state from another's.
    pub(crate) fn id(&self) -> u32 {
        self.maps.threads.info().id
    }
}

/// While programs are switched off nothing is attached or detached: kernels before 7 then give up calling any
/// program at a function until the machine is started anew.
fn is_switched_on() -> Result<()> {
    match canary::is_switched_off() {
        true => Err(Error::SwitchedOff),
        false => Ok(()),
    }
}

/// The folder of the format, its parent made if it is not there.
fn format_folder(path: &Path) -> Result<Folder> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Error::Open { folder: path.display().to_string() });
    };
    let folder = Folder::open(parent)?.folder(name)?;
    let status = rustix::fs::fstat(&folder).map_err(|errno| Error::Unavailable(errno.to_string()))?;
    let ours = status.st_uid == rustix::process::geteuid().as_raw() && status.st_mode & 0o077 == 0;
    if !ours {
        return Err(Error::Open { folder: folder.path().to_owned() });
    }
    Ok(folder.folder(&format_name())?)
}

/// The name of the format's folder: of all that must be the same for an engine to take up what another left. Others
/// are other engines, side by side.
fn format_name() -> String {
    let programs = programs::TEXTS.iter().flat_map(|text| text.lines());
    let insns = programs.map(|line| line.split(';').next().unwrap_or_default().trim());
    let words = insns.chain(hooks::TABLE.iter().map(|hook| hook.name)).flat_map(str::bytes);
    format!("{FORMAT}-{:016x}", fnv(words))
}

/// What is pinned, if all of it is; what nobody needs any more is collected.
fn adopt(format: &Folder, kernel: &Kernel, domains: &Lock) -> Result<Maps> {
    for always in Always::all(kernel.attachment) {
        Link::from_pin(format, always.name)?.info()?;
    }
    let maps = Maps::each(|spec| {
        let map = Map::from_pin(format, spec.name)?;
        let found = map.info();
        let sizes = [found.key_size, found.value_size, found.max_entries as usize];
        let expected = [spec.key_size, spec.value_size, spec.max_entries].map(|size| size as usize);
        match found.kind == spec.kind && sizes == expected {
            true => Ok(map),
            false => Err(damaged(format, format!("{} is another map", spec.name))),
        }
    })?;
    let change = Change::new(format, &maps, domains)?;
    change.check()?;
    change.collect()?;
    Ok(maps)
}

/// Whether something is missing, or is not what it should be; and not, say, memory.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } | Error::Bpf(landlock_bpf::Error::Kind { .. }) => true,
        Error::Bpf(error) => error.errno() == Some(Errno::NOENT),
        _ => false,
    }
}

/// Makes maps and links. The gate is last: nobody enters before children inherit and the boundary stands.
fn make(format: &Folder, kernel: &Kernel) -> Result<Maps> {
    let maps = Maps::each(|spec| {
        let map = Map::create(&spec)?;
        format.pin(&map, spec.name)?;
        Ok(map)
    })?;
    for always in Always::all(kernel.attachment) {
        format.pin(always.attach(kernel.target()?, &maps)?, always.name)?;
    }
    Ok(maps)
}

/// Removes what a killed process left half made or half taken down, or somebody damaged; not if a thread
/// is, or could still come to be, in a domain.
fn wipe(format: &Folder, why: &Error) -> Result<()> {
    match is_in_use(format)? {
        true => Err(damaged(format, why.to_string())),
        false => remove_pins(format),
    }
}

/// As in [`crate::change`]: without a hold nobody makes tokens, without tokens nobody enters, and then a count of 0
/// stays 0.
fn is_in_use(format: &Folder) -> Result<bool> {
    let domains = format.folder(DOMAINS)?;
    for name in domains.names()? {
        if Lock::try_exclusive(domains.folder(&name)?)?.is_none() {
            return Ok(true);
        }
    }
    if let Ok(tokens) = Map::from_pin(format, "tokens") {
        delete_tokens(&tokens, |_| true)?;
    }
    match Map::from_pin(format, "counts") {
        Ok(counts) => {
            Ok(counts.elements(SLOTS)?.iter().any(|(_, count)| count.iter().any(|&byte| byte != 0)))
        }
        // Pinned before the gate and removed after it: without it there is no gate, or somebody took it away.
        Err(_) => Ok(format.names()?.iter().any(|name| name == GATE)),
    }
}

/// Removes all that is pinned, the gate first.
fn remove_pins(format: &Folder) -> Result<()> {
    let mut names = format.names()?;
    names.sort_by_key(|name| name != GATE);
    for name in names {
        match FOLDERS.contains(&name.as_str()) {
            true => format.folder(&name)?.clear()?,
            false => format.remove(&name)?,
        }
    }
    Ok(())
}

pub(crate) fn damaged(folder: &Folder, why: String) -> Error {
    Error::Damaged { folder: folder.path().to_owned(), why }
}
