// SPDX-License-Identifier: MIT OR Apache-2.0
//! mmap, mprotect and shmat. Only the caller can map into its memory, so the kernel carries them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use landlock_compiler::hooks::mem;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::judge::{Ask, actions};
use crate::object::{Object, errno};
use crate::passing::{Acts, Number, all_could, has_own_descriptors, on_object};
use crate::proc;
use crate::relate::Subject;
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
    let object = request.object(request.arg32(4))?;
    request.judge.ask(request, ask, &object)?;
    let number = if private { Number::MayChange } else { note_shared(request, &object)? };
    on_object(request, request.arg32(4), &object, Acts::OnTheFile(number), &[ask])
}

/// Remembers that a file is about to be mapped shared, and whether the outermost rules would keep it from being made
/// writable then.
fn note_shared(request: &Request<'_>, object: &Object) -> Result<Number, Errno> {
    let outermost = request.shared.domains.outermost();
    let deniable: Vec<Ask> = (0..=ALL_PROTECTIONS)
        .map(|protection| actions("file_mprotect", mem(protection, false)))
        .filter(|ask| outermost.may_deny(*ask, None))
        .collect();
    // The kernel lets a shared mapping become writable later only if its descriptor is.
    let writable = rustix::fs::fcntl_getfl(object)?.contains(OFlags::RDWR);
    if deniable.is_empty() {
        if writable || !has_own_descriptors(request)? {
            request.shared.mapped_shared.store(true, Ordering::SeqCst);
        }
        return Ok(Number::MayChange);
    }
    if writable {
        request.shared.mapped_shared.store(true, Ordering::SeqCst);
        if let Some(ask) = deniable.iter().find(|ask| would_be_denied(request, **ask, object)) {
            request.shared.mapped_denied.store(true, Ordering::SeqCst);
            wait_for_protecting(request, *ask)?;
        }
    }
    Ok(Number::MustStay)
}

fn wait_for_protecting(request: &Request<'_>, ask: Ask) -> Result<(), Errno> {
    if request.shared.protecting.have_looked() {
        return Ok(());
    }
    let reason = "another thread is in the middle of an mprotect that this file is denied";
    request.judge.refuse_because(request, ask, reason)
}

/// Whether the outermost rules would now deny a protection to memory that maps `object`.
fn would_be_denied(request: &Request<'_>, ask: Ask, object: &Object) -> bool {
    const MPROTECT: i32 = 10;
    const PKEY_MPROTECT: i32 = 329;
    let outermost = request.shared.domains.outermost();
    [(MPROTECT, "mprotect"), (PKEY_MPROTECT, "pkey_mprotect")].into_iter().any(|(nr, name)| {
        let notification = sys::Notification { nr, ..request.notification };
        let request = Request { notification, name, judge: Arc::clone(outermost), ..*request };
        outermost.verdict(&request, ask, Subject::Object(object)).is_err()
    })
}

const ALL_PROTECTIONS: u32 = 7;

/// mprotect(address, length, protection), pkey_mprotect
pub fn mprotect(request: &Request<'_>) -> Answer {
    let private = actions("file_mprotect", mem(request.arg32(2), true));
    let shared = actions("file_mprotect", mem(request.arg32(2), false));
    let judge = &request.judge;
    let mapped = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
    let of_private = judge.may_deny(private, None);
    let could_be_of_shared = judge.may_deny(shared, None);
    if could_be_of_shared {
        request.shared.protecting.begin(request.notification.tid);
    }
    let of_shared = could_be_of_shared && mapped(&request.shared.mapped_shared);
    if !of_private && !of_shared {
        return Ok(Reply::Continue);
    }
    let alone = has_own_descriptors(request)?;
    // Whatever other threads put there: when it was mapped, all this was allowed, and whoever asks could have it since.
    if !alone && !of_private && judge.number == 0 && !mapped(&request.shared.mapped_denied) {
        return Ok(Reply::Continue);
    }
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
        request.shared.mapped_shared.store(true, Ordering::SeqCst);
        // Which file it is, is not known.
        request.shared.mapped_denied.store(true, Ordering::SeqCst);
        wait_for_protecting(request, ask)?;
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
    let maps = proc::contents(format!("/proc/{}/maps", request.notification.tid))?;
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
