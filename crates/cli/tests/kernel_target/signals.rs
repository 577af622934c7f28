// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals for `landlock run`, and its end by one.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::asked::is_running;
use crate::support::Folder;
use crate::{Heard, NEW, denies, end_of, folder_with_harmless_rule, kernel_run, until};

/// A confined shell that prints a line first; the line, and what it prints later.
fn start(folder: &Folder, rule: &str, script: &str) -> (Child, Heard, String) {
    let mut run = kernel_run(&[rule]);
    run.args(["--", "sh", "-c", script]).current_dir(folder.path(".")).stdout(Stdio::piped());
    // What stops must not be in our group, which others running now are in as well.
    let mut child = run.process_group(0).spawn().unwrap();
    let output = Heard::of(child.stdout.take().unwrap());
    let line = output.line();
    (child, output, line)
}

fn rest(output: &Heard) -> Vec<String> {
    std::iter::from_fn(|| output.next()).collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_signal_for_the_waiter_reaches_the_command() {
    let folder = folder_with_harmless_rule();
    let script = "trap 'echo taken; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let (mut child, output, ready) = start(&folder, "harmless.s", script);
    assert_eq!(ready, "ready");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!((rest(&output), end_of(&mut child).code()), (vec!["taken".to_owned()], Some(5)));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_waiter_stops_and_continues_with_the_command() {
    let folder = folder_with_harmless_rule();
    let (mut child, output, _) = start(&folder, "harmless.s", "echo ready; kill -STOP $$; echo on; exit 3");
    let waiter = Pid::from_child(&child);
    let mut status = None;
    until(|| {
        status = waitpid(Some(waiter), WaitOptions::UNTRACED | WaitOptions::NOHANG).unwrap();
        status.is_some()
    });
    assert!(status.unwrap().1.stopped(), "{status:?}");
    kill_process(waiter, Signal::CONT).unwrap();
    assert_eq!((rest(&output), end_of(&mut child).code()), (vec!["on".to_owned()], Some(3)));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killing_the_waiter_kills_the_command_and_lifts_no_rule() {
    let folder = folder_with_harmless_rule();
    folder.write("new.s", denies("new", NEW));
    let daemon = "until [ -e go ]; do sleep 0.1; done; touch mark; echo $? > answer; until [ -e end ]; do sleep 0.1; done";
    for (rule, said) in [("new.s", "1\n"), ("harmless.s", "0\n")] {
        let answer = folder.write("answer", "");
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
        let answer = || std::fs::read_to_string(&answer).unwrap();
        until(|| !answer().is_empty());
        assert_eq!((answer().as_str(), folder.path("mark").exists()), (said, said == "0\n"));
        folder.write("end", "");
        until(|| !is_running(daemon));
        ["go", "end"].iter().for_each(|name| std::fs::remove_file(folder.path(name)).unwrap());
    }
}
