// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock` for an ordinary user, through the daemon.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::{ONE, Running, becomes};

/// A rule that denies actions, as a file has it.
pub fn text(name: &str, actions: u32) -> String {
    format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n    r0 = *(u64 *)(r1 + 24)\n    r0 &= {actions}\n    exit\n"
    )
}

/// A folder of the user's with rules.
pub fn folder() -> tempfile::TempDir {
    const NEW: u32 = 8;
    const REMOVE: u32 = 32;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(ONE), Some(ONE)).unwrap();
    for (name, actions) in [("no_new", NEW), ("no_removal", REMOVE), ("harmless", 1 << 20)] {
        std::fs::write(folder.path().join(format!("{name}.s")), text(name, actions)).unwrap();
    }
    folder
}

/// `landlock` with these arguments, as a user.
pub fn landlock(folder: &tempfile::TempDir, user: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("landlock");
    command.args(arguments).current_dir(folder.path()).uid(user).gid(user);
    command
}

fn said(output: &Output) -> String {
    format!("{} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_user_s_command_is_confined_by_the_kernel_if_there_is_a_daemon() {
    let folder = folder();
    let touch = |target: &str, rule: &str| {
        let output =
            landlock(&folder, ONE, &["run", "-v", "--target", target, "--rule", rule, "--", "touch", "new"]);
        let output = { output }.output().unwrap();
        let made = std::fs::remove_file(folder.path().join("new")).is_ok();
        (output.status.code(), made, said(&output))
    };
    let (code, made, text) = touch("kernel", "harmless.s");
    assert!(code == Some(125) && !made && text.contains("landlockd does not answer"), "{code:?} {text}");
    let (code, made, text) = touch("auto", "harmless.s");
    assert!(code == Some(0) && made && text.contains("target supervisor"), "{code:?} {text}");

    let daemon = Running::start();
    for target in ["kernel", "auto"] {
        let (code, made, text) = touch(target, "harmless.s");
        assert!(code == Some(0) && made && text.contains("target kernel"), "{code:?} {text}");
        let (code, made, text) = touch(target, "no_new.s");
        assert!(code == Some(1) && !made && text.contains("target kernel"), "{code:?} {text}");
    }
    let status = landlock(&folder, ONE, &["status"]).output().unwrap();
    assert!(said(&status).contains("yes      landlockd\n"), "{}", said(&status));
    assert!(said(&status).contains("auto takes: kernel"), "{}", said(&status));

    // Killing the daemon lifts nothing.
    let script = "until [ -e go ]; do sleep 0.1; done; touch new";
    let mut waiting = landlock(
        &folder,
        ONE,
        &["run", "--target", "kernel", "--rule", "no_new.s", "--", "sh", "-c", script],
    )
    .spawn()
    .unwrap();
    let confined = || std::fs::read_to_string(format!("/proc/{}/task/{0}/children", waiting.id()));
    becomes(|| confined().is_ok_and(|children| children.split_whitespace().count() == 2));
    daemon.kill();
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    assert!(!folder.path().join("new").exists());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_user_s_denials_are_logged_and_sandboxes_nest() {
    let _daemon = Running::start();
    let folder = folder();
    for user in [ONE, 0] {
        let log = format!("log-{user}");
        let logged = ["run", "--target", "kernel", "--log", &log, "--rule", "no_new.s", "--", "touch", "new"];
        let output = landlock(&folder, user, &logged).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let lines = std::fs::read_to_string(folder.path().join(&log)).unwrap();
        assert!(lines.lines().count() == 1 && lines.contains("no_new"), "{lines}");

        // The inner one denies what its rule denies, and what the outer one's does.
        let inner = "touch new; landlock run --target kernel --rule no_removal.s -- sh -c 'rm old; touch new; echo in'";
        std::fs::write(folder.path().join("old"), "").unwrap();
        let outer = ["run", "--target", "kernel", "--rule", "no_new.s", "--", "sh", "-c", inner];
        let output = landlock(&folder, user, &outer).output().unwrap();
        assert!(said(&output).contains("in\n"), "{}", said(&output));
        assert!(folder.path().join("old").exists() && !folder.path().join("new").exists());
        let free = ["run", "--target", "kernel", "--rule", "harmless.s", "--", "rm", "old"];
        assert!(landlock(&folder, user, &free).status().unwrap().success());
    }
}
