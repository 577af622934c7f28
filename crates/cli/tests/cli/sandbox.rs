// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock sandbox`: the session of the RFC of August 2016, and what its sample did.
//!
//! Needs root: cgroups of version 2 and a folder /home are mounted, in a namespace that goes with the test.

use std::process::{Command, Stdio};

use crate::support::{Folder, LANDLOCK, Ran};
use crate::terminal;

/// Types lines at a shell on a terminal of its own, in mounts of its own; what the terminal showed.
fn typed(lines: &[String]) -> String {
    let mount = "mount -t tmpfs none /home && mkdir /home/user1 && mount -t cgroup2 none /sys/fs/cgroup && exec /bin/sh -i";
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "--", "sh", "-c", mount]);
    shell.env("PATH", format!("{}:{}", folder_of_landlock(), std::env::var("PATH").unwrap()));
    terminal::typed(&mut shell, lines)
}

fn folder_of_landlock() -> String {
    std::path::Path::new(LANDLOCK).parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_session_of_the_rfc_gives_what_is_printed_there() {
    let shown = typed(&terminal::session("supervisor"));
    terminal::is_as_printed(&shown);
}

fn sandbox(folder: &Folder, lists: &[(&str, &str)], command: &[&str]) -> Ran {
    let mut sandbox = Command::new(LANDLOCK);
    sandbox.args(["sandbox", "--target", "supervisor"]).args(command).stdin(Stdio::null());
    for name in ["LANDLOCK_ALLOWED", "LANDLOCK_CGROUPS"] {
        sandbox.env_remove(name);
    }
    folder.run(sandbox.envs(lists.iter().copied()))
}

const SYSTEM: &str = "/bin:/lib:/lib64:/usr";

/// Pipes are on no list either, so what a command says goes to a file of one that is.
#[test]
fn paths_alone_are_all_there_is() {
    let folder = Folder::new();
    folder.write("allowed", "yes\n");
    let other = Folder::new();
    other.write("secret", "no\n");
    let allowed = format!("{SYSTEM}:{}", folder.path("").display());
    let script = format!(
        "exec > out 2>&1; cat allowed; cat {0}; head -c1 < {0}; echo more >> {0}; ls {1}; cd {1} && echo there",
        other.path("secret").display(),
        other.path("").display()
    );
    sandbox(&folder, &[("LANDLOCK_ALLOWED", &allowed)], &["/bin/sh", "-c", &script]).exits(0);
    let out = std::fs::read_to_string(folder.path("out")).unwrap();
    assert!(out.starts_with("yes\n") && out.matches("Permission denied").count() == 4, "{out}");
    assert!(out.ends_with("there\n"), "walking is not restricted: {out}");
    folder.free_script(&script).exits(0);
    let out = std::fs::read_to_string(folder.path("out")).unwrap();
    assert!(!out.contains("denied") && out.contains("no\n"), "{out}");
}

#[test]
fn without_lists_nothing_starts() {
    let folder = Folder::new();
    sandbox(&folder, &[], &["/bin/true"]).exits(1).complains("cannot execute /bin/true: Permission denied");
    sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM)], &["/bin/true"]).exits(0).quiet();
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_run() {
    let folder = Folder::new();
    sandbox(&folder, &[], &[]).exits(1).complains("usage");
    for (name, list, why) in [
        ("LANDLOCK_ALLOWED", "", "No such file"),
        ("LANDLOCK_ALLOWED", "/bin:", "No such file"),
        ("LANDLOCK_ALLOWED", "/nowhere", "/nowhere: No such file"),
        ("LANDLOCK_ALLOWED", "/:/:/:/:/:/:/:/:/:/:/", "room for 10 handles"),
        ("LANDLOCK_CGROUPS", "/usr", "no cgroup of version 2"),
    ] {
        let ran = sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM), (name, list)], &["/bin/touch", "mark"]);
        ran.exits(1).complains(why);
        assert!(!folder.path("mark").exists());
    }
    let all = format!("{SYSTEM}:{}", folder.path("").display());
    sandbox(&folder, &[("LANDLOCK_ALLOWED", &all)], &["/bin/touch", "mark"]).exits(0);
    assert!(folder.path("mark").exists());
}

#[test]
fn the_command_s_code_is_its_own_and_its_path_is_taken_as_it_is() {
    let folder = Folder::new();
    let run = |command: &[&str]| sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM)], command);
    run(&["/bin/sh", "-c", "exit 7"]).exits(7);
    run(&["sh", "-c", "exit 7"]).exits(1).complains("cannot execute sh: No such file");
}
