// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn execve(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn execveat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
