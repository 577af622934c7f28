// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links: a program's attachment. It lasts as long as a descriptor or a pin holds the link.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::btf::TypeId;
use crate::error::{Command, Error, Result};
use crate::object::Kind;
use crate::pin::Folder;
use crate::program::{Program, ProgramKind};
use crate::sys;

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
    /// Attaches a program to what it was loaded for, which is of this kind (else EINVAL): from here on it
    /// runs.
    pub fn attach(program: &Program, kind: ProgramKind) -> Result<Link> {
        Link::create(program, sys::link_create(program.as_fd(), kind.attach_type()))
    }

    /// Attaches a program of kind [`ProgramKind::Sysctl`] to a control group, a directory of its file system, and all
    /// below it.
    pub fn attach_to_group(program: &Program, kind: ProgramKind, group: impl AsFd) -> Result<Link> {
        Link::create(program, sys::link_create_at(program.as_fd(), kind.attach_type(), group.as_fd()))
    }

    /// Attaches an iterator over tasks, for those of one process. Linux 6.1 or later.
    pub fn attach_to_process(program: &Program, kind: ProgramKind, process: u32) -> Result<Link> {
        Link::create(program, sys::link_create_over(program.as_fd(), kind.attach_type(), process))
    }

    fn create(program: &Program, created: std::result::Result<OwnedFd, Errno>) -> Result<Link> {
        match created {
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
    pub fn from_pin(folder: &Folder, name: &str) -> Result<Link> {
        Ok(Link { fd: Kind::Link.check(folder.get(name)?, &format!("pin {name}"))? })
    }

    /// Runs an attached program of kind [`ProgramKind::Iterator`] once over all there is,
    /// and gives what it wrote.
    pub fn iterate(&self) -> Result<Vec<u8>> {
        let command = Command::IterCreate;
        let refused = |errno| Error::Refused { command, object: "a link".to_owned(), errno };
        let fd = sys::iter_create(self.as_fd()).map_err(refused)?;
        let mut written = Vec::new();
        let read = File::from(fd).read_to_end(&mut written);
        read.map_err(|error| Error::File { path: "an iterator".to_owned(), error })?;
        Ok(written)
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
