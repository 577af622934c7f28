// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains: those this process holds, and what is known of those that are published.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use landlock_bpf::map::Map;
use landlock_bpf::pin::Folder;
use landlock_bpf::ring::Ring;
use landlock_compiler::domain::Domain;
use landlock_compiler::hooks::{self, Hook};

use crate::about::{About, DomainId, Place, hooks_of};
use crate::error::{Error, Result};
use crate::handles;
use crate::lock::Lock;
use crate::state::{DENIALS, LOST};

/// Where a domain's denials are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denials {
    /// In the engine's ring buffer, for who reads the log. The domain is shared with others that have the same
    /// rules.
    Shared,
    /// In a ring buffer of the domain's own, read through [`Loaded::denials`]. The domain is nobody else's.
    Own,
}

/// A loaded domain: its programs are in place, and stay while this or a thread in the domain is.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The engine that loaded it, by the id of its map of threads.
    pub(crate) engine: u32,
    pub(crate) domain: Domain,
    pub(crate) place: Place,
    /// The domains it extends, oldest first.
    pub(crate) ancestors: Vec<Place>,
    pub(crate) mask: u64,
    pub(crate) lacking: Vec<&'static str>,
    /// Its folder, so that nobody collects it.
    pub(crate) hold: Arc<Lock>,
}

impl Loaded {
    pub(crate) fn new(engine: u32, domain: Domain, about: &About, hold: Lock) -> Loaded {
        Loaded {
            engine,
            domain,
            place: about.place,
            ancestors: about.content.ancestors.clone(),
            mask: about.mask,
            lacking: about.lacking(),
            hold: Arc::new(hold),
        }
    }

    /// Its rules.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The number denials bear. No other domain ever has it.
    pub fn number(&self) -> u64 {
        self.place.number
    }

    /// What tells it from all others, those of other engines included: what a thread in it says of itself.
    pub fn id(&self) -> DomainId {
        DomainId { engine: self.engine, domain: self.place.word() }
    }

    /// Hooks at which the domain could deny and which this kernel lacks, or lets nobody attach to.
    pub fn lacking(&self) -> &[&'static str] {
        &self.lacking
    }

    /// Hooks the domain has programs for.
    pub fn hooks(&self) -> impl Iterator<Item = &'static str> {
        hooks_of(self.mask)
    }

    /// Reads the domain's own denials, if it was loaded with [`Denials::Own`]: records for
    /// [`landlock_compiler::emit::denial::Record::parse`]. One reader at a time.
    ///
    /// # Errors
    /// [`Error::NotOwn`] if its denials are in the engine's ring buffer.
    pub fn denials(&self) -> Result<Ring> {
        Ok(Ring::new(self.own_map(DENIALS.name)?)?)
    }

    /// How many of the domain's own denials found no place.
    ///
    /// # Errors
    /// As [`Loaded::denials`].
    pub fn lost_denials(&self) -> Result<u64> {
        crate::change::u64_of(&self.own_map(LOST.name)?, 0)
    }

    /// The kernel's map of a map of the domain's, by its number in [`Domain::maps`].
    pub(crate) fn handles(&self, number: usize) -> Result<Map> {
        Ok(Map::from_pin(self.hold.folder(), &handles::pin(number))?)
    }

    /// What others read the domain's own denials from, without a privilege: the ring buffer, and the map that counts
    /// denials that found no place in it.
    ///
    /// # Errors
    /// As [`Loaded::denials`].
    pub fn own_maps(&self) -> Result<[OwnedFd; 2]> {
        Ok([self.own_map(DENIALS.name)?.into(), self.own_map(LOST.name)?.into()])
    }

    fn own_map(&self, name: &str) -> Result<Map> {
        let folder: &Folder = self.hold.folder();
        match folder.names()?.iter().any(|pin| pin == name) {
            true => Ok(Map::from_pin(folder, name)?),
            false => Err(Error::NotOwn),
        }
    }
}

/// What a user has in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Domains that are published.
    pub domains: usize,
    /// Logs of domains' own, a ring buffer of 1 MiB each: those of domains that are gone count while somebody has a
    /// descriptor of them.
    pub logs: usize,
    /// Programs: one for each hook a domain can deny at.
    pub programs: usize,
    /// Instructions of rules and filters in those programs, before they are compiled: what their memory is a multiple of.
    pub insns: usize,
    /// Handles that maps of the domains have room for.
    pub handles: usize,
}

/// A published domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Living {
    /// Its number; no other domain ever has it.
    pub number: u64,
    /// The names of its rules, newest first, those of the domain it extends included.
    pub rules: Vec<String>,
    /// How many threads are in it. A thread counts until the kernel has freed it, which is a while after its end.
    pub threads: u64,
    /// Hooks it has programs for.
    pub hooks: Vec<&'static str>,
    /// Hooks at which it could deny and which this kernel lacks, or lets nobody attach to.
    pub lacking: Vec<&'static str>,
    /// The number of the domain it extends, if it extends one; that may be gone.
    pub parent: Option<u64>,
    /// Whether its denials are recorded apart, for who loaded it.
    pub own_denials: bool,
    /// The user it was loaded for by who may load for others; else nobody in particular.
    pub owner: Option<u32>,
}

impl Living {
    pub(crate) fn new(about: &About, threads: u64) -> Living {
        Living {
            number: about.place.number,
            rules: about.content.rules.iter().map(|rule| rule.name.clone()).collect(),
            threads,
            hooks: hooks_of(about.mask).collect(),
            lacking: about.lacking(),
            parent: about.content.ancestors.last().map(|parent| parent.number),
            own_denials: about.own,
            owner: about.content.owner,
        }
    }
}

/// A hook's bit in the mask of the hooks a domain has programs for.
pub(crate) fn bit(hook: &Hook) -> u64 {
    const _: () = assert!(hooks::TABLE.len() <= 62);
    let index = hooks::TABLE.iter().position(|row| row.name == hook.name);
    1 << index.expect("a hook of the table")
}

/// In the same mask: the domain compares with files, and with their dentries or mounts.
pub(crate) const FILES: u64 = 1 << 63;
pub(crate) const DESCRIPTORS: u64 = 1 << 62;
