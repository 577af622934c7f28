// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages in the caller's memory: copied once, checked as the kernel checks them.

use rustix::io::Errno;

use crate::act::io::Segments;
use crate::request::Request;

/// `sizeof(struct sockaddr_storage)`
const LONGEST_ADDRESS: u32 = 128;
/// `sizeof(struct msghdr)`
const HEADER: usize = 56;
const MAX_SEGMENTS: u64 = 1024;

/// Copies an address of `len` bytes. `EINVAL` for a length no address has.
pub fn address(request: &Request<'_>, at: u64, len: u32) -> Result<Vec<u8>, Errno> {
    if len > LONGEST_ADDRESS {
        return Err(Errno::INVAL);
    }
    request.bytes(at, usize::try_from(len).unwrap_or(0))
}

/// A `struct msghdr` of the caller's.
#[derive(Clone, Debug)]
pub struct Header {
    /// Where it is.
    pub at: u64,
    /// Where the address is, or goes.
    pub name: u64,
    /// Room for it.
    pub name_len: u32,
    /// The data.
    pub segments: Segments,
    /// Where the control messages are, or go.
    pub control: u64,
    /// Room for them.
    pub control_len: u64,
}

impl Header {
    /// Copies it and the vector it names.
    pub fn read(request: &Request<'_>, at: u64) -> Result<Header, Errno> {
        let bytes = request.bytes(at, HEADER)?;
        let number =
            |at: usize| bytes[at..at + 8].iter().rev().fold(0_u64, |all, &byte| (all << 8) | u64::from(byte));
        let name = number(0);
        let name_len = u32::try_from(number(8) & u64::from(u32::MAX)).map_err(|_| Errno::INVAL)?;
        let name_len = if name == 0 { 0 } else { name_len };
        if name_len.cast_signed() < 0 {
            return Err(Errno::INVAL);
        }
        let (vector, count) = (number(16), number(24));
        if count > MAX_SEGMENTS {
            return Err(Errno::MSGSIZE);
        }
        let segments = Segments::vector(request, vector, count)?;
        let (control, control_len) = (number(32), number(40));
        let name_len = name_len.min(LONGEST_ADDRESS);
        Ok(Header { at, name, name_len, segments, control, control_len })
    }

    /// Writes back what receiving changes.
    pub fn write_back(
        &self,
        request: &Request<'_>,
        name_len: u32,
        control_len: usize,
        flags: i32,
    ) -> Result<(), Errno> {
        const NAME_LEN: u64 = 8;
        const CONTROL_LEN: u64 = 40;
        const FLAGS: u64 = 48;
        if self.name != 0 {
            request.write(self.at + NAME_LEN, &name_len.to_ne_bytes())?;
        }
        request.write(self.at + FLAGS, &flags.to_ne_bytes())?;
        request.write(self.at + CONTROL_LEN, &(control_len as u64).to_ne_bytes())
    }
}

/// `struct mmsghdr` array: one header and the length of the message, padded.
pub const BATCH_STRIDE: u64 = 64;
/// Where the length is.
pub const BATCH_LEN: u64 = 56;
/// As many messages as the kernel handles in one call.
pub const MAX_BATCH: u32 = 1024;
