// SPDX-License-Identifier: MIT OR Apache-2.0
//! Does the supervisor target work here? Found out by doing in throw-away children what it needs.
//!
//! Version numbers are not asked: kernels are configured, patched and wrapped in other sandboxes. What could
//! not be tried is reported as unknown, which is neither yes nor no.

use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};

use crate::sys::{self, Forked, SharedWord};
use crate::{boundary, filter, launch};

/// What was tried, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    /// In the order they were tried.
    pub checks: Vec<Check>,
}

/// One thing the target can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A word for it, for programs.
    pub name: &'static str,
    /// What works, as a statement, for people.
    pub what: &'static str,
    /// Whether the target works without it.
    pub required: bool,
    /// Whether it does.
    pub answer: Answer,
}

/// An answer to a question about this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "works", rename_all = "lowercase")]
pub enum Answer {
    /// It was seen to work.
    Yes,
    /// It was seen not to work.
    No {
        /// What happened.
        found: String,
        /// What would have to change.
        change: String,
    },
    /// It could not be tried.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Report {
    /// Whether all that is required works: the first no, else the first unknown, else yes.
    pub fn verdict(&self) -> &Answer {
        let required = || self.checks.iter().filter(|check| check.required).map(|check| &check.answer);
        let no = required().find(|answer| matches!(answer, Answer::No { .. }));
        no.or_else(|| required().find(|answer| **answer != Answer::Yes)).unwrap_or(&Answer::Yes)
    }
}

impl Answer {
    fn no(found: impl std::fmt::Display, change: &str) -> Answer {
        Answer::No { found: found.to_string(), change: change.to_owned() }
    }

    fn unknown(what: &str, why: impl std::fmt::Display) -> Answer {
        Answer::Unknown { why: format!("{what}: {why}") }
    }
}

const NEWER: &str = "Linux 5.19 or later with CONFIG_SECCOMP_FILTER, not wrapped in something that hides it";
const LANDLOCK: &str =
    "Linux 5.19 or later with `landlock` in its list of security modules (boot option lsm=)";
const TRACE: &str = "allow a process to trace its own children (sysctl kernel.yama.ptrace_scope=1, or 0)";

/// Tries everything the supervisor target needs. The calling process must have one thread; it is left as it is.
pub fn probe() -> Report {
    let check = |name, what, required, answer| Check { name, what, required, answer };
    let (notification, same_cpu) = notification();
    Report {
        checks: vec![
            check("notification", "a system call can be decided by another process", true, notification),
            check("boundary", "mainline Landlock keeps what is confined from what is not", true, boundary()),
            check(
                "threads",
                "descriptors of a thread that does not share them can be looked at",
                false,
                threads(),
            ),
            check("same_cpu", "a decision need not cross processors (speed)", false, same_cpu),
        ],
    }
}

/// A child enters a layer, after which it must not see into us any more.
fn boundary() -> Answer {
    // A link that only those may read who may trace its process.
    let our_root = format!("/proc/{}/root", std::process::id());
    let child = move || {
        if let Err(error) = std::fs::read_link(&our_root) {
            return Answer::unknown("a child cannot look at its parent in the first place", error);
        }
        if let Err(error) = boundary::layer().and_then(boundary::enter) {
            return Answer::no(error, LANDLOCK);
        }
        match std::fs::read_link(&our_root) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Answer::Yes,
            Err(error) => Answer::unknown("in a Landlock layer, looking at a process outside", error),
            Ok(_) => Answer::no("a Landlock layer was entered but does not hold", LANDLOCK),
        }
    };
    in_child(child, |_| Ok(()))
}

fn threads() -> Answer {
    match sys::pidfd_of_thread(std::process::id()) {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::no(error, "Linux 6.9 or later; until then such system calls are refused"),
    }
}

/// Nothing has this name; the child is given a descriptor for it all the same.
const NAME: &CStr = c"/landlock/probe";

/// A child's open is decided by us: seen, its path read from the child's memory, and answered with a descriptor.
/// Second, whether the listener can be made to wake its reader on the same processor.
fn notification() -> (Answer, Answer) {
    let untried = |why: &str| Answer::unknown("not tried", why);
    let mut same_cpu = untried("there is no listener");
    let word = match SharedWord::new() {
        Ok(word) => word,
        Err(error) => return (Answer::unknown("cannot share memory with a child", error), same_cpu),
    };
    let child = || match confined_open(&word) {
        Ok(_) => Answer::Yes,
        Err(answer) => answer,
    };
    let answer = in_child(child, |child| {
        let Some(listener) = listener_of(child, &word)? else { return Ok(()) };
        same_cpu = match sys::wake_on_same_cpu(listener.as_fd()) {
            Ok(()) => Answer::Yes,
            Err(error) => Answer::no(error, "Linux 6.6 or later"),
        };
        serve_one(&listener)
    });
    (answer, same_cpu)
}

