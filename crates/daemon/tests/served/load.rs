// SPDX-License-Identifier: MIT OR Apache-2.0
//! Very many clients, clients that are killed at every step, and a daemon that is: none of it leaves anybody
//! unconfined who thinks otherwise, or anything behind.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use landlock_daemon::client::{Daemon, Error};
use landlock_daemon::limits::MOST;
use landlock_daemon::protocol::Why;
use landlock_kernel::{Engine, enter};

use crate::command::{folder, landlock};
use crate::{FEW, LOCK, ONE, Running, as_user, becomes, denies, domain, refused, unlock};

/// Waits until no domain of the users' is left.
pub fn nothing_is_left() {
    let mut engine = Engine::open().unwrap();
    becomes(|| {
        engine.collect().unwrap();
        engine.domains().unwrap().iter().all(|living| living.owner.is_none())
    });
}

/// Whether a new thread of the user's got into a domain of this rule, which is then tried. `None`: it has no place.
fn confined(user: u32, rule: &str, meanwhile: impl FnOnce() + Send) -> Result<Option<()>, Error> {
    as_user(user, || {
        assert!(unlock().is_ok());
        let answer = Daemon::default().load(&domain([denies(rule, LOCK)]), None, false);
        let entered = match &answer {
            Ok(grant) => enter(grant.token).is_ok(),
            Err(_) => false,
        };
        // Nobody is told that it is confined who is not.
        assert_eq!(refused(&unlock()), entered);
        meanwhile();
        match answer {
            Ok(_) => Ok(entered.then_some(())),
            Err(error) => Err(error),
        }
    })
}

/// One user wants more domains than it can have, the others few: what is refused is the first one's.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thousand_clients_at_once_are_served_or_refused() {
    const CLIENTS: u32 = 1000;
    const RULES: u32 = 68;
    let most = Some(u64::from(4 * CLIENTS));
    let limit = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let daemon = Running::start();
    confined(ONE + 1, "first", || ()).unwrap();
    becomes(|| daemon.descriptors() < FEW);
    let before = daemon.descriptors();
    let (served, full) = (AtomicU32::new(0), AtomicU32::new(0));
    // All of them are there until all have their answer, so no place becomes free.
    let all = Barrier::new(CLIENTS as usize);
    thread::scope(|scope| {
        for index in 0..CLIENTS {
            let (served, full, all) = (&served, &full, &all);
            let client = move || {
                let user = index % 4;
                let rule = format!("rule{}", index / 4 % if user == 0 { RULES } else { 2 });
                match confined(ONE + user, &rule, || {
                    all.wait();
                }) {
                    Ok(Some(())) => served.fetch_add(1, Ordering::Relaxed),
                    Err(Error::Refused(refusal)) if refusal.why == Why::Limit && user == 0 => {
                        full.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("user {user}: {other:?}"),
                };
            };
            thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, client).unwrap();
        }
    });
    let (served, full) = (served.into_inner(), full.into_inner());
    println!("{served} served, {full} refused");
    assert_eq!(served + full, CLIENTS);
    // Three or four clients for each of the rules that came too late.
    let late = RULES - u32::try_from(MOST.domains).unwrap();
    assert!((3 * late..=4 * late).contains(&full), "{full}");
    becomes(|| daemon.descriptors() <= before);
    let resident: usize = daemon.field("VmRSS").trim_end_matches(" kB").parse().unwrap();
    println!("resident after {CLIENTS} clients: {resident} KiB");
    assert!(resident < 100 << 10, "{resident} KiB");
    nothing_is_left();
}

fn start(folder: &tempfile::TempDir, index: u32, command: &str) -> Child {
    let rule = if index.is_multiple_of(2) { "no_new.s" } else { "no_removal.s" };
    let arguments = ["run", "--target", "kernel", "--rule", rule, "--", "sh", "-c", command];
    let mut landlock = landlock(folder, ONE + index % 2, &arguments);
    landlock.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Processes with this in their command line: what is known of each.
fn running(word: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let of = |path: &std::path::Path, what| std::fs::read_to_string(path.join(what)).unwrap_or_default();
    let ours = processes.filter(|path| of(path, "cmdline").contains(word));
    ours.map(|path| ["cmdline", "stat", "syscall", "wchan"].map(|what| of(&path, what)).join(" ")).collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn commands_that_are_killed_at_every_step_leave_nothing_behind() {
    // Nobody else sleeps so long: who runs the tests may sleep beside them.
    const LONG: &str = "98765";
    let daemon = Running::start();
    let folder = folder();
    let descriptors = daemon.descriptors();
    for step in 0..40 {
        let mut command = start(&folder, step, &format!("sleep {LONG}"));
        thread::sleep(Duration::from_millis(u64::from(step) * 15));
        command.kill().unwrap();
        command.wait().unwrap();
    }
    let start = Instant::now();
    while !running(LONG).is_empty() {
        assert!(start.elapsed().as_secs() < 120, "left: {:#?}", running(LONG));
        thread::sleep(Duration::from_millis(20));
    }
    becomes(|| daemon.descriptors() <= descriptors);
    nothing_is_left();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn two_hundred_commands_at_once_are_all_confined() {
    let daemon = Running::start();
    let folder = folder();
    // Those against removals may make files.
    let commands: Vec<Child> =
        (0..200).map(|index| start(&folder, index, &format!(": > /tmp/made-{index}"))).collect();
    let codes: Vec<_> = commands.into_iter().map(|mut command| command.wait().unwrap().code()).collect();
    for (index, code) in (0..).zip(codes) {
        let expected = if index % 2 == 0 { Some(1) } else { Some(0) };
        assert_eq!(code, expected, "{index}");
        let file = format!("/tmp/made-{index}");
        assert_eq!(std::fs::remove_file(&file).is_ok(), index % 2 == 1, "{file}");
    }
    becomes(|| daemon.descriptors() < FEW);
    nothing_is_left();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_daemon_that_is_killed_again_and_again_confines_or_refuses() {
    const RESTARTS: u32 = 8;
    let daemon = Mutex::new(Some(Running::start()));
    let is_over = AtomicBool::new(false);
    let (served, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for index in 0..8 {
            let (is_over, served, failed) = (&is_over, &served, &failed);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    match confined(ONE + index % 2, &format!("rule{}", index % 3), || ()) {
                        Ok(Some(())) => served.fetch_add(1, Ordering::Relaxed),
                        _ => failed.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
        for _ in 0..RESTARTS {
            let seen = served.load(Ordering::Relaxed);
            becomes(|| served.load(Ordering::Relaxed) > seen + 10);
            let mut daemon = daemon.lock().unwrap();
            daemon.take().unwrap().kill();
            *daemon = Some(Running::start());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{served:?} confined, {failed:?} refused");
    assert!(failed.into_inner() > 0);
    nothing_is_left();
    drop(daemon);
}
