// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attacks on what keeps threads in their domains. `cargo xtask guest-test` runs these in guests with Python, as root;
//! one after the other, for some take down whatever is in force.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use landlock_bpf::map::{Map, MapKind};
use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::verify::{Loader, verify};
use landlock_kernel::{Denials, Engine, Loaded};
use tempfile::TempDir;

/// Denies getting hold of whatever has the sticky bit and is a file.
const RULE: &str = "
.rule secret
.event FS
.license \"GPL\"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    if r2 & 16 goto gets
    exit
gets:
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 &= 0xf200
    if r0 == 0x8200 goto deny
    r0 = 0
deny:
    exit
";

fn domain() -> Domain {
    let object = asm::parse(RULE, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    let rule = verify(object, &Loader { cap_sys_admin: true });
    Domain::prepended([rule.unwrap_or_else(|problems| panic!("{problems}"))])
}

/// A folder with the secret and the attackers.
fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("prelude.py", include_str!("../../cli/tests/bypasses/prelude.py")),
        ("uring.py", include_str!("../../cli/tests/bypasses/uring.py")),
        ("lift.py", include_str!("attacks/lift.py")),
        ("guarded.py", include_str!("attacks/guarded.py")),
        ("waiting.py", include_str!("attacks/waiting.py")),
        ("enter.py", include_str!("attacks/enter.py")),
        ("secret", "the crown jewels"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let sticky = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o1600);
    fs::set_permissions(folder.path().join("secret"), sticky).unwrap();
    folder
}

fn python(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-B", "-S"]).args(words).current_dir(folder.path()).stdin(Stdio::null());
    command
}

fn output(mut command: Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
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

/// A process in the domain that says what it can do.
struct Guarded(Child);

impl Guarded {
    fn start(engine: &Engine, domain: &Loaded, folder: &TempDir, words: &[&str]) -> Guarded {
        let mut command = python(folder, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Guarded(within(engine, domain, || command.spawn().unwrap()))
    }

    fn opens(&mut self, file: &str) -> String {
        writeln!(self.0.stdin.as_mut().unwrap(), "{file}").unwrap();
        self.says()
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const LIFTS: [&str; 9] = [
    "maps",
    "links",
    "opened",
    "not_traced",
    "renamed",
    "pins",
    "unmounted",
    "detached",
    "detached_from_above",
];

/// Rules do not forbid these; what binds root inside must hold all the same.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn root_inside_does_not_take_the_rules_down() {
    let mut engine = Engine::open().unwrap();
    let domain = engine.load(&domain(), Denials::Shared).unwrap();
    let folder = place();
    let mut guarded = Guarded::start(&engine, &domain, &folder, &["guarded.py"]);
    for lift in LIFTS {
        let said = output_within(&engine, &domain, python(&folder, &["lift.py", lift]));
        assert!(said.ends_with("secret: EPERM\n"), "{said}");
        println!("{said}");
    }
    assert_eq!(guarded.opens("secret"), "EPERM");
}

fn output_within(engine: &Engine, domain: &Loaded, command: Command) -> String {
    within(engine, domain, || output(command))
}

/// The same steps by root outside are no attack: that they work shows that the attempt inside was one.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn root_outside_takes_the_rules_down() {
    let mut engine = Engine::open().unwrap();
    let domain = engine.load(&domain(), Denials::Shared).unwrap();
    let folder = place();
    let mut waiting = Guarded::start(&engine, &domain, &folder, &["waiting.py", "secret"]);
    assert_eq!(waiting.says(), "EPERM");
    let said = output(python(&folder, &["lift.py", "pins"]));
    assert_eq!(said, "pins: reached\nsecret: reached\n");
    assert_eq!(waiting.says(), "reached", "the pins held nothing");
}

fn enters(what: &str) -> String {
    let mut engine = Engine::open().unwrap();
    let domain = engine.load(&domain(), Denials::Shared).unwrap();
    let token = engine.token(&domain).unwrap().to_string();
    output(python(&place(), &["enter.py", &token, what]))
}

/// What io_uring leaves to threads of the kernel's is done by threads in the domain, or the domain is not entered.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn workers_are_in_the_domain_of_those_they_work_for() {
    assert_eq!(enters("after"), "EREMOTEIO EPERM\n");
    assert_eq!(enters("before"), "EBUSY reached\n");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_that_becomes_its_process_takes_its_domain_along() {
    assert_eq!(enters("exec"), "EREMOTEIO EPERM\n");
}

/// A program that should be there and is not is a denial, not a way through.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_missing_program_is_a_denial() {
    let mut engine = Engine::open().unwrap();
    let domain = engine.load(&domain(), Denials::Shared).unwrap();
    let folder = place();
    let mut guarded = Guarded::start(&engine, &domain, &folder, &["guarded.py"]);
    assert_eq!(["prelude.py", "secret"].map(|file| guarded.opens(file)), ["reached", "EPERM"]);
    assert!(removed_programs() > 0);
    assert_eq!(guarded.opens("prelude.py"), "", "it may not even answer");
    assert!(fs::read(folder.path().join("secret")).is_ok());
}

/// Takes every program out of every array of programs.
fn removed_programs() -> usize {
    let arrays = (1..10_000).filter_map(|id| Map::open(id).unwrap());
    let arrays = arrays.filter(|map| map.info().kind == MapKind::ProgArray);
    let removed = |map: Map| {
        let slots = 0..map.info().max_entries;
        slots.filter(|slot| map.delete(&slot.to_ne_bytes()).unwrap_or(false)).count()
    };
    arrays.map(removed).sum()
}
