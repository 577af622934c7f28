// SPDX-License-Identifier: MIT OR Apache-2.0
//! The refusals of a sandbox, as its starter reads them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::MemfdFlags;
use serde::Deserialize;

use crate::Error;
use crate::kernel::OwnLog;

/// A refused action. Strings that a confined process chose are escaped: printable ASCII, all else as `\xNN`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Denial {
    /// Seconds since the epoch.
    pub time: f64,
    /// Thread id of the caller.
    pub pid: u32,
    /// Its command name.
    pub comm: String,
    /// Name of the syscall.
    pub syscall: String,
    /// The LSM hook whose question was answered with no.
    pub hook: String,
    /// The actions, or the command.
    pub action: String,
    /// What it was about, as far as it is known.
    #[serde(default)]
    pub object: Object,
    /// The rule that denied; `None` where `reason` tells why nobody could be asked.
    pub rule: Option<RuleSeen>,
    /// Why it was refused without a rule.
    pub reason: Option<String>,
}

/// The object of a denial.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Object {
    /// A path at the time, seen from the supervisor. Not on the kernel target.
    pub path: Option<String>,
    /// Device number of the file system.
    pub dev: Option<u64>,
    /// Inode number.
    pub ino: Option<u64>,
    /// Its mode, in octal.
    pub mode: Option<String>,
}

/// The rule of a denial.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct RuleSeen {
    /// Its name.
    pub name: String,
    /// Its place in the domain; 0 is the newest.
    pub index: usize,
    /// `file:line`, if the rule knows.
    pub line: Option<String>,
    /// The map of handles it had compared with last, if that can be told.
    pub map: Option<String>,
}

/// The denials of a [`Sandbox`](crate::Sandbox). They are kept in memory until this and the sandbox are gone; on the
/// kernel target, about 14,000 until they are asked for.
#[derive(Debug)]
pub struct Denials(Source);

#[derive(Debug)]
enum Source {
    /// What a supervisor writes to, and how far it has been read.
    Supervisor(File, Mutex<u64>),
    Kernel(Mutex<Box<OwnLog>>),
}

impl Denials {
    /// A place to write to, and the one to read from.
    pub(crate) fn of_supervisor() -> Result<(File, Denials), Error> {
        let memory = rustix::fs::memfd_create(c"landlock-denials", MemfdFlags::CLOEXEC);
        let file = File::from(memory.map_err(|errno| Error::Denials(errno.into()))?);
        let written = file.try_clone().map_err(Error::Denials)?;
        Ok((written, Denials(Source::Supervisor(file, Mutex::new(0)))))
    }

    pub(crate) fn of_kernel(log: OwnLog) -> Denials {
        Denials(Source::Kernel(Mutex::new(Box::new(log))))
    }

    /// Those that came since the last call; does not wait.
    ///
    /// # Errors
    /// [`Error::Denials`].
    pub fn so_far(&self) -> Result<Vec<Denial>, Error> {
        let lines = match &self.0 {
            Source::Supervisor(file, read) => whole_lines(file, &mut locked(read))?,
            Source::Kernel(log) => {
                let mut lines = Vec::new();
                // The log counts what is lost.
                let _ = locked(log).take(|denial| {
                    lines.extend(serde_json::to_vec(&denial).unwrap_or_default());
                    lines.push(b'\n');
                });
                lines
            }
        };
        let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        // What a debug rule traces is in between, and is no denial.
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// How many are in no answer of [`Denials::so_far`], since they came faster than it was called. On the supervisor
    /// target, none.
    pub fn lost(&self) -> u64 {
        match &self.0 {
            Source::Supervisor(..) => 0,
            Source::Kernel(log) => locked(log).lost(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of the file that are complete and were not read yet.
fn whole_lines(file: &File, read: &mut u64) -> Result<Vec<u8>, Error> {
    let end = file.metadata().map_err(Error::Denials)?.len();
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(*read)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, *read).map_err(Error::Denials)?;
    // A line is written at once, but it may be being written.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    *read += whole as u64;
    bytes.truncate(whole);
    Ok(bytes)
}
