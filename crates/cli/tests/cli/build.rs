// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock build`.

use crate::support::{Folder, rule_in_c, shipped};

#[test]
fn an_object_is_written_beside_its_source_and_is_accepted() {
    let folder = Folder::new();
    folder.write("quiet.c", rule_in_c("FS", "return 0;"));
    folder.landlock(["build", "quiet.c"]).exits(0).prints("").quiet();
    folder.landlock(["check", "quiet.o"]).exits(0).says("quiet.o: rule quiet: accepted");
}

#[test]
fn an_object_is_written_where_it_is_wanted() {
    let folder = Folder::new();
    let source = shipped("read-only.c");
    folder.landlock(["build", source.to_str().unwrap(), "-o", "there.o"]).exits(0).quiet();
    assert!(folder.path("there.o").is_file());
}

#[test]
fn a_source_is_not_replaced_by_its_object() {
    let folder = Folder::new();
    let source = rule_in_c("FS", "return 0;");
    let path = folder.write("rule.c", &source);
    folder.landlock(["build", "rule.c", "-o", "./rule.c"]).exits(1).complains("would replace the source");
    assert_eq!(std::fs::read_to_string(path).unwrap(), source);
}

#[test]
fn what_the_compiler_refuses_is_told_in_its_words() {
    let folder = Folder::new();
    folder.write("broken.c", rule_in_c("FS", "return nonsense;"));
    folder.landlock(["build", "broken.c"]).exits(1).complains("undeclared identifier 'nonsense'");
    assert!(!folder.path("broken.o").exists());
}

#[test]
fn what_the_verifier_refuses_is_not_written() {
    let folder = Folder::new();
    folder.write("leak.c", rule_in_c("FS", "return ctx->arg1;"));
    folder.landlock(["build", "leak.c"]).exits(1).complains("rule leak: refused").complains("help:");
    assert!(!folder.path("leak.o").exists());
}

#[test]
fn only_c_is_built() {
    let folder = Folder::new();
    let assembly = shipped("no-removal.s");
    folder.landlock(["build", assembly.to_str().unwrap()]).exits(1).complains("only C is built");
    folder.landlock(["build", "nowhere.c"]).exits(1).complains("nowhere.c: No such file");
}

#[test]
fn a_missing_compiler_is_named() {
    let folder = Folder::new();
    folder.write("quiet.c", rule_in_c("FS", "return 0;"));
    let mut build = std::process::Command::new(crate::support::LANDLOCK);
    build.args(["build", "quiet.c"]).env("LANDLOCK_CLANG", "/nonexistent/clang");
    folder.run(&mut build).exits(1).complains("/nonexistent/clang");
}
