// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects to read: needs at least one clang from 14 to 19, and llvm-strip or strip.
#![allow(dead_code, reason = "every test file uses its part")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock_compiler::clang::Clang;

/// Names of every versioned clang of this machine, oldest first.
pub fn clang_names() -> Vec<String> {
    let versions = (14..=19).map(|version| format!("clang-{version}"));
    let works =
        |name: &String| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    let found: Vec<String> = versions.filter(works).collect();
    assert!(!found.is_empty(), "these tests need clang-14, … or clang-19 in PATH");
    found
}

/// Every versioned clang of this machine.
pub fn clangs() -> Vec<Clang> {
    clang_names().into_iter().map(Clang::named).collect()
}

pub fn newest_clang_name() -> String {
    clang_names().pop().expect("at least one")
}

/// Runs a program that has to succeed.
pub fn run(program: &str, args: impl IntoIterator<Item = OsString>) {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn newest_clang() -> Clang {
    Clang::named(newest_clang_name())
}

pub fn compile(clang: &Clang, source: &Path) -> Vec<u8> {
    clang.compile(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()))
}

pub fn compile_text(clang: &Clang, source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.c");
    std::fs::write(&file, source).unwrap();
    compile(clang, &file)
}

/// The rules the project ships.
pub fn shipped_rules() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut rules: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    rules.sort();
    assert!(rules.len() >= 8, "found only {rules:?}");
    rules
}

/// Those in C.
pub fn shipped_c_rules() -> Vec<PathBuf> {
    shipped_rules().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "c")).collect()
}

/// The object without symbols and debug information.
pub fn strip(object: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.o");
    std::fs::write(&file, object).unwrap();
    let programs = (14..=19).rev().map(|version| format!("llvm-strip-{version}"));
    let mut programs = std::iter::once("llvm-strip".to_owned()).chain(programs);
    let stripped = programs.any(|program| {
        Command::new(program).arg("--strip-all").arg(&file).status().is_ok_and(|status| status.success())
    });
    assert!(stripped, "this test needs llvm-strip (package `llvm`)");
    std::fs::read(&file).unwrap()
}
