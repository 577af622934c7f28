// SPDX-License-Identifier: MIT OR Apache-2.0
//! The refusals of a sandbox, as its starter reads them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use rustix::fs::MemfdFlags;
use serde::Deserialize;

use crate::Error;

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
    /// A path at the time, seen from the supervisor.
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
}

/// The denials of a [`Sandbox`](crate::Sandbox). They are kept in memory until this and the sandbox are gone.
#[derive(Debug)]
pub struct Denials {
    file: File,
    /// How far they have been read.
    read: Mutex<u64>,
}

impl Denials {
    /// A place to write to, and the one to read from.
    pub(crate) fn new() -> Result<(File, Denials), Error> {
        let memory = rustix::fs::memfd_create(c"landlock-denials", MemfdFlags::CLOEXEC);
        let file = File::from(memory.map_err(|errno| Error::Denials(errno.into()))?);
        let written = file.try_clone().map_err(Error::Denials)?;
        Ok((written, Denials { file, read: Mutex::new(0) }))
    }

    /// Those that came since the last call; does not wait.
    ///
    /// # Errors
    /// [`Error::Denials`].
    pub fn so_far(&self) -> Result<Vec<Denial>, Error> {
        let mut read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let end = self.file.metadata().map_err(Error::Denials)?.len();
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(*read)).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, *read).map_err(Error::Denials)?;
        // A line is written at once, but it may be being written.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        *read += whole as u64;
        let lines = bytes[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        // What a debug rule traces is in between, and is no denial.
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}
