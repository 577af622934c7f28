// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is in a domain: the thread that entered and all it starts from then on, by whatever call, and nobody
//! else.

use std::ffi::{CStr, CString};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;

use landlock_kernel::Loaded;
use rustix::io::Errno;

use crate::place::{CONTENT, Mark, Place};
use crate::support::{self, closes, enter, enter_with, errno, load, token, without};
use crate::sys::{self, Birth, child_opens, in_process};
use crate::uring::{By, Ring};

/// A marked file, and a domain that denies to open it.
struct World {
    domain: Loaded,
    place: Place,
}

impl World {
    fn new() -> World {
        World { domain: load([closes(Mark::File)]), place: Place::new() }
    }

    fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        support::within(&self.domain, action)
    }

    fn path(&self) -> CString {
        CString::new(self.place.at("folder/file").as_os_str().as_bytes()).unwrap()
    }

    fn open(&self) -> Result<(), Errno> {
        errno(OpenOptions::new().write(true).open(self.place.at("folder/file"))).map(drop)
    }
}

const DENIED: i32 = Errno::PERM.raw_os_error();

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn processes_born_in_a_domain_are_in_it() {
    const CLONE_VFORK: u64 = 0x4000;
    const CLONE_NEWPID: u64 = 0x2000_0000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let world = World::new();
    let path = world.path();
    let group = format!("/sys/fs/cgroup/born-{}", std::process::id());
    fs::create_dir(&group).unwrap();
    let folder = File::open(&group).unwrap();
    let births = [
        Birth::Fork,
        Birth::Vfork,
        Birth::Clone3(0, 0),
        Birth::Clone3(CLONE_VFORK, 0),
        Birth::Clone3(CLONE_NEWPID, 0),
        Birth::Clone3(CLONE_INTO_CGROUP, sys::number(folder.as_fd())),
    ];
    for birth in births {
        assert_eq!(world.within(|| child_opens(birth, &path)), DENIED, "{birth:?}");
        assert_eq!(child_opens(birth, &path), 0, "{birth:?}");
    }
    fs::remove_dir(&group).unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn descendants_are_in_the_domain_at_any_depth() {
    let world = World::new();
    let path = world.path();
    let descendant = || {
        in_process(|| {
            let born = || in_process(|| child_opens(Birth::Fork, &path));
            thread::scope(|scope| scope.spawn(born).join().unwrap())
        })
    };
    assert_eq!(world.within(descendant), DENIED);
    assert_eq!(descendant(), 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_enters_alone() {
    let world = World::new();
    let (entered, tried) = (Barrier::new(3), Barrier::new(2));
    thread::scope(|scope| {
        let before = scope.spawn(|| {
            entered.wait();
            world.open()
        });
        let confined = scope.spawn(|| {
            enter(&world.domain);
            entered.wait();
            let after = scope.spawn(|| world.open()).join().unwrap();
            tried.wait();
            [world.open(), after]
        });
        entered.wait();
        assert_eq!(before.join().unwrap(), Ok(()), "a thread that was there before");
        assert_eq!(world.open(), Ok(()), "the one that started it");
        tried.wait();
        assert_eq!(confined.join().unwrap(), [Err(Errno::PERM); 2], "the thread and what it started");
    });
    assert_eq!(world.open(), Ok(()), "once it is gone");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_stay_in_the_domain() {
    let world = World::new();
    let append = format!("echo x >> {}", world.place.at("folder/file").display());
    let shell = || {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sh -c \"$0\"", &append]).stderr(Stdio::null());
        command
    };
    let succeeds = || shell().status().unwrap().success();
    // The first thread of a process goes when another one executes a program.
    let from_another_thread = || {
        in_process(|| {
            let program = || panic!("{}", shell().exec());
            thread::scope(|scope| scope.spawn(program).join().unwrap())
        })
    };
    assert!(!world.within(succeeds));
    assert_ne!(world.within(from_another_thread), 0);
    assert_eq!(fs::read_to_string(world.place.at("folder/file")).unwrap(), CONTENT);
    assert!(succeeds());
    assert_eq!(from_another_thread(), 0);
    assert_eq!(fs::read_to_string(world.place.at("folder/file")).unwrap(), format!("{CONTENT}x\nx\n"));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn io_uring_acts_in_the_domain_whoever_does_the_work() {
    let world = World::new();
    let path = world.path();
    let opened = |by, path: &CStr| Ring::new(by).open(path).map(drop);
    for by in [By::Submitter, By::Worker, By::Poller] {
        assert_eq!(world.within(|| opened(by, &path)), Err(Errno::PERM), "{by:?}");
        assert_eq!(opened(by, &path), Ok(()), "{by:?}");
    }
}

/// Workers are tasks of their own, and those that are there already would be in no domain.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_with_io_uring_workers_does_not_enter() {
    let world = World::new();
    let path = world.path();
    let with_worker = || {
        let ring = Ring::new(By::Worker);
        ring.open(&path).unwrap();
        enter_with(token(&world.domain)).map_err(|error| error.to_string())
    };
    let refused = without(with_worker).unwrap_err();
    assert!(refused.contains("io_uring"), "{refused}");
}
