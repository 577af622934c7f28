// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of what is published: one process at a time, each step such that a process killed after it leaves
//! something the next one understands.
//!
//! * `domains/<slot>-<number>-<mask>-<hash>` is a published domain: its programs are in the arrays of the attached hooks of its mask.
//! * `domains/unpublished-<slot>` is one being made or unmade; who has the lock and finds one that is not its
//!   own unmakes it.
//! * A thread is in a domain only while it is published: tokens are made by who holds the domain's folder
//!   locked, and the collector takes only what nobody holds, deletes its tokens, and then finds it counts no
//!   thread. Whoever used a token before was counted before (`programs/gate.s`); children are counted while
//!   the thread that makes them still is (`programs/inherit.s`). So a count of 0 stays 0.
//! * A slot is given to a new domain only when it counts no thread. Numbers are never given twice, and
//!   programs compare both.

use std::thread::sleep;
use std::time::Duration;

use landlock_bpf::map::{Map, Update};
use landlock_bpf::pin::Folder;

use crate::about::{About, Content, Place, Published};
use crate::attached::{Attached, UNPUBLISHED};
use crate::error::{Error, Result};
use crate::handles::{self, MEMORIES, WATCH};
use crate::kernel::Kernel;
use crate::loaded::{DESCRIPTORS, FILES, Usage};
use crate::lock::Lock;
use crate::logs;
use crate::programs::SLOTS;
use crate::shown::Shown;
use crate::state::{MAX_DOMAINS, MAX_TOKENS, Maps, damaged};

pub(crate) const DOMAINS: &str = "domains";

/// The kernel forgets threads a while after they end; so long is waited for that before the last engine leaves
/// something behind.
const PATIENCE: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(2);

/// What is left of a domain after an attempt to collect it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Nothing,
    /// All, because somebody holds it.
    Held,
    /// All, because it counts a thread.
    Counted,
}

/// The right to change what is published, as long as the lock on the folder of domains is kept.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    maps: &'a Maps,
    pub(crate) hooks: Attached,
    format: &'a Folder,
    domains: &'a Folder,
    watch: Folder,
    pub(crate) memories: Folder,
}

