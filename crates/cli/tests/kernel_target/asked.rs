// SPDX-License-Identifier: MIT OR Apache-2.0
//! A confined shell that is asked what it can open.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// For the shell to run.
pub const SCRIPT: &str =
    "while read file; do if true < $file; then echo yes; else echo no; fi; done 2> /dev/null";

/// A shell that says of each file it is asked about whether it can be opened.
pub struct Asked {
    run: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Asked {
    /// Starts the command, of which a shell with [`SCRIPT`] comes.
    pub fn start(mut command: Command) -> Asked {
        let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let questions = run.stdin.take().unwrap();
        let answers = BufReader::new(run.stdout.take().unwrap());
        Asked { run, questions, answers }
    }

    /// What the shell says next.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line
    }

    pub fn opens(&mut self, file: &str) -> bool {
        writeln!(self.questions, "{file}").unwrap();
        self.line() == "yes\n"
    }

    pub fn open<const N: usize>(&mut self, files: [&str; N]) -> [bool; N] {
        files.map(|file| self.opens(file))
    }

    /// Kills the process beside the command, which holds the handles, and waits until it holds nothing.
    pub fn kill_keeper(&self) {
        let keeper = self.keeper();
        kill_process(keeper, Signal::KILL).unwrap();
        let start = Instant::now();
        while is_running(&keeper.to_string()) {
            assert!(start.elapsed() < Duration::from_secs(200), "the keeper does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill_waiter(&mut self) {
        self.run.kill().unwrap();
        self.run.wait().unwrap();
    }

    /// There is nothing more to ask.
    pub fn end(mut self) {
        drop(self.questions);
        self.run.wait().unwrap();
    }

    /// The process beside the command, which is no other of ours.
    fn keeper(&self) -> Pid {
        let waiter = self.run.id().to_string();
        let ours = |pid: &i32| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            stat(&pid.to_string(), 1) == waiter && command.starts_with("landlock\0")
        };
        let pids = fs::read_dir("/proc").unwrap();
        let pids = pids.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        Pid::from_raw(pids.into_iter().find(ours).expect("a keeper")).unwrap()
    }
}

/// Whether a process has not ended. One that nobody has waited for has, and holds nothing any more.
pub fn is_running(pid: &str) -> bool {
    !["", "Z"].contains(&stat(pid, 0).as_str())
}

/// A field of /proc/PID/stat, counted from the state; empty without the process.
fn stat(pid: &str, field: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields.split_whitespace().nth(field).unwrap_or_default().to_owned()
}
