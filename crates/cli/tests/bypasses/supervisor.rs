// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is closed on the supervisor target, whatever the rules, and processes that only it has. The kernel target
//! decides these like anything else: `kernel` has what becomes of them there.

use std::collections::BTreeSet;

use crate::attack::Attack;
use crate::playground::{EXEC, GET, PROGRAM, Rule, SECRET, User, WHOLE};

/// The tests of this module, and why they are not for the kernel target.
const REASONS: [(&str, &str); 12] = [
    ("asynchronous_reads_are_closed", "the kernel asks about them: kernel::asynchronous"),
    ("by_handle", "the kernel asks about what is opened: kernel::by_handle"),
    ("io_uring_is_closed", "the kernel asks about what its requests do: kernel::uring_*"),
    ("killing_what_keeps_the_sandbox_up_opens_nothing", "kernel::killing_the_waiter_opens_nothing"),
    ("mounts_are_closed", "rules decide about them, and see objects, not places: kernel::mounted*"),
    (
        "namespaces_are_opened_by_no_ioctl",
        "the kernel asks about what is opened, as of a terminal: descriptors::peered",
    ),
    ("other_doors_are_closed", "the kernel asks the same at each of them: kernel::int80, no_other_doors"),
    ("read_implies_exec", "the kernel asks with what it will really map: kernel::read_implies_exec"),
    (
        "set_user_id_programs_give_nothing",
        "root may keep them; the rules bind them too: kernel::set_user_id_programs",
    ),
    ("the_reaper_is_out_of_reach", "there is none"),
    ("the_supervisor_is_out_of_reach", "there is none"),
    ("the_list_of_reasons_is_complete", "it is about this list"),
];

fn names(name: &'static str) -> Attack {
    Attack::of(include_str!("names.py"), name)
}

fn descriptors(name: &'static str) -> Attack {
    Attack::of(include_str!("descriptors.py"), name)
}

fn processes(name: &'static str) -> Attack {
    Attack::of(include_str!("processes.py"), name)
}

#[test]
fn by_handle() {
    names("by_handle").is_closed("EPERM");
}

#[test]
fn read_implies_exec() {
    let program = Rule::on("program", EXEC, WHOLE, PROGRAM);
    descriptors("implied").is_refused(program, "READ_IMPLIES_EXEC");
}

#[test]
fn namespaces_are_opened_by_no_ioctl() {
    descriptors("namespaces").is_refused(Rule::during("opened", GET, 16), "what this ioctl opens");
}

#[test]
fn asynchronous_reads_are_closed() {
    descriptors("asynchronous").holding("secret").is_closed("EPERM");
}

#[test]
fn io_uring_is_closed() {
    descriptors("io_uring").is_closed("EPERM");
}

/// Not every kernel has these; what it has, no sandbox has.
#[test]
fn other_doors_are_closed() {
    descriptors("x32").is_never_possible("EPERM");
    descriptors("int80").is_never_possible("EPERM");
    descriptors("unknown").is_never_possible("ENOSYS");
}

#[test]
fn the_reaper_is_out_of_reach() {
    processes("of_the_reaper").is_never_possible("EPERM");
    processes("of_the_reaper").by_nobody().is_never_possible("EPERM");
}

#[test]
fn the_supervisor_is_out_of_reach() {
    processes("of_the_supervisor").is_never_possible("EPERM");
    processes("of_the_supervisor").by_nobody().is_never_possible("EPERM");
}

#[test]
fn mounts_are_closed() {
    processes("mounts").is_closed("EPERM");
}

#[test]
fn set_user_id_programs_give_nothing() {
    processes("set_user_id").by_nobody().is_closed("EPERM");
}

/// Killed at the right distance below `timeout`: the waiter, the supervisor, the reaper.
#[test]
fn killing_what_keeps_the_sandbox_up_opens_nothing() {
    for user in [User::Ours, User::Nobody] {
        for distance in 1..=3 {
            let secret = Rule::on("secret", GET, WHOLE, SECRET);
            let outcome = processes("survived").of_user(user).carry_out_and_kill(&secret, distance);
            assert!(!outcome.stdout.contains("reached"), "distance {distance}: {outcome:#?}");
            let waiter = distance == 1;
            assert!(waiter || outcome.stdout.starts_with("stopped: "), "distance {distance}: {outcome:#?}");
        }
    }
}

#[test]
fn the_list_of_reasons_is_complete() {
    let program = std::env::current_exe().expect("own program");
    let list = std::process::Command::new(program).arg("--list").output().expect("own program runs");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    let here = |line: &str| Some(line.strip_prefix("supervisor::")?.strip_suffix(": test")?.to_owned());
    let tests: BTreeSet<String> = list.lines().filter_map(here).collect();
    assert_eq!(tests, REASONS.map(|(name, _)| name.to_owned()).into());
}
