// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only unsafe code of the supervisor: kernel calls that no library wraps.
//!
//! # Safety
//!
//! Every block is one system call (or `fork`) on values this file lays out itself. Addresses in
//! another process are plain numbers: the kernel checks them, we never dereference one.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io::{Error, ErrorKind, Result};
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

/// `struct seccomp_notif`: one syscall waiting for an answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Notification {
    /// Cookie that names the waiting syscall.
    pub id: u64,
    /// Thread id of the caller, in our pid namespace; 0 if it is not visible from there.
    pub tid: u32,
    flags: u32,
    /// Syscall number.
    pub nr: i32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Address of the instruction after the syscall.
    pub instruction_pointer: u64,
    /// Register arguments.
    pub args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    srcfd: u32,
    newfd: u32,
    newfd_flags: u32,
}

const fn ioc(direction: u64, number: u64, size: usize) -> u64 {
    (direction << 30) | ((size as u64) << 16) | ((b'!' as u64) << 8) | number
}
const NOTIF_RECV: u64 = ioc(3, 0, size_of::<Notification>());
const NOTIF_SEND: u64 = ioc(3, 1, size_of::<Response>());
const NOTIF_ID_VALID: u64 = ioc(1, 2, size_of::<u64>());
const NOTIF_ADDFD: u64 = ioc(1, 3, size_of::<AddFd>());
const NOTIF_SET_FLAGS: u64 = ioc(1, 4, size_of::<u64>());

const _: () =
    assert!(size_of::<Notification>() == 80 && size_of::<Response>() == 24 && size_of::<AddFd>() == 24);

fn check(result: i64) -> Result<i64> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn ioctl(fd: BorrowedFd<'_>, request: u64, argument: *mut c_void) -> Result<i64> {
    // SAFETY: every caller below passes the structure its request names, alive for the call.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) }))
}

/// Waits for the next notification. `ENOENT`: the caller died before we saw it; `EINTR`: a signal.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    let mut notification = Notification::default();
    ioctl(listener, NOTIF_RECV, (&raw mut notification).cast())?;
    Ok(notification)
}

/// What becomes of a waiting syscall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// It returns this value.
    Value(i64),
    /// It fails with this errno (positive; kernel-internal restart codes included).
    Errno(i32),
    /// The kernel runs it as if nobody had asked.
    Continue,
}

/// Answers a notification. `ENOENT`: the caller is gone.
pub fn respond(listener: BorrowedFd<'_>, id: u64, injected: Injected) -> Result<()> {
    const FLAG_CONTINUE: u32 = 1;
    let (val, error, flags) = match injected {
        Injected::Value(value) => (value, 0, 0),
        Injected::Errno(errno) => (0, -errno, 0),
        Injected::Continue => (0, 0, FLAG_CONTINUE),
    };
    let mut response = Response { id, val, error, flags };
    ioctl(listener, NOTIF_SEND, (&raw mut response).cast()).map(drop)
}

/// Whether the syscall behind `id` still waits; if so, what was read from its process is its own.
pub fn is_waiting(listener: BorrowedFd<'_>, mut id: u64) -> bool {
    ioctl(listener, NOTIF_ID_VALID, (&raw mut id).cast()).is_ok()
}

/// Puts a copy of `fd` into the waiting process at its lowest free number and returns the number.
pub fn add_fd(listener: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>, cloexec: bool) -> Result<i64> {
    add_fd_with(listener, id, fd, cloexec, 0)
}

/// Like [`add_fd`], and answers the syscall with the number in the same step.
pub fn add_fd_and_respond(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    cloexec: bool,
) -> Result<i64> {
    const FLAG_SEND: u32 = 2;
    add_fd_with(listener, id, fd, cloexec, FLAG_SEND)
}

fn add_fd_with(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    cloexec: bool,
    flags: u32,
) -> Result<i64> {
    let mut add = AddFd {
        id,
        flags,
        srcfd: fd.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: if cloexec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
    };
    ioctl(listener, NOTIF_ADDFD, (&raw mut add).cast())
}

/// Asks for wake-ups on the caller's processor (kernel 6.6 and later; elsewhere an error, harmless).
pub fn wake_on_same_cpu(listener: BorrowedFd<'_>) -> Result<()> {
    const SYNC_WAKE_UP: usize = 1;
    ioctl(listener, NOTIF_SET_FLAGS, std::ptr::without_provenance_mut(SYNC_WAKE_UP)).map(drop)
}

