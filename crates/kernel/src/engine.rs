// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine: one process's hold on the kernel target of the machine.
//!
//! What is enforced does not depend on it: programs, maps and attachments are pinned ([`crate::state`]), and
//! the next engine takes them up. It may be killed at any moment; that lifts no rule.

mod observe;
mod tokens;

use std::path::Path;

use landlock_compiler::domain::Domain;
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;

use crate::about::{Content, DomainId, Published};
use crate::attached::Attached;
use crate::attachment::Attachment;
use crate::canary;
use crate::error::{Error, Result};
use crate::handles;
use crate::kernel::Kernel;
use crate::load::Wanted;
use crate::loaded::{Denials, Loaded, Usage};
use crate::lock::Lock;
use crate::state::{State, damaged};
pub use tokens::{enter, enter_by};

/// Where the machine's engine keeps its state.
pub const FOLDER: &str = "/sys/fs/bpf/landlock";

const STRANGE: Error = Error::Gate("the domain was loaded by another engine");

/// The kernel target at work.
#[derive(Debug)]
pub struct Engine {
    kernel: Kernel,
    state: State,
}

impl Engine {
    /// Takes up the machine's engine, or starts it. Needs root, and a kernel where
    /// [`crate::attachment`] finds a way.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Damaged`] if the state is not whole while threads are in domains;
    /// [`Error::Canary`] if a denial was tried and nothing was denied, or [`Error::SwitchedOff`] if it is known why; and
    /// [`Error::Confined`] to threads in domains.
    pub fn open() -> Result<Engine> {
        Engine::open_in(Path::new(FOLDER))
    }

