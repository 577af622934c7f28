// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain that landlockd loads for this process, which may not.

use std::sync::{Mutex, PoisonError};

use landlock_compiler::domain::Domain;
use landlock_daemon::client::{Daemon, Error, Grant, OwnLog};
use landlock_daemon::protocol::{Refusal, Why};
use landlock_kernel::DomainId;

/// What the daemon gave.
#[derive(Debug)]
pub struct Served {
    daemon: Daemon,
    domain: Domain,
    parent: Option<DomainId>,
    number: u64,
    lacking: Vec<&'static str>,
    has_log: bool,
    first: Mutex<(Option<Grant>, Option<OwnLog>)>,
}

impl Served {
    /// Asks for the domain, on top of the one the calling thread is in.
    pub fn new(domain: &Domain, own_log: bool) -> Result<Served, Error> {
        let daemon = Daemon::default();
        let parent = DomainId::of_this_thread_in(daemon.hello()?);
        let mut grant = daemon.load(domain, parent, own_log)?;
        let log = grant.log.take();
        let (number, lacking) = (grant.number, grant.lacking.clone());
        let first = Mutex::new((Some(grant), log));
        Ok(Served { daemon, domain: domain.clone(), parent, number, lacking, has_log: own_log, first })
    }

    pub fn lacking(&self) -> &[&'static str] {
        &self.lacking
    }

    /// What lets one thread in, as long as it is kept. A domain with a log of its own is for one.
    pub fn grant(&self) -> Result<Grant, Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        match first {
            Some(grant) => Ok(grant),
            None if self.has_log => Err(Error::Refused(Refusal::new(
                Why::Limit,
                "a domain with a log of its own is for one command or thread; make another one",
            ))),
            None => self.daemon.load(&self.domain, self.parent, false),
        }
    }

    /// The denials; once.
    pub fn log(&self) -> Option<OwnLog> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }

    /// Whether a thread is in the domain. A daemon that does not answer may do so later.
    pub fn is_inhabited(&self) -> bool {
        !self.daemon.threads(self.number).is_ok_and(|threads| threads == 0)
    }
}
