// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn copy_file_range(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fallocate(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn getdents(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn read(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn sendfile(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn splice(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn write(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
