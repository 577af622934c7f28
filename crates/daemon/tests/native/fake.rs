// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stand-in for the kernel: it keeps the books, and enforces nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_daemon::client::Daemon;
use landlock_daemon::limits::{admit, limit};
use landlock_daemon::listen;
use landlock_daemon::protocol::{Parent, Refusal};
use landlock_daemon::server::{End, Enforcer, serve};
use landlock_kernel::Usage;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

type Known = (u32, Vec<String>, std::sync::Weak<u64>);

/// What is in force, were it a kernel.
#[derive(Default)]
pub struct Books {
    /// Domains by number: whose, their rules, and whether somebody holds them.
    domains: Mutex<BTreeMap<u64, Known>>,
    tokens: Mutex<BTreeSet<u64>>,
    last: AtomicU64,
    pub is_gone: AtomicBool,
    pub loads: AtomicU64,
    /// How often there is no place yet for what was just collected.
    pub lingering: AtomicU64,
    /// Maps that were changed, and how many handles they have since.
    pub changes: Mutex<Vec<(usize, usize)>>,
}

impl Books {
    /// Uses a token as the gate does; whether it was good.
    pub fn enter(&self, token: u64) -> bool {
        self.tokens.lock().unwrap().remove(&token)
    }

    pub fn tokens(&self) -> usize {
        self.tokens.lock().unwrap().len()
    }

    pub fn held(&self) -> usize {
        self.domains.lock().unwrap().values().filter(|(_, _, hold)| hold.strong_count() > 0).count()
    }
}

#[derive(Clone)]
pub struct Fake(pub Arc<Books>);

impl Enforcer for Fake {
    type Domain = Arc<u64>;

    fn is_current(&self) -> bool {
        !self.0.is_gone.load(Ordering::Relaxed)
    }

    fn id(&self) -> u32 {
        7
    }

    fn load(
        &mut self,
        user: u32,
        newer: &Domain,
        _: Option<Parent>,
        own_log: bool,
    ) -> Result<Arc<u64>, Refusal> {
        let mut domains = self.0.domains.lock().unwrap();
        let theirs = || domains.values().filter(|(owner, ..)| *owner == user);
        let same =
            theirs().find(|(_, there, _)| !own_log && newer.maps().is_empty() && *there == names(newer));
        if let Some(found) = same.and_then(|(_, _, hold)| hold.upgrade()) {
            return Ok(found);
        }
        if self.0.lingering.load(Ordering::Relaxed) > 0 {
            self.0.lingering.fetch_sub(1, Ordering::Relaxed);
            return Err(limit("it lingers"));
        }
        admit(Usage { domains: theirs().count(), ..Usage::default() }, own_log, !newer.maps().is_empty())?;
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let hold = Arc::new(number);
        domains.insert(number, (user, names(newer), Arc::downgrade(&hold)));
        Ok(hold)
    }

    fn change(&mut self, _: &Arc<u64>, map: usize, handles: &[Handle]) -> Result<(), Refusal> {
        self.0.changes.lock().unwrap().push((map, handles.len()));
        Ok(())
    }

    fn hold(&mut self, user: u32, number: u64) -> Result<Option<Arc<u64>>, Refusal> {
        let domains = self.0.domains.lock().unwrap();
        let theirs = domains.get(&number).filter(|(owner, ..)| *owner == user);
        Ok(theirs.and_then(|(_, _, hold)| hold.upgrade()))
    }

    fn token(&self, _: &Arc<u64>) -> Result<u64, Refusal> {
        let token = self.0.last.fetch_add(1, Ordering::Relaxed) + (1 << 40);
        self.0.tokens.lock().unwrap().insert(token);
        Ok(token)
    }

    fn is_used(&self, token: u64) -> bool {
        !self.0.tokens.lock().unwrap().contains(&token)
    }

    fn revoke(&self, token: u64) {
        self.0.tokens.lock().unwrap().remove(&token);
    }

    fn describe(&self, domain: &Arc<u64>) -> (u64, Vec<String>) {
        (**domain, vec!["uring_cmd".to_owned()])
    }

    fn log(&self, _: &Arc<u64>) -> Result<Vec<OwnedFd>, Refusal> {
        Ok(Vec::new())
    }

    fn threads(&mut self, user: u32, number: u64) -> Result<u64, Refusal> {
        let domains = self.0.domains.lock().unwrap();
        Ok(domains
            .get(&number)
            .map_or(0, |(owner, _, hold)| if *owner == user { hold.strong_count() as u64 } else { 0 }))
    }

    fn collect(&mut self) {
        self.0.domains.lock().unwrap().retain(|_, (_, _, hold)| hold.strong_count() > 0);
    }
}

fn names(newer: &Domain) -> Vec<String> {
    newer.rules().iter().map(|rule| rule.name().to_owned()).collect()
}

/// A live daemon in a thread of this process.
pub struct Live {
    pub books: Arc<Books>,
    pub socket: PathBuf,
    _folder: tempfile::TempDir,
    serving: Option<JoinHandle<End>>,
}

impl Live {
    /// One that ends after so long without clients.
    pub fn start(idle: Duration) -> Live {
        Live::with(idle, || {}, Fake)
    }

    /// One with something done first in its thread, and another stand-in.
    pub fn with<E: Enforcer>(
        idle: Duration,
        first: impl FnOnce() + Send + 'static,
        enforcer: impl FnOnce(Arc<Books>) -> E,
    ) -> Live {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listening = listen::bound(&socket).unwrap();
        let books = Arc::new(Books::default());
        let enforcer = enforcer(books.clone());
        let serving = thread::spawn(move || {
            first();
            serve(&listening, enforcer, Some(idle)).unwrap()
        });
        Live { books, socket, _folder: folder, serving: Some(serving) }
    }

    /// The client's view.
    pub fn daemon(&self) -> Daemon {
        Daemon::at(&self.socket, rustix::process::geteuid().as_raw())
    }

    /// A bare connection.
    pub fn connect(&self) -> OwnedFd {
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        connect(socket.as_fd(), &SocketAddrUnix::new(&self.socket).unwrap()).unwrap();
        // Nobody waits for ever for what does not come.
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(300))).unwrap();
        socket
    }

    /// How it ended.
    pub fn end(mut self) -> End {
        self.serving.take().unwrap().join().unwrap()
    }
}

/// A rule that denies everything, of this name.
pub fn rule(name: &str) -> Rule {
    let text = format!(".rule {name}\n.event FS\nr0 = 1\nexit\n");
    verify(asm::parse(&text, "test").unwrap().remove(0), &Loader::default()).unwrap()
}

/// Rules prepended in this order.
pub fn domain(rules: impl IntoIterator<Item = Rule>) -> Domain {
    Domain::prepended(rules)
}

/// Waits until `so`, for minutes: machines can be loaded.
pub fn until(so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(300), "it never comes about");
        thread::sleep(Duration::from_millis(10));
    }
}

pub const LONG: Duration = Duration::from_secs(600);
