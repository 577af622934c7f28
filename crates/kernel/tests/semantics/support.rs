// SPDX-License-Identifier: MIT OR Apache-2.0
//! An engine, rules in a line, and threads in domains.

use std::sync::{LazyLock, Mutex};
use std::thread;

use landlock_bpf::ring::Ring;
use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::emit::denial::Record;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Denials, Engine, Loaded};
use rustix::io::Errno;

use crate::place::Mark;

pub const EXEC: u64 = 1 << 0;
pub const WRITE: u64 = 1 << 1;
pub const READ: u64 = 1 << 2;
pub const NEW: u64 = 1 << 3;
pub const GET: u64 = 1 << 4;
pub const REMOVE: u64 = 1 << 5;
pub const IOCTL: u64 = 1 << 6;
pub const LOCK: u64 = 1 << 7;
pub const FCNTL: u64 = 1 << 8;

/// The engine of all tests, and what its domains denied that nobody has asked for yet.
struct Kernel {
    engine: Engine,
    ring: Ring,
    denied: Vec<Record>,
}

/// One for all: to attach to every hook takes seconds. What it pins goes with the guest.
static KERNEL: LazyLock<Mutex<Kernel>> = LazyLock::new(|| {
    let engine = Engine::open().unwrap();
    let ring = engine.denials().unwrap();
    Mutex::new(Kernel { engine, ring, denied: Vec::new() })
});

/// A domain of these rules, oldest first.
pub fn load(rules: impl IntoIterator<Item = Rule>) -> Loaded {
    KERNEL.lock().unwrap().engine.load(&Domain::prepended(rules), Denials::Shared).unwrap()
}

/// The domain that extends another by a rule.
pub fn extend(parent: &Loaded, rule: Rule) -> Result<Loaded, landlock_kernel::Error> {
    KERNEL.lock().unwrap().engine.extend(parent, [rule], Denials::Shared)
}

/// What the domain denied since this was asked last.
pub fn denials(domain: &Loaded) -> Vec<Record> {
    let Kernel { engine, ring, denied } = &mut *KERNEL.lock().unwrap();
    ring.consume(|bytes| denied.push(Record::parse(bytes).unwrap())).unwrap();
    assert_eq!(engine.lost_denials().unwrap(), 0);
    denied.extract_if(.., |record| record.domain == domain.number()).collect()
}

/// What a thread needs to enter the domain, by [`enter_with`].
pub fn token(domain: &Loaded) -> u64 {
    KERNEL.lock().unwrap().engine.token(domain).unwrap()
}

/// Puts the calling thread into a domain.
pub fn enter_with(token: u64) -> Result<(), landlock_kernel::Error> {
    rustix::thread::set_no_new_privs(true).unwrap();
    landlock_kernel::enter(token)
}

/// Puts the calling thread into the domain.
pub fn enter(domain: &Loaded) {
    enter_with(token(domain)).unwrap();
}

/// Does something in a new thread that is in the domain.
pub fn within<T: Send>(domain: &Loaded, action: impl FnOnce() -> T + Send) -> T {
    without(|| {
        enter(domain);
        action()
    })
}

/// Does something in a new thread that is in no domain.
pub fn without<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(action).join().unwrap())
}

/// A rule of an event from the text of its instructions.
pub fn rule(event: &str, body: &str) -> Rule {
    object(&format!(".rule test\n.event {event}\n.license \"GPL\"\n{body}"))
}

/// A rule from its whole text.
pub fn object(text: &str) -> Rule {
    let object = asm::parse(text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify(object, &Loader { cap_sys_admin: true }).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A rule of event FS that denies to open the object of a mark.
pub fn closes(mark: Mark) -> Rule {
    let mode = mark.mode();
    let body = format!(
        "r6 = *(u64 *)(r1 + 24)\nr6 &= {GET}\nif r6 == 0 goto allow\nr1 = *(u64 *)(r1 + 16)\n\
         call handle_fs_get_mode\nif r0 != {mode} goto allow\nr0 = 1\nexit\nallow:\nr0 = 0\nexit\n"
    );
    rule("FS", &body)
}

/// A rule of event FS that denies actions.
pub fn denies(actions: u64) -> Rule {
    rule("FS", &format!("r0 = *(u64 *)(r1 + 24)\nr0 &= {actions}\nexit\n"))
}

/// The errno of what failed otherwise.
pub fn errno<T>(result: std::io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or_else(|| panic!("{error}")))
}
