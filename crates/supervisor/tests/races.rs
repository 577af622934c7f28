// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attackers that change what a path means while a call about it is decided.

mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use support::{Bench, TRANSPARENT, rule};

/// Runs the attack and tells whether what is guarded was left alone.
fn survives(text: &str, way: &[&str]) -> bool {
    const FURNISH: &str = "mkdir guarded free; python3 -c 'import os; os.mknod(\"guarded/x\", 0o140600)'";
    let bench = Bench::new();
    let probe = bench.probe("meanings", &["-w"]);
    bench.run(bench.plain("sh").args(["-ec", FURNISH])).printed();
    let before = std::fs::metadata(bench.path("guarded/x")).expect("guarded");
    let rule = bench.rule("rule", text);
    let outcome = bench.run(bench.confined(&[&rule], probe).args(way));
    outcome.printed();
    // An exchange may have left the two directories in each other's place.
    let found = ["guarded/x", "door/x", "free/x"].into_iter().find_map(|name| {
        let seen = std::fs::symlink_metadata(bench.path(name)).ok()?;
        seen.file_type().is_socket().then_some(seen)
    });
    found.is_some_and(|after| {
        (after.ino(), after.mode(), after.nlink()) == (before.ino(), before.mode(), before.nlink())
    })
}

/// Sockets may not be removed, linked or changed.
fn guard_sockets() -> String {
    let changes = "if r6 == 2 goto deny\nif r6 == 4 goto deny\nif r6 == 8 goto deny\nif r6 == 32 goto deny";
    rule(
        "guard_sockets",
        &format!("if r0 s< 0 goto allow\nr0 &= 0xf000\nif r0 != 0xc000 goto allow\n{changes}"),
    )
}

fn guards_and_is_needed(way: &str) {
    let guarded = survives(&guard_sockets(), &[way, "1500"]);
    assert!(guarded, "the guarded file was reached by the way of {way}");
    assert!(
        !survives(TRANSPARENT, &[way, "1", "won"]),
        "the attack by the way of {way} does nothing where nothing is forbidden"
    );
}

#[test]
fn a_swapped_link_leads_to_nothing_that_was_not_judged() {
    guards_and_is_needed("link");
}

#[test]
fn exchanged_directories_lead_to_nothing_that_was_not_judged() {
    guards_and_is_needed("exchange");
}

#[test]
fn a_rewritten_path_leads_to_nothing_that_was_not_judged() {
    guards_and_is_needed("memory");
}
