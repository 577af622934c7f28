// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is seen only where nobody else uses the kernel target: which hooks are attached; and that root outside of every
//! domain switches programs off (`kernel.ftrace_enabled`), which kernels before 7 let it.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use landlock_bpf::map::Map;
use landlock_bpf::pin;
use serde_json::Value;

use crate::daemon::commands;
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

/// Waits until programs can be switched off without a trace, since nothing of ours goes on: no keeper of a command that
/// ended, which detaches hooks some time after it; nothing that the kernel still detaches (it would never again attach
/// anything); and no thread that ended in a domain and that the kernel has not forgotten (it would count for ever, and
/// who gets its place would be in its domain).
fn nothing_goes_on(confined: u64) {
    let kept = |line: &String| line.split('\0').eq(["sleep", "100000", ""]);
    let ours = |line: &String| line.starts_with("landlock\0") && !line.contains("sleep 100000");
    if confined == 0 {
        until(|| !commands().any(|line| ours(&line)));
    }
    let kept = commands().filter(kept).count() as u64;
    until(|| counted() == kept + confined);
    until(|| functions().iter().all(|hook| is_pinned(hook)));
}

/// What programs are attached to in the kernel, by its hook.
fn functions() -> Vec<String> {
    let enabled = std::fs::read_to_string("/sys/kernel/tracing/enabled_functions").unwrap();
    let names = enabled.lines().filter_map(|line| line.split(' ').next());
    let hooks = names.filter_map(|name| name.strip_prefix("bpf_lsm_").or(name.strip_prefix("security_")));
    hooks.map(str::to_owned).collect()
}

/// Whether it is pinned, or one of those that are there as long as the engine is.
fn is_pinned(hook: &str) -> bool {
    const ALWAYS: [&str; 10] = [
        "ptrace_access_check",
        "ptrace_traceme",
        "task_free",
        "task_alloc",
        "task_prctl",
        "bpf",
        "inode_unlink",
        "inode_rmdir",
        "inode_rename",
        "sb_umount",
    ];
    formats().any(|format| {
        format.join("hooks").join(hook).exists() || format.join("gate").exists() && ALWAYS.contains(&hook)
    })
}

fn formats() -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir("/sys/fs/bpf/landlock").into_iter().flatten().map(|format| format.unwrap().path())
}

/// How many threads are in domains, as the engine counts them.
fn counted() -> u64 {
    let counts = formats().map(|format| Map::from_pin(&pin::Folder::open(&format).unwrap(), "counts"));
    let elements = counts.filter_map(Result::ok).flat_map(|map| map.elements(4096).unwrap());
    elements.map(|(_, count)| u64::from_ne_bytes((*count).try_into().unwrap())).sum()
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

    nothing_goes_on(0);
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
        nothing_goes_on(0);
        // It starts nothing while programs are switched off.
        let script = "echo; read go; mkdir made";
        let mut confined = Command::new("landlock");
        confined.args(["run", "--target", "kernel", "--rule", rule, "--", "sh", "-c", script]);
        confined.current_dir(folder.path(".")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut confined = confined.spawn().unwrap();
        Heard::of(confined.stdout.take().unwrap()).line();
        nothing_goes_on(1);
        drop(switch_off());
        confined.stdin.take().unwrap().write_all(b"go\n").unwrap();
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
fn attached(hook: &str) -> Option<PathBuf> {
    formats().map(|format| format.join("hooks").join(hook).join("dispatch")).find(|pin| pin.exists())
}
