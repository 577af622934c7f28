// SPDX-License-Identifier: MIT OR Apache-2.0
//! Serving clients: a thread accepts them, and one for each user ([`lane`](self::lane)) serves that user's.
//!
//! A client can make whoever serves it wait: with rules that take long to judge, and with descriptors that take
//! long to close (a socket that lingers, a file of a file system of the client's own). So it is the client's own user
//! who waits, and nobody else.

mod lane;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use landlock_compiler::domain::Domain;
use landlock_compiler::map;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};

use crate::limits::{MAX_USERS, MAX_WAITING};
use crate::protocol::{Parent, Refusal};
use lane::Lane;

/// What enforces rules: the kernel target, or a test's stand-in.
pub trait Enforcer: Send + 'static {
    /// A hold on a loaded domain: it stays until this is dropped and no thread is in it.
    type Domain: Send + Sync;

    /// Whether what it enforces with is still what it was opened with. If not, nothing can be done but to open another one.
    fn is_current(&self) -> bool;

    /// The number that tells it from others: what a thread is asked that says in which domain it is.
    fn id(&self) -> u32;

    /// A domain of the user's with all that is newer: one that is loaded and has no log of its own, if that will do, or a
    /// new one, if [there is a place](crate::limits::admit) for it.
    ///
    /// # Errors
    /// What the client is told, here and below.
    fn load(
        &mut self,
        user: u32,
        newer: &Domain,
        parent: Option<Parent>,
        own_log: bool,
    ) -> Result<Self::Domain, Refusal>;

    /// Puts these handles into a map of a domain's, and no others.
    fn change(&mut self, domain: &Self::Domain, map: usize, handles: &[map::Handle]) -> Result<(), Refusal>;

    /// The user's domain of this number, if there is one.
    fn hold(&mut self, user: u32, number: u64) -> Result<Option<Self::Domain>, Refusal>;

    /// A token that lets one thread into a domain.
    fn token(&self, domain: &Self::Domain) -> Result<u64, Refusal>;

    /// Whether a thread has used it, or nobody can any more.
    fn is_used(&self, token: u64) -> bool;

    /// Makes a token useless.
    fn revoke(&self, token: u64);

    /// The number that denials of a domain bear, and the hooks it could deny at and cannot.
    fn describe(&self, domain: &Self::Domain) -> (u64, Vec<String>);

    /// What the denials of a domain with a log of its own are read from.
    fn log(&self, domain: &Self::Domain) -> Result<Vec<OwnedFd>, Refusal>;

    /// How many threads are in the user's domain of this number.
    fn threads(&mut self, user: u32, number: u64) -> Result<u64, Refusal>;

    /// Unmakes what nobody holds and no thread is in.
    fn collect(&mut self);
}

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody wanted anything for a while.
    Idle,
    /// What it enforced with was taken away: it has to be started anew.
    Gone,
}

/// How often is looked whether what it enforces with is still there, and what nobody needs is collected.
const LOOK: Duration = Duration::from_secs(5);
/// Clients of one socket that are accepted at once.
const TURN: usize = 256;

/// Serves clients until nobody wanted anything for `idle`, or for ever.
///
/// # Errors
/// If a socket fails.
pub fn serve<E: Enforcer>(sockets: &[OwnedFd], enforcer: E, idle: Option<Duration>) -> Result<End, Errno> {
    let mut server = Server { enforcer: Arc::new(Mutex::new(enforcer)), lanes: HashMap::new() };
    let mut quiet = Duration::ZERO;
    let mut looked = Instant::now();
    loop {
        let mut ready: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        let wait = idle.map_or(LOOK, |idle| LOOK.min(idle));
        let asked = match poll(&mut ready, Timespec::try_from(wait).ok().as_ref()) {
            Ok(asked) => asked > 0,
            Err(Errno::INTR) => false,
            Err(errno) => return Err(errno),
        };
        let busy = server.busy();
        quiet = if asked || busy { Duration::ZERO } else { quiet + wait };
        if !lock(&server.enforcer).is_current() {
            return Ok(End::Gone);
        }
        if asked {
            sockets.iter().try_for_each(|socket| server.accept(socket))?;
        }
        if looked.elapsed() >= LOOK {
            lock(&server.enforcer).collect();
            looked = Instant::now();
        }
        if idle.is_some_and(|idle| quiet >= idle) {
            return Ok(End::Idle);
        }
    }
}

/// A thread that panicked with the enforcer in hand left nothing half done that the next change does not sweep.
fn lock<E>(enforcer: &Mutex<E>) -> MutexGuard<'_, E> {
    enforcer.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Server<E: Enforcer> {
    enforcer: Arc<Mutex<E>>,
    lanes: HashMap<u32, Handle>,
}

/// The accepting thread's end of a lane.
struct Handle {
    clients: Sender<OwnedFd>,
    wake: Arc<OwnedFd>,
    count: Arc<Count>,
}

/// Clients of a lane, those included that it does not know of yet; `None`: it has ended, or is about to.
type Count = Mutex<Option<usize>>;

impl<E: Enforcer> Server<E> {
    /// Whether any user has a lane.
    fn busy(&mut self) -> bool {
        self.lanes.retain(|_, lane| lock(&lane.count).is_some());
        !self.lanes.is_empty()
    }

    /// Accepts those who wait, and not for ever: others wait at another socket.
    fn accept(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        for _ in 0..TURN {
            match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => self.hand_over(client),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                // Too many are open. Some end by themselves; until then others wait to be accepted.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    std::thread::sleep(Duration::from_millis(20));
                    return Ok(());
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Gives a client to its user's lane. It is dropped if there is no place, which it takes for a no.
    fn hand_over(&mut self, client: OwnedFd) {
        let Ok(credentials) = sockopt::socket_peercred(&client) else { return };
        let user = credentials.uid.as_raw();
        let client = match self.lanes.get(&user) {
            Some(lane) => lane.take(client),
            None => Some(client),
        };
        let Some(client) = client else { return };
        self.busy();
        if self.lanes.len() >= MAX_USERS {
            return;
        }
        match self.start(user, client) {
            Ok(lane) => drop(self.lanes.insert(user, lane)),
            Err(error) => eprintln!("landlockd: no thread for user {user}: {error}"),
        }
    }

    /// A lane with its first client.
    fn start(&self, user: u32, client: OwnedFd) -> std::io::Result<Handle> {
        let (clients, inbox) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let count = Arc::new(Mutex::new(Some(0)));
        let handle = Handle { clients, wake: wake.clone(), count: count.clone() };
        // There before the thread is, which would end for want of any.
        drop(handle.take(client));
        let lane = Lane::new(user, self.enforcer.clone(), inbox, wake, count);
        std::thread::Builder::new().name(format!("user-{user}")).spawn(move || lane.serve())?;
        Ok(handle)
    }
}

impl Handle {
    /// Takes a client; gives it back if the lane has ended.
    fn take(&self, client: OwnedFd) -> Option<OwnedFd> {
        let mut count = lock(&self.count);
        match *count {
            None => return Some(client),
            Some(clients) if clients >= MAX_WAITING => return None,
            Some(clients) => *count = Some(clients + 1),
        }
        // The lane has the other end as long as it has not ended.
        drop(self.clients.send(client));
        drop(count);
        // It fails if nobody has looked since very many others woke it.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        None
    }
}
