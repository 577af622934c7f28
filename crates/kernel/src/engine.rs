// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine: one process's hold on the kernel target of the machine.
//!
//! What is enforced does not depend on it: programs, maps and attachments are pinned ([`crate::state`]), and
//! the next engine takes them up. It may be killed at any moment; that lifts no rule.

use std::path::Path;
use std::time::{Duration, Instant};

use landlock_bpf::map::{Map, Update};
use landlock_bpf::prctl;
use landlock_bpf::ring::Ring;
use landlock_compiler::denial::RuleSeen;
use landlock_compiler::domain::Domain;
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::about::{Content, DomainId, Published};
use crate::attached::Attached;
use crate::attachment::Attachment;
use crate::canary;
use crate::change::u64_of;
use crate::error::{Error, Result};
use crate::handles;
use crate::kernel::Kernel;
use crate::load::{Wanted, full_or, shown_key};
use crate::loaded::{Denials, Living, Loaded, Usage};
use crate::lock::Lock;
use crate::programs::Answer;
use crate::shown::Shown;
use crate::state::{MAX_TOKENS, READER, State, damaged};

/// Where the machine's engine keeps its state.
pub const FOLDER: &str = "/sys/fs/bpf/landlock";

/// Seconds after which a token that was not used may be dropped for a new one.
const TOKEN_LIFE: u64 = 60;

