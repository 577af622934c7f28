// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verdicts on descriptors that the kernel, not we, acts on (mmap, ioctl, fcntl, and most reads and writes).
//!
//! Such a verdict holds only if the number still means the judged file when the kernel looks. It does when
//! nobody else can change the caller's table of descriptors. Where others can (threads), the verdict must
//! hold for every file in the table, and for every file that can get into it while the syscall passes:
//!
//! * files of kinds that are made without asking us (sockets, pipes, memfds …) are judged beforehand;
//! * files that are opened or received come through us, because [`crate::filter`] couples those syscalls; they wait
//!   until every passing syscall they would be denied to has passed.
//!
//! Where that does not hold, we act ourselves on the file we judged, and what we cannot do for another process
//! is refused: better than a race.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use landlock_compiler::abi::Actions;
use landlock_compiler::evaluate::Verdict;
use rustix::fs::{AtFlags, CWD, Dir, DirEntry, Mode, OFlags};
use rustix::io::Errno;

use crate::filter;
use crate::judge::{About, Ask};
use crate::object::Object;
use crate::request::{Answer, Reply, Request};

/// Syscalls that were let go on and may not have looked at their descriptor yet.
#[derive(Debug, Default)]
pub struct Passing(Mutex<Vec<Pass>>);

#[derive(Clone, Copy, Debug)]
struct Pass {
    tid: u32,
    ask: Ask,
    /// Processor time the thread had used when it was let go.
    ran: u64,
}

/// Modes of files that come into a table of descriptors without a syscall we see: sockets, pipes, anonymous
/// inodes, memfds, the other sides of terminals.
const MADE_UNSEEN: [u32; 7] = [
    libc::S_IFSOCK | 0o777,
    libc::S_IFIFO | 0o600,
    0o600,
    libc::S_IFREG | 0o777,
    libc::S_IFREG | 0o666,
    libc::S_IFCHR | 0o620,
    libc::S_IFCHR | 0o600,
];

/// Lets the kernel carry out a syscall about the caller's descriptor `number`, if every question allows it.
pub fn on_descriptor(request: &Request<'_>, number: u32, asks: &[Ask]) -> Answer {
    let object = request.object(number)?;
    for &ask in asks {
        request.shared.judge.ask(request, ask, &object)?;
    }
    match held(request, asks)? {
        Held::ForAll => Ok(Reply::Continue),
        Held::NotFor(ask) => refuse_race(request, ask),
    }
}

/// Refuses unless `ask` is allowed for every file the caller's threads have or could get while it passes.
pub fn all_could(request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
    if may_pass(request, ask)? { Ok(()) } else { refuse_race(request, ask) }
}

/// Refuses because of what another thread could do.
pub fn refuse_race<T>(request: &Request<'_>, ask: Ask) -> Result<T, Errno> {
    let reason = "other threads could put a file there for which it is denied";
    request.shared.judge.refuse_because(request, ask, reason)
}

/// How far an allowing verdict on one file of the caller's reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// To whatever file the number means when the kernel looks: it may go on.
    ForAll,
    /// Another thread could put a file there for which this is denied.
    NotFor(Ask),
}

/// Whether what was allowed for one file holds for whatever its number means when the kernel looks.
pub fn held(request: &Request<'_>, asks: &[Ask]) -> Result<Held, Errno> {
    let matters = |ask: &&Ask| filter::object_matters_for(&request.shared.judge.domain, ask.about.event());
    if !asks.iter().any(|ask| matters(&ask)) || has_own_descriptors(request)? {
        return Ok(Held::ForAll);
    }
    for &ask in asks.iter().filter(matters) {
        if !may_pass(request, ask)? {
            return Ok(Held::NotFor(ask));
        }
    }
    Ok(Held::ForAll)
}

/// Whether `ask` is allowed for every file the caller's threads have or could get; files it is not allowed for wait
/// from now on until the syscall has passed.
fn may_pass(request: &Request<'_>, ask: Ask) -> Result<bool, Errno> {
    request.shared.passing.register(request, ask)?;
    let holds = holds_for_all(request, ask);
    if !matches!(holds, Ok(true)) {
        request.shared.passing.forget(request);
    }
    holds
}

