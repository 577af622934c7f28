// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is seen only where nobody else uses the kernel target: which hooks are attached; and that root outside of every
//! domain switches programs off (`kernel.ftrace_enabled`), which kernels before 7 let it.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Folder, Ran};
use crate::{FCNTL, HARMLESS, Heard, NEW, comes_about, denies, end_of, until};

const SYSCTL: &str = "/proc/sys/kernel/ftrace_enabled";

/// Programs are switched off as long as it is there.
struct Off;

impl Drop for Off {
    fn drop(&mut self) {
        std::fs::write(SYSCTL, "1").unwrap();
    }
}

/// None if the kernel does not let root do that.
fn switch_off() -> Option<Off> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let is_possible = release.split('.').next().unwrap().parse::<u32>().unwrap() < 7;
    assert_eq!(std::fs::write(SYSCTL, "0").is_ok(), is_possible);
    is_possible.then_some(Off)
}

/// Waits until the keepers of what ended are gone. Some time after it they detach hooks; were programs switched off just
/// then, these kernels would never again call one there.
fn nobody_detaches() {
    let is_keeper = |line: &String| line.starts_with("landlock\0run\0") && !line.contains("sleep 100000");
    until(|| !crate::daemon::commands().any(|line| is_keeper(&line)));
}

fn run(folder: &Folder, target: &str, rule: &str, command: &[&str]) -> Ran {
    let mut run = Command::new("landlock");
    folder.run(run.args(["run", "--target", target, "--rule", rule, "--"]).args(command))
}

fn status(folder: &Folder) -> Value {
    serde_json::from_str(&folder.run(Command::new("landlock").args(["status", "--json"])).stdout()).unwrap()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn nothing_runs_unconfined_while_programs_are_switched_off() {
    let folder = Folder::new();
    folder.write("new.s", denies("new", NEW));
    folder.write("harmless.s", HARMLESS);
    let denied = || run(&folder, "kernel", "new.s", &["touch", "made"]).exits(1);
    let allowed = |made: &str| run(&folder, "kernel", "harmless.s", &["touch", made]).exits(0);
    denied();
    allowed("made-before");

    nobody_detaches();
    match switch_off() {
        Some(_off) => {
            run(&folder, "kernel", "new.s", &["touch", "made"])
                .exits(125)
                .complains("kernel.ftrace_enabled is 0")
                .complains("nothing was run");
            let page = status(&folder);
            assert_eq!((&page["auto"], &page["kernel"]["works"]), (&"supervisor".into(), &"no".into()));
            assert_eq!(page["kernel"]["change"], "sysctl kernel.ftrace_enabled=1");
            run(&folder, "auto", "new.s", &["touch", "made"]).exits(1);
        }
        None => drop(denied()),
    }
    denied();
    allowed("made-after");
    assert!(!folder.path("made").exists());
}

/// Who was confined before is again.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn switched_on_again_the_rules_of_living_domains_hold() {
    for (rule, answer) in [("new.s", 1), ("harmless.s", 0)] {
        let folder = Folder::new();
        folder.write("new.s", denies("new", NEW));
        folder.write("harmless.s", HARMLESS);
        nobody_detaches();
        let script = "echo; until [ -e go ]; do sleep 0.1; done; mkdir made";
        let mut confined = Command::new("landlock");
        confined.args(["run", "--target", "kernel", "--rule", rule, "--", "sh", "-c", script]);
        let mut confined = confined.current_dir(folder.path(".")).stdout(Stdio::piped()).spawn().unwrap();
        Heard::of(confined.stdout.take().unwrap()).line();
        drop(switch_off());
        folder.write("go", "");
        assert_eq!(end_of(&mut confined).code(), Some(answer), "{rule}");
    }
}

/// To detach hooks takes the kernel seconds, and meanwhile it attaches none: whoever runs commands one after the other
/// does not wait for that each time. A while after the last one the hooks are detached.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_next_command_finds_the_hooks_attached_and_then_they_go() {
    let folder = Folder::new();
    folder.write("fcntl.s", denies("fcntl", FCNTL));
    // A new pin is a new file.
    let pin = || std::fs::metadata(attached("file_fcntl")?).ok().map(|pin| pin.ino());
    let run = || run(&folder, "kernel", "fcntl.s", &["true"]).exits(0);
    // Each again if need be: where a vCPU stands still for seconds, the while may be over too soon, or the command's thread
    // not forgotten at its end, and then the next engine detaches.
    let then_they_go = || {
        run();
        comes_about(Duration::from_secs(20), || pin().is_none())
    };
    until(then_they_go);
    until(|| {
        run();
        let left = pin();
        run();
        left.is_some() && pin() == left
    });
    until(then_they_go);
}

/// The pin of what is attached to a hook.
fn attached(hook: &str) -> Option<std::path::PathBuf> {
    let formats = std::fs::read_dir("/sys/fs/bpf/landlock").ok()?;
    let mut pins = formats.map(|format| format.unwrap().path().join("hooks").join(hook).join("dispatch"));
    pins.find(|pin| pin.exists())
}
