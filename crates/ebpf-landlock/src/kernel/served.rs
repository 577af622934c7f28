// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain that landlockd loads for this process, which may not.

use std::sync::{Mutex, PoisonError};

use landlock_compiler::domain::Domain;
use landlock_daemon::client::{Connection, Daemon, Error, Grant, OwnLog};
use landlock_kernel::DomainId;

/// What the daemon gave.
#[derive(Debug)]
pub struct Served {
    daemon: Daemon,
    domain: Domain,
    parent: Option<DomainId>,
    number: u64,
    lacking: Vec<&'static str>,
    /// What keeps a domain with a log of its own, or with maps.
    kept: Option<Connection>,
    first: Mutex<(Option<Grant>, Option<OwnLog>)>,
}

/// What changes the maps of a domain.
#[derive(Clone, Debug)]
pub struct Changes {
    /// There is one if the domain has maps.
    connection: Option<Connection>,
    domain: Domain,
}

impl Changes {
    /// Has the domain's programs compare with what is in a map now.
    pub fn refresh(&self, map: u32) -> Result<(), Error> {
        let map = usize::try_from(map).unwrap_or(usize::MAX);
        let handles = self.domain.maps().get(map).map(|map| map.handles()).unwrap_or_default();
        self.connection.iter().try_for_each(|connection| connection.change(map, &handles))
    }
}

impl Served {
    /// Asks for the domain, on top of the one the calling thread is in.
    pub fn new(daemon: Daemon, domain: &Domain, own_log: bool) -> Result<Served, Error> {
        let connection = daemon.connect()?;
        let parent = connection.domain_of_this_thread()?;
        let mut grant = connection.load(domain, parent, own_log)?;
        let log = grant.log.take();
        let (number, lacking) = (grant.number, grant.lacking.clone());
        let stays = own_log || !domain.maps().is_empty();
        let kept = stays.then(|| grant.connection.clone());
        let first = Mutex::new((Some(grant), log));
        Ok(Served { daemon, domain: domain.clone(), parent, number, lacking, kept, first })
    }

    /// For changes of the domain's maps.
    pub fn changes(&self) -> Changes {
        Changes { connection: self.kept.clone(), domain: self.domain.clone() }
    }

    /// From now on nobody changes them.
    pub fn seal(&self) {
        if !self.domain.maps().is_empty() {
            self.kept.iter().for_each(Connection::seal);
        }
    }

    pub fn lacking(&self) -> &[&'static str] {
        &self.lacking
    }

    /// What lets one thread in, as long as it is kept.
    pub fn grant(&self) -> Result<Grant, Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        match first {
            Some(grant) => Ok(grant),
            None if self.kept.is_some() => self.daemon.again(self.number),
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
