// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel target as what enforces.

use std::os::fd::OwnedFd;

use landlock_compiler::rule::Rule;
use landlock_kernel::{Denials, DomainId, Engine, Error, Loaded};

use crate::limits::admit;
use crate::protocol::{Parent, Refusal, Why};
use crate::rules::MAX_RULES;
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

    /// The domain that a thread claims to be in, held.
    fn parent(&self, parent: Option<Parent>, rules: usize) -> Result<Option<Loaded>, Refusal> {
        let Some(Parent { engine, domain }) = parent else { return Ok(None) };
        let held = self.0.hold(DomainId { engine, domain }).map_err(refusal)?;
        let gone = || Refusal::new(Why::Domain, "there is no such domain to be extended");
        let held = held.ok_or_else(gone)?;
        let older = held.domain().rules().len();
        match older + rules > MAX_RULES {
            true => Err(Refusal::new(
                Why::TooMany,
                format!("{rules} rules and the {older} that are in force already are more than {MAX_RULES}"),
            )),
            false => Ok(Some(held)),
        }
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
        rules: &[Rule],
        parent: Option<Parent>,
        own_log: bool,
    ) -> Result<Loaded, Refusal> {
        let parent = self.parent(parent, rules.len())?;
        let denials = if own_log { Denials::Own } else { Denials::Shared };
        let (parent, rules) = (parent.as_ref(), rules.iter().cloned());
        self.0.load_for(user, parent, rules, denials, |usage| admit(usage, own_log)).map_err(refusal)?
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

fn refusal(error: Error) -> Refusal {
    let why = if matches!(error, Error::Full { .. }) { Why::Limit } else { Why::Kernel };
    Refusal::new(why, error.to_string())
}
