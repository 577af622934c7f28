// SPDX-License-Identifier: MIT OR Apache-2.0
//! One waiting syscall and the process behind it.
//!
//! # Invariant
//!
//! Memory of the caller is read once, into a copy of ours; nothing is decided on a second look. What was
//! read or opened through the caller's thread id is believed only after [`Request::still_waiting`]: as
//! long as the syscall waits, the id cannot have passed to another process.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use landlock_compiler::evaluate::Current;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::interruptible::Blocked;
use crate::judge::Judge;
use crate::object::{Object, errno};
use crate::proc;
use crate::serve::Shared;
use crate::sys::{self, FileIds, Notification};

/// What a handler wants done with the syscall.
#[derive(Debug)]
pub enum Reply {
    /// It returns this value.
    Value(i64),
    /// It returns a new descriptor of the caller's for this file.
    Descriptor {
        /// The file.
        fd: OwnedFd,
        /// Whether the new descriptor closes on exec.
        cloexec: bool,
    },
    /// The kernel carries it out. Only where no other thread can change what was judged.
    Continue,
    /// The handler has answered already.
    Answered,
}

/// A handler's result; an errno is injected as it is.
pub type Answer = Result<Reply, Errno>;

/// A success without a value.
pub const DONE: Answer = Ok(Reply::Value(0));

/// One waiting syscall.
pub struct Request<'a> {
    /// What the kernel reported.
    pub notification: Notification,
    /// Name of the syscall.
    pub name: &'static str,
    /// What all requests of this supervisor share.
    pub shared: &'a Shared,
    /// The rules in force on the caller.
    pub judge: Arc<Judge>,
    /// The syscall is over, but we hold the caller in a stop, so that its id cannot have passed on either.
    pub held: bool,
}

