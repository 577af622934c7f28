// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains at work in a real kernel: `cargo xtask guest-test` runs these in guests, as root.
//!
//! Each test has its own engine; what a domain denies concerns only the threads in it, so the tests can run
//! side by side. Every denial has its twin in a thread that is in no domain.

mod accomplice;
mod alone;
mod boundary;
mod lifetime;
mod limits;
mod soak;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use landlock_bpf::btf::Btf;
use landlock_bpf::map::{Map, Update};
use landlock_bpf::pin::Folder;
use landlock_compiler::abi::Event;
use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::emit::denial::{Asked, Record};
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Denials, DomainId, Engine, Error, Loaded};
use rustix::io::Errno;

use boundary::Process;

/// A rule of event FS that denies actions.
fn denies(name: &str, actions: u32) -> Rule {
    rule(&format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n    r0 = *(u64 *)(r1 + 24)\n    r0 &= {actions}\n    exit\n"
    ))
}

fn rule(text: &str) -> Rule {
    let object = asm::parse(text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify(object, &Loader { cap_sys_admin: true }).unwrap_or_else(|problems| panic!("{problems}"))
}

/// An engine of the test's own.
fn start(name: &str) -> Engine {
    Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).unwrap()
}

/// The folder with what the engine pinned.
fn format(name: &str) -> PathBuf {
    let folder = Path::new("/sys/fs/bpf").join(name);
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

const EXEC: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;
const NEW: u32 = 8;
const GET: u32 = 16;
const LOCK: u32 = 128;

fn read_only() -> Domain {
    Domain::prepended([denies("read_only", WRITE)])
}

/// Does something in a new thread that is in the domain.
fn within<T: Send>(engine: &Engine, domain: &Loaded, action: impl FnOnce() -> T + Send) -> T {
    let confined = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(domain).unwrap();
        action()
    };
    thread::scope(|scope| scope.spawn(confined).join().unwrap())
}

fn threads_in(engine: &Engine, domain: &Loaded) -> u64 {
    let domains = engine.domains().unwrap();
    domains.iter().find(|living| living.number == domain.number()).unwrap().threads
}

fn refused<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

/// Gives back a lock that nobody has: allowed but for rules against locks.
fn unlock() -> io::Result<()> {
    Ok(rustix::fs::flock(File::open("/dev/null")?, rustix::fs::FlockOperation::Unlock)?)
}

