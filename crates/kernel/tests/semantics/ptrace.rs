// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ptrace boundary (v7's test_ptrace.c, and all doors behind the same check): a thread reaches into
//! threads of its domain and of those that extend it, and into nobody else.

use std::fs::File;
use std::os::fd::OwnedFd;

use landlock_compiler::rule::Rule;
use landlock_kernel::Loaded;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::{enter, enter_with, errno, extend, load, rule, token, within, without};
use crate::sys::{self, Process};

/// A rule that denies nothing; not two of the same number are the same.
fn allows(number: u32) -> Rule {
    rule("FS", &format!("r0 = {number}\nr0 = 0\nexit\n"))
}

/// The domains that v7's test enters: both before the fork, the parent and the child after it.
struct Row {
    both: Option<Loaded>,
    parent: Option<Loaded>,
    child: Option<Loaded>,
}

impl Row {
    fn new([both, parent, child]: [bool; 3]) -> Row {
        let both = both.then(|| load([allows(0)]));
        let own = |number| match &both {
            Some(both) => extend(both, allows(number)).unwrap(),
            None => load([allows(number)]),
        };
        let [parent, child] = [parent.then(|| own(1)), child.then(|| own(2))];
        Row { both, parent, child }
    }

    /// What the child gets that asks to be traced, and what the parent gets that traces it.
    fn tried(&self) -> [Result<(), Errno>; 2] {
        without(|| {
            self.both.iter().for_each(enter);
            let asks = self.child(|| sys::trace_me().err().map_or(0, Errno::raw_os_error));
            let waits = self.child(wait);
            self.parent.iter().for_each(enter);
            let [asks, waits] = [asks, waits].map(|(child, go_on)| {
                rustix::io::write(go_on, b"x").unwrap();
                child
            });
            let attached = attached_once_ready(&waits);
            let status = asks.ended();
            [if status == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(status)) }, attached]
        })
    }

    /// A child that enters its domain and goes on once there is something in the pipe.
    fn child(&self, action: impl FnOnce() -> i32) -> (Process, OwnedFd) {
        let token = self.child.as_ref().map(token);
        let (wait, go_on) = rustix::pipe::pipe().unwrap();
        let child = sys::fork(|| {
            rustix::io::read(&wait, &mut [0]).unwrap();
            token.iter().for_each(|token| enter_with(*token).unwrap());
            rustix::thread::set_name(c"ready").unwrap();
            action()
        });
        (child, go_on)
    }
}

/// Traces the child once it is in its domain, which its name tells.
fn attached_once_ready(child: &Process) -> Result<(), Errno> {
    let name = format!("/proc/{}/comm", child.pid());
    let start = std::time::Instant::now();
    while std::fs::read_to_string(&name).unwrap() != "ready\n" {
        assert!(start.elapsed().as_secs() < 200, "the child does not get into its domain");
        std::thread::yield_now();
    }
    sys::attach(child.pid())
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn v7_test_ptrace() {
    let allowed = [[false, false, false], [false, false, true], [true, false, true], [true, false, false]];
    let denied = [[false, true, false], [true, true, false], [true, true, true], [false, true, true]];
    for row in allowed {
        assert_eq!(Row::new(row).tried(), [Ok(()); 2], "both, parent, child: {row:?}");
    }
    for row in denied {
        assert_eq!(Row::new(row).tried(), [Err(Errno::PERM); 2], "both, parent, child: {row:?}");
    }
}

static SECRET: u64 = 0x5ec2e7;

/// A way into another process.
type Door = (&'static str, fn(Pid) -> Result<(), Errno>);

const DOORS: [Door; 7] = [
    ("ptrace", sys::attach),
    ("process_vm_readv", |pid| sys::read_memory(pid, &SECRET).map(|read| assert_eq!(read, SECRET))),
    ("pidfd_getfd", |pid| {
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        pidfd_getfd(process, 0, PidfdGetfdFlags::empty()).map(drop)
    }),
    ("kcmp", sys::compare),
    ("/proc/PID/mem", |pid| opened(pid, "mem")),
    ("/proc/PID/fd/0", |pid| opened(pid, "fd/0")),
    // And not environ: newer kernels show it to holders of CAP_PERFMON without asking.
    ("/proc/PID/cwd", |pid| errno(std::fs::read_link(format!("/proc/{pid}/cwd"))).map(drop)),
];

fn opened(pid: Pid, name: &str) -> Result<(), Errno> {
    errno(File::open(format!("/proc/{pid}/{name}"))).map(drop)
}

/// Whether each door into a process is open.
fn open_doors(into: &Process) -> [bool; DOORS.len()] {
    DOORS.map(|(name, door)| match door(into.pid()) {
        Ok(()) => true,
        Err(Errno::PERM | Errno::ACCESS) => false,
        Err(error) => panic!("{name}: {error}"),
    })
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn every_door_into_another_process_is_behind_the_boundary() {
    let outer = load([allows(3)]);
    let inner = extend(&outer, allows(4)).unwrap();
    let in_inner = |action: &(dyn Fn() -> [bool; DOORS.len()] + Sync)| {
        within(&outer, || {
            enter(&inner);
            action()
        })
    };
    // Each is made by the thread that tries: a tracer other than root's needs it for a child.
    let free = || sys::fork(wait);
    let (all, none) = ([true; DOORS.len()], [false; DOORS.len()]);
    let outsider = free();
    assert_eq!(within(&outer, || open_doors(&outsider)), none);
    assert_eq!(in_inner(&|| open_doors(&outsider)), none);
    assert_eq!(open_doors(&outsider), all);
    assert_eq!(within(&outer, || open_doors(&free())), all, "in the domain of both");
    let in_outer = within(&outer, free);
    assert_eq!(in_inner(&|| open_doors(&in_outer)), none);
    assert_eq!(open_doors(&in_outer), all);
    let token = token(&inner);
    let entered = within(&outer, || {
        let extending = sys::fork(|| {
            enter_with(token).unwrap();
            rustix::thread::set_name(c"ready").unwrap();
            wait()
        });
        attached_once_ready(&extending).unwrap();
        extending
    });
    drop(entered);
}

fn wait() -> i32 {
    loop {
        std::thread::park();
    }
}
