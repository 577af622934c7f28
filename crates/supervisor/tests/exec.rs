// SPDX-License-Identifier: MIT OR Apache-2.0
//! execve and execveat under rules.

mod support;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use support::{Bench, NO_STICKY_PROGRAMS, Outcome, TRANSPARENT};

/// Everything `probes/exec.c` wants to execute.
fn lay_out(bench: &Bench) {
    let program = std::fs::read(bench.probe("program", &[])).expect("the program");
    bench.file(
        "static",
        0o755,
        std::fs::read(bench.probe("program", &["-static"])).expect("the static program"),
    );
    bench.file("program", 0o755, &program);
    bench.file("quiet", 0o755, std::fs::read("/bin/true").expect("/bin/true"));
    bench.file("busy", 0o777, &program);
    bench.file("plain", 0o644, &program);
    bench.file("read-only", 0o444, &program);
    for folder in ["directory", "private"] {
        std::fs::create_dir(bench.path(folder)).expect("a folder");
    }
    bench.file("private/program", 0o700, &program);
    for (link, to) in [("link", "program"), ("dangling", "none"), ("loop", "loop")] {
        symlink(to, bench.path(link)).expect("a link");
    }
    let fifo = Command::new("mkfifo").arg(bench.path("fifo")).status().expect("mkfifo");
    assert!(fifo.success());
    lay_out_scripts(bench);
    lay_out_elf(bench, &program);
}

fn lay_out_scripts(bench: &Bench) {
    let here = bench.path("");
    let here = here.to_str().expect("UTF-8");
    let script = |name: &str, text: String| bench.file(name, 0o755, text);
    script("script", format!("#!{here}program\n"));
    script("script-argument", format!("#! \t{here}program  one two \t\nrest\n"));
    script("script-unfinished", format!("#!{here}program"));
    script("script-without", "#!\nrest\n".into());
    script("script-to-none", format!("#!{here}none\n"));
    script("script-to-plain", format!("#!{here}plain\n"));
    script("script-to-directory", format!("#!{here}directory\n"));
    script("script-blank", format!("#!{}\n", " ".repeat(300)));
    script("script-long", format!("#!{here}program {}\n", "x".repeat(300)));
    script("script-cut", format!("#!{here}{}program\n", "./".repeat(150)));
    script("script-relative", "#!program\n".into());
    script("itself", format!("#!{here}itself\n"));
    script("depth1", format!("#!{here}script\n"));
    for depth in 2..=7 {
        script(&format!("depth{depth}"), format!("#!{here}depth{}\n", depth - 1));
    }
    script("text", "echo text\n".into());
    script("empty", String::new());
}

fn lay_out_elf(bench: &Bench, program: &[u8]) {
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    let at = program.windows(loader.len()).position(|bytes| bytes == loader).expect("a loader's name");
    let with_loader = |name: &str, path: &str| {
        let mut program = program.to_vec();
        program[at..at + path.len()].copy_from_slice(path.as_bytes());
        program[at + path.len()] = 0;
        bench.file(name, 0o755, program);
    };
    with_loader("elf-no-loader", "none");
    with_loader("elf-plain-loader", "plain");
    bench.file("elf-cut", 0o755, &program[..100]);
    let mut other = program.to_vec();
    other[18] = 183;
    bench.file("elf-other-machine", 0o755, other);
}

fn same(plain: &Outcome, confined: &Outcome) {
    for (plain, confined) in plain.stdout.lines().zip(confined.stdout.lines()) {
        assert_eq!(confined, plain);
    }
    assert_eq!((confined.stdout.len(), confined.code), (plain.stdout.len(), plain.code), "{confined:?}");
    assert!(confined.denials.is_empty(), "{:?}", confined.denials);
}

#[test]
fn an_allowed_exec_is_like_one_without_a_sandbox() {
    let bench = Bench::new();
    lay_out(&bench);
    let probe = bench.probe("exec", &[]);
    let rule = bench.rule("rule", &only_exec(TRANSPARENT));
    let plain = bench.run(bench.plain(&probe).arg(bench.path("")));
    assert!(plain.stdout.contains("under stops: 0"), "{plain:?}");
    same(&plain, &bench.run(bench.confined(&[&rule], &probe).arg(bench.path(""))));
}

