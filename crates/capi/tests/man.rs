// SPDX-License-Identifier: MIT OR Apache-2.0
//! landlock-ebpf(3) has the functions of the header, and for each the errors the header tells.

use std::collections::BTreeSet;

const HEADER: &str = include_str!("../../../include/landlock/landlock.h");
const PAGE: &str = include_str!("../../../man/landlock-ebpf.3");

/// The functions, each with the errnos of the comment above it.
fn declared() -> Vec<(&'static str, BTreeSet<&'static str>)> {
    let mut comment = "";
    let mut functions = Vec::new();
    for part in HEADER.split("\n\n") {
        if let Some((said, declaration)) = part.split_once("*/\n") {
            comment = said;
            if let Some(rest) = declaration.strip_prefix("int ") {
                let name = rest.split('(').next().expect("a name");
                functions.push((name, errnos(comment, " *   ")));
            }
        }
    }
    assert!(!comment.is_empty());
    functions
}

/// Words like `EINVAL` that begin a line.
fn errnos<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let first = |line: &'a str| line.strip_prefix(before)?.split_whitespace().next();
    let is_errno = |word: &&str| {
        word.starts_with('E')
            && word.len() > 3
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    text.lines().filter_map(first).filter(is_errno).collect()
}

#[test]
fn it_tells_what_the_header_tells() {
    let functions = declared();
    assert!(functions.len() >= 2, "{functions:?}");
    for (name, told) in functions {
        assert!(told.len() >= 6, "{name}: {told:?}");
        let synopsis = format!("{name}(");
        assert!(PAGE.contains(&synopsis), "{name} is not in the synopsis");
        let section = PAGE.split(".SS ").find(|section| section.starts_with(&format!("{name}\n")));
        assert_eq!(errnos(section.expect("its errors"), ".B "), told, "{name}");
    }
}
