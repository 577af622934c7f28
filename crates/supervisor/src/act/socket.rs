// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn bind(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn connect(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn pidfd_getfd(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn recvmmsg(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn recvmsg(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn sendmmsg(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn sendmsg(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn sendto(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
