// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is seen of an engine: its domains, its hooks, what it refused.

use std::time::{Duration, Instant};

use landlock_bpf::map::Map;
use landlock_bpf::ring::Ring;
use landlock_compiler::denial::RuleSeen;

use super::Engine;
use crate::attached::Attached;
use crate::change::u64_of;
use crate::error::{Error, Result};
use crate::load::shown_key;
use crate::loaded::Living;
use crate::lock::Lock;
use crate::shown::Shown;
use crate::state::READER;

/// Longer than somebody reads denials who does not follow them.
const A_LOOK: Duration = Duration::from_secs(1);

impl Engine {
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
}
