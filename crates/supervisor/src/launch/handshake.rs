// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the command, between fork and exec, hands its listener to the supervisor.
//!
//! The supervisor fetches the listener from the command's table of descriptors; nothing is sent. Both sides
//! meet at words in shared memory, because the command may not make a syscall that a rule can see before
//! somebody serves it.

use std::os::fd::OwnedFd;

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, WaitOptions, getppid, pidfd_getfd, pidfd_open, waitpid,
};

use crate::boundary;
use crate::sys::{self, SharedWord};

/// Words shared by supervisor, reaper and command.
pub struct Handshake {
    /// How far the command has come.
    stage: SharedWord,
    /// Its pid.
    pid: SharedWord,
    /// The number of its listener, plus one; then [`TAKEN`] or [`GIVEN_UP`].
    listener: SharedWord,
    /// The errno that kept it from running; 0 for none.
    failure: SharedWord,
}

const TAKEN: u32 = u32::MAX;
const GIVEN_UP: u32 = u32::MAX - 1;
const AT_BOUNDARY: u32 = 1;
const AT_FILTER: u32 = 2;

/// What the supervisor has of a confined command.
pub struct Confined {
    /// The command.
    pub command: OwnedFd,
    /// Its process id.
    pub pid: u32,
    /// Where its notifications, and those of all it starts, come from.
    pub listener: OwnedFd,
}

impl Handshake {
    /// Nothing has happened yet.
    pub fn new() -> std::io::Result<Handshake> {
        Ok(Handshake {
            stage: SharedWord::new()?,
            pid: SharedWord::new()?,
            listener: SharedWord::new()?,
            failure: SharedWord::new()?,
        })
    }

    /// Confines the calling process, a child of `reaper` between fork and exec, and returns once it is served.
    /// Async-signal-safe, but for what entering a prepared layer costs.
    pub fn confine(
        &self,
        reaper: Pid,
        layer: Option<landlock::RulesetCreated>,
        filter: &[libc::sock_filter],
    ) -> std::io::Result<()> {
        self.stage.set(AT_BOUNDARY);
        if let Some(layer) = layer {
            boundary::enter(layer).map_err(|_| std::io::Error::from_raw_os_error(libc::EPERM))?;
        }
        self.stage.set(AT_FILTER);
        self.pid.set(std::process::id());
        let listener = sys::install_filter(filter)?;
        // From here on only syscalls that no rule can see, until the supervisor serves the others.
        let offered = listener.cast_unsigned() + 1;
        self.listener.set(offered);
        while self.listener.wait_while(offered, 1) == offered {
            // The reaper dies with the supervisor until the command runs.
            if getppid() != Some(reaper) {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        if self.listener.get() == GIVEN_UP {
            return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
        }
        // Held by nobody but the supervisor: if it dies, the kernel fails what would wait for it.
        sys::close(listener);
        Ok(())
    }

    /// The command could not be executed.
    pub fn failed(&self, error: &std::io::Error) {
        self.failure.set(error.raw_os_error().unwrap_or(libc::EIO).cast_unsigned());
    }

    /// Why it could not, if so.
    pub fn failure(&self) -> Option<std::io::Error> {
        let errno = self.failure.get();
        (errno != 0).then(|| std::io::Error::from_raw_os_error(errno.cast_signed()))
    }

    /// Waits for the command's listener and takes it over. `None`: there will be none. `ESRCH`: our child `reaper`
    /// was killed before there was any.
    pub fn take(&self, reaper: Pid) -> std::io::Result<Option<Confined>> {
        let mut offered = 0;
        while offered == 0 {
            offered = self.listener.wait_while(0, 1);
            if offered == 0 && waitpid(Some(reaper), WaitOptions::NOHANG)?.is_some() {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        if offered == GIVEN_UP {
            return Ok(None);
        }
        let number = self.pid.get();
        let pid = Pid::from_raw(number.cast_signed()).ok_or(rustix::io::Errno::SRCH)?;
        let (command, listener) = take(pid, offered - 1)?;
        Ok(Some(Confined { command, pid: number, listener }))
    }

    /// The listener is served: the command may run.
    pub fn go(&self) {
        self.listener.set(TAKEN);
    }

    /// The command will not run.
    pub fn give_up(&self) {
        if self.listener.get() != TAKEN {
            self.listener.set(GIVEN_UP);
        }
    }

    /// Why the command could not be started: the errno of its own exec if it was confined by then, else a
    /// sentence.
    pub fn explain(&self, error: &std::io::Error) -> Result<i32, String> {
        if self.listener.get() == TAKEN {
            return Ok(error.raw_os_error().unwrap_or(libc::EIO));
        }
        Err(match (self.stage.get(), error.raw_os_error()) {
            (AT_FILTER, Some(libc::EBUSY)) => "a supervisor is in force on this process already; a second \
                                               one inside it is not possible"
                .to_owned(),
            (AT_FILTER, Some(libc::EINVAL)) => "the kernel does not take the seccomp filter; Linux 5.19 or \
                                                newer is needed (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)"
                .to_owned(),
            (AT_FILTER, _) => format!("cannot install the seccomp filter: {error}"),
            (AT_BOUNDARY, _) => format!("cannot enter the ptrace boundary: {error}"),
            _ => format!("cannot start a process: {error}"),
        })
    }
}

/// A handle for a process, and a copy of its descriptor `listener`.
pub(crate) fn take(process: Pid, listener: u32) -> std::io::Result<(OwnedFd, OwnedFd)> {
    let process = pidfd_open(process, PidfdFlags::empty())?;
    let listener = pidfd_getfd(&process, listener.cast_signed(), PidfdGetfdFlags::empty())?;
    Ok((process, listener))
}
