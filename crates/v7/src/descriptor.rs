// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of rules.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use landlock_compiler::object::RuleObject;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// What a descriptor of a rule has; nothing can change the rule in it.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);
/// Bytes: more than any rule takes.
const MAX_RULE: i64 = 1 << 20;

/// A new descriptor for a rule, closed on exec.
///
/// # Errors
/// What making the file gives: `EMFILE`, `ENOMEM` and their like.
pub fn described(object: &RuleObject) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"landlock-rule", flags)?);
    let bytes = serde_json::to_vec(object).map_err(|_| Errno::NOMEM)?;
    file.write_all(&bytes).map_err(io_errno)?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

fn io_errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// The rule of a descriptor, still to be verified.
///
/// # Errors
/// `EINVAL` for a descriptor of something else.
pub fn rule_in(file: impl AsFd) -> Result<RuleObject, Errno> {
    let file = file.as_fd();
    let sealed = rustix::fs::fcntl_get_seals(file).unwrap_or(SealFlags::empty());
    if !sealed.contains(SEALS) {
        return Err(Errno::INVAL);
    }
    let size = rustix::fs::fstat(file)?.st_size;
    let size = usize::try_from(size).ok().filter(|_| size <= MAX_RULE).ok_or(Errno::INVAL)?;
    let mut bytes = vec![0; size];
    let mut read = 0;
    while read < size {
        match rustix::io::pread(file, &mut bytes[read..], read as u64)? {
            0 => return Err(Errno::INVAL),
            more => read += more,
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| Errno::INVAL)
}