impl Change<'_> {
    /// `domains` is the exclusive lock on that folder of the format.
    pub(crate) fn new<'a>(format: &'a Folder, maps: &'a Maps, domains: &'a Lock) -> Result<Change<'a>> {
        let (watch, memories) = (format.folder(WATCH)?, format.folder(MEMORIES)?);
        let hooks = Attached::new(format)?;
        let change = Change { maps, hooks, format, domains: domains.folder(), watch, memories };
        change.sweep()?;
        Ok(change)
    }

    /// Unmakes what is not published.
    pub(crate) fn sweep(&self) -> Result<()> {
        for name in self.domains.names()? {
            if let Some(slot) = name.strip_prefix(UNPUBLISHED).and_then(|slot| slot.parse().ok()) {
                self.unmake(slot)?;
            }
        }
        self.hooks.sweep()
    }

    /// What is published.
    fn published(&self) -> Result<Vec<Published>> {
        let names = self.domains.names()?;
        let mut published: Vec<_> = names.iter().filter_map(|name| Published::parse(name)).collect();
        published.sort_unstable_by_key(|published| published.place.slot);
        Ok(published)
    }

    /// All about what is published.
    pub(crate) fn abouts(&self) -> Result<Vec<About>> {
        self.published()?.into_iter().map(|published| About::read(&self.folder(published)?)).collect()
    }

    /// What is published for a user.
    pub(crate) fn published_for(&self, owner: u32) -> Result<Vec<Published>> {
        Ok(self.published()?.into_iter().filter(|published| published.owner == Some(owner)).collect())
    }

    /// What a user has. Logs that nobody has any more may count until [`Change::forget_logs`].
    pub(crate) fn usage(&self, owner: u32) -> Result<Usage> {
        let mut usage = Usage { logs: logs::count(&self.maps.logs, owner)?, ..Usage::default() };
        for published in self.published_for(owner)? {
            let hooks = published.hooks().count();
            usage.domains += 1;
            usage.programs += hooks;
            usage.insns += published.insns * hooks;
            usage.handles += published.handles;
        }
        Ok(usage)
    }

    /// Forgets the logs that nobody has any more.
    pub(crate) fn forget_logs(&self, kernel: &Kernel) -> Result<()> {
        logs::forget(kernel, &self.maps.logs)
    }

    /// Whether no user has a log.
    pub(crate) fn has_no_logs(&self, kernel: &Kernel) -> Result<bool> {
        logs::are_gone(kernel, &self.maps.logs)
    }

    /// The published domain with this content that is anybody's, and a hold on it.
    pub(crate) fn find(&self, content: &Content) -> Result<Option<(About, Lock)>> {
        let hash = content.hash();
        for published in self.published()?.into_iter().filter(|published| published.content == hash) {
            let folder = self.folder(published)?;
            let about = About::read(&folder)?;
            if !about.own && about.content.is_all() && about.content == *content {
                return Ok(Some((about, Lock::shared(folder)?)));
            }
        }
        Ok(None)
    }

    /// A published domain, and a hold on it.
    pub(crate) fn find_published(&self, which: impl Fn(&Published) -> bool) -> Result<Option<(About, Lock)>> {
        let Some(published) = self.published()?.into_iter().find(which) else { return Ok(None) };
        let folder = self.folder(published)?;
        Ok(Some((About::read(&folder)?, Lock::shared(folder)?)))
    }

    /// What is shown of a rule of a published domain.
    pub(crate) fn shown(&self, number: u64, rule: usize) -> Result<Option<Shown>> {
        let published = self.published()?.into_iter().find(|published| published.place.number == number);
        let Some(published) = published else { return Ok(None) };
        Ok(About::read(&self.folder(published)?)?.shown.into_iter().nth(rule))
    }

    /// A place for a new domain, and the folder for its pins, held.
    pub(crate) fn reserve(&self) -> Result<(Place, Lock)> {
        let taken: Vec<u32> = self.published()?.iter().map(|published| published.place.slot).collect();
        let mut slots = (1..SLOTS).filter(|slot| taken.binary_search(slot).is_err());
        let slot = loop {
            let slot = slots.next().ok_or(Error::Full { what: "domains", limit: MAX_DOMAINS })?;
            if self.threads(slot)? == 0 {
                break slot;
            }
        };
        let folder = self.domains.folder(&format!("{UNPUBLISHED}{slot}"))?;
        let number = u64_of(&self.maps.last, 0)? + 1;
        self.maps.last.update(&[0; 4], &number.to_ne_bytes(), Update::Any)?;
        Ok((Place { number, slot }, Lock::shared(folder)?))
    }

    /// Publishes a domain, complete in the folder that was reserved.
    pub(crate) fn publish(&self, about: &About) -> Result<()> {
        let unpublished = format!("{UNPUBLISHED}{}", about.place.slot);
        Ok(self.domains.rename(&unpublished, self.domains, &about.published().name())?)
    }

    fn folder(&self, published: Published) -> Result<Folder> {
        Ok(self.domains.folder(&published.name())?)
    }

    /// How many threads are in the domain of a slot.
    pub(crate) fn threads(&self, slot: u32) -> Result<u64> {
        u64_of(&self.maps.counts, slot)
    }

    /// Unmakes the domains that nobody holds and no thread is in, but for the canary, and detaches the hooks that
    /// no other needs.
    pub(crate) fn collect(&self) -> Result<()> {
        self.collect_each(false)?;
        self.detach()
    }

    /// The same, the canary included, with some patience; says whether nothing is left.
    pub(crate) fn collect_all(&self) -> Result<bool> {
        let mut waited = Duration::ZERO;
        while self.collect_each(true)? == Left::Counted && waited < PATIENCE {
            sleep(STEP);
            waited += STEP;
        }
        self.detach()?;
        Ok(self.published()?.is_empty())
    }

    fn collect_each(&self, canary: bool) -> Result<Left> {
        let published = self.published()?.into_iter();
        let left = published.map(|one| self.collect_one(one, canary)).collect::<Result<Vec<Left>>>()?;
        if left.contains(&Left::Nothing) {
            self.forget_pairs()?;
            self.forget_handles()?;
        }
        Ok(left.into_iter().max().unwrap_or(Left::Nothing))
    }

    fn collect_one(&self, published: Published, canary: bool) -> Result<Left> {
        let slot = published.place.slot;
        // Looked at first because it is cheap; what counts is the look after the tokens are deleted.
        if self.threads(slot)? != 0 {
            return Ok(Left::Counted);
        }
        let folder = self.folder(published)?;
        if !canary && About::read(&folder)?.content.canary {
            return Ok(Left::Held);
        }
        let Some(_nobody_holds_it) = Lock::try_exclusive(folder)? else { return Ok(Left::Held) };
        delete_tokens(&self.maps.tokens, |of| of == slot)?;
        if self.threads(slot)? != 0 {
            return Ok(Left::Counted);
        }
        self.domains.rename(&published.name(), self.domains, &format!("{UNPUBLISHED}{slot}"))?;
        self.unmake(slot)?;
        Ok(Left::Nothing)
    }

    /// Removes all there is of a domain that is not published.
    fn unmake(&self, slot: u32) -> Result<()> {
        for hook in self.hooks.names()? {
            self.hooks.programs(hook)?.delete(&slot.to_ne_bytes())?;
        }
        let name = format!("{UNPUBLISHED}{slot}");
        self.domains.folder(&name)?.clear()?;
        Ok(self.domains.remove_folder(&name)?)
    }

    /// Forgets what only handles of a domain stood for that is not published.
    pub(crate) fn forget_handles(&self) -> Result<()> {
        let theirs: Vec<_> = self.published()?.into_iter().filter(|one| one.mask & FILES != 0).collect();
        if theirs.is_empty() {
            // All of it goes when nothing is watched any more.
            return Ok(());
        }
        let mut living = Vec::new();
        for published in theirs {
            let folder = self.folder(published)?;
            let pins = folder.names()?.into_iter().filter(|name| handles::is_pin(name));
            let maps = pins.map(|name| Ok(Map::from_pin(&folder, &name)?));
            living.extend(maps.collect::<Result<Vec<Map>>>()?);
        }
        handles::forget(self.maps, &self.memories, &living)
    }

    /// Watches what handles stand for.
    pub(crate) fn watch(&self, kernel: &Kernel, mask: u64) -> Result<()> {
        match mask & FILES != 0 {
            true => handles::watch(&self.watch, kernel, self.maps, mask & DESCRIPTORS != 0),
            false => Ok(()),
        }
    }

    /// Deletes the pairs with a domain that is not published.
    fn forget_pairs(&self) -> Result<()> {
        let words: Vec<u64> = self.published()?.iter().map(|published| published.place.word()).collect();
        for (pair, _) in self.maps.lineage.elements(4096)? {
            let (tracer, tracee) = pair.split_at(8);
            if ![tracer, tracee].iter().all(|word| words.contains(&word_of(word))) {
                self.maps.lineage.delete(&pair)?;
            }
        }
        Ok(())
    }

    /// Detaches the hooks for which no published domain has programs, unless somebody keeps them.
    fn detach(&self) -> Result<()> {
        let Some(_nobody_keeps_them) = Attached::new(self.format)?.keep()? else { return Ok(()) };
        if self.masks()? & FILES == 0 {
            handles::unwatch(&self.watch, &self.memories, self.maps)?;
        }
        let needed: Vec<_> = self.published()?.into_iter().flat_map(Published::hooks).collect();
        self.hooks
            .names()?
            .into_iter()
            .filter(|hook| !needed.contains(hook))
            .try_for_each(|hook| self.hooks.detach(hook))
    }

    /// What any published domain has in its mask.
    fn masks(&self) -> Result<u64> {
        Ok(self.published()?.into_iter().fold(0, |all, published| all | published.mask))
    }

    /// Fails if a published domain lacks a hook it needs: somebody removed the pin.
    pub(crate) fn check(&self) -> Result<()> {
        let attached = self.hooks.names()?;
        let masks = self.masks()?;
        if masks & FILES != 0 && !handles::is_watched(&self.watch, masks & DESCRIPTORS != 0)? {
            return Err(damaged(self.domains, "nothing watches what handles stand for".to_owned()));
        }
        for published in self.published()? {
            for hook in published.hooks() {
                if !attached.contains(&hook) || !self.hooks.is_whole(hook)? {
                    let why = format!(
                        "hook {hook}, which domain {} needs, is not attached",
                        published.place.number
                    );
                    return Err(damaged(self.domains, why));
                }
            }
        }
        Ok(())
    }
}

/// Deletes the tokens for the domains of these slots.
pub(crate) fn delete_tokens(tokens: &Map, of: impl Fn(u32) -> bool) -> Result<()> {
    for (token, value) in tokens.elements(MAX_TOKENS)? {
        if of(slot_of(&value)) {
            tokens.delete(&token)?;
        }
    }
    Ok(())
}

/// An element of an array of u64.
pub(crate) fn u64_of(map: &Map, index: u32) -> Result<u64> {
    Ok(word_of(&map.lookup(&index.to_ne_bytes())?.unwrap_or_default()))
}

fn word_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// The slot in the first word of a token's value.
fn slot_of(value: &[u8]) -> u32 {
    u32::try_from(word_of(value) % u64::from(SLOTS)).unwrap_or(0)
}
