// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock status`, on a machine that can run the other tests.

use std::process::Command;

use crate::support::{Folder, LANDLOCK, Ran, shipped};

fn status(folder: &Folder, arguments: &[&str]) -> (Ran, serde_json::Value) {
    let ran = folder.landlock(["status", "--json"].iter().chain(arguments));
    let page = serde_json::from_str(&ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"));
    (ran, page)
}

#[test]
fn the_supervisor_target_works_here() {
    let folder = Folder::new();
    let (ran, page) = status(&folder, &[]);
    ran.exits(0).quiet();
    assert!(page["auto"] == "supervisor" || page["kernel"]["works"] == "yes");
    assert_eq!(page["supervisor"]["works"], "yes");
    let checks = page["supervisor"]["checks"].as_array().unwrap();
    for name in ["notification", "boundary"] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["answer"]["works"], "yes", "{name}");
        assert_eq!(check["required"], true, "{name}");
    }
    folder.landlock(["status"]).exits(0).says("yes      supervisor target");
}

/// What status says of it is what `run` finds, whichever it is here.
#[test]
fn the_kernel_target_is_promised_where_it_runs_and_nowhere_else() {
    let folder = Folder::new();
    let (_, page) = status(&folder, &[]);
    let rule = shipped("no-removal.s");
    let run = ["run", "--target", "kernel", "--rule", rule.to_str().unwrap(), "--", "touch", "mark"];
    let ran = folder.landlock(run);
    if page["kernel"]["works"] == "yes" {
        ran.exits(0);
    } else {
        assert_eq!(page["kernel"]["works"], "no");
        assert!(page["kernel"]["change"].as_str().is_some_and(|change| !change.is_empty()));
        ran.exits(125).complains(page["kernel"]["found"].as_str().unwrap()).complains("nothing was run");
    }
    assert_eq!(folder.path("mark").exists(), page["kernel"]["works"] == "yes");
}

/// A user has no say over what the kernel runs.
#[test]
fn the_kernel_target_is_not_for_users() {
    let folder = Folder::new();
    let mut unprivileged = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        unprivileged.args(["--bounding-set=-all", "--inh-caps=-all"]);
    }
    let ran = folder.run(unprivileged.args([LANDLOCK, "status"])).exits(0);
    ran.says("no       kernel target").says("auto takes: supervisor");
}

/// Where it does not work, it says so and what to do: inside a sandbox there is no second listener.
#[test]
fn inside_a_sandbox_it_says_what_is_in_the_way() {
    let folder = Folder::new();
    let rule = shipped("no-removal.s");
    let ran = folder.landlock(["run", "--rule", rule.to_str().unwrap(), "--", LANDLOCK, "status"]);
    ran.exits(1)
        .quiet()
        .says("no       supervisor target")
        .says("to change: start outside of the sandbox")
        .says("would refuse to run anything");
}
