// SPDX-License-Identifier: MIT OR Apache-2.0
//! The notification loop: threads that take waiting syscalls, have them decided, and answer.
//!
//! A handler may block (a FIFO, a lock, a file system served from inside the tree), so there is always
//! one more thread waiting than working.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landlock_compiler::abi::Actions;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::compat;
use crate::filter::ARCH;
use crate::interruptible::Watch;
use crate::judge::actions;
use crate::maps;
use crate::passing::Passing;
use crate::protecting::Protecting;
use crate::proxy::Proxies;
use crate::request::{Answer, Reply, Request};
use crate::stack::Domains;
use crate::sys::{self, FileIds, Injected, Notification};
use crate::syscalls::{Carry, Does, row};

/// What all requests of one supervisor share.
#[derive(Debug)]
pub struct Shared {
    /// Where notifications come from.
    pub listener: OwnedFd,
    /// The rules in force, and on whom.
    pub domains: Domains,
    /// Threads that block for a caller.
    pub watch: Watch,
    /// Our own identity for file access, and the capabilities we may use.
    pub ids: (FileIds, u64),
    /// Somebody in the tree may have another identity, root or mount namespace than we have.
    pub elsewhere: AtomicBool,
    /// Some processes may share memory or descriptors without being threads of one process.
    pub entangled: AtomicBool,
    /// Somebody has mapped a file shared.
    pub mapped_shared: AtomicBool,
    /// Somebody has mapped a file shared which the outermost rules may keep from being written through that.
    pub mapped_denied: AtomicBool,
    /// Changes of protections that were let go on.
    pub protecting: Protecting,
    /// Syscalls the kernel carries out after our verdict.
    pub passing: Passing,
    /// Threads that carry out what was judged.
    pub proxies: Proxies,
    /// Held while a name is judged and changed.
    pub names: Mutex<()>,
    /// The number of the handle that something was beneath last: the first to be tried.
    pub last_met: AtomicU64,
    idle: AtomicUsize,
}

/// Threads that stay when there is nothing to do.
const SPARE: usize = 2;

impl Shared {
    /// For a fresh listener; nobody in the tree differs from us yet.
    pub fn new(listener: OwnedFd, domains: Domains, ids: (FileIds, u64)) -> Shared {
        Shared {
            listener,
            domains,
            watch: Watch::default(),
            ids,
            elsewhere: AtomicBool::new(false),
            entangled: AtomicBool::new(false),
            mapped_shared: AtomicBool::new(false),
            mapped_denied: AtomicBool::new(false),
            protecting: Protecting::default(),
            passing: Passing::default(),
            proxies: Proxies::default(),
            names: Mutex::new(()),
            last_met: AtomicU64::new(0),
            idle: AtomicUsize::new(0),
        }
    }

    /// Whether a caller's identity has to be looked up before acting for it.
    pub fn identity_may_differ(&self) -> bool {
        self.elsewhere.load(Ordering::Acquire)
    }

    /// Whether another thread takes the next notification, so that this one can wait for the caller to make one.
    pub fn somebody_else_serves(&self) -> bool {
        self.idle.load(Ordering::Acquire) != 0
    }

    /// Keeps every other change of names out while one is judged and made.
    pub fn changing_names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts serving in a thread of its own; it starts more as they are needed.
pub fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    start_thread(shared)
}

/// Starts the thread that interrupts those that block for too long.
pub fn start_watch(shared: &Arc<Shared>) -> std::io::Result<()> {
    let watched = Arc::clone(shared);
    spawn("landlock-watch", move || Watch::run(&watched))
}

/// Starts the thread that changes the arrays of the rules when it is told to.
pub fn start_changes(shared: &Arc<Shared>, link: OwnedFd) -> std::io::Result<()> {
    let domain = shared.domains.outermost().domain.clone();
    spawn("landlock-maps", move || maps::serve(&link, &domain))
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(body).map(drop)
}

fn start_thread(shared: &Arc<Shared>) -> std::io::Result<()> {
    shared.idle.fetch_add(1, Ordering::AcqRel);
    let ours = Arc::clone(shared);
    let started = spawn("landlock-serve", move || serve(&ours));
    if started.is_err() {
        shared.idle.fetch_sub(1, Ordering::AcqRel);
    }
    started
}

