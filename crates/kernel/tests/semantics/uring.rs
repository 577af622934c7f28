// SPDX-License-Identifier: MIT OR Apache-2.0
//! An io_uring of one request at a time.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::io_uring::{
    IORING_OFF_SQ_RING, IORING_OFF_SQES, IoringEnterFlags, IoringSetupFlags, io_uring_enter, io_uring_params,
    io_uring_setup,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const PAGE: usize = 4096;
const ENTRY: usize = 64;
const OPENAT: u8 = 18;
const URING_CMD: u8 = 46;
const AT_FDCWD: i32 = -100;

/// Who carries out a request.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// The thread that submits it.
    Submitter,
    /// A worker of that thread's.
    Worker,
    /// The ring's own thread, which polls for submissions.
    Poller,
}

/// A request: the bytes the kernel reads.
struct Request([u8; ENTRY]);

impl Request {
    fn new(operation: u8, by: By, fd: i32) -> Request {
        const IOSQE_ASYNC: u8 = 1 << 4;
        let mut request = Request([0; ENTRY]);
        request.0[0] = operation;
        request.0[1] = if matches!(by, By::Worker) { IOSQE_ASYNC } else { 0 };
        request.put(4, &fd.to_ne_bytes());
        request
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The ring.
pub struct Ring {
    fd: OwnedFd,
    by: By,
    params: io_uring_params,
    /// Both queues, in one page.
    queues: usize,
    requests: usize,
}

impl Ring {
    pub fn new(by: By) -> Ring {
        let mut params = io_uring_params::default();
        if matches!(by, By::Poller) {
            params.flags = IoringSetupFlags::SQPOLL;
        }
        // SAFETY: no other ring's descriptor is in the parameters.
        let fd = unsafe { io_uring_setup(1, &mut params).unwrap() };
        let map = |offset| {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: the kernel chooses a place that is free.
            let address =
                unsafe { mmap(ptr::null_mut(), PAGE, protection, MapFlags::SHARED, &fd, offset).unwrap() };
            address.expose_provenance()
        };
        assert!((params.cq_off.cqes + params.cq_entries * 16) as usize <= PAGE);
        let (queues, requests) = (map(IORING_OFF_SQ_RING), map(IORING_OFF_SQES));
        Ring { fd, by, params, queues, requests }
    }

    /// Opens a file for reading and gives the number of its descriptor.
    pub fn open(&self, path: &CStr) -> Result<i32, Errno> {
        let mut request = Request::new(OPENAT, self.by, AT_FDCWD);
        request.put(16, &(path.as_ptr().expose_provenance() as u64).to_ne_bytes());
        self.run(&request)
    }

    /// A command for a device; the kernel hands it over as it is.
    pub fn command(&self, file: impl AsFd, operation: u32) -> Result<i32, Errno> {
        let mut request = Request::new(URING_CMD, self.by, file.as_fd().as_raw_fd());
        request.put(8, &operation.to_ne_bytes());
        self.run(&request)
    }

    fn run(&self, request: &Request) -> Result<i32, Errno> {
        let (sq, cq) = (self.params.sq_off, self.params.cq_off);
        // SAFETY: the second mapping holds one request, and none is being read.
        unsafe { ptr::with_exposed_provenance_mut::<[u8; ENTRY]>(self.requests).write(request.0) };
        self.word(sq.tail).fetch_add(1, Ordering::Release);
        let flags = IoringEnterFlags::GETEVENTS | IoringEnterFlags::SQ_WAKEUP;
        // SAFETY: what the request points to lives until it has been answered, which is waited for.
        unsafe { io_uring_enter(&self.fd, 1, 1, flags).unwrap() };
        let head = self.word(cq.head).load(Ordering::Relaxed);
        assert_eq!(self.word(cq.tail).load(Ordering::Acquire), head + 1, "one answer");
        let answer = cq.cqes + (head & (self.params.cq_entries - 1)) * 16;
        let result = self.word(answer + 8).load(Ordering::Relaxed).cast_signed();
        self.word(cq.head).store(head + 1, Ordering::Release);
        if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(result) }
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        let address = self.queues + offset as usize;
        // SAFETY: the kernel's offsets lie within the mapping, and its words are aligned and shared.
        unsafe { &*ptr::with_exposed_provenance::<AtomicU32>(address) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for address in [self.queues, self.requests] {
            // SAFETY: the mappings are this ring's, and no reference to them outlives it.
            unsafe { munmap(ptr::with_exposed_provenance_mut(address), PAGE).unwrap() };
        }
    }
}
