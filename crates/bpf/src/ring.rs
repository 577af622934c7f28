// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a ring buffer map: records that programs leave for one process.
//!
//! The kernel shares three things: our position, its position, and the records, mapped twice in a row so
//! that one never wraps. A record counts once its busy bit is gone; its memory is the program's again
//! once our position has passed it.
//!
//! One reader at a time: the position is the map's, not the reader's. With more of them records get lost
//! or damaged, nothing worse.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::mm::ProtFlags;
use rustix::param::page_size;

use crate::error::{Error, Result};
use crate::map::{Map, MapKind};
use crate::memory::Mapping;

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_SIZE: usize = 8;
/// A program completes a record within microseconds, unless its CPU stands still.
const WRITING: Duration = Duration::from_secs(1);

/// A reader of a ring buffer.
#[derive(Debug)]
pub struct Ring {
    map: Map,
    /// What of a position is an offset in the ring: its size, a power of two, less one.
    mask: u64,
    /// Our position, writable.
    consumer: Mapping,
    /// The kernel's position, and from the second page on the records, twice; read only.
    producer: Mapping,
    /// Open as long as the ring is.
    _kept: Option<OwnedFd>,
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
        Ok(Ring { mask: size as u64 - 1, map, consumer, producer, _kept: None })
    }

    /// Keeps a descriptor open as long as the ring: a lock against other readers, say.
    #[must_use]
    pub fn keeping(self, descriptor: OwnedFd) -> Ring {
        Ring { _kept: Some(descriptor), ..self }
    }

    /// Hands on every record that is there, oldest first, and says how many there were: one that a program is about to
    /// complete is waited for, for a moment, because those behind it may be what somebody asks for. A record is
    /// gone afterwards. Wait for more by polling the descriptor for reading. Fails if what is there is no
    /// record, which happens when others read, too.
    pub fn consume(&mut self, mut each: impl FnMut(&[u8])) -> Result<usize> {
        let mut count = 0;
        let mut record = Vec::new();
        let mut position = self.consumer.position().load(Ordering::Relaxed);
        let end = Instant::now() + WRITING;
        while position < acquire(self.producer.position().load(Ordering::Relaxed)) {
            let broken = || Error::Ring { map: self.map.info().name.clone(), position };
            let offset = usize::try_from(position & self.mask).map_err(|_| broken())?;
            let header = acquire(self.producer.header(offset).ok_or_else(broken)?.load(Ordering::Relaxed));
            if header & BUSY != 0 {
                if Instant::now() > end {
                    break;
                }
                std::thread::sleep(Duration::from_micros(50));
                continue;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            self.producer.copy(offset + HEADER_SIZE, length, &mut record).ok_or_else(broken)?;
            if header & DISCARDED == 0 {
                each(&record);
                count += 1;
            }
            position += (HEADER_SIZE + length).next_multiple_of(8) as u64;
            self.consumer.position().store(position, Ordering::Release);
        }
        Ok(count)
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

/// One page with a position, then perhaps the records.
impl Mapping {
    fn position(&self) -> &AtomicU64 {
        // SAFETY: the first page begins with an aligned 64-bit position, mapped as long as `self` is, and
        // the kernel accesses it atomically.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }

    /// The header of the record at this offset of the ring; none if no record can be there.
    fn header(&self, offset: usize) -> Option<&AtomicU32> {
        let at = page_size() + offset;
        if at + HEADER_SIZE > self.length || !offset.is_multiple_of(8) {
            return None;
        }
        // SAFETY: within the mapping, as checked, and aligned; the kernel accesses it atomically.
        Some(unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) })
    }

    /// Copies so many bytes at this offset of the ring; none if they are not all in it. Nobody writes a
    /// complete record, unless another reader has given it back: then the bytes are any.
    fn copy(&self, offset: usize, length: usize, to: &mut Vec<u8>) -> Option<()> {
        let at = page_size() + offset;
        if at + length > self.length {
            return None;
        }
        to.clear();
        // SAFETY: within the mapping, as checked; a byte is valid whatever it is, and read once.
        to.extend((at..at + length).map(|at| unsafe { self.start.as_ptr().add(at).read_volatile() }));
        Some(())
    }
}
