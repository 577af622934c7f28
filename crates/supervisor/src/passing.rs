// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verdicts on descriptors that the kernel, not we, acts on (mmap, ioctl, fcntl, and most reads and writes).
//!
//! Such a verdict holds only if the number still means the judged file when the kernel looks. It does when
//! nobody else can change the caller's table of descriptors. Where others can (threads), the verdict must
//! hold for every file in the table, and for every file that can get into it while the syscall passes:
//!
//! * files of kinds that are made without asking us (sockets, pipes, memfds …) are judged beforehand;
//! * files that are opened or received come through us, because [`crate::filter`] couples those syscalls; they wait
//!   until every passing syscall they would be denied to has passed, and are remembered for as long as the tree
//!   lives: a descriptor that threads keep moving could hide from whoever looks through the table;
//! * the table is looked through all the same, for files whose mode has changed since. (One that is changed and
//!   hidden is not found: such a file was allowed when it was opened.)
//!
//! Where that does not hold, we act ourselves on the file we judged, or have a thread of the caller's process do it whose
//! table nobody else can change ([`crate::proxy`]). What neither can do is refused: better than a race.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use landlock_compiler::abi::Actions;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::filter;
use crate::judge::{About, Ask, Judge};
use crate::object::Object;
use crate::proc;
use crate::proxy;
use crate::relate::Subject;
use crate::request::{Answer, Reply, Request, Status};

/// What may be in the tables of descriptors, and who may be about to use them.
#[derive(Debug, Default)]
pub struct Passing {
    /// Syscalls that were let go on and may not have looked at their descriptor yet.
    passes: Mutex<Vec<Pass>>,
    /// Every kind of file that has come into a table of the tree.
    entered: Mutex<HashSet<Entered>>,
}

/// An open file, as far as verdicts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entered {
    mode: u32,
    /// How it is open: `S_IRUSR`, `S_IWUSR`, as the links in `/proc/*/fd` show it.
    access: u32,
}

impl Entered {
    /// `None` for a file that nothing can be done with (`O_PATH`).
    fn of(mode: u32, flags: OFlags) -> Option<Entered> {
        let access = match flags & OFlags::RWMODE {
            OFlags::RDONLY => libc::S_IRUSR,
            OFlags::WRONLY => libc::S_IWUSR,
            OFlags::RDWR => libc::S_IRUSR | libc::S_IWUSR,
            _ => 0,
        };
        (!flags.contains(OFlags::PATH)).then_some(Entered { mode, access })
    }

    /// Whether the kernel would not stop the action by itself, because of the way the file is open.
    fn is_open_for(self, ask: Ask) -> bool {
        let About::Actions(actions) = ask.about else { return true };
        let needed = match ask.hook {
            "file_permission" if actions == Actions::READ => libc::S_IRUSR,
            "file_permission" if actions == Actions::WRITE => libc::S_IWUSR,
            "mmap_file" if actions.contains(Actions::WRITE) => libc::S_IWUSR,
            _ => return true,
        };
        self.access & needed != 0
    }
}

#[derive(Clone, Debug)]
struct Pass {
    tid: u32,
    ask: Ask,
    /// The rules in force on the thread.
    judge: Arc<Judge>,
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

/// What a syscall about a descriptor acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// The open file alone, so that another thread of the caller's process may make it.
    OnTheFile(Number),
    /// The caller's table of descriptors as well, or its thread.
    OnTheCaller,
}

/// What the number of a descriptor must mean when the kernel looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Anything that is allowed.
    MayChange,
    /// What was judged.
    MustStay,
}

/// Lets the kernel carry out a syscall about the caller's descriptor `number`, if every question allows it.
pub fn on_descriptor(request: &Request<'_>, number: u32, acts: Acts, asks: &[Ask]) -> Answer {
    let object = request.object(number)?;
    for &ask in asks {
        request.judge.ask(request, ask, &object)?;
    }
    on_object(request, number, &object, acts, asks)
}

/// The same, where `number` has been pinned, and every question about that allowed.
pub fn on_object(request: &Request<'_>, number: u32, object: &Object, acts: Acts, asks: &[Ask]) -> Answer {
    if let (Acts::OnTheFile(Number::MustStay), [ask, ..]) = (acts, asks) {
        let alone = has_own_descriptors(request)?;
        return if alone { Ok(Reply::Continue) } else { proxy::carry_out(request, number, object, *ask) };
    }
    match (held(request, asks)?, acts) {
        (Held::ForAll, _) => Ok(Reply::Continue),
        (Held::NotFor(ask), Acts::OnTheFile(_)) => proxy::carry_out(request, number, object, ask),
        (Held::NotFor(ask), Acts::OnTheCaller) => refuse_race(request, ask),
    }
}

/// Refuses unless `ask` is allowed for every file the caller's threads have or could get while it passes.
pub fn all_could(request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
    if may_pass(request, ask)? { Ok(()) } else { refuse_race(request, ask) }
}

