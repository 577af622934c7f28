// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links: a program's attachment. It lasts as long as a descriptor or a pin holds the link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::btf::TypeId;
use crate::error::{Command, Error, Result};
use crate::object::Kind;
use crate::program::Program;
use crate::{pin, sys};

/// An attached program.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
}

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The kernel's id for it.
    pub id: u32,
    /// The id of the attached program.
    pub program: u32,
    /// The BTF function it is attached to, for links of the kinds of program used here.
    pub attached_to: TypeId,
}

impl Link {
    /// Attaches a program to what it was loaded for: from here on it runs.
    pub fn attach(program: &Program) -> Result<Link> {
        match sys::link_create(program.as_fd(), program.kind().attach_type()) {
            Ok(fd) => Ok(Link { fd }),
            Err(errno) => {
                let object = match program.info() {
                    Ok(info) => format!("program {}", info.name),
                    Err(_) => "a program".to_owned(),
                };
                Err(Error::Refused { command: Command::LinkCreate, object, errno })
            }
        }
    }

    /// Asks the kernel about the link.
    pub fn info(&self) -> Result<LinkInfo> {
        let info: sys::LinkInfo = sys::obj_info(self.as_fd()).map_err(refused)?;
        Ok(LinkInfo { id: info.id, program: info.prog_id, attached_to: TypeId(info.target_btf_id) })
    }

    /// Opens a living link by its id; none if there is no such link any more.
    pub fn open(id: u32) -> Result<Option<Link>> {
        Ok(Kind::Link.open(id)?.map(|fd| Link { fd }))
    }

    /// Opens a pinned link.
    pub fn from_pin(folder: BorrowedFd<'_>, name: &str) -> Result<Link> {
        Ok(Link { fd: Kind::Link.check(pin::get(folder, name)?, &format!("pin {name}"))? })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn refused(errno: Errno) -> Error {
    Error::Refused { command: Command::ObjGetInfoByFd, object: "a link".to_owned(), errno }
}
