// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ptrace boundary: the tree reaches into nothing outside of it, nor into the processes that confine it.

mod support;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use support::{Bench, NO_STICKY_PROGRAMS, TRANSPARENT, child_of};

/// A process that ends with the test.
struct Outsider(Child);

impl Outsider {
    fn new(bench: &Bench) -> Outsider {
        Outsider(bench.plain("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep"))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Everything `probes/boundary.c` can reach of one process.
const WAYS: usize = 20;

fn reached(bench: &Bench, command: &mut Command) -> Vec<String> {
    let outcome = bench.run(command);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// One rule under which opens stay in the kernel, one under which the supervisor makes them.
fn rules(bench: &Bench) -> [PathBuf; 2] {
    [bench.rule("sticky", NO_STICKY_PROGRAMS), bench.rule("transparent", TRANSPARENT)]
}

#[test]
fn nothing_outside_is_reached() {
    let bench = Bench::new();
    let probe = bench.probe("boundary", &[]);
    let outside = Outsider::new(&bench);
    let plain = reached(&bench, bench.plain(&probe).arg(outside.pid()));
    assert_eq!(plain.len(), WAYS, "{plain:#?}");
    for rule in rules(&bench) {
        let mut command = without_perfmon(&bench.confined(&[&rule], &probe));
        let confined = reached(&bench, command.arg(outside.pid()));
        assert!(confined.is_empty(), "{}: {confined:#?}", rule.display());
    }
}

#[test]
fn inside_everything_is_reached() {
    let bench = Bench::new();
    let probe = bench.probe("boundary", &[]);
    for rule in rules(&bench) {
        let confined = reached(&bench, bench.confined(&[&rule], &probe).arg("child"));
        assert_eq!(confined.len(), WAYS, "{}: {confined:#?}", rule.display());
    }
}

#[test]
fn neither_waiter_nor_supervisor_nor_reaper_is_reached() {
    let bench = Bench::new();
    let probe = bench.probe("boundary", &[]);
    let script = "while ! [ -e pids ]; do sleep 0.02; done; exec \"$0\" $(cat pids)";
    for rule in rules(&bench) {
        let mut command = without_perfmon(&bench.confined(&[&rule], "sh"));
        let child = command.args(["-c", script]).arg(&probe).stdout(Stdio::piped()).spawn().expect("start");
        let waiter = child.id().to_string();
        let supervisor = child_of(&waiter);
        let reaper = child_of(&supervisor);
        bench.file("pids.new", 0o644, [waiter, supervisor, reaper].join(" "));
        std::fs::rename(bench.path("pids.new"), bench.path("pids")).expect("rename");
        let output = child.wait_with_output().expect("wait");
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && seen.is_empty(), "{}: {output:?}", rule.display());
        std::fs::remove_file(bench.path("pids")).expect("remove");
    }
}

/// The same command, without two capabilities of root: with them, recent kernels let any process read the maps,
/// environment and auxiliary vector of any other, without asking Landlock.
fn without_perfmon(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args()).current_dir(command.get_current_dir().expect("a folder"));
        return same;
    }
    let mut less = Command::new("setpriv");
    less.args(["--bounding-set", "-perfmon,-sys_admin"]).arg(command.get_program()).args(command.get_args());
    less.current_dir(command.get_current_dir().expect("a folder"));
    less
}

#[test]
fn from_outside_the_tree_is_reached() {
    let bench = Bench::new();
    let probe = bench.probe("boundary", &[]);
    let rule = bench.rule("sticky", NO_STICKY_PROGRAMS);
    // It must not be executing anything when it is traced: over an exec, the supervisor traces it.
    let script = "echo $$; while :; do sleep 0.05; done";
    let mut confined = bench.confined(&[&rule], "sh");
    let confined = confined.args(["-c", script]).stdout(Stdio::piped()).spawn().expect("start");
    // With the waiter, the command ends.
    let mut confined = Outsider(confined);
    let mut line = String::new();
    let output = confined.0.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
    let seen = reached(&bench, bench.plain(&probe).arg(line.trim()));
    assert_eq!(seen.len(), WAYS, "{seen:#?}");
}