/// Installs `filter` on the calling thread and returns its listener.
///
/// `EACCES`: neither no_new_privs nor CAP_SYS_ADMIN. `EBUSY`: a filter with a listener is in force
/// already. `EINVAL`: the kernel refuses the program or the flags.
pub fn install_filter(filter: &[libc::sock_filter]) -> Result<RawFd> {
    const NEW_LISTENER: u64 = 1 << 3;
    const WAIT_KILLABLE_RECV: u64 = 1 << 5;
    let len = u16::try_from(filter.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let flags = NEW_LISTENER | WAIT_KILLABLE_RECV;
    // SAFETY: the program describes `filter`, which outlives the call; the kernel only reads it.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    RawFd::try_from(fd).map_err(|_| Error::from(ErrorKind::InvalidData))
}

/// Sets no_new_privs on the calling thread; it cannot be unset.
pub fn set_no_new_privs() -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    check(i64::from(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })).map(drop)
}

/// Copies from another process. May be short at an unmapped page; `EFAULT` if nothing could be read.
pub fn read_memory(tid: u32, address: u64, into: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = remote_iovec(address, into.len())?;
    // SAFETY: the local vector is `into`; the remote address is checked by the kernel.
    let n = unsafe { libc::process_vm_readv(pid(tid), &raw const local, 1, &raw const remote, 1, 0) };
    count(n)
}

/// Copies to another process. May be short at an unmapped page; `EFAULT` if nothing could be written.
pub fn write_memory(tid: u32, address: u64, from: &[u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = remote_iovec(address, from.len())?;
    // SAFETY: the local vector is `from`, only read; the remote address is checked by the kernel.
    let n = unsafe { libc::process_vm_writev(pid(tid), &raw const local, 1, &raw const remote, 1, 0) };
    count(n)
}

fn remote_iovec(address: u64, iov_len: usize) -> Result<libc::iovec> {
    let address = usize::try_from(address).map_err(|_| Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len })
}

fn pid(tid: u32) -> libc::pid_t {
    tid.cast_signed()
}

fn count(n: isize) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::last_os_error())
}

/// A pidfd for one thread (kernel 6.9), or for the thread group leader `tgid` where threads cannot be named.
pub fn pidfd_of_thread(tid: u32) -> Result<OwnedFd> {
    const PIDFD_THREAD: u32 = libc::O_EXCL.cast_unsigned();
    // SAFETY: integer arguments; a successful result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, pid(tid), PIDFD_THREAD))?;
        owned(fd)
    }
}

/// # Safety
/// `fd` must be a fresh descriptor without another owner.
unsafe fn owned(fd: i64) -> Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    // SAFETY: passed on to our caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether two threads share one table of descriptors (`kcmp(KCMP_FILES)`).
pub fn share_files(a: u32, b: u32) -> Result<bool> {
    const KCMP_FILES: i32 = 2;
    // SAFETY: integer arguments only.
    check(unsafe { libc::syscall(libc::SYS_kcmp, pid(a), pid(b), KCMP_FILES, 0, 0) }).map(|order| order == 0)
}

/// A word shared with the processes forked after it was made.
pub struct SharedWord(*const AtomicU32);

// SAFETY: the word is an atomic in a shared mapping that lives as long as the process.
unsafe impl Send for SharedWord {}
// SAFETY: as above; every access is atomic.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// A new word, 0.
    pub fn new() -> Result<SharedWord> {
        const PAGE: usize = 4096;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping, page aligned and zeroed; it is never unmapped.
        let page = unsafe { libc::mmap(null_mut(), PAGE, prot, flags, -1, 0) };
        if page == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(SharedWord(page.cast())) }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: `new` made it from a live, aligned mapping, and nothing unmaps it.
        unsafe { &*self.0 }
    }

    /// The value now.
    pub fn get(&self) -> u32 {
        self.word().load(Ordering::Acquire)
    }

    /// Stores a value and wakes whoever waits. Async-signal-safe.
    pub fn set(&self, value: u32) {
        self.word().store(value, Ordering::Release);
        // SAFETY: futex on a live word.
        unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAKE, i32::MAX) };
    }

    /// Waits until the value is no longer `old`, or about `seconds` have passed. Async-signal-safe.
    pub fn wait_while(&self, old: u32, seconds: i64) -> u32 {
        let timeout = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
        if self.get() == old {
            // SAFETY: futex on a live word, with a live timeout.
            unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAIT, old, &raw const timeout) };
        }
        self.get()
    }
}

/// Which side of a [`fork`] this is.
pub enum Forked {
    /// The parent, with the child's pid.
    Parent(u32),
    /// The child.
    Child,
}

/// Forks. The calling process must have one thread only, else `EDEADLK`: locks another thread holds
/// would stay locked in the child.
pub fn fork() -> Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(Error::from_raw_os_error(libc::EDEADLK));
    }
    // SAFETY: single-threaded (checked above), so the child may go on as a normal process.
    match check(i64::from(unsafe { libc::fork() }))? {
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(u32::try_from(child).map_err(|_| Error::from(ErrorKind::InvalidData))?)),
    }
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

