// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxes of ABI 2 inside sandboxes, on the supervisor target: filters, maps and rules on hooks.

use crate::support::{Folder, LANDLOCK, Ran, filter};

const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const COOKIE: u32 = 0x0007_0000;
const UNAME: u32 = 63;
const OPENAT: u32 = 257;

/// Refuses with an errno to open regular files that are beneath a handle.
fn deny(errno: u32) -> String {
    format!(
        ".rule deny\n.event FILE_OPEN\n.license \"GPL\"\n.map list fs 8\nr6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\n\
         r4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nif r0 != 0 goto allow\nr0 = {errno}\nexit\nallow:\nr0 = 0\nexit\n"
    )
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("all", &filter(0, COOKIE | 1)[16..24]);
    folder.write("harmless.s", ".rule harmless\n.event FS\n.license \"GPL\"\n r0 = 0\n exit\n");
    folder.write("outer.s", deny(30));
    folder.write("inner.s", deny(5));
    for name in ["one", "two"] {
        std::fs::create_dir(folder.path(name)).unwrap();
        folder.write(&format!("{name}/file"), format!("{name}\n"));
    }
    folder
}

/// A command in a sandbox in a sandbox.
fn nested(folder: &Folder, outer: &[&str], inner: &[&str], command: &[&str]) -> Ran {
    let mut arguments = vec!["run", "--target", "supervisor"];
    arguments.extend(outer);
    arguments.extend(["--", LANDLOCK, "run"]);
    arguments.extend(inner);
    arguments.push("--");
    folder.landlock(arguments.iter().chain(command))
}

const HARMLESS: [&str; 2] = ["--rule", "harmless.s"];
const OUTER: [&str; 6] = ["--filter", "all", "--rule", "outer.s", "--handle", "list=one"];
const INNER: [&str; 6] = ["--filter", "all", "--rule", "inner.s", "--handle", "list=two"];
const BOTH: [&str; 4] = ["sh", "-c", "for name in one two; do cat $name/file; done", "sh"];

#[test]
fn what_the_inner_one_compares_is_refused_inside_of_it() {
    let folder = folder();
    nested(&folder, &HARMLESS, &INNER, &BOTH).prints("one\n").complains("two/file: Input/output error");
    nested(&folder, &HARMLESS, &INNER[..4], &BOTH).exits(0).prints("one\ntwo\n");
    nested(&folder, &HARMLESS, &INNER, &["sh", "-c", "mv two three; cat three/file"])
        .prints("")
        .complains("three/file: Input/output error");
}

#[test]
fn the_lists_of_both_are_in_force() {
    let folder = folder();
    let ran = nested(&folder, &OUTER, &INNER, &BOTH);
    ran.prints("").complains("one/file: Read-only").complains("two/file: Input/output error");
    // Three deep, the same twice: nothing is lost on the way.
    let again = [LANDLOCK, "run", "--filter", "all", "--rule", "inner.s", "--handle", "list=two", "--"];
    let command: Vec<&str> = again.into_iter().chain(BOTH).collect();
    nested(&folder, &OUTER, &INNER, &command).prints("").complains("one/file").complains("two/file");
}

/// The kernel enforces what a filter says, and a rule runs for older filters only.
#[test]
fn the_filters_of_the_inner_one_are_in_force_inside_of_it() {
    let folder = folder();
    folder.write("no-uname", filter(UNAME, ERRNO | 95));
    folder.write("openat", filter(OPENAT, COOKIE | 2));
    nested(&folder, &HARMLESS, &["--filter", "no-uname"], &["uname"]).complains("Operation not supported");
    nested(&folder, &["--filter", "no-uname"], &HARMLESS, &["uname"]).complains("Operation not supported");
    nested(&folder, &HARMLESS, &["--filter", "openat"], &["uname"]).exits(0);
    // A cookie of the outer sandbox's filter is the inner rule's too; one of a newer filter is not.
    let rule = ["--rule", "inner.s", "--handle", "list=two"];
    nested(&folder, &["--filter", "openat"], &rule, &["cat", "two/file"]).complains("Input/output error");
    let late: Vec<&str> = rule.into_iter().chain(["--filter", "all"]).collect();
    nested(&folder, &HARMLESS, &late, &["cat", "two/file"]).exits(0).prints("two\n");
}

#[test]
fn the_sandbox_of_2016_inside_itself() {
    let folder = folder();
    let sandbox = |allowed: &[&str]| {
        let mut all: Vec<String> = ["/bin", "/lib", "/lib64", "/usr"].map(String::from).to_vec();
        all.push(std::path::Path::new(LANDLOCK).parent().unwrap().display().to_string());
        all.extend(["/proc", "/etc", "/dev/null"].map(String::from));
        all.extend(allowed.iter().map(|name| folder.path(name).display().to_string()));
        all.join(":")
    };
    let (outer, inner) = (sandbox(&["one", "two"]), sandbox(&["two"]));
    let script = "exec 2> two/errors; cat one/file >> two/out; cat two/file >> two/out";
    let command =
        ["/usr/bin/env", &format!("LANDLOCK_ALLOWED={inner}"), LANDLOCK, "sandbox", "/bin/sh", "-c", script];
    let mut outermost = std::process::Command::new(LANDLOCK);
    outermost.args(["sandbox", "--target", "supervisor"]).args(command);
    folder.run(outermost.env("LANDLOCK_ALLOWED", &outer).env_remove("LANDLOCK_CGROUPS")).exits(0);
    let written = |name| std::fs::read_to_string(folder.path("two").join(name)).unwrap();
    assert_eq!(written("out"), "two\n");
    assert!(written("errors").contains("one/file: Permission denied"));
}

#[test]
fn what_is_not_watched_or_cannot_be_had_is_told_and_nothing_runs() {
    let folder = folder();
    folder.write("traces", filter(UNAME, TRACE));
    let inner: Vec<&str> =
        ["env", LANDLOCK, "run"].into_iter().chain(INNER).chain(["--", "echo", "ran"]).collect();
    let outer = ["run", "--target", "supervisor", "--rule", "harmless.s", "--"];
    folder.landlock(outer.iter().chain(&inner)).exits(125).prints("").complains("--stackable");
    // It watches opens for its own rule on them.
    let outer: Vec<&str> = ["run", "--target", "supervisor"].into_iter().chain(OUTER).chain(["--"]).collect();
    folder.landlock(outer.iter().chain(&inner)).exits(0).prints("ran\n");
    nested(&folder, &["--filter", "traces"], &INNER, &["echo", "ran"])
        .exits(125)
        .prints("")
        .complains("give both to the same sandbox");
    let both: Vec<&str> = ["--filter", "traces"].into_iter().chain(INNER).collect();
    nested(&folder, &HARMLESS, &both, &["echo", "ran"]).exits(0).prints("ran\n");
}