/// Refuses because of what another thread could do.
pub fn refuse_race<T>(request: &Request<'_>, ask: Ask) -> Result<T, Errno> {
    let reason = "other threads could put a file there for which it is denied";
    request.judge.refuse_because(request, ask, reason)
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
    let domain = &request.judge.domain;
    let matters = |ask: &&Ask| {
        let at_hook = filter::hook_event(ask.hook).is_some_and(|event| filter::is_heard(domain, event));
        at_hook || filter::object_matters(domain, ask.about.event())
    };
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
    if request.judge.compares(ask) {
        // Which file it is decides, and threads can hide files of theirs from whoever looks for all of them.
        return Ok(false);
    }
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
    let allowed = |mode| request.judge.verdict(request, ask, Subject::Unnamed(mode)).is_ok();
    let harmless = |file: Entered| !file.is_open_for(ask) || allowed(file.mode);
    Ok(MADE_UNSEEN.into_iter().all(allowed)
        && request.shared.passing.entered().iter().copied().all(harmless)
        && table_of(request.notification.tid, |_| true)?.into_iter().all(harmless))
}

/// The kinds of open files of a process or thread, of those whose numbers are wanted.
fn table_of(process: u32, wanted: impl Fn(&CStr) -> bool) -> Result<Vec<Entered>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let table = rustix::fs::openat(CWD, format!("/proc/{process}/fd"), flags, Mode::empty())?;
    let mut files = Vec::new();
    for entry in Dir::read_from(&table)? {
        let entry = entry?;
        if entry.file_name().to_bytes().first() == Some(&b'.') {
            continue;
        }
        let look = |flags| rustix::fs::statat(&table, entry.file_name(), flags);
        // The permissions of the link, not of the file, tell how it is open.
        let file = match (look(AtFlags::empty()), look(AtFlags::SYMLINK_NOFOLLOW)) {
            (Ok(file), Ok(link)) => Entered { mode: file.st_mode, access: link.st_mode & 0o600 },
            // Closed meanwhile.
            (Err(Errno::NOENT), _) | (_, Err(Errno::NOENT)) => continue,
            (Err(errno), _) | (_, Err(errno)) => return Err(errno),
        };
        if !files.contains(&file) && wanted(entry.file_name()) {
            files.push(file);
        }
    }
    Ok(files)
}

/// Whether an open file of a process will still be open after its exec.
fn survives_exec(process: u32, number: &CStr) -> bool {
    let info = Status::of(format!("/proc/{process}/fdinfo/{}", number.to_string_lossy()));
    let flags = info.ok().and_then(|info| u32::from_str_radix(info.field("flags:")?, 8).ok());
    flags.is_none_or(|flags| flags & libc::O_CLOEXEC.cast_unsigned() == 0)
}

impl Passing {
    fn lock(&self) -> MutexGuard<'_, Vec<Pass>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entered(&self) -> MutexGuard<'_, HashSet<Entered>> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what the command brings with it. It waits, before its exec.
    pub fn inherit(&self, command: u32) -> Result<(), Errno> {
        self.entered().extend(table_of(command, |number| survives_exec(command, number))?);
        Ok(())
    }

    /// Before the verdict is made certain, so that a file admitted meanwhile is seen by one side or the other.
    fn register(&self, request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
        let tid = request.notification.tid;
        let ran = processor_time(tid).ok_or(Errno::SRCH)?;
        let mut passes = self.lock();
        // The same thread is here again, so whatever it was let go on with is over.
        passes.retain(|pass| pass.tid != tid || pass.ran == ran);
        passes.push(Pass { tid, ask, judge: Arc::clone(&request.judge), ran });
        Ok(())
    }

    /// The syscall is not let go on after all.
    fn forget(&self, request: &Request<'_>) {
        self.lock().retain(|pass| pass.tid != request.notification.tid);
    }

    /// Remembers an open file that is about to get into a table of descriptors, and waits until no syscall is
    /// passing that it would be denied to. `EPERM` if one does not come to an end.
    pub fn admit(&self, request: &Request<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let mode = rustix::fs::fstat(file)?.st_mode;
        let Some(entered) = Entered::of(mode, rustix::fs::fcntl_getfl(file)?) else { return Ok(()) };
        self.entered().insert(entered);
        let since = Instant::now();
        loop {
            let mut passes = self.lock();
            if passes.is_empty() {
                return Ok(());
            }
            passes.retain(|pass| !has_passed(pass));
            let denied = |pass: &Pass| pass.judge.verdict(request, pass.ask, Subject::Unnamed(mode)).is_err();
            let Some(blocking) = passes.iter().find(|pass| denied(pass)).cloned() else { return Ok(()) };
            drop(passes);
            if since.elapsed() > PATIENCE {
                let reason = "another thread is in the middle of a syscall this file is denied to";
                return request.judge.refuse_because(request, blocking.ask, reason);
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
pub fn processor_time(tid: u32) -> Option<u64> {
    let text = proc::contents(format!("/proc/{tid}/schedstat")).ok()?;
    std::str::from_utf8(&text).ok()?.split_whitespace().next()?.parse().ok()
}

fn sleeps(tid: u32) -> bool {
    state(tid).is_none_or(|state| state != b'R')
}

/// Its state, as `/proc/TID/stat` names it; `None` if it is gone.
pub fn state(tid: u32) -> Option<u8> {
    let stat = proc::contents(format!("/proc/{tid}/stat")).ok()?;
    let after = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(after + 2).copied()
}
