// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs, maps and links have in common: a kind, a name, an id.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::{Command, Error, Result};
use crate::sys;

/// A kind of bpf object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program.
    Program,
    /// A map.
    Map,
    /// A link: a program's attachment.
    Link,
}

impl Kind {
    /// The kind's name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Map => "map",
            Kind::Link => "link",
        }
    }

    /// Finds out what a descriptor is. The kernel says it in `fdinfo`, whose fields are an interface.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Option<Kind>> {
        let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
        let info = std::fs::read_to_string(&path).map_err(|error| Error::File { path, error })?;
        let has = |field: &str| info.lines().any(|line| line.starts_with(field));
        Ok(match () {
            () if has("link_type:") => Some(Kind::Link),
            () if has("prog_type:") => Some(Kind::Program),
            () if has("map_type:") => Some(Kind::Map),
            () => None,
        })
    }

    /// Refuses a descriptor of another kind; `origin` is what the error says of it.
    pub(crate) fn check(self, fd: OwnedFd, origin: &str) -> Result<OwnedFd> {
        match Kind::of(fd.as_fd())? {
            Some(kind) if kind == self => Ok(fd),
            _ => Err(Error::Kind { object: origin.to_owned(), expected: self.as_str() }),
        }
    }

    fn next_id(self) -> Command {
        match self {
            Kind::Program => Command::ProgGetNextId,
            Kind::Map => Command::MapGetNextId,
            Kind::Link => Command::LinkGetNextId,
        }
    }

    fn fd_by_id(self) -> Command {
        match self {
            Kind::Program => Command::ProgGetFdById,
            Kind::Map => Command::MapGetFdById,
            Kind::Link => Command::LinkGetFdById,
        }
    }

    /// The ids of all living objects of this kind, ascending. Needs CAP_SYS_ADMIN. An object may be gone
    /// by the time its id is used.
    pub fn ids(self) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut last = 0;
        loop {
            let command = self.next_id();
            match sys::next_id(command, last) {
                Ok(Some(id)) => ids.push(id),
                Ok(None) => return Ok(ids),
                Err(errno) => return Err(Error::Refused { command, object: format!("id {last}"), errno }),
            }
            last = ids.last().copied().unwrap_or_default();
        }
    }

    /// Opens a living object by its id; none if there is no such object any more.
    pub(crate) fn open(self, id: u32) -> Result<Option<OwnedFd>> {
        let command = self.fd_by_id();
        match sys::fd_by_id(command, id) {
            Ok(fd) => Ok(Some(fd)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::Refused { command, object: format!("{} {id}", self.as_str()), errno }),
        }
    }
}

/// The bytes of an object's name, zero-terminated; refuses what the kernel would.
pub(crate) fn name_bytes(name: &str) -> Result<[u8; sys::NAME_SIZE]> {
    let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'.';
    if name.len() >= sys::NAME_SIZE || !name.bytes().all(valid) {
        return Err(Error::Name(name.to_owned()));
    }
    let mut bytes = [0; sys::NAME_SIZE];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Ok(bytes)
}

/// The name in a zero-terminated field.
pub(crate) fn name_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_kernel_would_refuse_are_refused_here_at_the_edge() {
        assert_eq!(name_of(&name_bytes("fifteen_letters").unwrap()), "fifteen_letters");
        for name in ["sixteen__letters", "a-b", "a b", "é"] {
            assert!(matches!(name_bytes(name), Err(Error::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_descriptor_that_is_no_bpf_object_is_of_no_kind() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Kind::of(file.as_fd()).unwrap(), None);
        let error = Kind::Map.check(file.into(), "/dev/null").unwrap_err();
        assert_eq!(error.to_string(), "/dev/null is not a map");
    }
}
