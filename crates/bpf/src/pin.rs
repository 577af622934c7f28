// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pins: names in a bpf file system that keep an object alive without any process.
//!
//! A folder is given as a descriptor, so that nobody can put another one in its place. Older kernels
//! take a path only; the descriptor's name under /proc/self/fd is one. Renaming and removing pins is
//! what it is for any file: `renameat`, `unlinkat`.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::error::{Command, Error, Result};
use crate::sys;

/// Pins an object under a new name in a folder of a bpf file system. EEXIST if the name is taken.
pub fn pin(object: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &str) -> Result<()> {
    let command = Command::ObjPin;
    let done = path(folder, name).and_then(|path| sys::obj_pin(object, &path));
    done.map_err(|errno| Error::Refused { command, object: format!("pin {name}"), errno })
}

/// Opens the object pinned under a name, whatever its kind.
pub(crate) fn get(folder: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let command = Command::ObjGet;
    let opened = path(folder, name).and_then(|path| sys::obj_get(&path));
    opened.map_err(|errno| Error::Refused { command, object: format!("pin {name}"), errno })
}

fn path(folder: BorrowedFd<'_>, name: &str) -> std::result::Result<CString, Errno> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(Errno::INVAL);
    }
    CString::new(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())).map_err(|_| Errno::INVAL)
}