/// The rule, but asked only about EXEC.
fn only_exec(rule: &str) -> String {
    rule.replacen(
        "    r1 = *(u64 *)(r1 + 16)",
        "    r0 = 0\n    r2 = *(u64 *)(r1 + 24)\n    if r2 & 1 goto executes\n    exit\nexecutes:\n    r1 = *(u64 *)(r1 + 16)",
        1,
    )
}

#[test]
fn other_users_meet_their_own_permission_bits() {
    let bench = Bench::new();
    lay_out(&bench);
    let probe = bench.probe("exec", &[]);
    let rule = bench.rule("rule", &only_exec(TRANSPARENT));
    assert!(rustix::process::geteuid().is_root(), "this test changes its user id and has to start as root");
    for (name, mode) in [("", 0o755), ("private", 0o700)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(bench.path(name), mode).expect("chmod");
    }
    let run = |command: &mut Command| bench.run(command.arg(bench.path("")).arg("65534"));
    let plain = run(&mut bench.plain(&probe));
    assert!(plain.stdout.contains("private/program: -1, errno 13"), "{plain:?}");
    same(&plain, &run(&mut bench.confined(&[&rule], &probe)));
}

/// A program that leaves a mark when it runs, with this mode.
fn marking(bench: &Bench, name: &str, mode: u32) {
    bench.file(name, mode, std::fs::read(bench.probe("program", &[])).expect("the program"));
}

/// Whether `program` did anything, and what came of it, with or without the rule.
fn runs(bench: &Bench, rule: Option<&Path>, program: &[&str]) -> (bool, Outcome) {
    let mark = bench.path("mark");
    drop(std::fs::remove_file(&mark));
    let mut command = match rule {
        Some(rule) => bench.confined(&[rule], "sh"),
        None => bench.plain("sh"),
    };
    let outcome = bench.run(command.args(["-c", "MARK=mark \"$0\" \"$@\""]).args(program));
    (mark.exists(), outcome)
}

fn denied_only_by_the_rule(bench: &Bench, program: &[&str]) -> Outcome {
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    assert!(runs(bench, None, program).0, "{program:?} does not run without the rule");
    let (marked, outcome) = runs(bench, Some(&rule), program);
    assert!(!marked, "{program:?} ran: {outcome:?}");
    outcome
}

#[test]
fn a_denied_program_does_not_run() {
    let bench = Bench::new();
    marking(&bench, "denied", 0o1755);
    marking(&bench, "allowed", 0o755);
    let outcome = denied_only_by_the_rule(&bench, &["./denied"]);
    assert_eq!(outcome.code, 126);
    assert!(outcome.stderr.contains("Operation not permitted"), "{outcome:?}");
    let [denial] = &outcome.denials[..] else { panic!("one denial: {outcome:?}") };
    assert_eq!((&denial["syscall"], &denial["hook"]), (&"execve".into(), &"inode_permission".into()));
    assert_eq!((&denial["action"], &denial["object"]["mode"]), (&"EXEC|GET".into(), &"101755".into()));
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    let (marked, outcome) = runs(&bench, Some(&rule), &["./allowed"]);
    assert!(marked && outcome.denials.is_empty(), "{outcome:?}");
}

#[test]
fn a_denied_command_is_not_started() {
    let bench = Bench::new();
    marking(&bench, "denied", 0o1755);
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    let outcome = bench.run(&mut bench.confined(&[&rule], "./denied"));
    assert_eq!(outcome.code, 125);
    assert!(outcome.stderr.contains("not started: Operation not permitted"), "{outcome:?}");
    assert_eq!(bench.run(&mut bench.plain("./denied")).code, 0);
}

