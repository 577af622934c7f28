// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor acts for a caller with no more rights than the caller has.

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Bench, TRANSPARENT};

#[test]
fn capabilities_of_a_user_namespace_are_worth_nothing_outside() {
    let run = |confined: bool| {
        let bench = Bench::new();
        let probe = bench.probe("namespace", &["-w"]);
        let rule = bench.rule("rule", TRANSPARENT);
        std::fs::set_permissions(bench.path("."), PermissionsExt::from_mode(0o755)).expect("chmod");
        let file = bench.file("of_root", 0o600, "secret");
        let mut command = if confined { bench.confined(&[&rule], probe) } else { bench.plain(probe) };
        let printed = bench.run(command.arg("of_root")).printed().to_owned();
        let mode = std::fs::metadata(&file).expect("still there").permissions().mode();
        assert_eq!(
            (mode & 0o7777, std::fs::read(&file).expect("read")),
            (0o600, b"secret".to_vec()),
            "{printed}"
        );
        printed
    };
    let confined = run(true);
    assert!(confined.contains("unshare(CLONE_NEWUSER): 0"), "{confined}");
    assert_eq!(confined, run(false));
}
