// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock` on the kernel target, as its users see it: `cargo xtask guest-test` runs these in guests, as root.
//!
//! Guests have the built command and busybox in their path, and nothing to compile with. What is said of the
//! supervisor target in `cli` is said of this one here; where both can be asked, they are compared.

mod apart;
mod asked;
mod daemon;
mod log;
mod observe;
mod run;
mod sandbox;
mod signals;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod support;
#[path = "../cli/terminal.rs"]
mod terminal;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use support::{Folder, Ran};

/// Denies nothing that happens.
const HARMLESS: &str = ".rule harmless\n.event FS\n.license \"GPL\"\n r1 = *(u64 *)(r1 + 24)\n r0 = 0\n if r1 == 511 goto deny\n exit\ndeny:\n r0 = 1\n exit\n";

/// A rule that denies actions, whatever the object.
fn denies(name: &str, actions: u32) -> String {
    format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n r1 = *(u64 *)(r1 + 24)\n r0 = 0\n if r1 & {actions} goto deny\n \
         exit\ndeny:\n r0 = 1\n exit\n"
    )
}

const WRITE: u32 = 2;
const NEW: u32 = 8;
const REMOVE: u32 = 32;
const FCNTL: u32 = 256;

fn folder_with_harmless_rule() -> Folder {
    let folder = Folder::new();
    folder.write("harmless.s", HARMLESS);
    folder
}

/// To start the engine and take it down takes longer than most of what is tested: a confined process keeps it
/// up to the end of the guest.
fn keep_engine() {
    static KEPT: std::sync::OnceLock<std::process::Child> = std::sync::OnceLock::new();
    KEPT.get_or_init(|| {
        let folder = folder_with_harmless_rule();
        let mut run = Command::new("landlock");
        run.args([
            "run",
            "--target",
            "kernel",
            "--rule",
            "harmless.s",
            "sh",
            "-c",
            "echo; exec sleep 100000",
        ]);
        let mut kept = run.current_dir(folder.path(".")).stdout(Stdio::piped()).spawn().unwrap();
        Heard::of(kept.stdout.take().unwrap()).line();
        kept
    });
}

/// The command in the guest's path.
fn landlock(arguments: &[&str]) -> Command {
    keep_engine();
    let mut command = Command::new("landlock");
    command.args(arguments);
    command
}

/// `landlock run --target kernel` with these rules, as a command to be given more.
fn kernel_run(rules: &[&str]) -> Command {
    let mut command = landlock(&["run", "--target", "kernel"]);
    command.args(rules.iter().flat_map(|rule| ["--rule", rule]));
    command
}

/// A shell script on the kernel target.
fn script(folder: &Folder, rules: &[&str], script: &str) -> Ran {
    folder.run(kernel_run(rules).args(["--", "sh", "-c", script]))
}

/// Guests are slow, some vCPU may stand still for seconds: what takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(200);

/// Waits until `so`, for minutes.
#[track_caller]
fn until(so: impl FnMut() -> bool) {
    assert!(comes_about(PATIENCE, so), "it never comes about");
}

/// Whether it is `so` within a time.
fn comes_about(within: Duration, mut so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !so() {
        if start.elapsed() > within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Waits for the end of a child, for minutes.
#[track_caller]
fn end_of(child: &mut Child) -> ExitStatus {
    until(|| child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

/// What somebody says, line by line; each is waited for for minutes.
struct Heard(Receiver<String>);

impl Heard {
    fn of(output: impl Read + Send + 'static) -> Heard {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.take_while(|line| tell.send(line.clone()).is_ok()).for_each(drop);
        });
        Heard(told)
    }

    /// None once nobody can say anything any more.
    #[track_caller]
    fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing is said, and the end does not come"),
        }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.next().expect("a line before the end")
    }
}
