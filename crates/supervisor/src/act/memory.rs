// SPDX-License-Identifier: MIT OR Apache-2.0
//! mmap, mprotect and shmat. Only the caller can map into its memory, so the kernel carries them out.

use std::sync::atomic::Ordering;

use landlock_compiler::hooks::mem;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::judge::{Ask, actions};
use crate::object::{Object, errno};
use crate::passing::{Acts, all_could, has_own_descriptors, on_descriptor};
use crate::request::{Answer, Reply, Request};
use crate::sys;

/// mmap(address, length, protection, flags, fd, offset) of a file
pub fn mmap(request: &Request<'_>) -> Answer {
    const MAP_TYPE: u32 = 0xf;
    const ANONYMOUS: u32 = 0x20;
    const HUGETLB: u32 = 0x4_0000;
    if request.arg32(3) & ANONYMOUS != 0 {
        // The kernel makes a file for huge pages.
        request.judge.ask_memory(request, request.arg32(3) & HUGETLB != 0)?;
        return Ok(Reply::Continue);
    }
    let private = request.arg32(3) & MAP_TYPE == libc::MAP_PRIVATE.cast_unsigned();
    let ask = actions("mmap_file", mem(request.arg32(2), private));
    if !private {
        let file = request.file(request.arg32(4))?;
        // The kernel lets a shared mapping become writable later only if its descriptor is.
        if rustix::fs::fcntl_getfl(&file)?.contains(OFlags::RDWR) {
            request.shared.mapped_shared.store(true, Ordering::Release);
        }
    }
    on_descriptor(request, request.arg32(4), Acts::OnTheFile, &[ask])
}

/// mprotect(address, length, protection), pkey_mprotect
pub fn mprotect(request: &Request<'_>) -> Answer {
    let private = actions("file_mprotect", mem(request.arg32(2), true));
    let shared = actions("file_mprotect", mem(request.arg32(2), false));
    let judge = &request.judge;
    let nothing_shared = !request.shared.mapped_shared.load(Ordering::Acquire);
    if !judge.may_deny(private, None) && (nothing_shared || !judge.may_deny(shared, None)) {
        return Ok(Reply::Continue);
    }
    let alone = has_own_descriptors(request)?;
    let start = request.arg(0);
    let end = if alone { start.saturating_add(request.arg(1)) } else { u64::MAX };
    for mapping in mappings(request, if alone { start } else { 0 }, end)? {
        mapping.ask(request, if mapping.shared { shared } else { private })?;
    }
    if !alone {
        for ask in [private, shared] {
            if judge.may_deny(ask, None) {
                all_could(request, ask)?;
            }
        }
    }
    Ok(Reply::Continue)
}

/// shmat(id, address, flags): a shared mapping of a file that only its id names.
pub fn shmat(request: &Request<'_>) -> Answer {
    let read_only = request.arg32(2) & libc::SHM_RDONLY.cast_unsigned() != 0;
    let exec = request.arg32(2) & libc::SHM_EXEC.cast_unsigned() != 0;
    let prot = libc::PROT_READ
        | if read_only { 0 } else { libc::PROT_WRITE }
        | if exec { libc::PROT_EXEC } else { 0 };
    let ask = actions("mmap_file", mem(prot.cast_unsigned(), false));
    if !read_only {
        request.shared.mapped_shared.store(true, Ordering::Release);
    }
    if request.judge.may_deny(ask, None) {
        let mode =
            request.as_caller(|| sys::shared_memory_mode(request.arg32(0).cast_signed()).map_err(errno))?;
        request.judge.ask_anonymous(request, ask, libc::S_IFREG | mode)?;
    }
    Ok(Reply::Continue)
}

/// A file mapped into the caller's memory, as `/proc/TID/maps` tells it.
struct Mapping {
    shared: bool,
    device: u64,
    inode: u64,
    range: String,
    path: Vec<u8>,
}

/// The file mappings that touch the addresses from `start` to before `end`.
fn mappings(request: &Request<'_>, start: u64, end: u64) -> Result<Vec<Mapping>, Errno> {
    let maps = std::fs::read(format!("/proc/{}/maps", request.notification.tid)).map_err(errno)?;
    request.still_waiting()?;
    let mut found = Vec::new();
    for line in maps.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let (from, to, mapping) = Mapping::parse(line).ok_or(Errno::IO)?;
        if mapping.inode != 0 && from < end && to > start {
            found.push(mapping);
        }
    }
    Ok(found)
}

impl Mapping {
    /// `from-to perms offset major:minor inode   path`
    fn parse(line: &[u8]) -> Option<(u64, u64, Mapping)> {
        let mut fields = line.splitn(6, |&byte| byte == b' ');
        let mut text = || std::str::from_utf8(fields.next()?).ok();
        let range = text()?.to_owned();
        let shared = text()?.as_bytes().get(3) == Some(&b's');
        text()?;
        let (major, minor) = text()?.split_once(':')?;
        let inode = text()?.parse().ok()?;
        let path = fields.next().unwrap_or(b"").trim_ascii_start().to_vec();
        let (from, to) = range.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let part = |text| u32::from_str_radix(text, 16).ok();
        let (from, to) = (hex(from)?, hex(to)?);
        let device = libc::makedev(part(major)?, part(minor)?);
        Some((from, to, Mapping { shared, device, inode, range, path }))
    }

    fn ask(&self, request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
        let judge = &request.judge;
        if !judge.may_deny(ask, None) {
            return Ok(());
        }
        match self.object(request) {
            Some(object) => judge.ask(request, ask, &object),
            // Deleted, or out of our sight: a regular file (or shared memory) with unknown permissions.
            None if judge.may_deny(ask, Some(libc::S_IFREG)) => {
                judge.refuse_because(request, ask, "the mapped file can no longer be looked at")
            }
            None => Ok(()),
        }
    }

    /// The mapped file, by the link only privileged processes may follow, or by its path if that still names it.
    fn object(&self, request: &Request<'_>) -> Option<Object> {
        use std::os::unix::ffi::OsStrExt;
        let link = format!("/proc/{}/map_files/{}", request.notification.tid, self.range);
        let path = std::ffi::OsStr::from_bytes(&self.path);
        let open = |path: &std::ffi::OsStr| {
            let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
            Object::pin(fd).ok()
        };
        open(link.as_ref()).or_else(|| {
            open(path)
                .filter(|object| (object.stat().st_dev, object.stat().st_ino) == (self.device, self.inode))
        })
    }
}