/// The child: confines itself and opens what does not exist.
fn confined_open(word: &SharedWord) -> Result<OwnedFd, Answer> {
    let confined = sys::set_no_new_privs().and_then(|()| sys::install_filter(&filter::only_openat()));
    match confined {
        Ok(listener) => word.set(listener.cast_unsigned() + 1),
        Err(error) => {
            word.set(NO_LISTENER);
            let busy = error.raw_os_error() == Some(libc::EBUSY);
            let change =
                if busy { "start outside of the sandbox that is in force here already" } else { NEWER };
            return Err(Answer::no(
                format!("cannot install a seccomp filter with a listener: {error}"),
                change,
            ));
        }
    }
    rustix::fs::openat(CWD, NAME, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Answer::no(format!("a system call that was answered failed: {error}"), NEWER))
}

const NO_LISTENER: u32 = u32::MAX;

/// Takes the child's listener. `None`: it has none, and says why itself.
fn listener_of(child: Pid, word: &SharedWord) -> Result<Option<OwnedFd>, Answer> {
    let mut offered = 0;
    for _ in 0..PATIENCE {
        offered = word.wait_while(0, 1);
        if offered != 0 {
            break;
        }
    }
    match offered {
        0 => Err(Answer::unknown("the child", "it does not get anywhere")),
        NO_LISTENER => Ok(None),
        number => launch::take(child, number - 1)
            .map(|(_, listener)| listener)
            .map(Some)
            .map_err(|error| Answer::no(format!("cannot take a listener from a child: {error}"), TRACE)),
    }
}

/// Seconds to wait for a child that should need none.
const PATIENCE: u32 = 5;

/// Decides the child's open.
fn serve_one(listener: &OwnedFd) -> Result<(), Answer> {
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    let patience = Timespec { tv_sec: PATIENCE.into(), tv_nsec: 0 };
    match poll(&mut ready, Some(&patience)) {
        Ok(1) if ready[0].revents().contains(PollFlags::IN) => {}
        Ok(_) => return Err(Answer::no("a notification did not arrive", NEWER)),
        Err(error) => return Err(Answer::unknown("cannot wait for a notification", error)),
    }
    let seen = sys::receive(listener.as_fd());
    let seen = seen.map_err(|error| Answer::no(format!("cannot receive a notification: {error}"), NEWER))?;
    let mut name = vec![0; NAME.to_bytes_with_nul().len()];
    match sys::read_memory(seen.tid, seen.args[1], &mut name) {
        Ok(_) if name == NAME.to_bytes_with_nul() => {}
        Ok(_) => return Err(Answer::no("memory read from a child is not what the child has there", NEWER)),
        Err(error) => return Err(Answer::no(format!("cannot read the memory of a child: {error}"), TRACE)),
    }
    let given = std::fs::File::open("/").map_err(|error| Answer::unknown("cannot open /", error))?;
    sys::add_fd(listener.as_fd(), seen.id, given.as_fd(), true)
        .and_then(|number| sys::respond(listener.as_fd(), seen.id, sys::Injected::Value(number)))
        .map_err(|error| Answer::no(format!("cannot give a child a descriptor: {error}"), NEWER))
}

/// Runs `child` in a process of its own and `meanwhile` here; the first to find something wrong answers.
fn in_child(child: impl FnOnce() -> Answer, meanwhile: impl FnOnce(Pid) -> Result<(), Answer>) -> Answer {
    let (from_child, to_us) = match std::io::pipe() {
        Ok(ends) => ends,
        Err(error) => return Answer::unknown("cannot make a pipe", error),
    };
    match sys::fork() {
        Err(error) => Answer::unknown("cannot start a child", error),
        Ok(Forked::Child) => {
            let _hangs_at_worst = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            drop(from_child);
            answer_and_exit(&child(), to_us)
        }
        Ok(Forked::Parent(pid)) => {
            drop(to_us);
            let ours = meanwhile(pid);
            if ours.is_err() {
                let _gone_already = kill_process(pid, Signal::KILL);
            }
            let theirs = hear(from_child);
            let _reaped = waitpid(Some(pid), WaitOptions::empty());
            ours.err().unwrap_or(theirs)
        }
    }
}

fn answer_and_exit(answer: &Answer, mut to_parent: impl Write) -> ! {
    let said = serde_json::to_vec(answer).map(|answer| to_parent.write_all(&answer));
    sys::exit(if matches!(said, Ok(Ok(()))) { 0 } else { 1 })
}

fn hear(mut from_child: impl Read) -> Answer {
    let mut said = Vec::new();
    match from_child.read_to_end(&mut said) {
        Ok(_) => serde_json::from_slice(&said)
            .unwrap_or_else(|_| Answer::unknown("the child", "it ended without an answer")),
        Err(error) => Answer::unknown("cannot hear the child", error),
    }
}
