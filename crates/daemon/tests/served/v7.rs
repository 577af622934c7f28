// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that make v7's own system calls, started by an ordinary user.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::{ONE, Running};

/// Runs a program in a folder that everybody may write to, as a user.
fn compat(target: &str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("landlock");
    command.args(["compat", "--verbose", "--target", target, "--"]).args(words);
    command.current_dir(folder.path()).uid(ONE).gid(ONE).output().unwrap()
}

/// They find everything as it should be; the last one is there when rules come from elsewhere.
const PROGRAMS: &[&[&str]] = &[
    &["/v7/load", "ordinary"],
    &["/v7/prepend"],
    &["/v7/fs", "read"],
    &["/v7/fs", "memory"],
    &["/v7/fs", "open"],
    &["/v7/trace"],
    &["/v7/hostile", "kernel"],
    &["/v7/modern", "zero"],
    &["/v7/pass"],
];

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_a_user_runs_behaves_as_v7_had_it() {
    let output = compat("kernel", &["/v7/pass"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("landlockd does not answer"), "{output:?}");
    let daemon = Running::start();
    for program in PROGRAMS {
        let output = compat("kernel", program);
        assert!(output.status.success(), "{program:?}: {output:?}");
    }
    let output = compat("auto", &["/v7/pass"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("target kernel"), "{output:?}");
    drop(daemon);
    let output = compat("auto", &["/v7/pass"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("target supervisor"), "{output:?}");
}
