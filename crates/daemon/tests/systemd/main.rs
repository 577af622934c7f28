// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units, under Debian's systemd: `cargo xtask guest-test systemd` runs these in guests, one after the other.

mod hardening;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};

const USER: u32 = 1000;
const SERVICE: &str = "landlockd.service";
const SOCKET: &str = "landlockd.socket";
const NAME: &str = "landlockd-abstract.socket";
const UNITS: [(&str, &str); 3] = [
    (SERVICE, include_str!("../../systemd/landlockd.service")),
    (SOCKET, include_str!("../../systemd/landlockd.socket")),
    (NAME, include_str!("../../systemd/landlockd-abstract.socket")),
];
const INSTALLED: &str = "/usr/lib/systemd/system";
const RULES: &str = "/run/rules";

fn said(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    (status.success(), text.trim().to_owned())
}

/// Has systemd do something, which works.
fn systemctl(words: &[&str]) -> String {
    let (done, text) = said(Command::new("systemctl").arg("--no-pager").args(words));
    assert!(done, "{words:?}: {text}");
    text
}

fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "--property", name, unit])
}

fn is_active(unit: &str) -> bool {
    property(unit, "ActiveState") == "active"
}

/// The daemon's, while it runs.
fn pid() -> Option<u32> {
    property(SERVICE, "MainPID").parse().ok().filter(|pid| *pid != 0)
}

/// Waits for what is true in the end.
fn becomes(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed().as_secs() < 300, "it does not come to that");
        sleep(Duration::from_millis(100));
    }
}

/// A machine with the units and everything stopped, rules, and nothing in force of before.
fn install() {
    // Not a copy each time: one that is left is running.
    let _ = symlink("/test/landlockd", "/usr/bin/landlockd");
    for (name, text) in UNITS {
        std::fs::write(Path::new(INSTALLED).join(name), text).unwrap();
    }
    std::fs::create_dir_all(RULES).unwrap();
    for (name, actions) in [("no_new", 8), ("no_write", 2), ("harmless", 1 << 20)] {
        let rule = format!(
            ".rule {name}\n.event FS\n.license \"GPL\"\n    r0 = *(u64 *)(r1 + 24)\n    r0 &= {actions}\n    exit\n"
        );
        std::fs::write(format!("{RULES}/{name}.s"), rule).unwrap();
    }
    std::fs::set_permissions("/tmp", PermissionsExt::from_mode(0o1777)).unwrap();
    systemctl(&["daemon-reload"]);
    systemctl(&["stop", SOCKET, NAME, SERVICE]);
    systemctl(&["reset-failed"]);
}

/// A command of an ordinary user's under a rule.
fn landlock(rule: &str, command: &[&str]) -> Command {
    let mut landlock = Command::new("landlock");
    landlock.args(["run", "--target", "kernel", "--rule", &format!("{RULES}/{rule}.s"), "--"]);
    landlock.args(command).current_dir("/tmp").uid(USER).gid(USER);
    landlock
}

/// Whether such a command may make a file.
fn makes(rule: &str) -> bool {
    let (done, text) = said(&mut landlock(rule, &["mkdir", "made"]));
    let made = std::fs::remove_dir("/tmp/made").is_ok();
    assert!(done == made && (made || text.contains("Operation not permitted")), "{text}");
    made
}

/// A shell under a rule, which tries whenever it is asked.
struct Shell(Child, ChildStdin, BufReader<ChildStdout>);

impl Shell {
    fn start(rule: &str) -> Shell {
        const TRIES: &str =
            "while read line; do mkdir tried && rmdir tried && echo made || echo denied; done 2> /dev/null";
        let mut shell = landlock(rule, &["sh", "-c", TRIES]);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (asks, hears) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let mut shell = Shell(shell, asks, BufReader::new(hears));
        // It is in force with the first answer.
        shell.makes();
        shell
    }

    fn makes(&mut self) -> bool {
        let mut answer = String::new();
        self.1.write_all(b"\n").unwrap();
        self.2.read_line(&mut answer).unwrap();
        match answer.trim() {
            "made" => true,
            "denied" => false,
            other => panic!("it says {other:?}"),
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn a_user_s_command_starts_the_daemon() {
    install();
    systemctl(&["enable", "--now", SOCKET]);
    assert!(is_active(SOCKET) && is_active(NAME) && !is_active(SERVICE));
    assert_eq!(systemctl(&["is-enabled", SOCKET]), "enabled");
    assert!(!makes("no_new"));
    assert!(is_active(SERVICE) && makes("harmless"));
    // Under a rule that leaves only the name.
    let inside = format!("{RULES}/harmless.s");
    let inner = ["landlock", "run", "--target", "kernel", "--rule", &inside, "--", "true"];
    systemctl(&["stop", SERVICE]);
    let (done, text) = said(&mut landlock("no_write", &inner));
    assert!(done, "{text}");
}

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn whatever_is_done_with_the_daemon_rules_stay_in_force() {
    install();
    systemctl(&["start", SOCKET]);
    let (mut confined, mut free) = (Shell::start("no_new"), Shell::start("harmless"));
    let mut holds = || !confined.makes() && free.makes();
    assert!(holds());

    let first = pid().unwrap();
    systemctl(&["kill", "--signal", "KILL", SERVICE]);
    becomes(|| pid().is_none());
    assert_eq!(property(SERVICE, "Result"), "signal");
    assert!(holds() && !makes("no_new") && makes("harmless"));
    let second = pid().unwrap();

    systemctl(&["restart", SERVICE]);
    let third = pid().unwrap();
    assert!(first != second && second != third);
    assert!(holds() && !makes("no_new") && makes("harmless"));
    assert_eq!(pid(), Some(third));

    systemctl(&["stop", SERVICE, SOCKET]);
    assert!(!is_active(SERVICE) && !is_active(SOCKET) && !is_active(NAME));
    assert!(holds());
    let refused = landlock("harmless", &["mkdir", "made"]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(125), "{text}");
    assert!(text.contains("landlockd does not answer at /run/landlock/landlockd.sock"), "{text}");
    assert!(!Path::new("/tmp/made").exists());

    systemctl(&["start", SOCKET]);
    assert!(holds() && !makes("no_new") && makes("harmless"));
}

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn the_daemon_ends_by_itself_and_comes_again() {
    install();
    systemctl(&["start", SOCKET]);
    let mut confined = Shell::start("no_new");
    let first = pid().unwrap();
    becomes(|| pid().is_none());
    assert_eq!(
        (property(SERVICE, "Result"), property(SERVICE, "ExecMainStatus")),
        ("success".into(), "0".into())
    );
    assert!(!confined.makes() && is_active(SOCKET));
    assert!(!makes("no_new") && makes("harmless"));
    assert_ne!(pid(), Some(first));
}

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn who_takes_the_name_stops_nobody_else() {
    install();
    let squatter = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let name = SocketAddrUnix::new_abstract_name(landlock_daemon::SOCKET.as_bytes()).unwrap();
    bind(&squatter, &name).unwrap();
    systemctl(&["start", SOCKET]);
    assert!(is_active(SOCKET) && !is_active(NAME));
    assert!(!makes("no_new") && makes("harmless"));
    drop(squatter);
    systemctl(&["restart", SOCKET]);
    assert!(is_active(SOCKET) && is_active(NAME) && !makes("no_new"));
}
