// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service that leaves a daemon behind.

use crate::support::Folder;
use crate::{HARMLESS, NEW, denies, kernel_run, until};

/// `landlock run` ends with the command; the daemon stays confined, and what it is refused is logged, after
/// which nothing of ours is left.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_daemon_stays_confined_and_logged_after_the_command() {
    let folder = Folder::new();
    folder.write("new.s", denies("new", NEW));
    folder.write("harmless.s", HARMLESS);
    folder.write("answer", "");
    let daemon = "until [ -s go ]; do sleep 0.1; done; touch made; echo $? > answer";
    for (rule, answer, denials) in [("new.s", "1\n", 1), ("harmless.s", "0\n", 0)] {
        folder.write("go", "");
        folder.write("answer", "");
        let log = format!("log-{rule}");
        let script = format!("setsid sh -c '{daemon}' > /dev/null 2> /dev/null &");
        // It returns though the daemon goes on, and nobody holds the pipe of its output.
        let mut run = kernel_run(&[rule]);
        folder.run(run.args(["--log", &log, "--", "sh", "-c", &script])).exits(0).quiet();
        assert!(keepers(&log) == 1);
        folder.write("go", "go");
        until(|| !std::fs::read_to_string(folder.path("answer")).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(folder.path("answer")).unwrap(), answer);
        until(|| keepers(&log) == 0);
        let log = std::fs::read_to_string(folder.path(&log)).unwrap();
        assert_eq!(log.lines().count(), denials, "{log}");
    }
}

/// Processes of ours that write this log.
fn keepers(log: &str) -> usize {
    commands().filter(|line| line.starts_with("landlock\0run\0") && line.contains(log)).count()
}

/// The command line of every process.
pub fn commands() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
}
