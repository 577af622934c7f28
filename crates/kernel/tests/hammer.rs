// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where tasks are preempted inside programs, a program that is skipped or a lookup that fails lets something
//! through. Threads in domains and threads in none meet at the same hooks, while others come and go: nothing gets
//! through, and nobody else is denied. `cargo xtask guest-test` runs this in guests, as root.
//!
//! For 10 seconds, or for `LANDLOCK_HAMMER_SECONDS`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Denials, Engine, Loaded};

/// Threads of each kind.
const THREADS: usize = 5;
const WRITE: u32 = 2;
const REMOVE: u32 = 32;

fn denies(name: &str, actions: u32) -> Rule {
    let body = format!("    r0 = *(u64 *)(r1 + 24)\n    r0 &= {actions}\n    exit\n");
    let text = format!(".rule {name}\n.event FS\n.license \"GPL\"\n{body}");
    let object = asm::parse(&text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify(object, &Loader { cap_sys_admin: true }).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What happened.
#[derive(Default)]
struct Count {
    /// Forbidden operations that were tried, and those that succeeded.
    forbidden: AtomicU64,
    succeeded: AtomicU64,
    /// Allowed operations that were tried, and those that were denied.
    allowed: AtomicU64,
    denied: AtomicU64,
    /// Threads that entered a domain and ended.
    passers: AtomicU64,
}

impl Count {
    fn forbidden(&self, result: &io::Result<()>) {
        self.forbidden.fetch_add(1, Ordering::Relaxed);
        let denied = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        self.succeeded.fetch_add((!denied).into(), Ordering::Relaxed);
    }

    fn allowed(&self, result: &io::Result<()>) {
        self.allowed.fetch_add(1, Ordering::Relaxed);
        self.denied.fetch_add(result.is_err().into(), Ordering::Relaxed);
    }
}

/// What a thread works with: files of its own, one of them open since before.
struct Place {
    folder: PathBuf,
    existing: PathBuf,
    open: File,
}

impl Place {
    fn new(parent: &Path, name: &str) -> Place {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        let existing = folder.join("existing");
        fs::write(&existing, "content").unwrap();
        let open = OpenOptions::new().read(true).write(true).open(&existing).unwrap();
        Place { folder, existing, open }
    }

    /// What the rules deny, at different hooks.
    fn writes(&self, each: &impl Fn(&io::Result<()>)) {
        let new = self.folder.join("new");
        each(&File::create(&new).map(drop));
        each(&OpenOptions::new().append(true).open(&self.existing).map(drop));
        each(&self.open.write_at(b"C", 0).map(drop));
        each(&self.open.set_len(7));
        each(&fs::set_permissions(&self.existing, fs::Permissions::from_mode(0o600)));
        each(&fs::rename(&self.existing, &new).and_then(|()| fs::rename(&new, &self.existing)));
    }

    /// What they do not.
    fn reads(&self, each: &impl Fn(&io::Result<()>)) {
        each(&File::open(&self.existing).map(drop));
        each(&fs::metadata(&self.existing).map(drop));
        each(&self.open.read_at(&mut [0; 4], 0).map(drop));
    }
}

/// Everything the threads share.
struct Anvil<'a> {
    engine: &'a Engine,
    outer: &'a Loaded,
    inner: &'a Loaded,
    count: &'a Count,
    end: Instant,
}

impl Anvil<'_> {
    fn over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn enter(&self, domain: &Loaded) {
        rustix::thread::set_no_new_privs(true).unwrap();
        self.engine.enter(domain).unwrap();
    }

    fn attempts(&self, place: &Place) {
        place.writes(&|result| self.count.forbidden(result));
        place.reads(&|result| self.count.allowed(result));
    }

    /// In a domain, and after a while in one that extends it; with children.
    fn confined(&self, place: &Place) {
        self.enter(self.outer);
        (0..50).for_each(|_| self.attempts(place));
        self.enter(self.inner);
        while !self.over() {
            (0..20).for_each(|_| self.attempts(place));
            thread::scope(|scope| scope.spawn(|| self.attempts(place)).join().unwrap());
        }
    }

    /// In none.
    fn free(&self, place: &Place) {
        while !self.over() {
            place.writes(&|result| self.count.allowed(result));
            place.reads(&|result| self.count.allowed(result));
        }
    }

    /// One thread after the other enters, tries and ends: entries come and go beside those of others.
    fn passing(&self, place: &Place) {
        let pass = || {
            self.enter(self.outer);
            self.attempts(place);
        };
        while !self.over() {
            thread::scope(|scope| scope.spawn(pass).join().unwrap());
            self.count.passers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn nothing_gets_through_however_many_threads_meet_at_the_hooks() {
    let seconds = std::env::var("LANDLOCK_HAMMER_SECONDS").map_or(10, |text| text.parse().unwrap());
    let mut engine = Engine::open().unwrap();
    let outer = engine.load(&Domain::prepended([denies("read_only", WRITE)]), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("no_remove", REMOVE)], Denials::Shared).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let count = &Count::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    let anvil = &Anvil { engine: &engine, outer: &outer, inner: &inner, count, end };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let place = |kind: &str| Place::new(folder.path(), &format!("{kind}-{thread}"));
            let places = ["confined", "free", "passing"].map(place);
            scope.spawn(move || {
                let [confined, free, passing] = &places;
                thread::scope(|scope| {
                    scope.spawn(|| anvil.confined(confined));
                    scope.spawn(|| anvil.free(free));
                    scope.spawn(|| anvil.passing(passing));
                });
            });
        }
    });
    let [forbidden, succeeded, allowed, denied, passers] =
        [&count.forbidden, &count.succeeded, &count.allowed, &count.denied, &count.passers]
            .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{seconds} s: {forbidden} forbidden operations, {succeeded} succeeded; {allowed} allowed ones, {denied} \
         denied; {passers} threads passed through a domain"
    );
    assert!(forbidden > 1000 && allowed > 1000 && passers > 10, "that was no hammering");
    assert_eq!((succeeded, denied), (0, 0));
}