impl Request<'_> {
    /// Register argument `index`, as the full register.
    pub fn arg(&self, index: usize) -> u64 {
        self.notification.args[index]
    }

    /// Register argument `index` as a C `int` or `unsigned`: the upper half is ignored, as the kernel does.
    #[allow(clippy::cast_possible_truncation, reason = "the kernel's own narrowing")]
    pub fn arg32(&self, index: usize) -> u32 {
        self.notification.args[index] as u32
    }

    /// Whether the caller still waits, so that what was read through its id is its own. `ESRCH`: it is gone.
    pub fn still_waiting(&self) -> Result<(), Errno> {
        let waits = self.held || sys::is_waiting(self.shared.listener.as_fd(), self.notification.id);
        if waits { Ok(()) } else { Err(Errno::SRCH) }
    }

    /// Copies the NUL-terminated path at `address`. `EFAULT`; `ENAMETOOLONG` past `PATH_MAX` (4096 with the NUL).
    pub fn path(&self, address: u64) -> Result<CString, Errno> {
        const PATH_MAX: usize = 4096;
        const PAGE: u64 = 4096;
        let mut bytes = vec![0; PATH_MAX];
        let mut have = 0;
        while have < PATH_MAX {
            let at = address.checked_add(have as u64).ok_or(Errno::FAULT)?;
            let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(PATH_MAX);
            let want = to_page_end.min(PATH_MAX - have);
            let got = self.read(at, &mut bytes[have..have + want])?;
            let end = bytes[have..have + got].iter().position(|&byte| byte == 0);
            if let Some(end) = end {
                bytes.truncate(have + end);
                return CString::new(bytes).map_err(|_| Errno::INVAL);
            }
            have += got;
            if got < want {
                return Err(Errno::FAULT);
            }
        }
        Err(Errno::NAMETOOLONG)
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
        sys::read_memory(self.notification.tid, address, into).map_err(errno)
    }

    /// Copies exactly `len` bytes at `address`, or `EFAULT`.
    pub fn bytes(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        if len != 0 && self.read(address, &mut bytes)? != len {
            return Err(Errno::FAULT);
        }
        Ok(bytes)
    }

    /// Copies up to `len` bytes at `address`: what is readable from there on.
    pub fn bytes_up_to(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        let got = if len == 0 { 0 } else { self.read(address, &mut bytes)? };
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Writes all of `bytes` at `address` in the caller, or `EFAULT`.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let done = sys::write_memory(self.notification.tid, address, bytes).map_err(errno)?;
        if done == bytes.len() { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// The caller's open file `number`, sharing its description. `EBADF` if there is none.
    pub fn file(&self, number: u32) -> Result<OwnedFd, Errno> {
        use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
        let number = i32::try_from(number).map_err(|_| Errno::BADF)?;
        let fd = pidfd_getfd(&self.pidfd()?, number, PidfdGetfdFlags::empty())?;
        self.still_waiting()?;
        Ok(fd)
    }

    /// The caller's open file `number`, pinned.
    pub fn object(&self, number: u32) -> Result<Object, Errno> {
        Object::pin(self.file(number)?)
    }

    /// The caller's open file `number`, pinned, for a syscall that takes no `O_PATH` descriptor: `EBADF`.
    pub fn open_object(&self, number: u32) -> Result<Object, Errno> {
        let object = self.object(number)?;
        let is_path = rustix::fs::fcntl_getfl(&object)?.contains(OFlags::PATH);
        if is_path { Err(Errno::BADF) } else { Ok(object) }
    }

    /// A handle for the calling thread; before Linux 6.9 for its process, if that has the same descriptors.
    pub fn pidfd(&self) -> Result<OwnedFd, Errno> {
        let tid = self.notification.tid;
        match sys::pidfd_of_thread(tid) {
            Ok(fd) => Ok(fd),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let tgid = self.status()?.number("Tgid:").ok_or(Errno::SRCH)?;
                if tgid != tid && !sys::share_files(tid, tgid).map_err(errno)? {
                    return Err(Errno::PERM);
                }
                let pid = rustix::process::Pid::from_raw(tgid.cast_signed()).ok_or(Errno::SRCH)?;
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            }
            Err(error) => Err(errno(error)),
        }
    }

    /// Where a path relative to `dirfd` starts: the caller's working directory for `AT_FDCWD`.
    pub fn start(&self, dirfd: u32) -> Result<Object, Errno> {
        if dirfd.cast_signed() == libc::AT_FDCWD { self.place("cwd") } else { self.object(dirfd) }
    }

    /// The caller's root directory.
    pub fn root(&self) -> Result<Object, Errno> {
        self.place("root")
    }

    /// The program the caller runs.
    pub fn program(&self) -> Result<Object, Errno> {
        self.place("exe")
    }

    fn place(&self, name: &str) -> Result<Object, Errno> {
        let path = format!("/proc/{}/{name}", self.notification.tid);
        let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        self.still_waiting()?;
        Object::pin(fd)
    }

    /// `/proc/TID/status` of the caller.
    pub fn status(&self) -> Result<Status, Errno> {
        Status::of(format!("/proc/{}/status", self.notification.tid)).and_then(|status| {
            self.still_waiting()?;
            Ok(status)
        })
    }

    /// The user id the caller's file access is checked with.
    pub fn file_uid(&self) -> Result<u32, Errno> {
        if !self.shared.identity_may_differ() {
            return Ok(self.shared.ids.0.uid);
        }
        self.status()?.file_ids().map(|ids| ids.uid).ok_or(Errno::IO)
    }

    /// Whether the caller may do with `object` what only its owner may.
    pub fn owns(&self, object: &Object) -> Result<bool, Errno> {
        const CAP_FOWNER: u64 = 1 << 3;
        let ids = self.without_strange_capabilities(self.status()?.file_ids().ok_or(Errno::IO)?)?;
        Ok(ids.uid == object.stat().st_uid || ids.effective & CAP_FOWNER != 0)
    }

    /// Whether another process would see the same user and group in us as in the caller.
    pub fn has_our_credentials(&self) -> Result<bool, Errno> {
        if !self.shared.identity_may_differ() {
            return Ok(true);
        }
        let status = self.status()?;
        let all = |key, own: u32| status.numbers(key).iter().all(|id| *id == own);
        Ok(all("Uid:", self.shared.ids.0.uid) && all("Gid:", self.shared.ids.0.gid))
    }

    /// The caller's umask.
    pub fn umask(&self) -> Result<Mode, Errno> {
        let status = self.status()?;
        let umask = status.field("Umask:").and_then(|text| u32::from_str_radix(text, 8).ok());
        umask.map(Mode::from_raw_mode).ok_or(Errno::IO)
    }

    /// The caller's command name, as it set it.
    pub fn comm(&self) -> Option<Vec<u8>> {
        let mut comm = proc::contents(format!("/proc/{}/comm", self.notification.tid)).ok()?;
        comm.pop_if(|last| *last == b'\n');
        Some(comm)
    }

    /// What the debug helpers report. What cannot be read is 0.
    pub fn current(&self) -> Current {
        let status = self.status().ok();
        let number = |key| status.as_ref().and_then(|status| status.number(key)).unwrap_or(0);
        let mut comm = [0; 16];
        for (to, from) in comm.iter_mut().take(15).zip(self.comm().unwrap_or_default()) {
            *to = from;
        }
        Current {
            pid_tgid: (u64::from(number("Tgid:")) << 32) | u64::from(self.notification.tid),
            uid_gid: (u64::from(number("Gid:")) << 32) | u64::from(number("Uid:")),
            comm,
        }
    }

    /// Runs `act` with the caller's file system identity. Nothing of the caller's memory or descriptors may
    /// be touched inside: that needs our own.
    pub fn as_caller<T>(&self, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        if !self.shared.identity_may_differ() {
            return act();
        }
        self.acting_as(self.status()?.file_ids().ok_or(Errno::IO)?, act)
    }

    /// Like [`Request::as_caller`], with the caller's real identity instead of the one for file access.
    pub fn as_real_caller<T>(&self, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        self.acting_as(self.status()?.real_ids().ok_or(Errno::IO)?, act)
    }

    /// Capabilities of a user namespace are worth nothing outside of it, where we would use them.
    fn without_strange_capabilities(&self, ids: FileIds) -> Result<FileIds, Errno> {
        if ids.effective == 0 {
            return Ok(ids);
        }
        let namespace = |who: &str| {
            let stat = rustix::fs::stat(format!("/proc/{who}/ns/user"))?;
            Ok::<_, Errno>((stat.st_dev, stat.st_ino))
        };
        let same = namespace(&self.notification.tid.to_string())? == namespace("self")?;
        self.still_waiting()?;
        Ok(if same { ids } else { FileIds { effective: 0, ..ids } })
    }

    fn acting_as<T>(&self, theirs: FileIds, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let theirs = self.without_strange_capabilities(theirs)?;
        let (ours, permitted) = &self.shared.ids;
        let same = (theirs.uid, theirs.gid, &theirs.groups) == (ours.uid, ours.gid, &ours.groups);
        if same && theirs.effective & permitted == ours.effective & permitted {
            return act();
        }
        let result = sys::assume(&theirs, *permitted).map_err(errno).and_then(|()| act());
        // Also where theirs was assumed by halves. Who may not change its identity has not changed it.
        if sys::assume(ours, *permitted).is_err() && !is_ours(ours) {
            // A thread that cannot get its own identity back must not serve anyone else.
            std::process::abort();
        }
        result
    }

    /// Runs `act`, which may block, so that a signal for the caller, or its end, gets us out of it.
    pub fn blocking<T>(&self, mut act: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        let blocked = Blocked::register(self);
        loop {
            match act() {
                Err(Errno::INTR) if !blocked.is_due() => {}
                Err(Errno::INTR) => return Err(RESTART),
                result => return result,
            }
        }
    }
}

