// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine: what is attached, which domains are loaded, and how a thread enters one.
//!
//! * `threads` is the only word on which domain a thread is in: a hash by the address of the task, because a
//!   hash lookup takes no lock and so cannot fail in a task that has an entry.
//! * A hook's dispatcher is attached when the first domain comes that can deny there, and stays.
//! * A domain's programs are all in place before the first token for it exists.
//!
//! Nothing is pinned yet: what is enforced is enforced while the engine lives.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};

use landlock_bpf::btf::Btf;
use landlock_bpf::link::Link;
use landlock_bpf::map::{Map, MapFlags, MapKind, MapSpec, Update};
use landlock_bpf::prctl;
use landlock_bpf::program::Program;
use landlock_bpf::ring::Ring;
use landlock_compiler::domain::Domain;
use landlock_compiler::emit::{self, Layout, MapSlot, Report};
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::rule::Rule;

use crate::attachment::{self, Attachment};
use crate::error::{Error, Result};
use crate::loaded::{Loaded, bit};
use crate::programs::{self, Answer, Boundary, Target};

/// Most threads in domains at a time; a further one is not made (EAGAIN).
pub const MAX_THREADS: u32 = 1 << 16;
/// Most domains, entered or not, in the life of an engine.
pub const MAX_DOMAINS: u32 = 4096;
/// The slot of threads that are in no domain; the gate knows it.
const NO_DOMAIN: u32 = 0;
/// Most tokens not used yet.
const MAX_TOKENS: u32 = 4096;
/// Bytes of the ring buffer of denials.
const RING_SIZE: u32 = 1 << 20;

const SPEC: MapSpec<'static> = MapSpec {
    name: "",
    kind: MapKind::Hash,
    key_size: 8,
    value_size: 16,
    max_entries: MAX_THREADS,
    flags: MapFlags::empty(),
    types: None,
    inner: None,
};

/// A hook with its dispatcher attached.
#[derive(Debug)]
struct Attached {
    /// The domains' programs, by slot.
    programs: Map,
    _link: Link,
}

/// The kernel target at work.
#[derive(Debug)]
pub struct Engine {
    btf: Btf,
    layout: Layout,
    threads: Map,
    tokens: Map,
    /// Pairs of slots: a domain, and one that extends it.
    lineage: Map,
    denials: Map,
    lost: Map,
    attached: BTreeMap<&'static str, Attached>,
    _thread_links: Vec<Link>,
    last_slot: u32,
}

impl Engine {
    /// Attaches what keeps threads in domains and lets them in. Needs root, and `bpf` among the active
    /// security modules.
    ///
    /// # Errors
    /// [`Error::Unavailable`], and [`Error::Canary`] if a denial was tried and nothing was denied.
    pub fn start() -> Result<Engine> {
        let attachment = attachment::attachment()?;
        let btf = Btf::of_running_kernel()?;
        let layout = crate::layout::read(&btf, attachment)?;
        let target = Target { btf: &btf, attachment };
        let threads = Map::create(&MapSpec { name: "threads", ..SPEC })?;
        let tokens =
            Map::create(&MapSpec { name: "tokens", value_size: 24, max_entries: MAX_TOKENS, ..SPEC })?;
        let ring =
            MapSpec { kind: MapKind::RingBuf, key_size: 0, value_size: 0, max_entries: RING_SIZE, ..SPEC };
        let denials = Map::create(&MapSpec { name: "denials", ..ring })?;
        let counter = MapSpec { kind: MapKind::Array, key_size: 4, value_size: 8, max_entries: 1, ..SPEC };
        let lost = Map::create(&MapSpec { name: "lost", ..counter })?;
        let lineage = Map::create(&MapSpec { name: "lineage", value_size: 1, ..SPEC })?;
        // Last the gate: nobody enters before children inherit and the boundary stands.
        let kind = attachment::kind(attachment);
        let mut programs = vec![
            (programs::boundary(target, Boundary::Access, &threads, &lineage)?, kind),
            (programs::boundary(target, Boundary::Traceme, &threads, &lineage)?, kind),
        ];
        programs.extend(programs::release(target, &threads)?);
        programs.push((programs::inherit(target, &threads)?, kind));
        programs.push((programs::gate(target, &threads, &tokens)?, kind));
        let links = programs.iter().map(|(program, kind)| Link::attach(program, *kind));
        let links = links.collect::<std::result::Result<_, _>>()?;
        let attached = BTreeMap::new();
        let mut engine = Engine {
            btf,
            layout,
            threads,
            tokens,
            lineage,
            denials,
            lost,
            attached,
            _thread_links: links,
            last_slot: 0,
        };
        crate::canary::sing(&mut engine)?;
        Ok(engine)
    }