    /// The same with the state in a folder of one's own, which is made if it is not there; its parent must be on
    /// a bpf file system. Engines in different folders do not know of each other, and a thread can be in a domain
    /// of each.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_in(folder: &Path) -> Result<Engine> {
        Engine::take_up(folder).map_err(|error| match DomainId::of_this_thread() {
            _ if canary::is_switched_off() => Error::SwitchedOff,
            Some(_) => Error::Confined,
            None => error,
        })
    }

    fn take_up(folder: &Path) -> Result<Engine> {
        let kernel = Kernel::new()?;
        let state = State::open(folder, &kernel)?;
        let mut engine = Engine { kernel, state };
        canary::sing(&mut engine)?;
        Ok(engine)
    }

    /// The functions of the kernel its programs are attached to.
    pub fn attachment(&self) -> Attachment {
        self.kernel.attachment
    }

    /// Loads a domain, to be entered by threads that are in none. One with the same rules is shared, unless its
    /// denials are to be its own.
    pub fn load(&mut self, domain: &Domain, denials: Denials) -> Result<Loaded> {
        let content = Content::of(domain, Vec::new(), false);
        self.load_at(hooks::TABLE, domain.clone(), content, denials, None)
    }

    /// Loads the domain that has these rules prepended to its parent's, in the given order; to be entered by
    /// threads in the parent.
    pub fn extend(
        &mut self,
        parent: &Loaded,
        rules: impl IntoIterator<Item = Rule>,
        denials: Denials,
    ) -> Result<Loaded> {
        let (domain, content) = self.content_for(None, Some(parent), &Domain::prepended(rules))?;
        self.load_at(hooks::TABLE, domain, content, denials, Some(parent))
    }

    /// Writes what is in a map of the domain's now, by its number in [`Domain::maps`], to where its programs look: it
    /// takes effect on who is in the domain at once.
    ///
    /// # Errors
    /// [`Error::Handle`] for what cannot be compared with; then nothing has changed.
    pub fn refresh(&mut self, domain: &Loaded, number: usize) -> Result<()> {
        let handles = domain.domain.maps().get(number).map(|map| map.handles());
        self.change(domain, number, &handles.unwrap_or_default())
    }

    /// The same with other handles than are in the map.
    ///
    /// # Errors
    /// As [`Engine::refresh`]; [`Error::Full`].
    pub fn change(&mut self, domain: &Loaded, number: usize, handles: &[Handle]) -> Result<()> {
        self.owns(domain)?;
        let maps = domain.domain.maps();
        let unknown = || Error::Handle(format!("the domain has {} maps", maps.len()));
        let definition = maps.get(number).ok_or_else(unknown)?.definition();
        if handles.len() > definition.max_entries as usize {
            return Err(Error::Full { what: "handles in the map", limit: definition.max_entries });
        }
        self.state.change(|change| {
            let map = domain.handles(number)?;
            handles::fill(&self.kernel, &self.state.maps, &change.memories, (&map, definition), handles)?;
            change.forget_handles()
        })
    }

    /// The published domain that a thread says it is in, to be extended. What the thread says need not be true:
    /// none but a thread that is in the domain can enter one that extends it. `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Gate`] if it is another engine's.
    pub fn hold(&self, id: DomainId) -> Result<Option<Loaded>> {
        if id.engine != self.id() {
            return Err(STRANGE);
        }
        self.published(|one| one.place.word() == id.domain)
    }

    /// The published domain of this number that was loaded for a user, if there is one.
    pub fn hold_for(&self, user: u32, number: u64) -> Result<Option<Loaded>> {
        self.published(|one| one.owner == Some(user) && one.place.number == number)
    }

    fn published(&self, which: impl Fn(&Published) -> bool) -> Result<Option<Loaded>> {
        self.state.change(|change| {
            let Some((about, hold)) = change.find_published(which)? else { return Ok(None) };
            let domain = about.domain().map_err(|why| damaged(self.state.format(), why))?;
            Ok(Some(Loaded::new(self.id(), domain, &about, hold)))
        })
    }

    /// The number that tells this engine from others; good until the machine is started anew.
    pub fn id(&self) -> u32 {
        self.state.id()
    }

    /// Loads a domain of all that is newer for a user who may not do that, to be entered by threads in the parent. It is
    /// shared with the same user's only; for a new one `admit` says whether it may be, by what the user has.
    ///
    /// # Errors
    /// Inside, what `admit` says.
    pub fn load_for<R>(
        &mut self,
        user: u32,
        parent: Option<&Loaded>,
        newer: &Domain,
        denials: Denials,
        admit: impl FnOnce(Usage) -> std::result::Result<(), R>,
    ) -> Result<std::result::Result<Loaded, R>> {
        let (domain, content) = self.content_for(Some(user), parent, newer)?;
        let wanted = self.wanted(hooks::TABLE, domain, content, denials, parent);
        self.state.change(|change| {
            if let Some(found) = wanted.find(self.id(), change)? {
                return Ok(Ok(found));
            }
            if denials == Denials::Own {
                change.forget_logs(&self.kernel)?;
            }
            match admit(change.usage(user)?) {
                Ok(()) => wanted.make(self.id(), change).map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
    }

    fn content_for(
        &self,
        owner: Option<u32>,
        parent: Option<&Loaded>,
        newer: &Domain,
    ) -> Result<(Domain, Content)> {
        parent.map_or(Ok(()), |parent| self.owns(parent))?;
        let domain = match parent {
            Some(parent) => parent.domain.extended(newer.layers()),
            None => newer.clone(),
        };
        let places =
            parent.into_iter().flat_map(|parent| parent.ancestors.iter().copied().chain([parent.place]));
        let content = Content::of(&domain, places.collect(), false).owned_by(owner);
        Ok((domain, content))
    }

    /// Loads a domain for some hooks.
    pub(crate) fn load_at(
        &mut self,
        hooks: &'static [Hook],
        domain: Domain,
        content: Content,
        denials: Denials,
        parent: Option<&Loaded>,
    ) -> Result<Loaded> {
        let wanted = self.wanted(hooks, domain, content, denials, parent);
        self.state.change(|change| wanted.load(self.id(), change))
    }

    fn wanted<'a>(
        &'a self,
        hooks: &'static [Hook],
        domain: Domain,
        content: Content,
        denials: Denials,
        parent: Option<&'a Loaded>,
    ) -> Wanted<'a> {
        Wanted { domain, content, hooks, denials, kernel: &self.kernel, maps: &self.state.maps, parent }
    }

    /// Whether the engine's state is where it was. If somebody removed it, this engine does nothing any more, and
    /// another is to be opened.
    pub fn is_current(&self) -> bool {
        self.state.is_current()
    }

    /// Places mean nothing to another engine.
    fn owns(&self, domain: &Loaded) -> Result<()> {
        match domain.engine == self.state.id() {
            true => Ok(()),
            false => Err(STRANGE),
        }
    }

    /// Keeps the hooks attached that are, for the next domain to find them: the kernel takes a tenth of a second to
    /// detach a hook, and attaches none meanwhile. None if somebody does so already.
    ///
    /// Who gives them back is to [`Engine::collect`] then.
    pub fn keep_hooks(&self) -> Result<Option<KeptHooks>> {
        Ok(Attached::new(self.state.format())?.keep()?.map(|lock| KeptHooks { _lock: lock }))
    }

    /// Unmakes the domains that nobody holds and no thread is in, and detaches the hooks that no other needs.
    pub fn collect(&mut self) -> Result<()> {
        self.state.change(|change| change.collect())
    }
}

/// Hooks stay attached as long as this is there, though nobody may need them.
#[derive(Debug)]
pub struct KeptHooks {
    _lock: Lock,
}

impl Drop for Engine {
    /// Collects, and takes everything down if nobody else has it open, no thread is in a domain, and no user has a log.
    fn drop(&mut self) {
        if self.state.is_ours() {
            // What cannot be taken down now the next engine takes up.
            let _ = self.state.take_down_if_last(&self.kernel);
        }
    }
}
