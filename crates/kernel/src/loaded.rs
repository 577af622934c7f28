// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain whose programs are in place.

use landlock_compiler::domain::Domain;
use landlock_compiler::hooks::{self, Hook};

/// A loaded domain: its programs are in place.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The engine that loaded it, by the id of its map of threads.
    pub(crate) engine: u32,
    pub(crate) domain: Domain,
    pub(crate) slot: u32,
    /// The domains it extends, oldest first.
    pub(crate) ancestors: Vec<u32>,
    pub(crate) mask: u64,
    pub(crate) lacking: Vec<&'static str>,
}

impl Loaded {
    /// Its rules.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The number denials bear.
    pub fn number(&self) -> u32 {
        self.slot
    }

    /// Hooks at which the domain could deny and which this kernel lacks, or lets nobody attach to.
    pub fn lacking(&self) -> &[&'static str] {
        &self.lacking
    }

    /// Hooks the domain has programs for.
    pub fn hooks(&self) -> impl Iterator<Item = &'static str> {
        let rows = hooks::TABLE.iter().enumerate();
        rows.filter(|(index, _)| self.mask & 1 << index != 0).map(|(_, hook)| hook.name)
    }
}

/// A hook's bit in the mask of the hooks a domain has programs for.
pub(crate) fn bit(hook: &Hook) -> u64 {
    const _: () = assert!(hooks::TABLE.len() <= 64);
    let index = hooks::TABLE.iter().position(|row| row.name == hook.name);
    1 << index.expect("a hook of the table")
}
