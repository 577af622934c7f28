// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel target as what enforces.

use std::os::fd::OwnedFd;

use landlock_compiler::domain::Domain;
use landlock_compiler::map::Handle;
use landlock_kernel::{Denials, DomainId, Engine, Error, Loaded};

use crate::limits::admit;
use crate::protocol::{Parent, Refusal, Why};
use crate::rules::{MAX_FILTERS, MAX_RULES};
use crate::server::Enforcer;

/// The machine's engine.
#[derive(Debug)]
pub struct Kernel(Engine);

impl Kernel {
    /// Takes up the machine's engine, or starts it.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open() -> Result<Kernel, Error> {
        Engine::open().map(Kernel)
    }

    /// The domain that a thread claims to be in, held, if all that is newer has a place on top of it.
    fn parent(&self, parent: Option<Parent>, newer: &Domain) -> Result<Option<Loaded>, Refusal> {
        let Some(Parent { engine, domain }) = parent else { return Ok(None) };
        let held = self.0.hold(DomainId { engine, domain }).map_err(refusal)?;
        let gone = || Refusal::new(Why::Domain, "there is no such domain to be extended");
        let held = held.ok_or_else(gone)?;
        let older = held.domain();
        few("rules", newer.rules().len(), older.rules().len(), MAX_RULES)?;
        few("filters", newer.filters().count(), older.filters().count(), MAX_FILTERS)?;
        Ok(Some(held))
    }
}

impl Enforcer for Kernel {
    type Domain = Loaded;

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn load(
        &mut self,
        user: u32,
        newer: &Domain,
        parent: Option<Parent>,
        own_log: bool,
    ) -> Result<Loaded, Refusal> {
        let parent = self.parent(parent, newer)?;
        let denials = if own_log { Denials::Own } else { Denials::Shared };
        let admit = |usage| admit(usage, own_log, !newer.maps().is_empty());
        self.0.load_for(user, parent.as_ref(), newer, denials, admit).map_err(refusal)?
    }

    fn change(&mut self, domain: &Loaded, map: usize, handles: &[Handle]) -> Result<(), Refusal> {
        self.0.change(domain, map, handles).map_err(refusal)
    }

    fn hold(&mut self, user: u32, number: u64) -> Result<Option<Loaded>, Refusal> {
        self.0.hold_for(user, number).map_err(refusal)
    }

    fn token(&self, domain: &Loaded) -> Result<u64, Refusal> {
        self.0.token(domain).map_err(refusal)
    }

    fn is_used(&self, token: u64) -> bool {
        !self.0.is_unused(token).unwrap_or(false)
    }

    fn revoke(&self, token: u64) {
        // Where it cannot be deleted there is nothing to enter, either.
        let _ = self.0.revoke(token);
    }

    fn describe(&self, domain: &Loaded) -> (u64, Vec<String>) {
        (domain.number(), domain.lacking().iter().map(|&hook| hook.to_owned()).collect())
    }

    fn log(&self, domain: &Loaded) -> Result<Vec<OwnedFd>, Refusal> {
        Ok(domain.own_maps().map_err(refusal)?.into())
    }

    fn threads(&mut self, user: u32, number: u64) -> Result<u64, Refusal> {
        self.0.threads_for(user, number).map_err(refusal)
    }

    fn collect(&mut self) {
        // What cannot be collected now is collected later.
        let _ = self.0.collect();
    }
}

/// Refuses more than there can be.
fn few(what: &str, newer: usize, older: usize, most: usize) -> Result<(), Refusal> {
    match older + newer > most {
        true => Err(Refusal::new(
            Why::TooMany,
            format!("{newer} {what} and the {older} that are in force already are more than {most}"),
        )),
        false => Ok(()),
    }
}

fn refusal(error: Error) -> Refusal {
    let why = match error {
        Error::Full { .. } => Why::Limit,
        Error::Handle(_) => Why::Descriptor,
        _ => Why::Kernel,
    };
    Refusal::new(why, error.to_string())
}