#[test]
fn neither_script_interpreter_nor_loader_may_be_denied() {
    let bench = Bench::new();
    marking(&bench, "denied", 0o1755);
    marking(&bench, "allowed", 0o755);
    let here = bench.path("");
    let here = here.to_str().expect("UTF-8");
    bench.file("script", 0o755, format!("#!{here}denied\n"));
    bench.file("script-of-script", 0o755, format!("#!{here}script\n"));
    bench.file("denied-script", 0o1755, format!("#!{here}allowed\n"));
    bench.file("loader", 0o1755, std::fs::read("/lib64/ld-linux-x86-64.so.2").expect("the loader"));
    let with_loader = std::fs::read(bench.path("allowed")).expect("the program");
    bench.file("loaded", 0o755, replaced(&with_loader, b"/lib64/ld-linux-x86-64.so.2\0", b"loader\0"));
    for program in ["./script", "./script-of-script", "./denied-script", "./loaded"] {
        assert_eq!(denied_only_by_the_rule(&bench, &[program]).code, 126, "{program}");
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("what is to be replaced");
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn a_loader_does_not_run_what_may_not_be_mapped() {
    let bench = Bench::new();
    marking(&bench, "denied", 0o1755);
    let outcome = denied_only_by_the_rule(&bench, &["/lib64/ld-linux-x86-64.so.2", "./denied"]);
    assert!(outcome.denials.iter().any(|denial| denial["hook"] == "mmap_file"), "{outcome:?}");
}

#[test]
fn a_program_that_somebody_else_traces_is_not_started() {
    let bench = Bench::new();
    marking(&bench, "allowed", 0o755);
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    let tracer = bench.probe("traceme", &[]);
    let tracer = tracer.to_str().expect("UTF-8");
    assert!(runs(&bench, None, &[tracer, "./allowed"]).0);
    let (marked, outcome) = runs(&bench, Some(&rule), &[tracer, "./allowed"]);
    assert!(!marked, "{outcome:?}");
    assert!(outcome.denials[0]["reason"].as_str().is_some_and(|why| why.contains("traces")), "{outcome:?}");
}

#[test]
fn swapping_paths_and_names_does_not_run_a_denied_program() {
    let bench = Bench::new();
    bench.file("denied", 0o1755, std::fs::read(bench.probe("program", &["-static"])).expect("the program"));
    bench.file("allowed", 0o755, std::fs::read("/bin/true").expect("/bin/true"));
    swap(&bench, &["./allowed", "./denied", "name", "1500"]);
}

#[test]
fn swapping_the_loader_does_not_run_a_denied_one() {
    let bench = Bench::new();
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    let program = std::fs::read("/bin/true").expect("/bin/true");
    bench.file("program", 0o755, replaced(&program, loader, b"name\0"));
    bench.file(
        "denied",
        0o1755,
        std::fs::read(bench.probe("mark", &["-nostdlib", "-static"])).expect("the mark"),
    );
    swap(&bench, &["/lib64/ld-linux-x86-64.so.2", "./denied", "name", "1500", "./program"]);
}

fn swap(bench: &Bench, arguments: &[&str]) {
    let attack = bench.probe("swap", &[]);
    let outcome = denied_only_by_the_rule(bench, &[&[attack.to_str().expect("UTF-8")], arguments].concat());
    // It really raced: the good one ran, and the bad one was refused both before and after its exec.
    assert!(outcome.stdout.contains("both ways"), "{}", outcome.stdout);
}

#[test]
fn a_program_its_caller_cannot_read_is_not_started() {
    let bench = Bench::new();
    marking(&bench, "unreadable", 0o711);
    let user = bench.probe("as", &[]);
    let program = [user.to_str().expect("UTF-8"), "65534", "./unreadable"];
    assert!(rustix::process::geteuid().is_root(), "this test changes its user id and has to start as root");
    std::fs::set_permissions(bench.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("chmod");
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    assert!(runs(&bench, None, &program).0);
    let (marked, outcome) = runs(&bench, Some(&rule), &program);
    assert!(
        !marked && outcome.denials[0]["reason"].as_str().is_some_and(|why| why.contains("read")),
        "{outcome:?}"
    );
}