/// Waits: the kernel frees threads and what they used a while after their end.
fn becomes(mut what: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !what() {
        assert!(start.elapsed().as_secs() < 200, "it does not come to that");
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn write_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn scratch(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_in_a_domain_is_denied_and_others_are_not() {
    let mut engine = start("a_thread_in_a_domain_is_denied_and_others_are_not");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let folder = scratch("denied");
    let file = folder.join("file");
    fs::write(&file, "old").unwrap();
    within(&engine, &domain, || {
        assert!(refused(&write_to(&file)));
        assert!(refused(&File::create(folder.join("new"))));
        assert!(refused(&fs::create_dir(folder.join("dir"))));
        assert!(refused(&fs::remove_file(&file)));
        assert!(refused(&fs::rename(&file, folder.join("moved"))));
        assert!(refused(&fs::hard_link(&file, folder.join("link"))));
        assert!(refused(&std::os::unix::fs::symlink("x", folder.join("symlink"))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert!(fs::metadata(&file).unwrap().is_file() && fs::read_dir(&folder).unwrap().count() == 1);
    });
    assert!(write_to(&file).is_ok() && File::create(folder.join("new")).is_ok());
    fs::create_dir(folder.join("dir")).unwrap();
    fs::hard_link(&file, folder.join("link")).unwrap();
    fs::rename(&file, folder.join("moved")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn threads_and_processes_made_in_a_domain_are_in_it() {
    let mut engine = start("threads_and_processes_made_in_a_domain_are_in_it");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let folder = scratch("inherited");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let append = format!("echo x >> {}", file.display());
    let shell = || std::process::Command::new("sh").args(["-c", &append]).status().unwrap().success();
    within(&engine, &domain, || {
        thread::scope(|scope| {
            scope.spawn(|| assert!(refused(&write_to(&file)))).join().unwrap();
        });
        assert!(!shell(), "a process, after execve");
    });
    assert!(shell());
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\n");
    fs::remove_dir_all(&folder).unwrap();
}

/// Both domains have a program at the hook, so what the dispatcher remembers of the first would do for it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_rules_of_now_are_asked_not_those_asked_before() {
    let mut engine = start("the_rules_of_now_are_asked");
    let outer = engine.load(&read_only(), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("no_read", READ)], Denials::Shared).unwrap();
    let path = Path::new("/dev/null");
    within(&engine, &outer, || {
        assert!(File::open(path).is_ok() && refused(&write_to(path)));
        engine.enter(&inner).unwrap();
        assert!(refused(&File::open(path)));
    });
    assert!(File::open(path).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn domains_stack_and_only_grow() {
    let mut engine = start("domains_stack_and_only_grow");
    let outer = engine.load(&read_only(), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("no_get", GET)], Denials::Shared).unwrap();
    let other = engine.load(&Domain::prepended([denies("no_exec", EXEC)]), Denials::Shared).unwrap();
    let path = Path::new("/dev/null");
    within(&engine, &outer, || {
        assert!(File::open(path).is_ok() && refused(&write_to(path)));
        assert!(matches!(engine.enter(&other), Err(Error::Gate(why)) if why.contains("not in the domain")));
        assert!(refused(&write_to(path)), "still in the first");
        engine.enter(&inner).unwrap();
        assert!(refused(&File::open(path)) && refused(&write_to(path)));
        assert!(matches!(engine.enter(&outer), Err(Error::Gate(_))), "the way back");
    });
    thread::scope(|scope| {
        let stranger =
            || assert!(matches!(engine.enter(&inner), Err(Error::Gate(_))), "without the outer one");
        scope.spawn(stranger).join().unwrap();
    });
    assert!(write_to(path).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_token_lets_one_thread_in_once() {
    let mut engine = start("a_token_lets_one_thread_in_once");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let token = engine.token(&domain).unwrap();
    let enter = move || landlock_kernel::enter(token).map_err(|error| error.to_string());
    assert_eq!(thread::spawn(enter).join().unwrap(), Ok(()));
    let again = thread::spawn(enter).join().unwrap().unwrap_err();
    assert!(again.ends_with("no engine knows the token, or it was used"), "{again}");
    assert!(landlock_kernel::enter(token ^ 1).is_err());
    assert!(write_to(Path::new("/dev/null")).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn threads_that_are_gone_are_forgotten() {
    let mut engine = start("threads_that_are_gone_are_forgotten");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let barrier = &std::sync::Barrier::new(2);
    // Counted from outside: a thread that may not write may not ask for what is pinned.
    let meet = || (barrier.wait(), barrier.wait());
    let count = || {
        barrier.wait();
        let threads = threads_in(&engine, &domain);
        barrier.wait();
        threads
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            within(&engine, &domain, || {
                meet();
                thread::scope(|scope| scope.spawn(meet).join().map(drop).unwrap());
            });
        });
        assert_eq!(count(), 1);
        assert_eq!(count(), 2);
    });
    becomes(|| threads_in(&engine, &domain) == 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn denials_say_which_rule_and_instruction() {
    let mut engine = start("denials_say_which_rule_and_instruction");
    let rules = [denies("older", WRITE), denies("newer", EXEC)];
    let domain = engine.load(&Domain::prepended(rules), Denials::Shared).unwrap();
    let file = scratch("logged").join("file");
    fs::write(&file, "").unwrap();
    let ring = &mut engine.denials().unwrap();
    let _ = ring.consume(|_| {});
    let file_in_root = Path::new("/dev/null");
    // Both rules deny what comes of a path, the newer one first.
    within(&engine, &domain, || assert!(refused(&write_to(file_in_root))));
    let mut records = Vec::new();
    let _ = ring.consume(|bytes| records.push(Record::parse(bytes).unwrap()));
    let first = records.first().expect("a record");
    assert_eq!((first.domain, first.hook.name), (domain.number(), "inode_permission"));
    assert_eq!((first.rule, first.insn), (0, Some(2)));
    let Asked::Instance { instance, arg2 } = first.asked else { panic!("{first:?}") };
    assert_eq!((instance.event, arg2), (Event::Fs, EXEC.into()));
    let shown = engine.rule(first.domain, first.rule, first.insn).unwrap();
    assert_eq!((shown.name.as_str(), shown.line.as_deref()), ("newer", Some("rule:6")));
    let tgid = u64::from(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs());
    assert_eq!(first.pid_tgid >> 32, tgid);
    assert_eq!(engine.lost_denials().unwrap(), 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn only_hooks_at_which_a_domain_can_deny_are_attached() {
    let mut engine = start("only_hooks_at_which_a_domain_can_deny_are_attached");
    assert_eq!(engine.attached_hooks().unwrap(), ["file_lock"], "the canary's");
    let domain = engine.load(&Domain::prepended([denies("no_exec", EXEC)]), Denials::Shared).unwrap();
    let hooks: Vec<_> = domain.hooks().collect();
    assert_eq!(hooks, ["inode_permission", "file_permission", "mmap_file", "file_mprotect"]);
    assert_eq!(engine.attached_hooks().unwrap().len(), 5);
    assert!(domain.lacking().is_empty());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_mode_decides_by_the_kind_of_file() {
    let mut engine = start("the_mode_decides_by_the_kind_of_file");
    let only_devices = rule(
        ".rule only_devices\n.event FS\n.license \"GPL\"\n    r0 = *(u64 *)(r1 + 24)\n    r0 &= 2\n    \
         if r0 == 0 goto end\n    r1 = *(u64 *)(r1 + 16)\n    call handle_fs_get_mode\n    r0 &= 0xf000\n    \
         r0 ^= 0x2000\nend:\n    exit\n",
    );
    let domain = engine.load(&Domain::prepended([only_devices]), Denials::Shared).unwrap();
    let folder = scratch("kinds");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    within(&engine, &domain, || {
        assert!(write_to(Path::new("/dev/null")).is_ok());
        assert!(refused(&write_to(&file)));
        assert!(refused(&File::create(folder.join("new"))));
    });
    assert!(write_to(&file).is_ok());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn engines_side_by_side_bind_a_thread_both() {
    let [mut first, mut second] = ["first", "second"].map(start);
    let read_only = first.load(&read_only(), Denials::Shared).unwrap();
    let no_get = second.load(&Domain::prepended([denies("no_get", GET)]), Denials::Shared).unwrap();
    let strange = second.enter(&read_only).unwrap_err().to_string();
    assert!(strange.ends_with("loaded by another engine"), "{strange}");
    let path = Path::new("/dev/null");
    within(&first, &read_only, || {
        assert!(File::open(path).is_ok() && refused(&write_to(path)));
        second.enter(&no_get).unwrap();
        assert!(refused(&File::open(path)));
        thread::scope(|scope| scope.spawn(|| assert!(refused(&File::open(path)))).join().unwrap());
    });
    within(&second, &no_get, || assert!(refused(&File::open(path))));
    assert!(write_to(path).is_ok());
}

/// Asked by a thread that is nobody's in particular: it has no privilege, and cannot see what is pinned.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_learns_which_domain_it_is_in() {
    let [mut engine, mut other] = ["learns", "learns_another"].map(start);
    let outer = engine.load(&read_only(), Denials::Own).unwrap();
    let inner = engine.extend(&outer, [denies("no_get", GET)], Denials::Shared).unwrap();
    let apart = other.load(&Domain::prepended([denies("no_exec", EXEC)]), Denials::Shared).unwrap();
    let asked = || [engine.id(), other.id()].map(DomainId::of_this_thread_in);
    assert_eq!((asked(), DomainId::of_this_thread()), ([None, None], None));
    within(&engine, &outer, || {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        assert!(fs::read_dir("/sys/fs/bpf/learns").is_err());
        let expected = ([Some(outer.id()), None], Some(outer.id()));
        assert_eq!((asked(), DomainId::of_this_thread()), expected);
        let child = || assert_eq!((asked(), DomainId::of_this_thread()), expected);
        thread::scope(|scope| scope.spawn(child).join().unwrap());
    });
    within(&engine, &outer, || {
        engine.enter(&inner).unwrap();
        assert_eq!(asked(), [Some(inner.id()), None]);
        other.enter(&apart).unwrap();
        assert_eq!(asked(), [Some(inner.id()), Some(apart.id())]);
    });
    within(&other, &apart, || assert_eq!(DomainId::of_this_thread(), Some(apart.id())));
    assert_eq!(asked(), [None, None]);
}

/// By what a thread says of itself, and nothing else that is known of it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_domain_of_a_thread_can_be_extended_for_it() {
    let [mut engine, other] = ["extended_for_it", "extended_for_it_another"].map(start);
    let outer = engine.load(&Domain::prepended([denies("old", WRITE), denies("new", LOCK)]), Denials::Shared);
    let outer = outer.unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (give, given) = std::sync::mpsc::channel();
    let path = Path::new("/dev/null");
    let thread = {
        let token = engine.token(&outer).unwrap();
        thread::spawn(move || {
            landlock_kernel::enter(token).unwrap();
            tell.send(DomainId::of_this_thread().unwrap()).unwrap();
            assert!(File::open(path).is_ok() && refused(&write_to(path)));
            landlock_kernel::enter(given.recv().unwrap()).unwrap();
            assert!(refused(&File::open(path)) && refused(&write_to(path)));
        })
    };
    let id = told.recv().unwrap();
    drop(outer);
    let held = engine.hold(id).unwrap().expect("it lives, for a thread is in it");
    let line = held.domain().rules()[0].line(2).map(|line| line.line);
    assert_eq!(line, Some(6), "denials of what extends it name its lines");
    let names: Vec<_> = held.domain().rules().iter().map(|rule| rule.name()).collect();
    assert_eq!((names, held.id()), (vec!["new", "old"], id));
    let inner = engine.extend(&held, [denies("no_get", GET)], Denials::Shared).unwrap();
    give.send(engine.token(&inner).unwrap()).unwrap();
    thread.join().unwrap();
    assert!(engine.hold(DomainId { domain: id.domain + 4096, ..id }).unwrap().is_none());
    assert!(matches!(other.hold(id), Err(Error::Gate(_))));
}

/// Where tasks are preempted inside programs, a program that is skipped or a lookup that fails lets something
/// through; not here.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn nothing_gets_through_however_many_threads_meet_at_a_hook() {
    const THREADS: usize = 6;
    const ATTEMPTS: usize = 1500;
    let mut engine = start("nothing_gets_through_however_many_threads_meet_at_a_hook");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let folder = scratch("hammered");
    let create = |name: String| File::create(folder.join(name));
    let inside = |thread: usize| {
        let denied = |attempt: usize| refused(&create(format!("inside-{thread}-{attempt}")));
        let child = || thread::scope(|scope| scope.spawn(|| denied(ATTEMPTS)).join().unwrap());
        (0..ATTEMPTS).all(denied) && (0..ATTEMPTS / 50).all(|_| child())
    };
    let outside = |thread: usize| {
        let name = |attempt: usize| format!("outside-{thread}-{attempt}");
        (0..ATTEMPTS).for_each(|attempt| {
            create(name(attempt)).unwrap();
            fs::remove_file(folder.join(name(attempt))).unwrap();
        });
    };
    thread::scope(|scope| {
        let confined: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let (engine, domain) = (&engine, &domain);
                    move || within(engine, domain, move || inside(thread))
                })
            })
            .collect();
        let free: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || outside(thread))).collect();
        assert!(confined.into_iter().all(|thread| thread.join().unwrap()));
        free.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

mod unprivileged {
    use super::*;

    #[test]
    #[ignore = "needs a user: cargo xtask guest-test"]
    fn a_user_cannot_start_an_engine() {
        assert!(matches!(Engine::open(), Err(Error::Bpf(_) | Error::Unavailable(_))));
    }
}
