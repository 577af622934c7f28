// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every instance of the hook table: what it is asked, that a denial there is a denial, and that nothing is
//! denied without the rule.
//!
//! The rule knows its object by the mode, and denies whatever else it is told; what it was told is in the
//! record of the denial.

use std::collections::{BTreeMap, BTreeSet};

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::emit::denial::{Asked, Record};
use landlock_compiler::hooks::{self, Arg2, Hook, Instance};
use landlock_compiler::rule::Rule;
use landlock_kernel::Loaded;
use rustix::io::Errno;

use crate::cases::{self, Case, Change};
use crate::place::{Mark, Place};
use crate::support::{denials, load, rule, within, without};

/// Hooks of the table that kernels of a series do not have, or let nobody attach to by `bpf` as a security
/// module. One that appears or goes makes the tests fail, so that the list stays true.
const LACKING: [(&str, &[&str]); 3] = [
    (
        "6.1.",
        &[
            "file_truncate",
            "inode_set_acl",
            "inode_get_acl",
            "inode_remove_acl",
            "inode_file_setattr",
            "inode_file_getattr",
        ],
    ),
    ("6.12.", &[CLOSED, "inode_file_setattr", "inode_file_getattr"]),
    ("", &[CLOSED]),
];
const CLOSED: &str = "inode_getsecurity";

/// Those of the running kernel.
pub fn lacking() -> Vec<&'static str> {
    let running = rustix::system::uname();
    let release = running.release().to_str().unwrap();
    let (_, hooks) = LACKING.iter().find(|(series, _)| release.starts_with(series)).unwrap();
    let is_module = landlock_bpf::probe::bpf_is_an_active_lsm() == landlock_bpf::probe::Answer::Yes;
    hooks.iter().copied().filter(|hook| is_module || *hook != CLOSED).collect()
}

/// Instances without a case, and why.
const UNREACHED: [(&str, &str); 3] = [
    ("binder_transfer_file", "no kernel of Debian's has Android's binder"),
    ("inode_getsecurity", "inode_getxattr has asked the same before, so no rule denies here first"),
    ("inode_setsecurity", "inode_setxattr has asked the same before, so no rule denies here first"),
];

fn instance(case: &Case) -> (&'static Hook, &'static Instance) {
    let hook = hooks::by_name(case.hook).unwrap_or_else(|| panic!("no hook {}", case.hook));
    (hook, &hook.instances[case.instance])
}

fn rule_of(case: &Case) -> Rule {
    let (mask, bits) = case.when;
    let body = format!(
        "r6 = *(u64 *)(r1 + 24)\nr1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\n\
         if r0 != {} goto allow\nr6 &= {mask}\nif r6 != {bits} goto allow\nr0 = 1\nexit\n\
         allow:\nr0 = 0\nexit\n",
        case.mark.mode()
    );
    rule(instance(case).1.event.name(), &body)
}

/// What came of a case: the answer, and whether there is something else to be seen.
fn attempt(case: &Case, domain: Option<&Loaded>) -> (Result<(), Errno>, Change) {
    crate::sys::own_mounts();
    let place = Place::new();
    let act = (case.prepare)(&place);
    let before = place.seen();
    let answer = match domain {
        Some(domain) => within(domain, act),
        None => without(act),
    };
    (answer, if place.seen() == before { Change::None } else { Change::Some })
}

/// In a thread that is gone afterwards with its mounts.
fn attempted(case: &Case, domain: Option<&Loaded>) -> (Result<(), Errno>, Change) {
    without(|| attempt(case, domain))
}

/// What is wrong with what came of a case.
fn wrong(case: &Case, domain: &Loaded) -> Option<String> {
    let free = attempted(case, None);
    if free != (case.free.map(drop), case.free.unwrap_or(Change::None)) {
        return Some(format!("without the rule: {free:?}"));
    }
    denials(domain);
    let denied = attempted(case, Some(domain));
    let records = denials(domain);
    if denied != (Err(Errno::PERM), Change::None) {
        return Some(format!("with the rule: {denied:?}, {}", records_in_words(&records)));
    }
    // What follows is Rust: it asks F_GETFD before it closes a file.
    let first = records.first().map(|record| (record.hook, record.asked));
    let (hook, instance) = instance(case);
    match first == Some((hook, Asked::Instance { instance, arg2: case.arg2 })) {
        true => None,
        false => Some(format!("the kernel asked {}", records_in_words(&records))),
    }
}

fn records_in_words(records: &[Record]) -> String {
    let word = |record: &Record| match record.asked {
        Asked::Instance { instance, arg2 } => format!("{}: {}", record.hook.name, told(instance, arg2)),
        Asked::Hook { .. } => format!("{}: the rules tied to it", record.hook.name),
    };
    records.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn told(instance: &Instance, arg2: u64) -> String {
    match (instance.event, Actions::from_bits(arg2)) {
        (Event::Fs, Some(actions)) => format!("{actions:?}"),
        (event, _) => format!("{} {arg2:#x}", event.name()),
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn every_instance_of_the_hook_table_denies() {
    let mut domains: BTreeMap<(Event, Mark, (u64, u64)), Loaded> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases::all().filter(|case| !lacking().contains(&case.hook)) {
        let key = (instance(case).1.event, case.mark, case.when);
        let domain = domains.entry(key).or_insert_with(|| load([rule_of(case)])).clone();
        let name = format!("{} {} ({})", case.hook, case.instance, case.what);
        match wrong(case, &domain) {
            None => println!("{name}: {}", told(instance(case).1, case.arg2)),
            Some(wrong) => failures.push(format!("{name}: {wrong}")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn hooks_that_the_kernel_lacks_are_known() {
    let events = Event::ALL.into_iter().filter(|event| event.abi() == 1);
    let domain = load(events.map(|event| rule(event.name(), "r0 = 1\nexit\n")));
    assert_eq!(domain.lacking(), lacking());
    let has: Vec<_> =
        hooks::TABLE.iter().map(|hook| hook.name).filter(|name| !lacking().contains(name)).collect();
    assert_eq!(domain.hooks().collect::<Vec<_>>(), has);
}

#[test]
fn every_instance_of_the_hook_table_has_a_case() {
    let named = |hook: &Hook| (0..hook.instances.len()).map(|number| (hook.name, number)).collect::<Vec<_>>();
    let table: BTreeSet<_> = hooks::TABLE.iter().flat_map(named).collect();
    let unreached = UNREACHED.map(|(name, _)| (name, 0));
    let cases: BTreeSet<_> = cases::all().map(|case| (case.hook, case.instance)).collect();
    let listed: BTreeSet<_> = cases.iter().copied().chain(unreached).collect();
    assert_eq!(listed, table);
    assert!(cases.is_disjoint(&unreached.into_iter().collect()), "listed as without a case");
}

/// What the table says of constant actions is what the cases expect.
#[test]
fn cases_expect_what_the_table_says() {
    for case in cases::all() {
        if let Arg2::Actions(actions) = instance(case).1.arg2 {
            assert_eq!(actions.bits(), case.arg2, "{} {}", case.hook, case.what);
        }
    }
}
