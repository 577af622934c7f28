// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon with the kernel: `cargo xtask guest-test daemon` runs these in guests, one after the other. Root starts
//! the daemon; who asks it is an ordinary user.

#[path = "../../../cli/tests/kernel_target/asked.rs"]
mod asked;
mod command;
mod handles;
mod library;
mod load;
mod logs;
mod strict;
mod users;
mod v7;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify};
use landlock_daemon::client::{Daemon, Grant};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

const WRITE: u32 = 2;
const EXEC: u32 = 1;
const LOCK: u32 = 128;

/// Users of the tests'.
const ONE: u32 = 1000;
const OTHER: u32 = 1001;

/// A daemon that nobody asks anything has fewer descriptors.
const FEW: usize = 24;

/// A rule that denies actions.
fn denies(name: &str, actions: u32) -> Rule {
    let text = format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n    r0 = *(u64 *)(r1 + 24)\n    r0 &= {actions}\n    exit\n"
    );
    let object = asm::parse(&text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify(object, &Loader::default()).unwrap()
}

fn domain(rules: impl IntoIterator<Item = Rule>) -> Domain {
    Domain::prepended(rules)
}

/// The daemon, started by root.
struct Running(Child);

impl Running {
    fn start() -> Running {
        let mut command = Command::new("landlockd");
        // It is nobody's who could tell it something by its environment.
        command.env("LANDLOCK_SOCKET", "/tmp/elsewhere").args(["--socket", landlock_daemon::SOCKET]);
        // As by init, and not as by a thread that ends.
        let child = command.process_group(0).spawn().unwrap();
        becomes(|| Daemon::default().hello().is_ok());
        Running(child)
    }

    /// Kills it, as root, whoever asks for that.
    fn killer(self) -> impl FnOnce() + Send {
        let (ask, asked) = std::sync::mpsc::channel();
        let killing = thread::spawn(move || {
            let _ = asked.recv();
            self.kill();
        });
        move || {
            ask.send(()).unwrap();
            killing.join().unwrap();
        }
    }

    /// As somebody kills it.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn field(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap().count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does something in a new thread that is an ordinary user's.
fn as_user<T: Send>(user: u32, action: impl FnOnce() -> T + Send) -> T {
    // Before Linux 6.4 it is found out by a file that is root's from then on.
    rustix::param::page_size();
    let become_user = || {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(group, group, group).unwrap();
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        rustix::thread::set_no_new_privs(true).unwrap();
        action()
    };
    thread::scope(|scope| scope.spawn(become_user).join().unwrap())
}

fn load(rules: &[Rule]) -> Grant {
    Daemon::default().load(&domain(rules.to_vec()), None, false).unwrap()
}

/// Waits for what is true in the end.
#[track_caller]
fn becomes(mut what: impl FnMut() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed().as_secs() < 120, "it does not come to that");
        thread::sleep(Duration::from_millis(20));
    }
}

fn refused<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

/// Gives back a lock that nobody has: allowed but for rules against locks.
fn unlock() -> io::Result<()> {
    Ok(rustix::fs::flock(File::open("/dev/null")?, rustix::fs::FlockOperation::Unlock)?)
}

fn write_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// A file that anybody may write.
fn anybodys(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    path
}
