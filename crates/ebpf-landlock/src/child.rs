// SPDX-License-Identifier: MIT OR Apache-2.0
//! A confined command that was started.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use landlock_supervisor::{Ended, Running};

use crate::Error;

/// A confined command. **Dropping it kills the command**; what that has started goes on, confined.
#[derive(Debug)]
pub struct Child(Inner);

#[derive(Debug)]
enum Inner {
    Supervised(Running),
    /// By the kernel alone; or the errno for which it could not be executed.
    Entered(Result<std::process::Child, i32>),
}

impl Child {
    pub(crate) fn supervised(running: Running) -> Child {
        Child(Inner::Supervised(running))
    }

    pub(crate) fn entered(started: std::io::Result<std::process::Child>) -> Child {
        let errno = |error: std::io::Error| error.raw_os_error().unwrap_or_default();
        Child(Inner::Entered(started.map_err(errno)))
    }

    /// The process id; `None` if the command could not be executed.
    pub fn id(&self) -> Option<u32> {
        match &self.0 {
            Inner::Supervised(running) => running.id(),
            Inner::Entered(started) => started.as_ref().ok().map(std::process::Child::id),
        }
    }

    /// Waits for the command's end; the same answer every time.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::SupervisorDied`].
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        match &mut self.0 {
            Inner::Supervised(running) => match running.wait()? {
                Ended::Exited(code) => Ok(ExitStatus::from_raw((code & 0xff) << 8)),
                Ended::Killed(signal) => Ok(ExitStatus::from_raw(signal & 0x7f)),
                Ended::NotStarted(errno) => Err(not_started(errno)),
            },
            Inner::Entered(Ok(child)) => child.wait().map_err(Error::Wait),
            Inner::Entered(Err(errno)) => Err(not_started(*errno)),
        }
    }

    /// Kills the command.
    pub fn kill(&mut self) {
        match &mut self.0 {
            Inner::Supervised(running) => running.kill(),
            // It may have ended.
            Inner::Entered(started) => drop(started.as_mut().map(std::process::Child::kill)),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Inner::Entered(Ok(child)) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn not_started(errno: i32) -> Error {
    Error::NotStarted(std::io::Error::from_raw_os_error(errno))
}
