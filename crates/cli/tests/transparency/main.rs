// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real software under rules that deny nothing real, but leave every decision to the supervisor: what it prints,
//! how it exits and what it leaves behind are the same as without.
//!
//! Known differences, which the scripts therefore leave out:
//!
//! * Mounting, also `unshare -m` and `unshare -r` with mounts: the ptrace boundary forbids it.
//! * Writing `/proc/PID/uid_map` under rules about writing: the kernel looks at who opened the file, and that is us.
//! * Unprivileged and with threads, under rules about mapping: `mprotect` while a deleted file is mapped (what
//!   Python's `multiprocessing` makes of a semaphore), because nobody can say any more what was mapped.
#![forbid(unsafe_code)]

#[path = "../bypasses/playground.rs"]
mod playground;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use playground::{Outcome, Playground, Rule, User};

/// Runs a script in two equal playgrounds, plain and confined, and compares all that can be seen of it.
fn is_the_same(user: User, interpreter: &str, script: &str) -> Outcome {
    let (plain, tree) = run(user, interpreter, script, &[]);
    assert_eq!(plain.code, Some(0), "without landlock: {plain:#?}");
    let (confined, confined_tree) = run(user, interpreter, script, &Rule::transparent());
    assert_eq!(confined.code, plain.code, "{confined:#?}");
    assert_eq!(confined.stdout, plain.stdout, "{confined:#?}");
    assert_eq!(confined.denials.len(), 0, "{confined:#?}");
    assert_eq!(confined_tree, tree);
    confined
}

fn run(user: User, interpreter: &str, script: &str, rules: &[Rule]) -> (Outcome, BTreeMap<String, String>) {
    let playground = Playground::new(user);
    playground.file("script", script, 0o644);
    let work = playground.directory("work", 0o755);
    let command = [interpreter, "../script"];
    let mut command =
        if rules.is_empty() { playground.plain(&command) } else { playground.confined(rules, &command) };
    toolchain(&mut command);
    command.current_dir(&work);
    let outcome = playground.run(command);
    let mut tree = BTreeMap::new();
    record(&work, &work, &mut tree);
    (outcome, tree)
}

/// `HOME` is the playground, so rustup and cargo are told where they are.
fn toolchain(command: &mut Command) {
    let home = std::env::var_os("HOME").expect("HOME");
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let value = std::env::var_os(name).unwrap_or_else(|| Path::new(&home).join(folder).into());
        command.env(name, value);
    }
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("TZ", "UTC");
}

/// Mode, links, owner and content of everything below `directory`; times where a script set them.
fn record(root: &Path, directory: &Path, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("readdir") {
        let path = entry.expect("entry").path();
        let metadata = fs::symlink_metadata(&path).expect("lstat");
        let mut seen = format!("{:o} {} {}", metadata.permissions().mode(), metadata.uid(), metadata.gid());
        if metadata.is_dir() {
            record(root, &path, tree);
        } else if metadata.is_symlink() {
            seen += &format!(" -> {}", fs::read_link(&path).expect("readlink").display());
        } else if metadata.is_file() {
            seen += &format!(" {} {:?}", metadata.nlink(), fs::read(&path).expect("read"));
        }
        if metadata.mtime() < LONG_AGO {
            seen += &format!(" at {}.{}", metadata.mtime(), metadata.mtime_nsec());
        }
        tree.insert(path.strip_prefix(root).expect("inside").display().to_string(), seen);
    }
}

/// A time before this was set by somebody.
const LONG_AGO: i64 = 1_600_000_000;

macro_rules! the_same {
    ($($name:ident: $user:ident, $interpreter:literal, $script:literal;)+) => {
        $(#[test]
        fn $name() {
            is_the_same(User::$user, $interpreter, include_str!($script));
        })+
    };
}

the_same! {
    cargo: Ours, "/bin/sh", "cargo.sh";
    git: Ours, "/bin/sh", "git.sh";
    git_of_nobody: Nobody, "/bin/sh", "git.sh";
    tar: Ours, "/bin/sh", "tar.sh";
    tar_of_nobody: Nobody, "/bin/sh", "tar.sh";
    python: Ours, "/usr/bin/python3", "suite.py";
    python_processes: Ours, "/usr/bin/python3", "processes.py";
    python_of_nobody: Nobody, "/usr/bin/python3", "suite.py";
    sqlite: Ours, "/usr/bin/python3", "sqlite.py";
    sqlite_of_nobody: Nobody, "/usr/bin/python3", "sqlite.py";
    job_control: Ours, "/usr/bin/python3", "terminal.py";
    job_control_of_nobody: Nobody, "/usr/bin/python3", "terminal.py";
    job_control_in_a_pid_namespace: Contained, "/usr/bin/python3", "terminal.py";
    failures_in_a_pid_namespace: Contained, "/bin/sh", "failures.sh";
    identities: Ours, "/bin/sh", "identities.sh";
    failures: Ours, "/bin/sh", "failures.sh";
    failures_of_nobody: Nobody, "/bin/sh", "failures.sh";
}
