// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another thread, or a process that shares memory and descriptors, changes what a syscall is about between its
//! check and its doing.
//!
//! Each race runs for a second, or for `LANDLOCK_RACE_SECONDS`. Without rules it must be won, or it is none.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::attack::{furnish, introduced, open};
use crate::playground::{
    EXEC, GET, Outcome, PROGRAM, Playground, READ, Rule, SECRET, Target, User, WHOLE, WRITE,
};

/// And calls about ordinary files go through meanwhile.
fn is_never_won(name: &str, rule: &Rule) {
    for (changer, confined) in is_not_won(name, rule) {
        assert!(confined.stdout.contains("is on"), "by a {changer}: {confined:#?}");
    }
}

fn is_not_won(name: &str, rule: &Rule) -> Vec<(&'static str, Outcome)> {
    let mut outcomes = Vec::new();
    for changer in ["thread", "process"] {
        let plain = run("races", name, &[], &["200", changer, "once"]);
        assert!(!plain.stdout.starts_with("0 wins") && plain.code == Some(0), "no race: {plain:#?}");
        let seconds = std::env::var("LANDLOCK_RACE_SECONDS").unwrap_or_else(|_| "1".to_owned());
        let confined = run("races", name, std::slice::from_ref(rule), &[&seconds, changer]);
        assert!(confined.stdout.starts_with("0 wins"), "by a {changer}: {confined:#?}");
        outcomes.push((changer, confined));
    }
    outcomes
}

fn run(program: &str, name: &str, rules: &[Rule], arguments: &[&str]) -> Outcome {
    let playground = Playground::new(User::Ours);
    furnish(&playground);
    let mut programs = [("denied", PROGRAM & 0o7777), ("allowed", 0o755), (program, 0o755)]
        .map(|(name, mode)| compiled(&playground, name, mode));
    let program = std::mem::take(&mut programs[2]);
    let mut words = vec![program.to_str().expect("UTF-8"), name];
    words.extend(arguments);
    let command =
        if rules.is_empty() { playground.plain(&words) } else { playground.confined(rules, &words) };
    let secret = open(&playground.path().join("secret"));
    let mut command = introduced(&command, &playground, Some(secret));
    command.current_dir(playground.path());
    playground.run(command)
}

/// What has become of a program's source: in `LANDLOCK_PROGRAMS`, for guests have no compiler, or here and now.
fn compiled(playground: &Playground, name: &str, mode: u32) -> PathBuf {
    if let Some(folder) = std::env::var_os("LANDLOCK_PROGRAMS") {
        return playground.program(name, PathBuf::from(folder).join(name), mode);
    }
    let folder = tempfile::tempdir().expect("temporary directory");
    let source = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bypasses/programs/{}.c"), name);
    let program = folder.path().join(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program).arg(source);
    assert!(compiler.status().expect("this test needs cc").success());
    playground.program(name, program, mode)
}

macro_rules! races {
    ($($name:ident: $rule:expr;)+) => {
        $(#[test]
        fn $name() {
            is_never_won(stringify!($name), &$rule);
        })+
    };
}

/// What maps a file works on, whatever else its process does meanwhile, and nothing of that is lost.
#[test]
fn mapping_amid_turmoil_fails_for_nobody() {
    for (turmoil, code, said) in [
        ("storm", 0, "all there\n"),
        ("stop", 0, "all there\n"),
        ("fork", 0, "all there\n"),
        ("exec", 0, "another\n"),
        ("exit", 7, ""),
    ] {
        for rules in [&[][..], &[Rule::on_mapping("secret")], &[secret(WRITE)]] {
            let outcome = run("crowd", turmoil, rules, &[]);
            let is_there = outcome.code == Some(code) && outcome.stdout == said;
            assert!(is_there && outcome.denials.is_empty(), "{turmoil}: {outcome:#?}");
        }
    }
}

/// Once the secret is mapped, nothing is made writable any more: nobody can say what the kernel will find there.
#[test]
fn protect() {
    is_not_won("protect", &secret(WRITE));
}

/// A thread that was let change its memory, and is late to do it, does not find the secret there.
#[test]
fn late() {
    let plain = run("crowd", "late", &[], &[]);
    assert!(matches!(plain.stdout.as_str(), "safe\n" | "writable\n"), "{plain:#?}");
    for _ in 0..12 {
        let confined = run("crowd", "late", &[secret(WRITE)], &[]);
        assert_eq!(confined.stdout, "safe\n", "{confined:#?}");
    }
}

/// Threads make memory writable as long as nothing is mapped that they may not make writable.
#[test]
fn protections_of_what_was_mapped_to_read_are_denied_amid_threads() {
    let plain = run("crowd", "protect", &[], &[]);
    assert_eq!(plain.stdout, "writable\n", "{plain:#?}");
    let confined = run("crowd", "protect", &[secret(WRITE)], &[]);
    assert_eq!(confined.stdout, "EPERM\n", "{confined:#?}");
    assert!(confined.denied("file_mprotect", "secret"), "{confined:#?}");
}

/// Where the supervisor cannot keep a descriptor from being exchanged, it refuses, and says so. Without threads there
/// is nothing to keep.
#[test]
fn mapping_is_refused_where_nobody_can_prevent_a_race() {
    if Target::of_this_run() == Target::Kernel {
        // There is nothing to prevent.
        return;
    }
    for (obstacle, why) in [("traced", "cannot be traced"), ("filtered", "cannot make one")] {
        let plain = run("crowd", obstacle, &[], &[]);
        assert_eq!(plain.stdout, "mapped\n", "{plain:#?}");
        let confined = run("crowd", obstacle, &[Rule::on_mapping("secret")], &[]);
        assert_eq!(confined.stdout, "EPERM\n", "{confined:#?}");
        let told = |denial: &Value| denial["reason"].as_str().is_some_and(|reason| reason.contains(why));
        assert!(confined.denials.iter().all(told) && !confined.denials.is_empty(), "{confined:#?}");
    }
}

fn secret(actions: u32) -> Rule {
    Rule::on("secret", actions, WHOLE, SECRET)
}

races! {
    path: secret(GET);
    link: secret(GET);
    file: secret(GET);
    directory: secret(GET);
    read: secret(READ);
    write: secret(WRITE);
    writev: secret(WRITE);
    truncate: secret(WRITE);
    chmod: secret(WRITE);
    map: secret(WRITE);
    look: Rule::on_mapping("secret");
    exec: Rule::on("program", EXEC, WHOLE, PROGRAM);
}
