// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of whoever loads, by address.

use rustix::io::Errno;

/// Memory by address. An address that is none is `EFAULT`, as in a system call.
pub trait Memory {
    /// Exactly `len` bytes at `address`.
    fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno>;
    /// Writes all of `bytes` at `address`.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// More than any structure with fields to come.
pub(crate) const PAGE: usize = 4096;

/// A structure of which the caller knows `size` bytes and we `known`: those we know, and whether the others are 0.
/// `E2BIG` for more than a page.
pub(crate) fn read_extensible(
    memory: &impl Memory,
    address: u64,
    size: usize,
    known: usize,
) -> Result<(Vec<u8>, bool), Errno> {
    if size > PAGE {
        return Err(Errno::TOOBIG);
    }
    let mut bytes = memory.read(address, size)?;
    let is_all = bytes.iter().skip(known).all(|byte| *byte == 0);
    bytes.truncate(known);
    Ok((bytes, is_all))
}

/// A string of at most `most` bytes; a longer one is cut.
pub(crate) fn read_string(memory: &impl Memory, address: u64, most: usize) -> Result<String, Errno> {
    let mut text = Vec::new();
    while text.len() < most {
        let at = address.checked_add(text.len() as u64).ok_or(Errno::FAULT)?;
        // What is behind the page may not be the string's any more.
        let in_page = usize::try_from(PAGE as u64 - at % PAGE as u64).map_err(|_| Errno::FAULT)?;
        let part = memory.read(at, in_page.min(most - text.len()))?;
        let end = part.iter().position(|byte| *byte == 0);
        text.extend_from_slice(&part[..end.unwrap_or(part.len())]);
        if end.is_some() {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
