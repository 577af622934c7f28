// SPDX-License-Identifier: MIT OR Apache-2.0
//! landlockd(8) has the options, the limits and the places that the daemon has.

use std::collections::BTreeSet;
use std::process::Command;

use landlock_daemon::{SOCKET, limits, rules};

const PAGE: &str = include_str!("../../../man/landlockd.8");

fn section(name: &str) -> &'static str {
    PAGE.split(".SH ").find(|part| part.starts_with(name)).expect("the section")
}

/// Words like `--socket`, without a page's own way to write the dashes.
fn options(text: &str) -> BTreeSet<String> {
    let text = text.replace("\\-", "-");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

#[test]
fn its_options_are_those_of_the_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_landlockd")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(options(&help).len() > 2, "{help}");
    assert_eq!(options(section("OPTIONS")), options(&help));
}

#[test]
fn its_limits_and_places_are_those_in_force() {
    let most = limits::MOST;
    let expected = [
        ("domains", most.domains),
        ("logs", most.logs),
        ("programs", most.programs),
        ("insns", most.insns),
        ("handles", most.handles),
        ("rules", rules::MAX_RULES),
        ("filters", rules::MAX_FILTERS),
        ("request", rules::MAX_TOTAL_INSNS),
        ("filtering", rules::MAX_FILTER_INSNS),
        ("maps", rules::MAX_MAPS),
        ("given", rules::MAX_HANDLES),
        ("connections", limits::MAX_CONNECTIONS),
        ("seconds", usize::try_from(limits::PATIENCE.as_secs()).unwrap()),
    ];
    let listed = section("LIMITS").lines().filter(|line| line.starts_with(".BR "));
    let expected = expected.map(|(name, most)| format!(".BR {name} \" ({most})\""));
    assert_eq!(listed.collect::<Vec<_>>(), expected);
    for place in [SOCKET, landlock_kernel::FOLDER] {
        assert!(section("FILES").contains(&format!(".I {place}\n")), "{place}");
    }
}