/// Blocks every signal on the calling thread and returns the mask that was in force.
pub fn block_signals() -> Result<libc::sigset_t> {
    let mut all = empty_set();
    let mut old = empty_set();
    // SAFETY: both sets are live and initialised.
    let result = unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old)
    };
    if result == 0 { Ok(old) } else { Err(Error::from_raw_os_error(result)) }
}

/// Sets the calling thread's signal mask. Async-signal-safe.
pub fn set_signal_mask(mask: &libc::sigset_t) -> Result<()> {
    // SAFETY: `mask` is a live set; no old mask is asked for.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, null_mut()) };
    if result == 0 { Ok(()) } else { Err(Error::from_raw_os_error(result)) }
}

fn empty_set() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// A descriptor that delivers every blocked signal.
pub fn signal_fd() -> Result<OwnedFd> {
    let mut all = empty_set();
    // SAFETY: `all` is live; the result is a new descriptor.
    unsafe {
        libc::sigfillset(&raw mut all);
        owned(check(i64::from(libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC)))?)
    }
}

/// One signal taken from a [`signal_fd`].
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// Signal number.
    pub number: i32,
    /// Sent by the kernel itself (a terminal's ^C, say), not by a process.
    pub from_kernel: bool,
    /// Sender, when a process sent it.
    pub sender: u32,
}

/// Takes the next signal; blocks until there is one.
pub fn take_signal(fd: BorrowedFd<'_>) -> Result<Signal> {
    let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    // SAFETY: the buffer is exactly one siginfo; any bytes the kernel writes are valid for it, as are zeroes.
    let info = unsafe {
        let size = size_of::<libc::signalfd_siginfo>();
        count(libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size))?;
        info.assume_init()
    };
    Ok(Signal {
        number: info.ssi_signo.cast_signed(),
        from_kernel: info.ssi_code == libc::SI_KERNEL,
        sender: info.ssi_pid,
    })
}

/// The signal that gets a supervisor thread out of a blocking call.
const INTERRUPT: i32 = libc::SIGURG;

extern "C" fn on_interrupt(_: i32) {}

/// Installs the handler that makes [`interrupt`] end a blocking call with `EINTR`; once per process.
pub fn prepare_interrupt() -> Result<()> {
    // SAFETY: a zeroed sigaction is valid; the handler does nothing, which is async-signal-safe.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_interrupt as *const () as usize;
        libc::sigaction(INTERRUPT, &raw const action, null_mut())
    };
    check(i64::from(result)).map(drop)
}

/// Lets [`interrupt`] reach the calling thread.
pub fn accept_interrupt() -> Result<()> {
    let mut set = empty_set();
    // SAFETY: `set` is live and initialised.
    let result = unsafe {
        libc::sigaddset(&raw mut set, INTERRUPT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, null_mut())
    };
    if result == 0 { Ok(()) } else { Err(Error::from_raw_os_error(result)) }
}

/// Ends the blocking call another thread of ours is in; nothing happens if it is in none.
pub fn interrupt(tid: u32) {
    // SAFETY: integer arguments; the thread group is our own, so no other process can be hit.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), pid(tid), INTERRUPT) };
}

/// Sends a signal to one thread of another process.
pub fn signal_thread(tgid: u32, tid: u32, number: i32) -> Result<()> {
    // SAFETY: integer arguments only.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid(tgid), pid(tid), number) }).map(drop)
}

/// Gives the calling thread a working directory, root and umask of its own.
pub fn unshare_fs() -> Result<()> {
    // SAFETY: unshare with a flag that only copies the thread's fs_struct.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_FS) })).map(drop)
}

/// User, group and supplementary groups used for file access by the calling thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIds {
    /// File system user id.
    pub uid: u32,
    /// File system group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    pub effective: u64,
}

/// Takes on `ids` for file access, on the calling thread only. Needs the capabilities to do so;
/// on an error the thread may be half-way and must not act: end it.
pub fn assume(ids: &FileIds, permitted: u64) -> Result<()> {
    // Raw calls: the C library's versions change every thread of the process.
    // SAFETY: `groups` is live for the call; the others take integers. setfsuid reports the old id, so ask again.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, ids.groups.len(), ids.groups.as_ptr()))?;
        libc::syscall(libc::SYS_setfsgid, ids.gid);
        libc::syscall(libc::SYS_setfsuid, ids.uid);
        let gid = libc::syscall(libc::SYS_setfsgid, u32::MAX);
        let uid = libc::syscall(libc::SYS_setfsuid, u32::MAX);
        if gid != i64::from(ids.gid) || uid != i64::from(ids.uid) {
            return Err(Error::from_raw_os_error(libc::EPERM));
        }
    }
    set_capabilities(ids.effective & permitted, permitted)
}

