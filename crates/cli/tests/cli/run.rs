// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock run`: exit codes, what belongs to whom, order of rules, the log.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Folder, LANDLOCK, Ran, rule_in_c, shipped};

/// Denies nothing that a command below does.
const HARMLESS: &str = ".rule harmless\n.event FS\n.license \"GPL\"\n r0 = 0\n exit\n";

fn folder_with_harmless_rule() -> Folder {
    let folder = Folder::new();
    folder.write("harmless.s", HARMLESS);
    folder
}

#[test]
fn the_command_s_exit_code_and_output_are_its_own() {
    let folder = folder_with_harmless_rule();
    let run = |script| folder.landlock(["run", "--rule", "harmless.s", "--", "sh", "-c", script]);
    run("echo out; echo err >&2; exit 7").exits(7).prints("out\n").complains("err\n");
    run("exit 0").exits(0).prints("").quiet();
    run("exit 125").exits(125).quiet();
}

#[test]
fn a_signal_that_ends_the_command_is_128_and_its_number() {
    let folder = folder_with_harmless_rule();
    let run = |script| folder.landlock(["run", "--rule", "harmless.s", "--", "sh", "-c", script]);
    run("kill -9 $$").exits(128 + 9).quiet();
    run("kill -15 $$").exits(128 + 15).quiet();
}

#[test]
fn a_command_that_does_not_exist_is_127() {
    let folder = folder_with_harmless_rule();
    let run = |command: &str| folder.landlock(["run", "--rule", "harmless.s", "--", command]);
    run("nosuchcommand")
        .exits(127)
        .prints("")
        .complains("landlock: cannot execute nosuchcommand: No such file");
    run("./nowhere/command").exits(127).complains("No such file");
}

#[test]
fn a_command_that_cannot_be_executed_is_126() {
    let folder = folder_with_harmless_rule();
    let run = |command: &str| folder.landlock(["run", "--rule", "harmless.s", "--", command]);
    run("./harmless.s").exits(126).prints("").complains("cannot execute ./harmless.s: Permission denied");
    run("/").exits(126).complains("Permission denied");
}

#[test]
fn a_command_that_the_rules_do_not_let_start_is_126() {
    let folder = folder_with_harmless_rule();
    for rule in ["deny-get.c", "deny-exec.s"] {
        let rule = shipped(rule);
        let ran = folder.landlock(["run", "--rule", rule.to_str().unwrap(), "--", "true"]);
        ran.exits(126).complains("cannot execute true: Operation not permitted");
    }
    folder.landlock(["run", "--rule", "harmless.s", "--", "true"]).exits(0);
}

/// Even where the rules forbid writing to pipes and terminals.
#[test]
fn the_codes_are_the_same_under_the_harshest_rule() {
    let folder = Folder::new();
    let rule = shipped("deny-write.c");
    let run = |command: &str| folder.landlock(["run", "--rule", rule.to_str().unwrap(), "--", command]);
    run("nosuchcommand").exits(127);
    run("/").exits(126);
    run("true").exits(0);
    run("false").exits(1);
}

/// What `run` says when nothing is run; the command would have left a mark.
fn nothing_ran(folder: &Folder, options: &[&str]) -> Ran {
    let command = ["--", "touch", "mark"];
    let ran = folder.landlock(["run"].iter().chain(options).chain(&command)).exits(125).prints("");
    assert!(!folder.path("mark").exists(), "the command was run: {ran}");
    ran
}

#[test]
fn without_a_sandbox_nothing_is_run_and_the_code_is_125() {
    let folder = folder_with_harmless_rule();
    folder.write("bad.s", ".rule bad\n.event FS\n.license \"GPL\"\n exit\n");
    let harmless = ["--rule", "harmless.s"];
    let with = |more: &[&str]| nothing_ran(&folder, &[&harmless, more].concat());

    nothing_ran(&folder, &[]).complains("--rule <FILE>");
    with(&["--rule", "nowhere.s"]).complains("nowhere.s: No such file").complains("nothing was run");
    with(&["--rule", "bad.s"]).complains("rule bad: refused").complains("nothing was run");
    with(&["--rule", "."]).complains("not a regular file");
    with(&["--target", "other"]).complains("invalid value 'other'");
    with(&["--ruel", "harmless.s"]).complains("unexpected argument '--ruel'");
    with(&["--log", "nowhere/log"]).complains("cannot open the log nowhere/log: No such file");

    folder.landlock(["run", "--rule", "harmless.s"]).exits(125).complains("COMMAND");
    folder.landlock(["run", "--rule", "harmless.s", "--", "touch", "mark"]).exits(0).quiet();
    assert!(folder.path("mark").exists());
}

