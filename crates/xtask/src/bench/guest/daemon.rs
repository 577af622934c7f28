// SPDX-License-Identifier: MIT OR Apache-2.0
//! In the guest: getting confined through landlockd, in turn with root's doing it by itself. A nanosecond of the guest is an
//! instruction, whoever carries it out: the client, the daemon, or the kernel for either.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use landlock_daemon::client::{Daemon, Grant};
use landlock_daemon::limits::MAX_KEPT;
use landlock_kernel::{Denials, Engine, Loaded, enter};
use rustix::process::{Gid, Uid};

use super::inside::apart;
use super::rules;
use crate::bench::figures::{Samples, ratio};

/// How often each is done. The daemon has fewer domains at hand.
const TIMES: usize = MAX_KEPT + 2;
const USER: u32 = 1000;

/// Measures and prints.
pub fn run() -> Result<()> {
    // A kernel goes on booting for a while. Sleep costs no instructions.
    thread::sleep(Duration::from_secs(60));
    let mut bench = Bench { engine: Engine::open()?, daemon: Running::start()? };
    // Both find all hooks attached.
    let _attached =
        bench.engine.load(&rules::with(rules::lenient(1000)?, 0, rules::lenient)?, Denials::Shared)?;
    println!("{}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim());
    bench.library()?;
    bench.command()
}

struct Bench {
    engine: Engine,
    daemon: Running,
}

impl Bench {
    /// A thread of a process that has asked for everything else before.
    fn library(&mut self) -> Result<()> {
        let [mut new, mut found, mut at_hand] = [const { Pairs::new() }; 3];
        let mut held = Vec::new();
        for number in 0..TIMES {
            let (root, itself) = self.load(number)?;
            let (user, granted) = ask(number)?;
            new.push(root, user);
            held.push((itself, granted));
        }
        for number in 0..TIMES {
            let (root, _) = self.load(number)?;
            found.push(root, ask(number)?.0);
        }
        for (itself, _) in &held {
            let enter = || timed(|| Ok(self.engine.enter(itself)?));
            at_hand.push(apart(enter)?.0, ask(TIMES - 1)?.0);
        }
        println!("a thread: engine open, landlockd running; thousands of instructions");
        new.print("new rules")?;
        found.print("rules in force")?;
        at_hand.print("rules at hand")
    }

    /// As root does it.
    fn load(&mut self, number: usize) -> Result<(f64, Loaded)> {
        let rules = rules::with(rules::lenient(number)?, 0, rules::lenient)?;
        let (seconds, loaded) = timed(|| Ok(self.engine.load(&rules, Denials::Shared)?))?;
        let (entered, ()) = apart(|| timed(|| Ok(self.engine.enter(&loaded)?)))?;
        Ok((seconds + entered, loaded))
    }

    /// The whole command, from its start to its end.
    fn command(&self) -> Result<()> {
        let [mut new, mut again, mut plain] = [const { Pairs::new() }; 3];
        for number in 0..TIMES {
            let rule = file(TIMES + number)?;
            new.push(landlock(0, &rule)?, landlock(USER, &rule)?);
            again.push(landlock(0, &rule)?, landlock(USER, &rule)?);
            plain.push(seconds(0, &mut Command::new("true"))?, seconds(USER, &mut Command::new("true"))?);
        }
        println!("`landlock run --target kernel -- true`; thousands of instructions");
        new.print("new rules")?;
        again.print("the same again")?;
        plain.print("`true` alone")?;
        println!("resident: {} KiB", self.daemon.resident()?);
        Ok(())
    }
}

/// As who is not root does it, in the library's way.
fn ask(number: usize) -> Result<(f64, Grant)> {
    let rules = rules::with(rules::lenient(number)?, 0, rules::lenient)?;
    apart(|| {
        let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
        timed(|| {
            let connection = Daemon::default().connect()?;
            let parent = connection.domain_of_this_thread()?;
            let grant = connection.load(&rules, parent, false)?;
            rustix::thread::set_no_new_privs(true)?;
            enter(grant.token)?;
            Ok(grant)
        })
    })
}

fn timed<T>(action: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let done = action()?;
    Ok((start.elapsed().as_secs_f64(), done))
}

/// A rule nobody has, for a command.
fn file(number: usize) -> Result<PathBuf> {
    let path = Path::new("/tmp").join(format!("lenient{number}.s"));
    fs::write(&path, rules::lenient_text(number))?;
    Ok(path)
}

fn landlock(user: u32, rule: &Path) -> Result<f64> {
    let mut command = Command::new("landlock");
    seconds(user, command.args(["run", "--target", "kernel", "--rule"]).arg(rule).args(["--", "true"]))
}

fn seconds(user: u32, command: &mut Command) -> Result<f64> {
    let command = command.uid(user).gid(user);
    let (seconds, status) = timed(|| Ok(command.status()?))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(seconds)
}

/// The daemon, as without systemd.
struct Running(Child);

impl Running {
    fn start() -> Result<Running> {
        let running = Running(Command::new("landlockd").args(["--socket", landlock_daemon::SOCKET]).spawn()?);
        let start = Instant::now();
        while Daemon::default().hello().is_err() {
            ensure!(start.elapsed() < Duration::from_secs(60), "landlockd does not start");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(running)
    }

    fn resident(&self) -> Result<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.unwrap_or("unknown").trim().trim_end_matches(" kB").to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds that root took, and that it took through the daemon, in turn.
struct Pairs {
    root: Vec<f64>,
    daemon: Vec<f64>,
}

impl Pairs {
    const fn new() -> Pairs {
        Pairs { root: Vec::new(), daemon: Vec::new() }
    }

    fn push(&mut self, root: f64, daemon: f64) {
        self.root.push(root);
        self.daemon.push(daemon);
    }

    fn print(self, what: &str) -> Result<()> {
        let (root, daemon) = (Samples::new(self.root)?, Samples::new(self.daemon)?);
        root.print(&format!("{what}: root"), 1e6);
        daemon.print(&format!("{what}: landlockd"), 1e6);
        println!(
            "  more: {:.0}; ratio pair by pair: {}",
            (daemon.median() - root.median()) * 1e6,
            ratio(&daemon, &root)
        );
        Ok(())
    }
}