fn set_capabilities(effective: u64, permitted: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let low = |set: u64| u32::try_from(set & 0xffff_ffff).unwrap_or(0);
    let high = |set: u64| u32::try_from(set >> 32).unwrap_or(0);
    let data: [u32; 6] = [low(effective), low(permitted), 0, high(effective), high(permitted), 0];
    // SAFETY: header and data have the layout of version 3 and are only read.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// Attaches to a thread so that it stops right after its next successful exec.
pub fn trace_exec(tid: u32) -> Result<()> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    // SAFETY: SEIZE takes no pointer.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid(tid), null_mut::<c_void>(), options) }).map(drop)
}

/// What [`wait_traced`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// Stopped after an exec, before the new program ran an instruction.
    Exec,
    /// Stopped for another reason: the signal it is about to take, 0 for none.
    Stopped(i32),
    /// Gone.
    Gone,
}

/// Waits for the next event of a traced thread, which the calling thread attached to.
pub fn wait_traced(tid: u32) -> Result<Traced> {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: `status` is live for the call.
    check(i64::from(unsafe { libc::waitpid(pid(tid), &raw mut status, flags) }))?;
    if !libc::WIFSTOPPED(status) {
        return Ok(Traced::Gone);
    }
    let event = status >> 16;
    Ok(match event {
        libc::PTRACE_EVENT_EXEC => Traced::Exec,
        0 => Traced::Stopped(libc::WSTOPSIG(status)),
        _ => Traced::Stopped(0),
    })
}

/// Stops a traced thread.
pub fn stop_traced(tid: u32) -> Result<()> {
    // SAFETY: INTERRUPT takes no pointer.
    check(unsafe {
        libc::ptrace(libc::PTRACE_INTERRUPT, pid(tid), null_mut::<c_void>(), null_mut::<c_void>())
    })
    .map(drop)
}

/// Lets a stopped traced thread go on, untraced, taking `signal` if it is not 0.
pub fn detach(tid: u32, signal: i32) -> Result<()> {
    let signal: *mut c_void = std::ptr::without_provenance_mut(usize::try_from(signal).unwrap_or(0));
    // SAFETY: DETACH takes an integer where the pointer stands.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid(tid), null_mut::<c_void>(), signal) }).map(drop)
}

/// A change of one of our children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// It exited with a code.
    Exited(u32, i32),
    /// A signal ended it.
    Killed(u32, i32),
    /// A signal stopped it.
    Stopped(u32, i32),
}

/// Takes one waiting change of a child of the calling thread, if there is any. Children that other
/// threads trace are left to them.
pub fn reap() -> Option<Child> {
    let mut status = 0;
    let flags = libc::WNOHANG | libc::WUNTRACED | libc::__WNOTHREAD;
    // SAFETY: `status` is live for the call.
    let child =
        u32::try_from(unsafe { libc::waitpid(-1, &raw mut status, flags) }).ok().filter(|pid| *pid != 0)?;
    Some(if libc::WIFEXITED(status) {
        Child::Exited(child, libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Child::Killed(child, libc::WTERMSIG(status))
    } else {
        Child::Stopped(child, libc::WSTOPSIG(status))
    })
}

/// Runs `prepare` in the child of `command`, between fork and exec. It must be async-signal-safe.
pub fn before_exec(
    command: &mut std::process::Command,
    prepare: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the callers (one, in `launch`) pass a closure that only makes raw system calls.
    unsafe { command.pre_exec(prepare) };
}

/// Waits in the calling process until `fd` can be closed: closes it by number.
pub fn close(fd: RawFd) {
    // SAFETY: the caller owns the number and gives it up.
    unsafe { libc::close(fd) };
}

/// The bytes of a plain C structure.
pub fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: `value` is live and its size is known; the kernel structures passed here have no padding that
    // matters: what is in it came from the kernel or from zeroed memory.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of_val(value)) }
}

/// `stat` of an open file in the kernel's own layout.
pub fn stat_of(fd: BorrowedFd<'_>) -> Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstatat with an empty path fills the whole structure; zeroes are valid for it.
    unsafe {
        check(i64::from(libc::fstatat(
            fd.as_raw_fd(),
            c"".as_ptr(),
            stat.as_mut_ptr(),
            libc::AT_EMPTY_PATH,
        )))?;
        Ok(stat.assume_init())
    }
}

/// Whether descriptor `number` of ours would survive an exec.
pub fn is_inheritable(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Permission bits of a System V shared memory segment. `EINVAL`: no such segment; `EACCES`.
pub fn shared_memory_mode(id: i32) -> Result<u32> {
    let mut segment = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT fills one shmid_ds; zeroes are valid for it.
    let segment = unsafe {
        check(i64::from(libc::shmctl(id, libc::IPC_STAT, segment.as_mut_ptr())))?;
        segment.assume_init()
    };
    Ok(u32::from(segment.shm_perm.mode) & 0o777)
}
