// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs written from v7's documentation alone, run by `landlock compat`: they make the raw system calls and say
//! themselves what is not as v7 had it.

mod kernel;
#[path = "../../../supervisor/tests/support/limit.rs"]
mod limit;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The built `landlock`.
const LANDLOCK: &str = env!("CARGO_BIN_EXE_landlock");

/// A folder everybody may write to, with the programs and a copy of `landlock`.
struct Place {
    dir: tempfile::TempDir,
    _limit: limit::Limit,
}

/// Who runs a program. The tests start as root.
#[derive(Clone, Copy, Debug, PartialEq)]
enum User {
    Root,
    Ordinary,
}

const USERS: [User; 2] = [User::Root, User::Ordinary];

impl Place {
    fn new() -> Place {
        assert!(rustix::process::geteuid().is_root(), "what root and others may is compared: start as root");
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // By a process of its own: what other tests start could hold it open for writing, and nobody would execute it then.
        let copied = Command::new("cp").arg(LANDLOCK).arg(dir.path().join("landlock")).status();
        assert!(copied.unwrap().success());
        let _limit = limit::Limit::new(dir.path());
        Place { dir, _limit }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn compile(&self, name: &str) {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v7/programs").join(format!("{name}.c"));
        let cc = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .args([self.path(name), source])
            .output()
            .expect("the tests need a C compiler, cc");
        assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    }

    /// These words as a command, in a new folder of the user's.
    fn command(&self, user: User, words: &[&str]) -> Command {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
        let setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let words: Vec<&str> = match user {
            User::Root => words.to_vec(),
            User::Ordinary => setpriv.iter().chain(words).copied().collect(),
        };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(folder);
        command
    }

    /// Runs a program with its own calls answered; it finds everything as it should be.
    fn agrees(&self, user: User, program: &[&str]) {
        let words = [&["../landlock", "compat", "--target", "supervisor", "--"], program].concat();
        let output = self.command(user, &words).output().unwrap();
        assert!(output.status.success(), "{user:?}: {program:?}: {output:?}");
    }
}

#[test]
fn loading_refuses_what_v7_refused() {
    let place = Place::new();
    place.compile("load");
    place.agrees(User::Root, &["../load", "root"]);
    place.agrees(User::Ordinary, &["../load", "ordinary"]);
    // Whoever does not answer for v7 is noticed: this machine's kernel loads no rule.
    let outside = place.command(User::Root, &["../load", "root"]).output().unwrap();
    assert_eq!(outside.status.code(), Some(1), "{outside:?}");
}

#[test]
fn prepending_binds_the_thread_that_asked_and_what_it_starts() {
    let place = Place::new();
    place.compile("prepend");
    for user in USERS {
        place.agrees(user, &["../prepend"]);
    }
}

#[test]
fn the_file_system_is_as_v7_s_own_tests_have_it() {
    let place = Place::new();
    place.compile("fs");
    for user in USERS {
        for part in ["read", "memory", "open"] {
            place.agrees(user, &["../fs", part]);
        }
    }
}

#[test]
fn tracing_is_as_v7_s_own_tests_have_it() {
    let place = Place::new();
    place.compile("trace");
    for user in USERS {
        place.agrees(user, &["../trace"]);
    }
}

#[test]
fn a_rule_is_of_use_to_others_when_its_maker_is_gone() {
    let place = Place::new();
    place.compile("pass");
    for user in USERS {
        place.agrees(user, &["../pass"]);
    }
}

#[test]
fn a_program_in_rust_does_as_well() {
    let place = Place::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v7/programs/twin.rs");
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let rustc =
        Command::new(rustc).args(["--edition=2024", "-o"]).args([place.path("twin"), source]).output();
    let rustc = rustc.unwrap();
    assert!(rustc.status.success() && rustc.stderr.is_empty(), "{}", String::from_utf8_lossy(&rustc.stderr));
    for user in USERS {
        place.agrees(user, &["../twin"]);
    }
}

#[test]
fn what_shares_v7_s_numbers_is_the_kernel_s() {
    let place = Place::new();
    place.compile("modern");
    for user in USERS {
        let says = |words: &[&str]| {
            let output = place.command(user, words).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let outside = says(&["../modern"]);
        assert!(outside.lines().count() > 20 && outside.contains("done"), "{outside}");
        assert_eq!(says(&["../landlock", "compat", "--target", "supervisor", "../modern"]), outside);
        place.agrees(user, &["../modern", "zero"]);
    }
}

#[test]
fn signals_threads_debuggers_and_deaths_do_not_matter() {
    let place = Place::new();
    place.compile("hostile");
    for user in USERS {
        place.agrees(user, &["../hostile", "supervisor"]);
    }
}

#[test]
fn refusals_are_logged_and_the_exit_code_is_the_program_s() {
    let place = Place::new();
    place.compile("fs");
    let compat = |words: &[&str]| {
        let words = [&["../landlock", "compat", "--target", "supervisor"], words].concat();
        let output = place.command(User::Ordinary, &words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = compat(&["--log", "-", "--", "../fs", "read"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("fs") && said.lines().count() > 8, "{said}");
    assert_eq!(compat(&["sh", "-c", "exit 7"]).0, Some(7));
    assert_eq!(compat(&["sh", "-c", "kill -9 $$"]).0, Some(137));
    assert_eq!(compat(&["./nothing"]).0, Some(127));
    assert_eq!(compat(&[]).0, Some(125));
    // Inside, nobody would answer.
    let (code, said) = compat(&["../landlock", "compat", "--target", "supervisor", "true"]);
    assert_eq!(code, Some(125), "{said}");
    assert!(said.contains("was not started to answer"), "{said}");
}