#[test]
fn a_sandbox_inside_a_sandbox_has_the_rules_of_both() {
    let folder = folder_with_harmless_rule();
    folder.write("one.s", creation_denied_by("one"));
    let nested = |outer, inner| {
        let command = ["run", "--rule", inner, "--", "touch", "mark"];
        folder.landlock(["run", "--rule", outer, "--", LANDLOCK].iter().chain(&command))
    };
    nested("one.s", "harmless.s").exits(1).complains("Operation not permitted");
    nested("harmless.s", "one.s").exits(1).complains("Operation not permitted");
    // Where the command is not landlock itself, it has to be said.
    let inner = ["env", LANDLOCK, "run", "--rule", "one.s", "--", "touch", "mark"];
    let outer = ["run", "--target", "supervisor", "--rule", "harmless.s", "--"];
    let refused = folder.landlock(outer.iter().chain(&inner)).exits(125);
    refused.complains("start the outer one with --stackable");
    let stackable = ["run", "--stackable", "--target", "supervisor", "--rule", "harmless.s", "--"];
    folder.landlock(stackable.iter().chain(&inner)).exits(1).complains("Operation not permitted");
    let other = ["env", LANDLOCK, "run", "--target", "kernel", "--rule", "one.s", "--", "touch", "mark"];
    folder.landlock(stackable.iter().chain(&other)).exits(125).complains("there is no other");
    assert!(!folder.path("mark").exists());
    nested("harmless.s", "harmless.s").exits(0).quiet();
    assert!(folder.path("mark").exists());
}

#[test]
fn what_follows_the_command_belongs_to_it() {
    let folder = folder_with_harmless_rule();
    let run = |words: &[&str]| folder.landlock(["run", "--rule", "harmless.s"].iter().chain(words));
    run(&["echo", "--rule", "x", "--log=y", "-v", "--help"]).exits(0).prints("--rule x --log=y -v --help\n");
    run(&["--", "echo", "--", "--version"]).exits(0).prints("-- --version\n");
    run(&["echo", "--"]).exits(0).prints("--\n");
    run(&["--", "--rule", "nowhere"]).exits(127).complains("cannot execute --rule");
}

#[test]
fn standard_input_is_the_command_s() {
    let folder = folder_with_harmless_rule();
    folder.write("in", "given\n");
    let mut cat = Command::new(LANDLOCK);
    cat.args(["run", "--rule", "harmless.s", "cat"]).current_dir(folder.path("."));
    Ran::of(cat.stdin(std::fs::File::open(folder.path("in")).unwrap())).exits(0).prints("given\n");
}

/// A rule that denies creating files, and says who it is in the log.
fn creation_denied_by(name: &str) -> String {
    format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n r1 = *(u64 *)(r1 + 24)\n r0 = 0\n \
         if r1 & 8 goto deny\n exit\ndeny:\n r0 = 1\n exit\n"
    )
}

fn logged(folder: &Folder, name: &str) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(folder.path(name)).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn the_rule_given_last_is_asked_first() {
    let folder = folder_with_harmless_rule();
    folder.write("one.s", creation_denied_by("one"));
    folder.write("two.s", creation_denied_by("two"));
    let decider = |first: &str, last: &str| {
        let rules = ["run", "--log", "log", "--rule", first, "--rule", last, "--", "touch", "new"];
        folder.landlock(rules).exits(1).complains("Operation not permitted");
        let denial = logged(&folder, "log").pop().unwrap();
        (denial["rule"]["name"].as_str().unwrap().to_owned(), denial["rule"]["index"].as_u64().unwrap())
    };
    assert_eq!(decider("one.s", "two.s"), ("two".to_owned(), 0));
    assert_eq!(decider("two.s", "one.s"), ("one".to_owned(), 0));
    assert_eq!(decider("one.s", "harmless.s"), ("one".to_owned(), 1));
}

#[test]
fn the_rules_of_one_file_are_prepended_in_its_order() {
    let folder = Folder::new();
    folder.write("both.s", creation_denied_by("first") + &creation_denied_by("second"));
    folder.landlock(["run", "--log", "log", "--rule", "both.s", "--", "touch", "new"]).exits(1);
    let denial = logged(&folder, "log").pop().unwrap();
    assert_eq!(denial["rule"]["name"], "both/second");
}

