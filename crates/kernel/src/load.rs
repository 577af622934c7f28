// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a domain: its programs are all in place, and what is known of it is pinned, before it is published,
//! and it is published before the first token for it exists.

use std::os::fd::{AsFd, AsRawFd};

use landlock_bpf::map::{Map, Update};
use landlock_bpf::pin::Folder;
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::domain::Domain;
use landlock_compiler::emit::{self, Compared, EmitError, MapSlot, Report};
use landlock_compiler::hooks::Hook;
use rustix::io::Errno;

use crate::about::{About, Content, Place};
use crate::bug::Bug;
use crate::change::Change;
use crate::error::{Error, Result};
use crate::handles;
use crate::kernel::Kernel;
use crate::loaded::{DESCRIPTORS, Denials, FILES, Loaded, bit};
use crate::lock::Lock;
use crate::logs;
use crate::shown::Shown;
use crate::state::{DENIALS, LOST, MAX_PAIRS, Maps};

/// A domain to load.
pub(crate) struct Wanted<'a> {
    pub(crate) domain: Domain,
    pub(crate) content: Content,
    /// For these hooks.
    pub(crate) hooks: &'static [Hook],
    pub(crate) denials: Denials,
    pub(crate) kernel: &'a Kernel,
    pub(crate) maps: &'a Maps,
    /// The domain it extends: they have maps of handles in common.
    pub(crate) parent: Option<&'a Loaded>,
}

