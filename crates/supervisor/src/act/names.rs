// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn link(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn linkat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn mkdir(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn mkdirat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn mknod(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn mknodat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn rename(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn renameat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn renameat2(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn rmdir(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn symlink(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn symlinkat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn unlink(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn unlinkat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
