// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals for `landlock run`, and its end by one.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::support::Folder;
use crate::{NEW, denies, folder_with_harmless_rule, kernel_run, until};

/// A confined shell that prints a line first; the line, and what it prints later.
fn start(folder: &Folder, rule: &str, script: &str) -> (Child, BufReader<ChildStdout>, String) {
    let mut run = kernel_run(&[rule]);
    run.args(["--", "sh", "-c", script]).current_dir(folder.path(".")).stdout(Stdio::piped());
    // What stops must not be in our group, which others running now are in as well.
    let mut child = run.process_group(0).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    (child, output, line.trim_end().to_owned())
}

fn rest(mut output: BufReader<ChildStdout>) -> String {
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_signal_for_the_waiter_reaches_the_command() {
    let folder = folder_with_harmless_rule();
    let script = "trap 'echo taken; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let (mut child, output, ready) = start(&folder, "harmless.s", script);
    assert_eq!(ready, "ready");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!((rest(output).as_str(), child.wait().unwrap().code()), ("taken\n", Some(5)));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_waiter_stops_and_continues_with_the_command() {
    let folder = folder_with_harmless_rule();
    let (mut child, output, _) = start(&folder, "harmless.s", "echo ready; kill -STOP $$; echo on; exit 3");
    let (_, status) = waitpid(Some(Pid::from_child(&child)), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    assert_eq!((rest(output).as_str(), child.wait().unwrap().code()), ("on\n", Some(3)));
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|after| !after.is_empty() && !after.starts_with(" Z"))
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killing_the_waiter_kills_the_command_and_lifts_no_rule() {
    let folder = folder_with_harmless_rule();
    folder.write("new.s", denies("new", NEW));
    let daemon = "until [ -e go ]; do sleep 0.1; done; touch mark; mkdir done-$? 2> error || :; until [ -e end ]; do sleep 0.1; done";
    for (rule, is_denied) in [("new.s", true), ("harmless.s", false)] {
        let script = format!(
            "setsid sh -c '{daemon}' > /dev/null 2> /dev/null & echo $$ $!; while :; do sleep 0.1; done"
        );
        let (mut child, _output, pids) = start(&folder, rule, &script);
        let (command, daemon) = pids.split_once(' ').unwrap();
        assert!(is_running(command) && is_running(daemon));
        child.kill().unwrap();
        child.wait().unwrap();
        until(|| !is_running(command));
        assert!(is_running(daemon), "what the command left behind is its own affair");
        folder.write("go", "");
        match is_denied {
            true => std::thread::sleep(std::time::Duration::from_secs(1)),
            false => until(|| folder.path("done-0").exists()),
        }
        assert_eq!(folder.path("mark").exists(), !is_denied);
        folder.write("end", "");
        until(|| !is_running(daemon));
        ["go", "end"].iter().for_each(|name| std::fs::remove_file(folder.path(name)).unwrap());
    }
}