impl Wanted<'_> {
    /// Finds it among what is published, or makes it.
    pub(crate) fn load(self, engine: u32, change: &Change<'_>) -> Result<Loaded> {
        match self.find(engine, change)? {
            Some(found) => Ok(found),
            None => self.make(engine, change),
        }
    }

    /// Finds it among what is published, if it may be shared.
    pub(crate) fn find(&self, engine: u32, change: &Change<'_>) -> Result<Option<Loaded>> {
        if self.denials == Denials::Own || !self.content.is_all() {
            return Ok(None);
        }
        let found = change.find(&self.content)?;
        Ok(found.map(|(about, hold)| Loaded::new(engine, self.domain.clone(), &about, hold)))
    }

    /// Makes it.
    pub(crate) fn make(self, engine: u32, change: &Change<'_>) -> Result<Loaded> {
        let made = self.publish(change);
        if made.is_err() {
            // What is left half made; should it stay, the next one sweeps it.
            let _ = change.sweep();
        }
        let (about, hold) = made?;
        Ok(Loaded::new(engine, self.domain, &about, hold))
    }

    fn publish(&self, change: &Change<'_>) -> Result<(About, Lock)> {
        self.names()?;
        let (place, hold) = change.reserve()?;
        self.note_ancestors(place)?;
        self.note_shown(place)?;
        let own = self.own_maps(place, hold.folder())?;
        let (denials, lost) = match &own {
            Some((denials, lost)) => (denials, lost),
            None => (&self.maps.denials, &self.maps.lost),
        };
        let (content, own) = (self.content.clone(), own.is_some());
        let mask = compared(&self.domain);
        change.watch(self.kernel, mask)?;
        let handles = self.handles(hold.folder(), &change.memories)?;
        let shown = self.domain.rules().iter().map(Shown::of).collect();
        let mut about = About { place, content, shown, own, mask, lacking: Vec::new() };
        let maps = Own { denials, lost, handles: &handles };
        for hook in self.hooks {
            self.load_hook(hook, change, &maps, &mut about)?;
        }
        about.write(hold.folder())?;
        change.publish(&about)?;
        Ok((about, hold))
    }

    /// Whether rules compare where this kernel has an object's name.
    fn names(&self) -> Result<()> {
        if self.domain.maps().is_empty() {
            return Ok(());
        }
        let layout = self.kernel.layout()?;
        let here = self.hooks.iter().filter(|hook| layout.hooks.contains_key(hook.name));
        let nameless: Vec<_> =
            here.map(|hook| (hook.name, emit::without_a_name(hook, &self.domain))).collect();
        let Some(rule) = nameless.iter().find_map(|(_, rules)| rules.first()) else { return Ok(()) };
        let hooks =
            nameless.iter().filter(|(_, rules)| rules.contains(rule)).map(|(hook, _)| *hook).collect();
        let rule = self.domain.rules()[*rule].name().to_owned();
        Err(EmitError::NoName { rule, hooks }.into())
    }

    /// The domain's maps of handles, filled: those of the domain it extends are that one's.
    fn handles(&self, folder: &Folder, memories: &Folder) -> Result<Vec<Map>> {
        let mut maps = Vec::new();
        for (number, array) in self.domain.maps().into_iter().enumerate() {
            let inherited = self.parent.and_then(|parent| {
                let number = parent.domain.maps().iter().position(|theirs| theirs.is(array))?;
                Some(parent.handles(number))
            });
            let map = match inherited {
                Some(map) => map?,
                None => {
                    let map = handles::create(array.definition())?;
                    let filled = (&map, array.definition());
                    handles::fill(self.kernel, self.maps, memories, filled, &array.handles())?;
                    map
                }
            };
            folder.pin(&map, &handles::pin(number))?;
            maps.push(map);
        }
        Ok(maps)
    }

    /// Who is in a domain it extends may trace who is in it.
    fn note_ancestors(&self, place: Place) -> Result<()> {
        for ancestor in &self.content.ancestors {
            let pair = [ancestor.word(), place.word()].map(u64::to_ne_bytes).concat();
            let noted = self.maps.lineage.update(&pair, &[1], Update::Any);
            noted.map_err(|error| full_or(error, "pairs of domains that extend others", MAX_PAIRS))?;
        }
        Ok(())
    }

    /// For whoever reads its denials from the engine's ring buffer, also when the domain is gone.
    fn note_shown(&self, place: Place) -> Result<()> {
        if self.denials == Denials::Shared && !self.content.canary {
            for (position, rule) in (0..).zip(self.domain.rules()) {
                let shown = Shown::of(rule).to_bytes();
                self.maps.shown.update(&shown_key(place.number, position), &shown, Update::Any)?;
            }
        }
        Ok(())
    }

    fn own_maps(&self, place: Place, folder: &Folder) -> Result<Option<(Map, Map)>> {
        if self.denials == Denials::Shared {
            return Ok(None);
        }
        let (denials, lost) = (Map::create(&DENIALS)?, Map::create(&LOST)?);
        if let Some(owner) = self.content.owner {
            logs::note(&self.maps.logs, owner, place.number, [&denials, &lost])?;
        }
        folder.pin(&denials, DENIALS.name)?;
        folder.pin(&lost, LOST.name)?;
        Ok(Some((denials, lost)))
    }

    fn load_hook(
        &self,
        hook: &'static Hook,
        change: &Change<'_>,
        maps: &Own<'_>,
        about: &mut About,
    ) -> Result<()> {
        let layout = self.kernel.layout()?;
        if !layout.hooks.contains_key(hook.name) {
            let known = hook.instances.iter().map(emit::known);
            let lacks = known.into_iter().any(|known| self.domain.may_deny(&known));
            about.lacking.extend(lacks.then(|| hook.name.to_owned()));
            return Ok(());
        }
        let report = match about.content.canary {
            true => Report::Silent,
            false => Report::Record { domain: about.place.number },
        };
        let Some(program) = emit::emit(hook, &self.domain, layout, report)? else { return Ok(()) };
        let Some(array) = change.hooks.attach(self.kernel, self.maps, hook)? else {
            about.lacking.push(hook.name.to_owned());
            return Ok(());
        };
        let insns = program.insns(|slot| match slot {
            MapSlot::Denials => maps.denials.as_fd().as_raw_fd(),
            MapSlot::Lost => maps.lost.as_fd().as_raw_fd(),
            MapSlot::Handles(number) => maps.handles[number].as_fd().as_raw_fd(),
            MapSlot::LostHandles => self.maps.losses.as_fd().as_raw_fd(),
        });
        let program =
            self.kernel.target()?.load_emitted(hook.name, &insns, program.functions()).map_err(|error| {
                match error {
                    Error::Bpf(error) => Bug::of(error, hook.name, &self.domain, &insns),
                    other => other,
                }
            })?;
        array.set_program(about.place.slot, &program)?;
        about.mask |= bit(hook);
        Ok(())
    }
}

/// The maps that are the domain's own.
struct Own<'a> {
    denials: &'a Map,
    lost: &'a Map,
    handles: &'a [Map],
}

/// What of handles the domain compares with, for its mask.
fn compared(domain: &Domain) -> u64 {
    let has_files = domain.maps().iter().any(|map| map.definition().kind == ArrayKind::Fs);
    match emit::compared(domain) {
        // Its maps are filled all the same.
        Compared::Nothing if has_files => FILES,
        Compared::Nothing => 0,
        Compared::Inodes => FILES,
        Compared::Names => FILES | DESCRIPTORS,
    }
}

/// The key of what is shown of a rule.
pub(crate) fn shown_key(domain: u64, rule: u64) -> Vec<u8> {
    [domain, rule].map(u64::to_ne_bytes).concat()
}

/// A map without a free place says so in its own way.
pub(crate) fn full_or(error: landlock_bpf::Error, what: &'static str, limit: u32) -> Error {
    match error.errno() {
        Some(Errno::TOOBIG) => Error::Full { what, limit },
        _ => error.into(),
    }
}