/// Longer than somebody reads denials who does not follow them.
const A_LOOK: Duration = Duration::from_secs(1);

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

    /// Puts the calling thread into the domain, for ever; what it starts from now on is in it as well.
    pub fn enter(&self, domain: &Loaded) -> Result<()> {
        self.enter_by(domain, prctl::call)
    }

    /// The same for another thread, which is made to call prctl(2) with an option and two arguments, and gives the
    /// errno.
    pub fn enter_by(&self, domain: &Loaded, prctl: impl FnOnce([u64; 3]) -> Option<Errno>) -> Result<()> {
        let token = self.token(domain)?;
        let answer = entered(prctl(prctl::entering(token)));
        // Not used up if the thread was not let in.
        self.state.maps.tokens.delete(&token.to_ne_bytes())?;
        answer
    }

    /// A token with which one thread can enter the domain by [`enter`]. It is good as long as the domain is
    /// held; a minute after it was made it may have to give way to a new one.
    pub fn token(&self, domain: &Loaded) -> Result<u64> {
        self.owns(domain)?;
        let mut token = [0; 8];
        rustix::rand::getrandom(&mut token, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Error::Unavailable(format!("getrandom: {errno}")))?;
        let parent = domain.ancestors.last().map_or(0, |parent| parent.word());
        let fields = [domain.place.word(), domain.mask, parent, now()];
        let value: Vec<u8> = fields.into_iter().flat_map(u64::to_ne_bytes).collect();
        let tokens = &self.state.maps.tokens;
        if tokens.update(&token, &value, Update::Make).is_err() {
            forget_old(tokens)?;
            let made = tokens.update(&token, &value, Update::Make);
            made.map_err(|error| full_or(error, "tokens that were not used yet", MAX_TOKENS))?;
        }
        Ok(u64::from_ne_bytes(token))
    }

    /// Whether a token can still be used.
    pub fn is_unused(&self, token: u64) -> Result<bool> {
        Ok(self.state.maps.tokens.lookup(&token.to_ne_bytes())?.is_some())
    }

    /// Makes a token useless; one that was used is so already.
    pub fn revoke(&self, token: u64) -> Result<()> {
        self.state.maps.tokens.delete(&token.to_ne_bytes())?;
        Ok(())
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

    /// The domains that are published: some process holds them, or a thread is in them, or nobody has collected
    /// them yet.
    pub fn domains(&self) -> Result<Vec<Living>> {
        self.state.change(|change| {
            let listed = change.abouts()?.into_iter().filter(|about| !about.content.canary);
            listed.map(|about| Ok(Living::new(&about, change.threads(about.place.slot)?))).collect()
        })
    }

    /// How many threads are in the published domain of this number that was loaded for a user; 0 if there is none.
    pub fn threads_for(&self, user: u32, number: u64) -> Result<u64> {
        self.state.change(|change| {
            let theirs = change.published_for(user)?.into_iter();
            let place = theirs.map(|published| published.place).find(|place| place.number == number);
            place.map_or(Ok(0), |place| change.threads(place.slot))
        })
    }

    /// The number of the domain that was loaded last.
    pub fn last_number(&self) -> Result<u64> {
        u64_of(&self.state.maps.last, 0)
    }

    /// The hooks with a dispatcher.
    pub fn attached_hooks(&self) -> Result<Vec<&'static str>> {
        Attached::new(self.state.format())?.names()
    }

    /// Reads the denials of all domains that have none of their own: records for
    /// [`landlock_compiler::emit::denial::Record::parse`].
    ///
    /// # Errors
    /// [`Error::Read`] if somebody else reads them, and goes on for longer than a look takes (a second).
    pub fn denials(&self) -> Result<Ring> {
        let format = self.state.format();
        let end = Instant::now() + A_LOOK;
        let lock = loop {
            match Lock::try_exclusive(format.folder(READER)?)? {
                Some(lock) => break lock,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                None => return Err(Error::Read { folder: format.path().to_owned() }),
            }
        };
        let map = Map::open(self.state.maps.denials.info().id)?;
        let map = map.ok_or_else(|| Error::Gone { folder: format.path().to_owned() })?;
        Ok(Ring::new(map)?.keeping(lock.into_descriptor()))
    }

    /// Denials that are not among those because nobody read them in time.
    pub fn lost_denials(&self) -> Result<u64> {
        u64_of(&self.state.maps.lost, 0)
    }

    /// A rule of a domain and an instruction of it that denied, by their numbers in a denial: with name and source
    /// line as far as they are known. The domain may be gone, unless 2,048 rules have come since.
    pub fn rule(&self, domain: u64, rule: usize, insn: Option<usize>) -> Result<RuleSeen> {
        let remembered = self.state.maps.shown.lookup(&shown_key(domain, rule as u64))?;
        let shown = match remembered.and_then(|bytes| Shown::from_bytes(&bytes)) {
            Some(shown) => Some(shown),
            None => self.state.change(|change| change.shown(domain, rule))?,
        };
        Ok(shown.unwrap_or_else(Shown::unknown).seen(rule, insn, domain))
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

/// Deletes tokens that had their time.
fn forget_old(tokens: &Map) -> Result<()> {
    for (token, value) in tokens.elements(MAX_TOKENS)? {
        let made = value.last_chunk().map_or(0, |made| u64::from_ne_bytes(*made));
        if now().saturating_sub(made) > TOKEN_LIFE {
            tokens.delete(&token)?;
        }
    }
    Ok(())
}

/// Seconds since boot.
fn now() -> u64 {
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

/// Puts the calling thread into the domain the token is for.
pub fn enter(token: u64) -> Result<()> {
    entered(prctl::gate(token))
}

/// The same for another thread, which is made to call prctl(2) with an option and two arguments, and gives the errno.
pub fn enter_by(token: u64, prctl: impl FnOnce([u64; 3]) -> Option<Errno>) -> Result<()> {
    entered(prctl(prctl::entering(token)))
}

fn entered(answer: Option<Errno>) -> Result<()> {
    match answer.and_then(Answer::of) {
        Some(Answer::Entered) => Ok(()),
        Some(Answer::NotPermitted) => Err(Error::Gate("it needs no_new_privs or CAP_SYS_ADMIN")),
        Some(Answer::Elsewhere) => Err(Error::Gate("it is not in the domain that this one extends")),
        Some(Answer::Full) => Err(Error::Gate("too many threads are in domains")),
        Some(Answer::Workers) => Err(Error::Gate(
            "it uses io_uring, and workers it may have would stay outside; execute a program or start a new \
             thread first",
        )),
        None => Err(Error::Gate("no engine knows the token, or it was used")),
    }
}
