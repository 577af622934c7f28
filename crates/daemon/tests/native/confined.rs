// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the daemon cannot do any more once it serves.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use landlock_compiler::domain::Domain;
use landlock_compiler::map::Handle;
use landlock_daemon::confine::confine;
use landlock_daemon::protocol::{Parent, Refusal};
use landlock_daemon::server::Enforcer;

use crate::fake::{Books, Fake, LONG, Live, domain, rule};

/// Tries in the daemon's place what it should not be able to.
struct Traitor {
    fake: Fake,
    tried: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

/// Each with whether it worked.
fn try_everything() -> Vec<(&'static str, bool)> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let own = rustix::process::getpid();
    vec![
        ("read a file", std::fs::read("/etc/passwd").is_ok()),
        ("list a folder", std::fs::read_dir("/").is_ok()),
        ("make a file", std::fs::write("/tmp/landlockd-was-here", "").is_ok()),
        ("read a process", std::fs::read("/proc/self/status").is_ok()),
        ("make a socket", socket(AddressFamily::UNIX, SocketType::STREAM, None).is_ok()),
        ("run a program", std::process::Command::new("true").status().is_ok()),
        ("kill", rustix::process::test_kill_process(own).is_ok()),
        ("change folder", rustix::process::chdir("/").is_ok()),
        ("be somebody else", rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(12345)).is_ok()),
        ("start a thread", std::thread::spawn(|| ()).join().is_ok()),
    ]
}

impl Enforcer for Traitor {
    type Domain = Arc<u64>;

    fn is_current(&self) -> bool {
        self.fake.is_current()
    }

    fn id(&self) -> u32 {
        self.fake.id()
    }

    fn load(
        &mut self,
        user: u32,
        newer: &Domain,
        parent: Option<Parent>,
        log: bool,
    ) -> Result<Arc<u64>, Refusal> {
        self.tried.lock().unwrap().extend(try_everything());
        self.fake.load(user, newer, parent, log)
    }

    fn change(&mut self, domain: &Arc<u64>, map: usize, handles: &[Handle]) -> Result<(), Refusal> {
        self.fake.change(domain, map, handles)
    }

    fn hold(&mut self, user: u32, number: u64) -> Result<Option<Arc<u64>>, Refusal> {
        self.fake.hold(user, number)
    }

    fn token(&self, domain: &Arc<u64>) -> Result<u64, Refusal> {
        self.fake.token(domain)
    }

    fn is_used(&self, token: u64) -> bool {
        self.fake.is_used(token)
    }

    fn revoke(&self, token: u64) {
        self.fake.revoke(token);
    }

    fn describe(&self, domain: &Arc<u64>) -> (u64, Vec<String>) {
        self.fake.describe(domain)
    }

    fn log(&self, domain: &Arc<u64>) -> Result<Vec<OwnedFd>, Refusal> {
        self.fake.log(domain)
    }

    fn threads(&mut self, user: u32, number: u64) -> Result<u64, Refusal> {
        self.fake.threads(user, number)
    }

    fn collect(&mut self) {
        self.fake.collect();
    }
}

/// What works in a lane of the daemon's, confined or not.
fn worked(is_confined: bool) -> Vec<&'static str> {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let first = move || {
        if is_confined {
            // Its files stay open as long as the process.
            std::mem::forget(confine(None::<&Path>).unwrap());
        }
    };
    let traitor = |books: Arc<Books>| Traitor { fake: Fake(books), tried: tried.clone() };
    let live = Live::with(LONG, first, traitor);
    live.daemon().load(&domain([rule("one")]), None, false).unwrap();
    let tried = tried.lock().unwrap();
    tried.iter().filter(|(_, worked)| *worked).map(|(what, _)| *what).collect()
}

#[test]
fn the_daemon_closes_the_machine_to_itself_and_serves_on() {
    // Without it, as far as an ordinary user could.
    let free = worked(false);
    for what in ["read a file", "list a folder", "read a process", "make a socket", "run a program", "kill"] {
        assert!(free.contains(&what), "{what}");
    }
    assert_eq!(worked(true), ["start a thread"]);
    let _ = std::fs::remove_file("/tmp/landlockd-was-here");
}