/// Whether the calling thread has this identity.
fn is_ours(ours: &FileIds) -> bool {
    Status::of("/proc/thread-self/status").is_ok_and(|status| status.file_ids().as_ref() == Some(ours))
}

/// `ERESTARTSYS`: the kernel turns it into `EINTR` or a restart when it delivers the pending signal.
pub const RESTART: Errno = Errno::from_raw_os_error(512);

/// The text of a `/proc/*/status` file.
pub struct Status(String);

impl Status {
    /// Reads it; the text is not believed to be anyone's in particular.
    pub fn of(path: impl AsRef<Path>) -> Result<Status, Errno> {
        // A command name may hold any bytes.
        let bytes = proc::contents(path)?;
        Ok(Status(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// First word after `key`.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.words(key)?.next()
    }

    /// First word after `key`, as a decimal number.
    pub fn number(&self, key: &str) -> Option<u32> {
        self.field(key)?.parse().ok()
    }

    /// A set of bits, in hexadecimal after `key`.
    pub fn bits(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.field(key)?, 16).ok()
    }

    /// The words after `key`, as decimal numbers; those that are none are left out.
    pub fn numbers(&self, key: &str) -> Vec<u32> {
        self.words(key).into_iter().flatten().filter_map(|word| word.parse().ok()).collect()
    }

    fn words(&self, key: &str) -> Option<std::str::SplitWhitespace<'_>> {
        self.0.lines().find_map(|line| line.strip_prefix(key)).map(str::split_whitespace)
    }

    /// The identity that file access is checked with.
    pub fn file_ids(&self) -> Option<FileIds> {
        self.ids(3, self.bits("CapEff:")?)
    }

    /// The identity that `access` checks with: the real ids, and the capabilities a program of theirs would have.
    pub fn real_ids(&self) -> Option<FileIds> {
        let ids = self.ids(0, 0)?;
        let effective = if ids.uid == 0 { self.bits("CapPrm:")? } else { 0 };
        Some(FileIds { effective, ..ids })
    }

    /// The ids in one column, with these capabilities.
    fn ids(&self, column: usize, effective: u64) -> Option<FileIds> {
        let id = |key| self.words(key)?.nth(column)?.parse().ok();
        let groups = self.words("Groups:")?.map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>()?;
        Some(FileIds { uid: id("Uid:")?, gid: id("Gid:")?, groups, effective })
    }
}

impl AsFd for Request<'_> {
    /// The listener the request came through.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.listener.as_fd()
    }
}
