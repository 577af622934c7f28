// SPDX-License-Identifier: MIT OR Apache-2.0
//! A terminal somebody types at.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const PROMPT: &str = "[type]";

/// Types lines at a shell on a terminal of its own, each when it is asked for; what the terminal showed.
pub fn typed(shell: &mut Command, lines: &[impl AsRef<str>]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut started =
        shell.env("PS1", PROMPT).stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    // The descriptors it keeps for the shell are the terminal's other end.
    *shell = Command::new("none");
    let mut terminal = File::from(master);
    let mut shown = String::new();
    let lines = ["stty -echo"].into_iter().chain(lines.iter().map(AsRef::as_ref)).chain(["exit"]);
    for (number, line) in (1..).zip(lines) {
        while shown.matches(PROMPT).count() < number {
            assert!(show(&mut terminal, &mut shown), "the shell is gone: {shown}");
        }
        terminal.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    while show(&mut terminal, &mut shown) {}
    started.wait().unwrap();
    shown.replace("\r\n", "\n").replace(PROMPT, "")
}

/// Adds what the terminal shows next, within minutes; whether anybody still writes to it.
fn show(terminal: &mut File, shown: &mut String) -> bool {
    let minutes = Timespec { tv_sec: 300, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&minutes));
    assert_ne!(ready, Ok(0), "nothing more is shown: {shown}");
    let mut part = [0; 4096];
    let len = terminal.read(&mut part).unwrap_or(0);
    shown.push_str(&String::from_utf8_lossy(&part[..len]));
    len > 0
}

/// The session of August 2016, with words in between to find one's way by.
///
/// Cgroups are the whole machine's, so this one has a name of its own.
pub fn session(target: &str) -> Vec<String> {
    let name = tempfile::Builder::new().prefix("sandboxed-").tempdir().unwrap();
    let cgroup = format!("/sys/fs/cgroup/{}", name.path().file_name().unwrap().display());
    let sandbox = format!(
        "LANDLOCK_CGROUPS='{cgroup}' LANDLOCK_ALLOWED='/bin:/lib:/usr:/tmp:/proc/self/fd/0' \
         landlock sandbox --target {target} /bin/sh -i"
    );
    let lines = [
        &format!("mkdir {cgroup}"),
        "echo first; ls /home",
        &sandbox,
        "echo second; ls /home",
        &format!("echo $$ > {cgroup}/cgroup.procs"),
        "echo third; LC_ALL=C ls /home",
        "exit",
        &format!("for i in $(seq 1000); do rmdir {cgroup} && break; sleep 0.1; done"),
        &format!("test -e {cgroup} || echo gone"),
    ];
    lines.map(String::from).to_vec()
}

/// Whether it went as it should; GNU's `ls` and busybox's have their own words.
pub fn is_as_printed(shown: &str) {
    let after = |word: &str| shown.split_once(&format!("{word}\n")).unwrap_or_else(|| panic!("{shown}")).1;
    for word in ["first", "second"] {
        let listed = after(word).lines().next().unwrap_or_default();
        assert!(listed.split(' ').any(|name| name == "user1"), "{shown}");
    }
    let refused = ["ls: cannot open directory '/home'", "ls: can't open '/home'"]
        .map(|complaint| format!("{complaint}: Permission denied\n"));
    assert!(refused.iter().any(|refused| after("third").starts_with(refused)), "{shown}");
    assert!(shown.contains("gone\n"), "{shown}");
}
