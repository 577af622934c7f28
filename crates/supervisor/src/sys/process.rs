// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes: making, naming and reaping them.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::Pid;

use super::{check, owned, pid};

/// A pidfd for one thread (kernel 6.9), or for the thread group leader `tgid` where threads cannot be named.
pub fn pidfd_of_thread(tid: u32) -> Result<OwnedFd> {
    const PIDFD_THREAD: u32 = libc::O_EXCL.cast_unsigned();
    // SAFETY: integer arguments; a successful result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, pid(tid), PIDFD_THREAD))?;
        owned(fd)
    }
}

/// The session of a thread (0: the calling one); 0 where its leader has no number in our PID namespace.
pub fn session(tid: u32) -> Result<i32> {
    // SAFETY: an integer argument only.
    let session = unsafe { libc::getsid(pid(tid)) };
    check(i64::from(session)).map(|_| session)
}

/// Whether two threads share one table of descriptors (`kcmp(KCMP_FILES)`).
pub fn share_files(a: u32, b: u32) -> Result<bool> {
    const KCMP_FILES: i32 = 2;
    // SAFETY: integer arguments only.
    check(unsafe { libc::syscall(libc::SYS_kcmp, pid(a), pid(b), KCMP_FILES, 0, 0) }).map(|order| order == 0)
}

/// Whether our descriptor is the same open file as number `number` of another thread (`kcmp(KCMP_FILE)`).
pub fn same_file(ours: BorrowedFd<'_>, tid: u32, number: u32) -> Result<bool> {
    const KCMP_FILE: i32 = 0;
    let us = std::process::id();
    // SAFETY: integer arguments only.
    check(unsafe { libc::syscall(libc::SYS_kcmp, pid(us), pid(tid), KCMP_FILE, ours.as_raw_fd(), number) })
        .map(|order| order == 0)
}

/// Which side of a [`fork`] this is.
pub enum Forked {
    /// The parent, and who the child is.
    Parent(Pid),
    /// The child.
    Child,
}

/// Forks. Refuses if the calling process has more than one thread, or cannot find out: locks another thread
/// holds would stay locked in the child.
pub fn fork() -> Result<Forked> {
    // One that has been joined is there a moment longer.
    let mut patience = 100;
    while !is_alone()? && patience > 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
        patience -= 1;
    }
    if patience == 0 {
        return Err(Error::other("the process has more than one thread"));
    }
    // SAFETY: single-threaded (checked above), so the child may go on as a normal process.
    match check(i64::from(unsafe { libc::fork() }))? {
        0 => Ok(Forked::Child),
        child => {
            let child = i32::try_from(child).ok().and_then(Pid::from_raw);
            Ok(Forked::Parent(child.ok_or(ErrorKind::InvalidData)?))
        }
    }
}

/// Whether the calling thread is the only one of its process.
fn is_alone() -> Result<bool> {
    // SAFETY: an integer argument. What other threads share cannot be unshared, and where there are none nothing changes.
    match check(i64::from(unsafe { libc::unshare(libc::CLONE_THREAD) })) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        // Refused by a filter, as containers have.
        Err(_) => Ok(threads()? == 1),
    }
}

fn threads() -> Result<usize> {
    let tasks = std::fs::read_dir("/proc/self/task");
    let explained = |error| Error::other(format!("cannot count our threads in /proc/self/task: {error}"));
    Ok(tasks.map_err(explained)?.count())
}

/// Ends a forked child without running what was meant to run at the end of its parent.
pub fn exit(code: i32) -> ! {
    // SAFETY: an integer argument, and no return.
    unsafe { libc::_exit(code) }
}

/// Makes the process the reaper of its orphaned descendants.
pub fn become_subreaper() -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    check(i64::from(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })).map(drop)
}

/// Shuts the process's memory and /proc files to others of the same user.
pub fn become_undumpable() -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    check(i64::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })).map(drop)
}

/// prctl with an option the kernel may not know. Async-signal-safe.
pub fn prctl(option: u32, arguments: [u64; 3]) -> Result<i64> {
    let [a, b, c] = arguments;
    // SAFETY: integer arguments; only our own supervisor takes one for an address, and reads there.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, c, 0) })
}

/// Sets the calling thread's personality and returns the one it had; `u32::MAX` only asks. Async-signal-safe.
pub fn personality(persona: u32) -> Result<u32> {
    // SAFETY: an integer argument only.
    let before = check(unsafe { libc::syscall(libc::SYS_personality, persona) })?;
    u32::try_from(before).map_err(|_| ErrorKind::InvalidData.into())
}

/// A change of one of our children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// It exited with a code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// A signal stopped it.
    Stopped,
    /// It goes on.
    Continued,
}

/// Waits for the next change of a child. `None`: there is no child.
pub fn wait_child() -> Option<(u32, Child)> {
    let mut status = 0;
    let child = loop {
        // SAFETY: `status` is live for the call.
        let result = unsafe { libc::waitpid(-1, &raw mut status, libc::WUNTRACED | libc::WCONTINUED) };
        match u32::try_from(result) {
            Ok(child) => break child,
            Err(_) if Error::last_os_error().kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    };
    let change = if libc::WIFEXITED(status) {
        Child::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Child::Killed(libc::WTERMSIG(status))
    } else if libc::WIFCONTINUED(status) {
        Child::Continued
    } else {
        Child::Stopped
    };
    Some((child, change))
}

/// Runs `prepare` in the child of `command`, between fork and exec. It must be async-signal-safe.
pub fn before_exec(
    command: &mut std::process::Command,
    prepare: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the callers, all in `launch`, pass closures that only make raw system calls, or say of those they are
    // given that they must.
    unsafe { command.pre_exec(prepare) };
}
