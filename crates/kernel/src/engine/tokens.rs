// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way into a domain: a token that the gate takes once.

use landlock_bpf::map::{Map, Update};
use landlock_bpf::prctl;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::Engine;
use crate::error::{Error, Result};
use crate::load::full_or;
use crate::loaded::Loaded;
use crate::programs::Answer;
use crate::state::MAX_TOKENS;

/// Seconds after which a token that was not used may be dropped for a new one.
const TOKEN_LIFE: u64 = 60;

impl Engine {
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