/// Whether nobody but the calling thread can change its table of descriptors.
pub fn has_own_descriptors(request: &Request<'_>) -> Result<bool, Errno> {
    use std::sync::atomic::Ordering;
    if request.shared.entangled.load(Ordering::Acquire) {
        return Ok(false);
    }
    // One entry for each thread, and the two of any directory.
    let threads = rustix::fs::stat(format!("/proc/{}/task", request.notification.tid))?.st_nlink;
    request.still_waiting()?;
    Ok(threads == 3)
}

fn holds_for_all(request: &Request<'_>, ask: Ask) -> Result<bool, Errno> {
    let allowed = |mode| request.shared.judge.verdict(request, ask, Some(mode)) == Verdict::Allow;
    if !MADE_UNSEEN.into_iter().all(allowed) {
        return Ok(false);
    }
    let path = format!("/proc/{}/fd", request.notification.tid);
    let table =
        rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    request.still_waiting()?;
    for entry in Dir::read_from(&table)? {
        let entry = entry?;
        if entry.file_name().to_bytes().first() == Some(&b'.') {
            continue;
        }
        match rustix::fs::statat(&table, entry.file_name(), AtFlags::empty()) {
            Ok(stat) if !allowed(stat.st_mode) && is_open_for(&table, &entry, ask)? => return Ok(false),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// Whether the kernel would not stop the action by itself, because of the mode the file is open in.
fn is_open_for(table: &OwnedFd, entry: &DirEntry, ask: Ask) -> Result<bool, Errno> {
    let About::Actions(actions) = ask.about else { return Ok(true) };
    let needed = match ask.hook {
        "file_permission" if actions == Actions::READ => libc::S_IRUSR,
        "file_permission" if actions == Actions::WRITE => libc::S_IWUSR,
        "mmap_file" if actions.contains(Actions::WRITE) => libc::S_IWUSR,
        _ => return Ok(true),
    };
    // The permissions of the link, not of the file, tell how it is open.
    match rustix::fs::statat(table, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(link) => Ok(link.st_mode & needed != 0),
        // Closed, and what takes its place is judged on its own: see `Passing`.
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

impl Passing {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pass>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the verdict is made certain, so that a file admitted meanwhile is seen by one side or the other.
    fn register(&self, request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
        let tid = request.notification.tid;
        let ran = processor_time(tid).ok_or(Errno::SRCH)?;
        let mut passes = self.lock();
        // The same thread is here again, so whatever it was let go on with is over.
        passes.retain(|pass| pass.tid != tid || pass.ran == ran);
        passes.push(Pass { tid, ask, ran });
        Ok(())
    }

    /// The syscall is not let go on after all.
    fn forget(&self, request: &Request<'_>) {
        self.lock().retain(|pass| pass.tid != request.notification.tid);
    }

    /// Waits until no syscall is passing that `object` would be denied to. To be called before the object can
    /// get into a table of descriptors. `EPERM` if one does not come to an end.
    pub fn admit(&self, request: &Request<'_>, object: &Object) -> Result<(), Errno> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let since = Instant::now();
        loop {
            let mut passes = self.lock();
            if passes.is_empty() {
                return Ok(());
            }
            passes.retain(|pass| !has_passed(pass));
            let denied = |pass: &Pass| {
                request.shared.judge.verdict(request, pass.ask, Some(object.mode())) != Verdict::Allow
            };
            let Some(blocking) = passes.iter().copied().find(denied) else { return Ok(()) };
            drop(passes);
            if since.elapsed() > PATIENCE {
                let reason = "another thread is in the middle of a syscall this file is denied to";
                return request.shared.judge.refuse_because(request, blocking.ask, reason);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// A syscall looks its descriptor up within microseconds of running: once the thread sleeps, or has run for
/// much longer, or is gone, it has looked.
fn has_passed(pass: &Pass) -> bool {
    const LONG_ENOUGH: u64 = 5_000_000;
    match processor_time(pass.tid) {
        None => true,
        Some(now) if now > pass.ran + LONG_ENOUGH => true,
        Some(now) => now > pass.ran && sleeps(pass.tid),
    }
}

/// Nanoseconds the thread has run.
fn processor_time(tid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn sleeps(tid: u32) -> bool {
    let Ok(stat) = std::fs::read(format!("/proc/{tid}/stat")) else { return true };
    let after = stat.iter().rposition(|&byte| byte == b')');
    after.and_then(|at| stat.get(at + 2)).is_some_and(|state| *state != b'R')
}