    /// The functions of the kernel its programs are attached to.
    pub fn attachment(&self) -> Attachment {
        self.layout.attachment
    }

    fn target(&self) -> Target<'_> {
        Target { btf: &self.btf, attachment: self.attachment() }
    }

    /// Loads a domain, to be entered by threads that are in none.
    pub fn load(&mut self, domain: &Domain) -> Result<Loaded> {
        self.load_at(hooks::TABLE, domain.clone(), Vec::new())
    }

    /// Loads the domain that has these rules prepended to its parent's, in the given order; to be entered by
    /// threads in the parent.
    pub fn extend(&mut self, parent: &Loaded, rules: impl IntoIterator<Item = Rule>) -> Result<Loaded> {
        self.owns(parent)?;
        let older = parent.domain.rules().iter().rev().cloned();
        let domain = Domain::prepended(older.chain(rules));
        let ancestors = parent.ancestors.iter().copied().chain([parent.slot]).collect();
        self.load_at(hooks::TABLE, domain, ancestors)
    }

    /// Loads a domain for some hooks.
    pub(crate) fn load_at(
        &mut self,
        hooks: &'static [Hook],
        domain: Domain,
        ancestors: Vec<u32>,
    ) -> Result<Loaded> {
        let limit = MAX_DOMAINS - 1;
        let slot = self.last_slot + 1;
        if slot > limit {
            return Err(Error::TooManyDomains { limit });
        }
        self.last_slot = slot;
        let engine = self.threads.info().id;
        let mut loaded = Loaded { engine, domain, slot, ancestors, mask: 0, lacking: Vec::new() };
        for ancestor in &loaded.ancestors {
            let pair = [*ancestor, slot].map(u32::to_ne_bytes).concat();
            self.lineage.update(&pair, &[1], Update::Any)?;
        }
        for hook in hooks {
            self.load_hook(hook, &mut loaded)?;
        }
        Ok(loaded)
    }

    fn load_hook(&mut self, hook: &'static Hook, loaded: &mut Loaded) -> Result<()> {
        if !self.layout.hooks.contains_key(hook.name) {
            let known = hook.instances.iter().map(emit::known);
            loaded
                .lacking
                .extend(known.into_iter().any(|known| loaded.domain.may_deny(&known)).then_some(hook.name));
            return Ok(());
        }
        let report = Report::Record { domain: loaded.slot.into() };
        let Some(program) = emit::emit(hook, &loaded.domain, &self.layout, report)? else { return Ok(()) };
        self.attach(hook)?;
        let Some(attached) = self.attached.get(hook.name) else {
            loaded.lacking.push(hook.name);
            return Ok(());
        };
        let insns = program.insns(|slot| match slot {
            MapSlot::Denials => self.denials.as_fd().as_raw_fd(),
            MapSlot::Lost => self.lost.as_fd().as_raw_fd(),
        });
        let program = self.target().load(hook.name, "domain", &insns).map_err(|error| match error {
            Error::Bpf(error) => Error::Bug { hook: hook.name, error: Box::new(error) },
            other => other,
        })?;
        attached.programs.set_program(loaded.slot, &program)?;
        loaded.mask |= bit(hook);
        Ok(())
    }

    /// Attaches the hook's dispatcher if it is not, and if the kernel lets anybody attach there.
    fn attach(&mut self, hook: &'static Hook) -> Result<()> {
        if self.attached.contains_key(hook.name) {
            return Ok(());
        }
        let spec = MapSpec { name: "programs", kind: MapKind::ProgArray, key_size: 4, value_size: 4, ..SPEC };
        let programs = Map::create(&MapSpec { max_entries: MAX_DOMAINS, ..spec })?;
        if let Some(dispatch) = self.dispatch(hook, bit(hook), &programs)? {
            let _link = Link::attach(&dispatch, attachment::kind(self.attachment()))?;
            self.attached.insert(hook.name, Attached { programs, _link });
        }
        Ok(())
    }

    /// The dispatcher; none if the kernel refuses any program at the hook.
    fn dispatch(&self, hook: &'static Hook, bit: u64, programs: &Map) -> Result<Option<Program>> {
        match programs::dispatch(self.target(), hook.name, bit, &self.threads, programs) {
            Ok(program) => Ok(Some(program)),
            Err(Error::Bpf(_)) if self.target().is_closed(hook.name)? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts the calling thread into the domain, for ever; what it starts from now on is in it as well.
    pub fn enter(&self, domain: &Loaded) -> Result<()> {
        let token = self.token(domain)?;
        let answer = enter(token);
        // Not used up if the thread was not let in.
        self.tokens.delete(&token.to_ne_bytes())?;
        answer
    }

    /// A token with which one thread can enter the domain by [`enter`].
    pub fn token(&self, domain: &Loaded) -> Result<u64> {
        self.owns(domain)?;
        let mut token = [0; 8];
        rustix::rand::getrandom(&mut token, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Error::Unavailable(format!("getrandom: {errno}")))?;
        let parent = domain.ancestors.last().copied().unwrap_or(NO_DOMAIN);
        let fields = [u64::from(domain.slot), domain.mask, parent.into()];
        let value: Vec<u8> = fields.into_iter().flat_map(u64::to_ne_bytes).collect();
        self.tokens.update(&token, &value, Update::Make)?;
        Ok(u64::from_ne_bytes(token))
    }

    /// Slots mean nothing to another engine.
    fn owns(&self, domain: &Loaded) -> Result<()> {
        match domain.engine == self.threads.info().id {
            true => Ok(()),
            false => Err(Error::Gate("the domain was loaded by another engine")),
        }
    }

    /// How many threads are in each domain, by the domain's number.
    pub fn threads(&self) -> Result<BTreeMap<u32, usize>> {
        let mut count = BTreeMap::new();
        for (_, value) in self.threads.elements(1024)? {
            let slot = value.first_chunk().map_or(0, |slot| u32::from_ne_bytes(*slot));
            *count.entry(slot).or_default() += 1;
        }
        Ok(count)
    }

    /// The hooks with a dispatcher.
    pub fn attached_hooks(&self) -> impl Iterator<Item = &'static str> {
        self.attached.keys().copied()
    }

    /// Reads the denials: records for [`emit::denial::Record::parse`].
    pub fn denials(&self) -> Result<Ring> {
        match Map::open(self.denials.info().id)? {
            Some(map) => Ok(Ring::new(map)?),
            None => unreachable!("the engine holds the map"),
        }
    }

    /// Denials that are not among those because nobody read them in time.
    pub fn lost_denials(&self) -> Result<u64> {
        let value = self.lost.lookup(&[0; 4])?;
        Ok(value.and_then(|value| value.first_chunk().copied()).map_or(0, u64::from_ne_bytes))
    }
}

/// Puts the calling thread into the domain the token is for.
pub fn enter(token: u64) -> Result<()> {
    match prctl::gate(token).and_then(Answer::of) {
        Some(Answer::Entered) => Ok(()),
        Some(Answer::NotPermitted) => Err(Error::Gate("it needs no_new_privs or CAP_SYS_ADMIN")),
        Some(Answer::Elsewhere) => Err(Error::Gate("it is not in the domain that this one extends")),
        Some(Answer::Full) => Err(Error::Gate("too many threads are in domains")),
        None => Err(Error::Gate("no engine knows the token, or it was used")),
    }
}
