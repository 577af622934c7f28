// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same programs on the kernel target: `cargo xtask guest-test v7` runs these in guests, as root, with the programs
//! in a folder of the guest.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const COMPAT: [&str; 5] = ["landlock", "compat", "--target", "kernel", "--"];
const USERS: [&[&str]; 2] = [&[], &["/v7/as", "1000"]];

/// Runs words in a new folder that everybody may write to.
fn run(words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    Command::new(words[0]).args(&words[1..]).current_dir(folder.path()).output().unwrap()
}

/// Runs a program as root and as somebody else; it finds everything as it should be.
fn agrees(program: &[&str]) {
    for user in USERS {
        let output = run(&[&COMPAT, user, program].concat());
        assert!(output.status.success(), "{user:?} {program:?}: {output:?}");
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn loading_refuses_what_v7_refused() {
    for words in [&["/v7/load", "root"][..], &["/v7/as", "1000", "/v7/load", "ordinary"]] {
        let output = run(&[&COMPAT, words].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
    assert_eq!(run(&["/v7/load", "root"]).status.code(), Some(1));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn prepending_binds_the_thread_that_asked_and_what_it_starts() {
    agrees(&["/v7/prepend"]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_file_system_is_as_v7_s_own_tests_have_it() {
    for part in ["read", "memory", "open"] {
        agrees(&["/v7/fs", part]);
    }
    // Who may mount at all.
    let output = run(&[&COMPAT[..], &["/v7/fs", "mount"]].concat());
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn tracing_is_as_v7_s_own_tests_have_it() {
    agrees(&["/v7/trace"]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_rule_is_of_use_to_others_when_its_maker_is_gone() {
    agrees(&["/v7/pass"]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_shares_v7_s_numbers_is_the_kernel_s() {
    let outside = run(&["/v7/modern"]);
    let said = String::from_utf8(outside.stdout).unwrap();
    assert!(said.lines().count() > 20 && said.contains("done"), "{said}");
    let inside = run(&[&COMPAT[..], &["/v7/modern"]].concat());
    assert_eq!(String::from_utf8(inside.stdout).unwrap(), said);
    agrees(&["/v7/modern", "zero"]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn signals_threads_debuggers_and_deaths_do_not_matter() {
    agrees(&["/v7/hostile", "kernel"]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_log_is_elsewhere_and_auto_is_the_kernel() {
    let output = run(&["landlock", "compat", "--target", "kernel", "--log", "-", "true"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("landlock log"));
    let output = run(&["landlock", "compat", "--verbose", "/v7/pass"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("target kernel"));
}
