// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being written.

use rustix::io::Errno;

use crate::request::{Answer, Request};

/// Being written.
pub fn access(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn chmod(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn chown(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn faccessat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn faccessat2(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fchmod(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fchmodat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fchmodat2(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fchown(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fchownat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fstat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn fstatfs(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn ftruncate(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn futimesat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn inotify_add_watch(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn lchown(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn lstat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn name_to_handle_at(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn newfstatat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn readlink(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn readlinkat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn stat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn statfs(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn statx(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn truncate(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn utime(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn utimensat(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}

/// Being written.
pub fn utimes(_: &Request<'_>) -> Answer {
    Err(Errno::PERM)
}
