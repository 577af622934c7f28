// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn get(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn list(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn remove(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn set(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