/// Takes and answers notifications until there are more idle threads than needed.
fn serve(shared: &Arc<Shared>) {
    // A thread that cannot have its own umask and directories, or cannot be interrupted, must not serve.
    if sys::unshare_fs().and_then(|()| sys::accept_interrupt()).is_err() {
        std::process::abort();
    }
    loop {
        let Ok(notification) = sys::receive(shared.listener.as_fd()) else {
            if is_over(shared) {
                return;
            }
            continue;
        };
        if shared.idle.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Without another thread, a handler that blocks would block the tree; it still could not open it up.
            drop(start_thread(shared));
        }
        answer(shared, notification);
        if shared.idle.fetch_add(1, Ordering::AcqRel) >= 2 * SPARE {
            shared.idle.fetch_sub(1, Ordering::AcqRel);
            return;
        }
    }
}

/// Whether the last confined thread is gone.
fn is_over(shared: &Shared) -> bool {
    let mut listener = [PollFd::new(&shared.listener, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut listener, Some(&now)).is_ok_and(|ready| ready != 0)
}

fn answer(shared: &Shared, notification: Notification) {
    let listener = shared.listener.as_fd();
    let id = notification.id;
    let _refusal = Refusal(listener, id);
    let injected = match decide(shared, notification) {
        Ok(Reply::Value(value)) => Injected::Value(value),
        Ok(Reply::Continue) => Injected::Continue,
        Ok(Reply::Answered) => return,
        Err(errno) => Injected::Errno(errno.raw_os_error()),
        Ok(Reply::Descriptor { fd, cloexec }) => {
            let added = sys::add_fd(listener, id, fd.as_fd(), cloexec);
            // Before the caller goes on: having closed its own, it would see ours: a FIFO still open, a program busy.
            drop(fd);
            match added {
                Ok(number) => Injected::Value(number),
                Err(error) => Injected::Errno(error.raw_os_error().unwrap_or(libc::EMFILE)),
            }
        }
    };
    // The only failure is a caller that is gone.
    drop(sys::respond(listener, id, injected));
}

/// Refuses the syscall if a fault of ours unwinds past it, so that nobody waits for ever. The thread ends with it:
/// its identity and umask may be those of the caller.
struct Refusal<'a>(BorrowedFd<'a>, u64);

impl Drop for Refusal<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(sys::respond(self.0, self.1, Injected::Errno(libc::EPERM)));
        }
    }
}

/// The whole road of one syscall.
fn decide(shared: &Shared, notification: Notification) -> Answer {
    if shared.proxies.are_making(&notification) {
        return Ok(Reply::Continue);
    }
    shared.protecting.is_over(notification.tid);
    let known = if notification.arch == ARCH { row(notification.nr.cast_unsigned()) } else { None };
    let name = known.map_or("?", |row| row.name);
    let judge = shared.domains.of(notification.tid);
    let unknown = judge.as_ref().err().copied();
    let judge = judge.unwrap_or_else(|_| Arc::clone(shared.domains.outermost()));
    let request = Request { notification, name, shared, judge, held: false };
    // Else the domain is that of whoever has its number by now.
    request.still_waiting()?;
    let nothing = actions("-", Actions::empty());
    if unknown.is_some() {
        return request.judge.refuse_because(
            &request,
            nothing,
            "which rules are in force here cannot be told",
        );
    }
    if request.judge.is_handed_on(&request) {
        return Err(Errno::NOSYS);
    }
    let of_v7 = compat::answer(&request);
    let of_today = || match known.map(|row| &row.does) {
        None => {
            request.judge.refuse_because(&request, nothing, "syscalls of another architecture are closed")
        }
        Some(Does::Closed(reason)) => request.judge.refuse_because(&request, nothing, reason),
        Some(Does::Nothing) => Ok(Reply::Continue),
        Some(Does::Missing) => Err(Errno::NOSYS),
        Some(Does::Announces(_, handler) | Does::Renames(_, handler)) => handler(&request),
        Some(Does::Asks(_, Carry::Out(handler) | Carry::On(handler))) => handler(&request),
    };
    let answer = of_v7.unwrap_or_else(of_today);
    if let Ok(Reply::Descriptor { fd, .. }) = &answer {
        shared.passing.admit(&request, fd.as_fd())?;
    }
    answer
}
