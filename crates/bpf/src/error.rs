// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong when asking the kernel: which command, on what, and its errno.

use std::fmt;

use rustix::io::Errno;

/// The result of this crate's functions that ask the kernel.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to get something done by the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a command.
    #[error("{command} of {object}: {errno}")]
    Refused {
        /// What was asked.
        command: Command,
        /// Of which object.
        object: String,
        /// The answer.
        errno: Errno,
    },
    /// The kernel's verifier, or what comes before it, refused a program.
    #[error("the kernel refused program {name}: {errno}\n{log}")]
    Rejected {
        /// The program's name.
        name: String,
        /// The answer.
        errno: Errno,
        /// What the verifier said; empty if it was not reached.
        log: String,
    },
    /// A key or value does not have the size the map was made with.
    #[error("map {map}: a {what} of {given} bytes, where the map has {expected}")]
    Size {
        /// The map's name.
        map: String,
        /// Key or value.
        what: &'static str,
        /// Bytes given.
        given: usize,
        /// Bytes the map takes.
        expected: usize,
    },
    /// A name is too long, or holds a byte the kernel does not allow.
    #[error("{0:?} is not a name the kernel takes: at most 15 letters, digits, `_` and `.`")]
    Name(String),
    /// A descriptor is of another kind of object than was expected.
    #[error("{object} is not a {expected}")]
    Kind {
        /// Where the descriptor came from.
        object: String,
        /// The kind that was expected.
        expected: &'static str,
    },
    /// A ring buffer holds something that is no record.
    #[error("ring buffer {map} has no record at position {position}: does another process read it, too?")]
    Ring {
        /// The map's name.
        map: String,
        /// Bytes ever written before it.
        position: u64,
    },
    /// A file of the system could not be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A file of the system does not read as it should.
    #[error("{path} reads {text:?}, which is not understood")]
    Text {
        /// The file.
        path: String,
        /// What it says.
        text: String,
    },
}

impl Error {
    /// The kernel's answer, if it gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Refused { errno, .. } | Error::Rejected { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// The commands of bpf(2) this crate uses, and the calls around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the kernel's names")]
pub enum Command {
    MapCreate = 0,
    MapLookupElem = 1,
    MapUpdateElem = 2,
    MapDeleteElem = 3,
    MapGetNextKey = 4,
    ProgLoad = 5,
    ObjPin = 6,
    ObjGet = 7,
    ProgGetNextId = 11,
    MapGetNextId = 12,
    ProgGetFdById = 13,
    MapGetFdById = 14,
    ObjGetInfoByFd = 15,
    BtfLoad = 18,
    MapFreeze = 22,
    MapLookupBatch = 24,
    LinkCreate = 28,
    LinkGetFdById = 30,
    LinkGetNextId = 31,
    IterCreate = 33,
}

impl Command {
    /// All of them.
    pub const ALL: [Command; 20] = {
        use Command::*;
        [
            MapCreate,
            MapLookupElem,
            MapUpdateElem,
            MapDeleteElem,
            MapGetNextKey,
            ProgLoad,
            ObjPin,
            ObjGet,
            ProgGetNextId,
            MapGetNextId,
            ProgGetFdById,
            MapGetFdById,
            ObjGetInfoByFd,
            BtfLoad,
            MapFreeze,
            MapLookupBatch,
            LinkCreate,
            LinkGetFdById,
            LinkGetNextId,
            IterCreate,
        ]
    };
}

impl fmt::Display for Command {
    /// The kernel's spelling: `BPF_MAP_CREATE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BPF")?;
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", c.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_asked_of_what_and_the_answer() {
        let error =
            Error::Refused { command: Command::ObjGetInfoByFd, object: "map x".into(), errno: Errno::PERM };
        assert_eq!(
            error.to_string(),
            "BPF_OBJ_GET_INFO_BY_FD of map x: Operation not permitted (os error 1)"
        );
    }
}
