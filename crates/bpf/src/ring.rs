// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a ring buffer map: records that programs leave for one process.
//!
//! The kernel shares three things: our position, its position, and the records, mapped twice in a row so
//! that one never wraps. A record counts once its busy bit is gone; its memory is the program's again
//! once our position has passed it.
//!
//! One reader at a time: the position is the map's, not the reader's.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use crate::error::{Error, Result};
use crate::map::{Map, MapKind};

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_SIZE: usize = 8;

/// A reader of a ring buffer.
#[derive(Debug)]
pub struct Ring {
    map: Map,
    size: usize,
    /// Our position, writable.
    consumer: Mapping,
    /// The kernel's position, and from the second page on the records, twice; read only.
    producer: Mapping,
}

impl Ring {
    /// Opens a ring buffer for reading.
    pub fn new(map: Map) -> Result<Ring> {
        if map.info().kind != MapKind::RingBuf {
            let object = format!("map {}", map.info().name);
            return Err(Error::Kind { object, expected: "ring buffer" });
        }
        let page = page_size();
        let size = map.info().max_entries as usize;
        let consumer = Mapping::new(&map, 0, page, ProtFlags::READ | ProtFlags::WRITE)?;
        let producer = Mapping::new(&map, page, page + 2 * size, ProtFlags::READ)?;
        Ok(Ring { map, size, consumer, producer })
    }

    /// Hands on every record that is complete, oldest first, and says how many there were. A record is
    /// gone afterwards. Wait for more by polling the descriptor for reading.
    pub fn consume(&mut self, mut record: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        // Only this reader moves the position, and `&mut self` makes it one at a time in this process.
        let mut position = self.consumer.position().load(Ordering::Relaxed);
        while position < acquire(self.producer.position().load(Ordering::Relaxed)) {
            // 64-bit targets only, as everything about BPF programs here.
            let offset = usize::try_from(position).expect("64 bits") & (self.size - 1);
            let header = acquire(self.producer.header(offset).load(Ordering::Relaxed));
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            if header & DISCARDED == 0 {
                record(self.producer.record(offset + HEADER_SIZE, length));
                count += 1;
            }
            position += (HEADER_SIZE + length).next_multiple_of(8) as u64;
            self.consumer.position().store(position, Ordering::Release);
        }
        count
    }
}

/// Orders what follows after the load of `value`. Read-only memory allows relaxed loads only.
fn acquire<T>(value: T) -> T {
    fence(Ordering::Acquire);
    value
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

/// Memory shared with the kernel: one page with a position, then perhaps the records.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to no thread; all access is through atomics or to records that nobody writes.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(map: &Map, offset: usize, length: usize, protection: ProtFlags) -> Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, map.as_fd(), offset as u64)
        };
        let path = format!("memory of map {}", map.info().name);
        let start = start.map_err(|errno| Error::File { path, error: errno.into() })?;
        let start = NonNull::new(start.cast()).expect("a mapping without a fixed address is not at 0");
        Ok(Mapping { start, length })
    }

    fn position(&self) -> &AtomicU64 {
        // SAFETY: the first page begins with an aligned 64-bit position, mapped as long as `self` is, and
        // the kernel accesses it atomically.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }

    /// The header of the record at this offset of the ring.
    fn header(&self, offset: usize) -> &AtomicU32 {
        let at = page_size() + offset;
        assert!(at + HEADER_SIZE <= self.length && offset.is_multiple_of(8));
        // SAFETY: within the mapping, as checked, and aligned; the kernel accesses it atomically.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// The bytes of a complete record.
    fn record(&self, offset: usize, length: usize) -> &[u8] {
        let at = page_size() + offset;
        assert!(at + length <= self.length);
        // SAFETY: within the mapping, as checked. A record that is not busy is written by nobody until our
        // position has passed it, which the caller does only after it is done with the bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(at), length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; references into it borrow `self`, so none is left.
        // Failing would leave memory mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