#[test]
fn a_denial_is_one_line_of_json_that_names_everything() {
    let folder = Folder::new();
    folder.write("one.s", creation_denied_by("one"));
    folder.landlock(["run", "--log", "log", "--rule", "one.s", "--", "touch", "a\nb"]).exits(1);
    let [denial] = logged(&folder, "log").try_into().unwrap();
    assert!(denial["time"].as_f64().unwrap() > 1.7e9 && denial["pid"].as_u64().unwrap() > 0, "{denial}");
    assert_eq!(denial["comm"], "touch");
    assert_eq!(denial["syscall"], "openat");
    assert_eq!(denial["hook"], "inode_create");
    assert_eq!(denial["action"], "NEW");
    assert!(denial["object"]["path"].as_str().unwrap().ends_with("/a\\x0ab"), "{denial}");
    assert_eq!(denial["rule"]["name"], "one");
    assert_eq!(denial["rule"]["insn"], 5);
    assert!(denial["rule"]["line"].as_str().unwrap().ends_with("one.s:10"), "{denial}");
    assert_eq!(denial["errno"], "EPERM");
}

#[test]
fn the_log_is_appended_to_and_private() {
    let folder = Folder::new();
    folder.write("one.s", creation_denied_by("one"));
    let run = || folder.landlock(["run", "--log", "log", "--rule", "one.s", "--", "touch", "new"]).exits(1);
    run();
    let mode = std::fs::metadata(folder.path("log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run();
    assert_eq!(logged(&folder, "log").len(), 2);
}

#[test]
fn people_are_told_in_words_which_target_is_in_force_and_what_was_denied() {
    let folder = Folder::new();
    folder.write("one.s", creation_denied_by("one"));
    folder
        .landlock(["run", "--target", "supervisor", "--log", "-", "--rule", "one.s", "--", "touch", "new"])
        .exits(1)
        .prints("")
        .complains("landlock: target supervisor; rules, newest first: one\n")
        .complains("openat: NEW on ")
        .complains("denied by rule 0 'one', instruction 5");
    folder
        .landlock(["run", "--target", "supervisor", "--verbose", "--rule", "one.s", "--", "true"])
        .exits(0)
        .prints("")
        .complains("landlock: target supervisor; rules, newest first: one\n");
    folder.landlock(["run", "--rule", "one.s", "--", "true"]).exits(0).quiet();
}

#[test]
fn a_rule_in_c_runs_as_its_object_does() {
    let folder = Folder::new();
    folder.write("rule.c", rule_in_c("FS", "return !!(ctx->arg2 & LANDLOCK_ACTION_FS_NEW);"));
    folder.landlock(["build", "rule.c"]).exits(0);
    for rule in ["rule.c", "rule.o"] {
        let run = |script| folder.confined_script(&[Path::new(rule)], script);
        run("> new").exits(2).complains("Operation not permitted");
        run("> old.txt").exits(2);
        run("< rule.c").exits(0);
    }
}

/// Ignoring children is handed down; who waits must not have it so, and the command must.
#[test]
fn whoever_starts_it_may_ignore_its_children() {
    let folder = folder_with_harmless_rule();
    let script = "grep SigIgn /proc/self/status; exit 7";
    let ignoring = |words: &[&str]| {
        folder.run(Command::new("env").arg("--ignore-signal=CHLD").args(words).args(["sh", "-c", script]))
    };
    let plain = ignoring(&[]).exits(7);
    ignoring(&[LANDLOCK, "run", "--rule", "harmless.s", "--"]).exits(7).quiet().prints(&plain.stdout());
}

/// A command without CAP_SYS_ADMIN, whoever runs the tests.
fn without_admin(arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.arg("--bounding-set=-sys_admin");
    }
    command.arg(LANDLOCK).args(arguments);
    command
}

#[test]
fn a_debug_rule_needs_cap_sys_admin() {
    let folder = Folder::new();
    let debug = shipped("landlock1.c");
    let arguments = ["run", "--rule", debug.to_str().unwrap(), "--", "true"];
    let refused = "ability DEBUG";
    folder.run(&mut without_admin(&arguments)).exits(125).complains(refused).complains("nothing was run");
    let mut unshared = Command::new("unshare");
    unshared.args(["--user", "--map-root-user", LANDLOCK]).args(arguments);
    folder.run(&mut unshared).exits(125).complains(refused);
    if rustix::process::geteuid().is_root() {
        folder.landlock(arguments).exits(0);
    }
    let plain = shipped("read-only.c");
    folder.run(&mut without_admin(&["run", "--rule", plain.to_str().unwrap(), "--", "true"])).exits(0);
}

#[test]
fn nobody_left_to_complain_to_is_no_reason_to_panic() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut run = Command::new(LANDLOCK);
    run.args(["run", "--rule", "nowhere.s", "true"]).current_dir(folder.path("."));
    let status = run.stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(125));
}
