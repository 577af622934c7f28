// SPDX-License-Identifier: MIT OR Apache-2.0
//! The confined thread's side: asking for a domain, and entering it.

use std::io::{Error, Result};

use landlock_compiler::domain::Domain;

use super::definition::{Definition, LogTo};
use super::{DEFINE, FORGET_LOG, LAYERS, OFFER, OPTION, VERSION, tag};
use crate::denial::Log;
use crate::sys;

/// Whether the calling thread has a supervisor of ours that it can ask for more rules.
pub fn is_offered() -> bool {
    sys::prctl(OPTION, [OFFER.into(), 0, 0]).is_ok_and(|version| version == VERSION)
}

/// A domain the calling thread, and what it starts, may enter.
#[derive(Clone, Copy, Debug)]
pub struct Entry(u32);

/// Asks for a domain of the calling thread's layers and those of this one.
pub fn define(domain: &Domain, log: &Log) -> Result<Entry> {
    let log = log.descriptor().map(|(number, text)| LogTo { descriptor: number.cast_unsigned(), text });
    let definition = Definition::of(domain, log).ok_or_else(|| Error::from_raw_os_error(libc::EBADF))?;
    let definition = serde_json::to_vec(&definition)?;
    let place = [DEFINE.into(), definition.as_ptr().addr() as u64, definition.len() as u64];
    let number = sys::prctl(OPTION, place)?;
    let number = u32::try_from(number).ok().filter(|number| (1..=tag::MAX).contains(number));
    number.map(Entry).ok_or_else(|| Error::from_raw_os_error(libc::EPROTO))
}

impl Entry {
    /// Enters the domain, for ever, on the calling thread. Async-signal-safe.
    pub fn enter(self) -> Result<()> {
        let present = sys::personality(ASK)?;
        sys::personality(tag::set(present, self.0))?;
        let is_in = tag::of(sys::personality(ASK)?) == self.0;
        if is_in { Ok(()) } else { Err(Error::from_raw_os_error(libc::EPERM)) }
    }

    /// Ends the log that was given with the domain; for a thread that has not entered it.
    pub fn forget_log(self) {
        // Without a log there is nothing to forget.
        drop(sys::prctl(OPTION, [FORGET_LOG.into(), self.0.into(), 0]));
    }
}

/// The persona that only asks.
const ASK: u32 = u32::MAX;

/// Runs `make` with mainline Landlock, which is switched off in a sandbox.
pub fn while_layering<T>(make: impl FnOnce() -> T) -> T {
    let say = |begins: bool| drop(sys::prctl(OPTION, [LAYERS.into(), begins.into(), 0]));
    say(true);
    let made = make();
    say(false);
    made
}
