// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another thread, or a process that shares memory and descriptors, changes what a syscall is about between its
//! check and its doing.
//!
//! Each race runs for a second, or for `LANDLOCK_RACE_SECONDS`. Without rules it must be won, or it is none.

use std::path::PathBuf;
use std::process::Command;

use crate::attack::{furnish, introduced, open};
use crate::playground::{EXEC, GET, Outcome, PROGRAM, Playground, READ, Rule, SECRET, User, WHOLE, WRITE};

/// What must happen to calls about ordinary files while the race is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They go through.
    Work,
    /// They may be refused: nobody can say what the kernel will find.
    MayFail,
}

fn is_never_won(name: &str, rule: &Rule, others: Others) {
    for changer in ["thread", "process"] {
        let plain = run(name, &[], &["20", changer, "once"]);
        assert!(!plain.stdout.starts_with("0 wins") && plain.code == Some(0), "no race: {plain:#?}");
        let seconds = std::env::var("LANDLOCK_RACE_SECONDS").unwrap_or_else(|_| "1".to_owned());
        let confined = run(name, std::slice::from_ref(rule), &[&seconds, changer]);
        assert!(confined.stdout.starts_with("0 wins"), "by a {changer}: {confined:#?}");
        assert!(
            others == Others::MayFail || confined.stdout.contains("is on"),
            "by a {changer}: {confined:#?}"
        );
    }
}

fn run(name: &str, rules: &[Rule], arguments: &[&str]) -> Outcome {
    let playground = Playground::new(User::Ours);
    furnish(&playground);
    playground.file("denied", compiled("denied"), PROGRAM & 0o7777);
    playground.file("allowed", compiled("allowed"), 0o755);
    let program = playground.file("races", compiled("races"), 0o755);
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
fn compiled(name: &str) -> Vec<u8> {
    if let Some(folder) = std::env::var_os("LANDLOCK_PROGRAMS") {
        return std::fs::read(PathBuf::from(folder).join(name)).expect("program");
    }
    let folder = tempfile::tempdir().expect("temporary directory");
    let source = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bypasses/programs/{}.c"), name);
    let program = folder.path().join(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program).arg(source);
    assert!(compiler.status().expect("this test needs cc").success());
    std::fs::read(program).expect("program")
}

macro_rules! races {
    ($($name:ident: $rule:expr, $others:ident;)+) => {
        $(#[test]
        fn $name() {
            is_never_won(stringify!($name), &$rule, Others::$others);
        })+
    };
}

fn secret(actions: u32) -> Rule {
    Rule::on("secret", actions, WHOLE, SECRET)
}

races! {
    path: secret(GET), Work;
    link: secret(GET), Work;
    file: secret(GET), Work;
    directory: secret(GET), Work;
    read: secret(READ), Work;
    write: secret(WRITE), Work;
    writev: secret(WRITE), Work;
    truncate: secret(WRITE), Work;
    chmod: secret(WRITE), Work;
    map: secret(WRITE), MayFail;
    exec: Rule::on("program", EXEC, WHOLE, PROGRAM), Work;
}
