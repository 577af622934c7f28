// SPDX-License-Identifier: MIT OR Apache-2.0
//! No test waits for ever: one that takes too long says which processes of its folder are still there, and what they are
//! doing. They are killed, and all tests of this program end with it, failed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Many times what the longest test takes on a loaded machine.
const LONGEST: Duration = Duration::from_secs(1200);

/// Holds until it is dropped.
pub struct Limit {
    _is_held: Sender<()>,
}

impl Limit {
    /// For the test that the calling thread runs, in its own folder.
    pub fn new(folder: &Path) -> Limit {
        let (is_held, held) = channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            if held.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                give_up(&test, &folder);
            }
        });
        Limit { _is_held: is_held }
    }
}

fn give_up(test: &str, folder: &Path) -> ! {
    let mut said = format!("\n{test} did not end within {} s. Still there:\n", LONGEST.as_secs());
    let processes = processes_of(folder);
    for (pid, command) in &processes {
        let what = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let state = what("status").lines().filter(|line| line.starts_with("State:")).collect::<String>();
        let _ = writeln!(said, "{pid} {state} syscall {} {command}", what("syscall").trim());
    }
    for (pid, _) in processes {
        let _ = kill_process(pid, Signal::KILL);
    }
    // Not what the tests' harness would keep to itself.
    let _ = std::io::stderr().write_all(said.as_bytes());
    std::process::exit(101)
}

/// Other processes that work in the folder, or were started with something of it.
fn processes_of(folder: &Path) -> Vec<(Pid, String)> {
    let ours = rustix::process::getpid();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let of_folder = |pid: Pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let place = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or(PathBuf::new());
        let is_it = place.starts_with(folder) || command.contains(folder.to_str()?);
        is_it.then_some((pid, command))
    };
    pids.filter(|pid| *pid != ours).filter_map(of_folder).collect()
}
