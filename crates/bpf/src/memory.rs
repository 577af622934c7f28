// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of maps that the kernel shares with this process.
#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use crate::error::{Error, Result};
use crate::map::{Map, MapKind};

/// The first value of an array that was made to be mapped. What is set here is seen by programs at once, and nothing
/// beside it is touched, which programs may be writing.
#[derive(Debug)]
pub struct Bytes {
    mapping: Mapping,
    length: usize,
}

impl Bytes {
    /// Maps the memory of an array.
    pub fn new(map: &Map) -> Result<Bytes> {
        if map.info().kind != MapKind::Array {
            return Err(Error::Kind { object: format!("map {}", map.info().name), expected: "array" });
        }
        let length = map.info().value_size;
        let mapped = length.next_multiple_of(page_size());
        let mapping = Mapping::new(map, 0, mapped, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok(Bytes { mapping, length })
    }

    /// Sets a byte of the value; says whether it has that many.
    pub fn set(&self, at: usize, byte: u8) -> bool {
        if at >= self.length {
            return false;
        }
        // SAFETY: within the mapping, as checked, and mapped as long as `self` is; all access it as a byte by itself.
        let there = unsafe { AtomicU8::from_ptr(self.mapping.start.as_ptr().add(at)) };
        there.store(byte, Ordering::Release);
        true
    }
}

/// Memory shared with the kernel.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub start: NonNull<u8>,
    pub length: usize,
}

// SAFETY: the memory belongs to no thread; it is accessed through atomics and volatile reads only.
unsafe impl Send for Mapping {}

impl Mapping {
    pub fn new(map: &Map, offset: usize, length: usize, protection: ProtFlags) -> Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, map.as_fd(), offset as u64)
        };
        let path = format!("memory of map {}", map.info().name);
        let start = start.map_err(|errno| Error::File { path, error: errno.into() })?;
        let start = NonNull::new(start.cast()).expect("a mapping without a fixed address is not at 0");
        Ok(Mapping { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; references into it borrow `self`, so none is left.
        // Failing would leave memory mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
