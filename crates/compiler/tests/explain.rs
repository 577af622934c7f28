// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `explain` says of the shipped rules, whichever clang built them.

mod common;

use std::path::{Path, PathBuf};

use common::{clangs, shipped_c_rules};
use landlock_compiler::clang::Clang;
use landlock_compiler::domain::Domain;
use landlock_compiler::elf::read_elf;
use landlock_compiler::explain::{Explanation, explain};
use landlock_compiler::object::RuleObject;
use landlock_compiler::read::read_file;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};

fn verified(objects: Vec<RuleObject>) -> Vec<Rule> {
    let loader = Loader { cap_sys_admin: true };
    objects
        .into_iter()
        .map(|object| verify_newest(object, &loader).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules").join(name)
}

fn rules(name: &str) -> Vec<Rule> {
    verified(read_file(&shipped(name)).unwrap_or_else(|error| panic!("{error}")))
}

fn together(rules: Vec<Rule>) -> Explanation {
    explain(&Domain::prepended(rules))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// What is said of a source, which no clang's way of compiling it may change.
fn explained_alike(source: &Path) -> String {
    let explained = |clang: &Clang| together(verified(read_elf(&clang.compile(source).unwrap()).unwrap()));
    let texts: Vec<String> = clangs().iter().map(|clang| explained(clang).to_string()).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{source:?}: {texts:#?}");
    texts[0].clone()
}

#[test]
fn the_shipped_rules_are_explained() {
    for source in shipped_c_rules() {
        insta::assert_snapshot!(stem(&source), explained_alike(&source));
    }
}

#[test]
fn lists_of_cases_are_seen_through() {
    insta::assert_snapshot!("switches", explained_alike("tests/rules/switches.c".as_ref()));
}

#[test]
fn the_shipped_assembly_rule_is_explained() {
    insta::assert_snapshot!("deny-exec", together(rules("deny-exec.s")));
}

#[test]
fn rules_are_explained_together() {
    let both = [rules("no-setuid-files.c"), rules("no-tiocsti.c")].concat();
    insta::assert_snapshot!("together", together(both));
}

#[test]
fn the_same_is_said_in_json() {
    let both = [rules("read-only.c"), rules("no-tiocsti.c")].concat();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&together(both)).unwrap());
}
