// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes, what belongs to whom, order of rules, and what is refused.

use std::process::{Command, Stdio};

use crate::support::{Folder, Ran};
use crate::{HARMLESS, NEW, WRITE, denies, end_of, folder_with_harmless_rule, kernel_run, landlock, script};

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_command_s_exit_code_output_and_input_are_its_own() {
    let folder = folder_with_harmless_rule();
    let run = |text| script(&folder, &["harmless.s"], text);
    run("echo out; echo err >&2; exit 7").exits(7).prints("out\n").complains("err\n");
    run("exit 125").exits(125).quiet();
    run("kill -9 $$").exits(128 + 9).quiet();
    run("kill -15 $$").exits(128 + 15).quiet();
    folder.write("in", "given\n");
    let mut cat = kernel_run(&["harmless.s"]);
    cat.arg("cat").current_dir(folder.path(".")).stdin(std::fs::File::open(folder.path("in")).unwrap());
    Ran::of(&mut cat).exits(0).prints("given\n");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_command_that_does_not_start_is_126_or_127() {
    let folder = folder_with_harmless_rule();
    let run = |command: &str| folder.run(kernel_run(&["harmless.s"]).arg(command));
    run("nosuchcommand").exits(127).prints("").complains("cannot execute nosuchcommand: No such file");
    run("./harmless.s").exits(126).prints("").complains("cannot execute ./harmless.s: Permission denied");
}

/// Whatever the rules deny, it is told how the command did not start.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_command_that_the_rules_do_not_let_start_is_126() {
    let folder = Folder::new();
    folder.write("all.s", ".rule all\n.event FS\n.license \"GPL\"\n r0 = 1\n exit\n");
    folder.write("exec.s", denies("exec", 1));
    for rule in ["all.s", "exec.s"] {
        folder
            .run(kernel_run(&[rule]).args(["--log", "log", "touch", "mark"]))
            .exits(126)
            .complains("cannot execute touch: Operation not permitted");
        assert!(!folder.path("mark").exists());
        assert!(std::fs::read_to_string(folder.path("log")).unwrap().contains("\"errno\":\"EPERM\""));
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_keeps_a_sandbox_from_being_is_125_and_nothing_runs() {
    let folder = folder_with_harmless_rule();
    folder.write("bad.s", ".rule bad\n.event FS\n.license \"GPL\"\n exit\n");
    // More of the stack than the kernel leaves to a rule.
    folder.write(
        "deep.s",
        ".rule deep\n.event FS\n.license \"GPL\"\n r2 = *(u64 *)(r1 + 24)\n *(u64 *)(r10 - 512) = r2\n \
         r0 = *(u64 *)(r10 - 512)\n exit\n",
    );
    let refused = |rules: &[&str]| {
        let ran = folder.run(kernel_run(rules).args(["--", "touch", "mark"])).exits(125).prints("");
        assert!(!folder.path("mark").exists());
        ran
    };
    refused(&["bad.s"]).complains("rule bad: refused").complains("nothing was run");
    refused(&["deep.s"]).complains("stack").complains("nothing was run");
    refused(&["nowhere.s"]).complains("nowhere.s: No such file");
    folder.run(kernel_run(&["harmless.s"]).args(["--", "touch", "mark"])).exits(0).quiet();
    assert!(folder.path("mark").exists());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn auto_is_the_kernel_where_it_works_and_says_so() {
    let folder = folder_with_harmless_rule();
    folder
        .run(&mut landlock(&["run", "--verbose", "--rule", "harmless.s", "true"]))
        .exits(0)
        .complains("landlock: target kernel; rules, newest first: harmless");
    folder
        .run(&mut landlock(&["run", "--target", "supervisor", "--verbose", "--rule", "harmless.s", "true"]))
        .exits(0)
        .complains("landlock: target supervisor; rules, newest first: harmless\n");
}

/// A domain has one way in, from outside of any; what stacks inside is the supervisor.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn inside_a_domain_another_is_refused_not_left_out() {
    let folder = folder_with_harmless_rule();
    folder.write("new.s", denies("new", NEW));
    let nested = |more: &str| {
        let inner = format!("landlock run {more} --rule new.s -- touch mark");
        let ran = script(&folder, &["harmless.s"], &inner);
        assert!(!folder.path("mark").exists());
        ran
    };
    nested("--target kernel").exits(125).complains("nothing was run");
    nested("--verbose").exits(1).complains("target supervisor").complains("Operation not permitted");
}

/// As root nothing is taken from the command: programs that change identity still do.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_command_is_started_as_by_a_shell() {
    let folder = folder_with_harmless_rule();
    // Groups, session, terminal, identity, signals and descriptors; not the numbers that count, such as SigQ, which is
    // of all processes of the user.
    let about_itself = "cut -d' ' -f5-8 /proc/self/stat; \
        grep -E '^(Uid|Gid|Groups|Sig[PBIC]|Shd|Cap|NoNewPrivs|Seccomp|Threads|Cpus_allowed):?' /proc/self/status; \
        ls /proc/self/fd; umask; pwd; env | sort | grep -v SHLVL; ulimit -a";
    let mut plain = Command::new("sh");
    let plain = folder.run(plain.args(["-c", about_itself])).exits(0);
    script(&folder, &["harmless.s"], about_itself).exits(0).quiet().prints(&plain.stdout());
    assert!(plain.stdout().contains("NoNewPrivs:\t0"), "{plain}");
    let deaf = format!("trap '' HUP; {about_itself}");
    let mut plain = Command::new("sh");
    let plain = folder.run(plain.args(["-c", &deaf])).exits(0);
    let deaf =
        format!("trap '' HUP; exec landlock run --rule harmless.s -- sh -c \"{about_itself}; exit 7\"");
    let mut confined = Command::new("sh");
    folder.run(confined.args(["-c", &deaf])).exits(7).prints(&plain.stdout());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn many_at_once_are_each_in_a_domain_of_its_own() {
    let folder = Folder::new();
    folder.write("new.s", denies("new", NEW));
    folder.write("write.s", denies("write", WRITE));
    folder.write("harmless.s", HARMLESS);
    let start = |rule: &str, number: usize, text: &str| {
        let log = format!("log-{number}");
        let mut run = kernel_run(&[rule]);
        run.args(["--log", &log, "--", "sh", "-c", text]).current_dir(folder.path("."));
        run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let runs: Vec<_> = (0..6)
        .map(|number| match number % 3 {
            0 => (start("new.s", number, &format!("echo x >> file && touch made-{number}")), "new"),
            1 => (start("write.s", number, &format!("cat < file && touch made-{number}")), "write"),
            _ => (start("harmless.s", number, &format!("touch made-{number}")), ""),
        })
        .collect();
    for (number, (mut child, denier)) in runs.into_iter().enumerate() {
        assert_eq!(end_of(&mut child).success(), denier.is_empty(), "{number}");
        assert_eq!(folder.path(&format!("made-{number}")).exists(), denier.is_empty(), "{number}");
        let log = std::fs::read_to_string(folder.path(&format!("log-{number}"))).unwrap();
        assert_eq!(log.is_empty(), denier.is_empty(), "{number}: {log}");
        assert!(log.lines().all(|line| line.contains(&format!("\"name\":\"{denier}\""))), "{number}: {log}");
    }
}
