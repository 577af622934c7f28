// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shipped rules do what they say: verified, then asked case by case.

mod common;

use std::path::Path;

use common::{clangs, shipped_c_rules};
use landlock_compiler::abi::{Abilities, Actions, Event};
use landlock_compiler::elf::read_elf;
use landlock_compiler::evaluate::{Current, Input};
use landlock_compiler::read::read_file;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};

const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_644;
const TERMINAL: u32 = 0o020_620;
const DISK: u32 = 0o060_660;
const PIPE: u32 = 0o010_600;
const SOCKET: u32 = 0o140_777;

fn shipped(file: &str) -> Rule {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules").join(file);
    let object = read_file(&path).unwrap_or_else(|error| panic!("{error}")).remove(0);
    verify_newest(object, &Loader { cap_sys_admin: true }).unwrap_or_else(|problems| panic!("{problems}"))
}

fn input(event: Event, arg2: u64, mode: Option<u32>) -> Input {
    Input { event, arg2, mode, arch: 0, syscall_nr: 0, current: Current::default() }
}

fn denies(rule: &Rule, actions: Actions, mode: Option<u32>) -> bool {
    rule.evaluate(&input(Event::Fs, actions.bits(), mode)).is_deny()
}

/// Whether each action alone is denied, as a set.
fn denied_actions(rule: &Rule, mode: Option<u32>) -> Actions {
    Actions::all().iter().filter(|action| denies(rule, *action, mode)).collect()
}

#[test]
fn every_clang_makes_rules_the_verifier_accepts() {
    for clang in clangs() {
        for source in shipped_c_rules() {
            for object in read_elf(&clang.compile(&source).unwrap()).unwrap() {
                let debug = object.subtype.unwrap().ability != 0;
                assert_eq!(debug, source.ends_with("landlock1.c"), "only the debug rule needs a privilege");
                let rule = verify_newest(object, &Loader { cap_sys_admin: debug });
                rule.unwrap_or_else(|problems| panic!("{source:?} by {clang:?}: {problems}"));
            }
        }
    }
}

#[test]
fn deny_file_creation() {
    let rule = shipped("deny-file-creation.c");
    assert_eq!((rule.event(), rule.abilities()), (Event::Fs, Abilities::empty()));
    assert_eq!(denied_actions(&rule, None), Actions::NEW);
    assert_eq!(denied_actions(&rule, Some(DIRECTORY)), Actions::NEW);
    assert!(denies(&rule, Actions::NEW | Actions::WRITE, None));
    assert!(rule.evaluate(&input(Event::FsLock, 0, None)).is_deny(), "another event than it was written for");
}

#[test]
fn deny_write_and_deny_get() {
    for mode in [None, Some(REGULAR), Some(TERMINAL), Some(PIPE)] {
        assert_eq!(denied_actions(&shipped("deny-write.c"), mode), Actions::WRITE);
        assert_eq!(denied_actions(&shipped("deny-get.c"), mode), Actions::GET);
    }
}

#[test]
fn read_only_and_the_sample_spare_terminals_and_pipes() {
    for (file, ability) in [("read-only.c", Abilities::empty()), ("landlock1.c", Abilities::DEBUG)] {
        let rule = shipped(file);
        assert_eq!(rule.abilities(), ability);
        for mode in [None, Some(REGULAR), Some(DIRECTORY), Some(DISK), Some(SOCKET)] {
            assert_eq!(denied_actions(&rule, mode), Actions::WRITE, "{file} {mode:?}");
        }
        for mode in [TERMINAL, PIPE] {
            assert_eq!(denied_actions(&rule, Some(mode)), Actions::empty(), "{file} {mode:o}");
        }
        assert!(denies(&rule, Actions::WRITE | Actions::READ | Actions::GET, Some(REGULAR)));
    }
}

#[test]
fn the_sample_traces_what_it_denies() {
    let traced = |mode| {
        let mut lines = Vec::new();
        let write = input(Event::Fs, Actions::WRITE.bits(), mode);
        let _ = shipped("landlock1.c").evaluate_traced(&write, &mut |line| lines.push(line.to_owned()));
        lines.concat()
    };
    assert_eq!(traced(Some(REGULAR)), "landlock1: access denied\n");
    assert_eq!(traced(None), "landlock1: error: get_mode: -2\n");
    assert_eq!(traced(Some(TERMINAL)), "");
}

#[test]
fn no_tiocsti() {
    let rule = shipped("no-tiocsti.c");
    assert_eq!(rule.event(), Event::FsIoctl);
    let denies = |request| rule.evaluate(&input(Event::FsIoctl, request, Some(TERMINAL))).is_deny();
    assert!(denies(libc_numbers::TIOCSTI) && denies(libc_numbers::TIOCLINUX));
    let others = [0x5401, 0x5411, 0x5413, 0x541b, 0x541d, 0];
    assert!(others.iter().all(|request| !denies(*request)));
}

/// From <asm-generic/ioctls.h>.
mod libc_numbers {
    pub const TIOCSTI: u64 = 0x5412;
    pub const TIOCLINUX: u64 = 0x541c;
}

#[test]
fn no_setuid_files() {
    let rule = shipped("no-setuid-files.c");
    let touched = Actions::EXEC | Actions::GET;
    for (mode, denied) in [
        (Some(0o104_755), touched),
        (Some(0o102_755), touched),
        (Some(0o106_755), touched),
        (Some(0o102_644), Actions::empty()),
        (Some(0o100_755), Actions::empty()),
        (Some(0o101_777), Actions::empty()),
        (Some(0o042_775), Actions::empty()),
        (None, touched),
    ] {
        assert_eq!(denied_actions(&rule, mode), denied, "{mode:?}");
    }
}

#[test]
fn deny_exec() {
    let rule = shipped("deny-exec.s");
    assert_eq!(denied_actions(&rule, Some(0o100_755)), Actions::EXEC);
    assert_eq!(denied_actions(&rule, None), Actions::EXEC);
    assert_eq!(denied_actions(&rule, Some(DIRECTORY)), Actions::empty());
}
