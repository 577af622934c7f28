// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory a read or write is about: copied once from the caller, checked as the kernel checks it.

use rustix::io::Errno;

use crate::request::Request;

/// Pieces of the caller's memory, one after the other.
#[derive(Clone, Debug)]
pub struct Segments(Vec<(u64, u64)>);

/// What the kernel transfers at most in one call.
const MAX_COUNT: u64 = 0x7fff_f000;
const MAX_SEGMENTS: u64 = 1024;
/// Addresses from here on are not the caller's memory.
const END_OF_MEMORY: u64 = 0x7fff_ffff_f000;

impl Segments {
    /// Of read, write and their relatives. `None`: a vector without a byte, for which nothing is asked.
    pub fn of(request: &Request<'_>) -> Result<Option<Segments>, Errno> {
        if matches!(request.name, "read" | "write" | "pread64" | "pwrite64") {
            return Segments::one(request.arg(1), request.arg(2)).map(Some);
        }
        let segments = Segments::vector(request, request.arg(1), request.arg(2))?;
        Ok((segments.len() != 0).then_some(segments))
    }

    /// One piece.
    pub fn one(address: u64, len: u64) -> Result<Segments, Errno> {
        within_memory(address, len)?;
        Ok(Segments(vec![(address, len.min(MAX_COUNT))]))
    }

    /// A `struct iovec` array of `count` pieces.
    pub fn vector(request: &Request<'_>, address: u64, count: u64) -> Result<Segments, Errno> {
        if count > MAX_SEGMENTS {
            return Err(Errno::INVAL);
        }
        let bytes = request.bytes(address, usize::try_from(count).unwrap_or(0) * 16)?;
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte));
        let mut pieces = Vec::new();
        let mut left = MAX_COUNT;
        for piece in bytes.chunks_exact(16) {
            let (base, len) = (number(&piece[..8]), number(&piece[8..]));
            if len.cast_signed() < 0 {
                return Err(Errno::INVAL);
            }
            within_memory(base, len)?;
            pieces.push((base, len.min(left)));
            left -= len.min(left);
        }
        Ok(Segments(pieces))
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        usize::try_from(self.0.iter().map(|piece| piece.1).sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// The `len` bytes from `start` on, or what there is of them.
    pub fn part(&self, start: usize, len: usize) -> Segments {
        let (mut skip, mut left) = (start as u64, len as u64);
        let mut pieces = Vec::new();
        for &(address, size) in &self.0 {
            let begin = skip.min(size);
            let take = left.min(size - begin);
            if take != 0 {
                pieces.push((address + begin, take));
            }
            skip -= begin;
            left -= take;
        }
        Segments(pieces)
    }

    /// Copies what can be read, up to the first byte that cannot. `EFAULT` if there is none.
    pub fn gather(&self, request: &Request<'_>) -> Result<Vec<u8>, Errno> {
        let mut all = Vec::with_capacity(self.len());
        for &(address, len) in self.0.iter().filter(|piece| piece.1 != 0) {
            let len = usize::try_from(len).map_err(|_| Errno::FAULT)?;
            match request.bytes_up_to(address, len) {
                Ok(bytes) => {
                    let short = bytes.len() < len;
                    all.extend(bytes);
                    if short {
                        break;
                    }
                }
                Err(Errno::FAULT) if !all.is_empty() => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(all)
    }

    /// Writes `bytes` over the pieces, as far as they reach. `EFAULT` if one cannot be written.
    pub fn scatter(&self, request: &Request<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
        for &(address, len) in &self.0 {
            let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX)));
            request.write(address, now)?;
            bytes = later;
        }
        Ok(())
    }
}

fn within_memory(address: u64, len: u64) -> Result<(), Errno> {
    match address.checked_add(len) {
        Some(end) if end <= END_OF_MEMORY => Ok(()),
        _ => Err(Errno::FAULT),
    }
}
