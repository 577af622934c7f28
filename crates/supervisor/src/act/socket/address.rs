// SPDX-License-Identifier: MIT OR Apache-2.0
//! UNIX addresses that are paths: to an existing socket, and to a new one.

use std::ffi::CString;
use std::os::fd::AsFd;

use landlock_compiler::abi::Actions;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{Socket, message};
use crate::act::open::with_umask;
use crate::judge::actions;
use crate::object::{Object, errno};
use crate::passing::has_own_descriptors;
use crate::request::{Answer, DONE, Reply, Request};
use crate::sys;
use crate::walk::{Entry, Last, Walk};

const FAMILY: usize = 2;
const LONGEST: usize = 110;
const HERE: u32 = libc::AT_FDCWD.cast_unsigned();

/// The path a UNIX address holds. `None`: another family, an abstract name, no name, or not an address at all.
fn path(socket: &Socket, address: &[u8]) -> Option<CString> {
    let family = u16::from_ne_bytes([*address.first()?, *address.get(1)?]);
    let name = address.get(FAMILY..)?;
    if !socket.unix || i32::from(family) != libc::AF_UNIX || address.len() > LONGEST {
        return None;
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    // An empty path is an abstract name, or none.
    CString::new(&name[..end]).ok().filter(|path| !path.is_empty())
}

fn unix_address(path: &[u8]) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap_or(1);
    [&family.to_ne_bytes(), path, &[0]].concat()
}

/// An address whose path, if it is one, has been walked and judged.
pub struct Target {
    bytes: Vec<u8>,
    /// Keeps the socket `bytes` leads to.
    _pin: Option<Object>,
}

impl Target {
    /// Asks about the socket the address leads to, and pins it.
    pub fn of(request: &Request<'_>, socket: &Socket, address: Vec<u8>) -> Result<Target, Errno> {
        let Some(path) = path(socket, &address) else { return Ok(Target { bytes: address, _pin: None }) };
        let walk = Walk::along(request, HERE, path)?;
        let found = request.as_caller(|| walk.object(Last::Follow))?;
        if found.file_type() != libc::S_IFSOCK {
            return Err(Errno::CONNREFUSED);
        }
        request.judge.ask(request, actions("inode_permission", Actions::WRITE), &found)?;
        Ok(Target { bytes: unix_address(found.proc_path().as_bytes()), _pin: Some(found) })
    }

    /// An address for a socket that does not look at it.
    pub fn unused(bytes: Vec<u8>) -> Target {
        Target { bytes, _pin: None }
    }

    /// In the kernel's layout.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// bind(fd, address, length)
pub fn bind(request: &Request<'_>) -> Answer {
    let socket = Socket::of(request, request.arg32(0))?;
    let address = message::address(request, request.arg(1), request.arg32(2))?;
    if !socket.unix && has_own_descriptors(request)? {
        return Ok(Reply::Continue);
    }
    match path(&socket, &address) {
        Some(path) => bind_path(request, &socket, &address, path)?,
        None => request.as_caller(|| sys::bind(socket.object.as_fd(), &address).map_err(errno))?,
    }
    DONE
}

/// While no name can change, the path leads our thread to the directory it led us to when it was judged.
fn bind_path(request: &Request<'_>, socket: &Socket, address: &[u8], path: CString) -> Result<(), Errno> {
    let umask = request.umask()?;
    let start = request.start(HERE)?;
    let walk = Walk::along(request, HERE, path.clone())?;
    let _names = request.shared.changing_names();
    request.as_caller(|| {
        let entry = match walk.entry() {
            Err(Errno::INVAL) => return Err(Errno::ADDRINUSE),
            entry => entry?,
        };
        may_make(request, &entry)?;
        let short = unix_address(entry.name.to_bytes());
        let (directory, name) = match leads_to(&start, &path, &entry.parent) {
            true => (&start, address),
            false => (&entry.parent, short.as_slice()),
        };
        within(directory, || with_umask(umask, || sys::bind(socket.object.as_fd(), name).map_err(errno)))
    })
}

fn may_make(request: &Request<'_>, entry: &Entry) -> Result<(), Errno> {
    if entry.object.is_some() {
        return Err(Errno::ADDRINUSE);
    }
    if entry.slash {
        return Err(Errno::NOENT);
    }
    let judge = &request.judge;
    judge.ask(request, actions("inode_permission", Actions::WRITE | Actions::EXEC), &entry.parent)?;
    judge.ask(request, actions("inode_mknod", Actions::WRITE), &entry.parent)?;
    judge.ask_new(request, actions("inode_mknod", Actions::NEW), &entry.parent, entry.name.to_bytes())
}

/// Whether the directory part of `path`, walked by us from `start` or our root, ends in `parent`.
fn leads_to(start: &Object, path: &CString, parent: &Object) -> bool {
    let bytes = path.to_bytes();
    let directory = match bytes.iter().rposition(|&byte| byte == b'/') {
        None => return start.is(parent),
        Some(0) => b"/".as_slice(),
        Some(slash) => &bytes[..slash],
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(start, directory, flags, Mode::empty()).and_then(Object::pin);
    opened.is_ok_and(|opened| opened.is(parent))
}

/// Runs `act` with `directory` as this thread's working directory; every serving thread has its own.
fn within<T>(directory: &Object, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let ours = rustix::fs::openat(CWD, c".", flags, Mode::empty())?;
    rustix::process::fchdir(directory)?;
    let result = act();
    if rustix::process::fchdir(&ours).is_err() {
        // Nothing we do later depends on where we are, but let us not keep the caller's directory busy.
        let _ = rustix::process::chdir(c"/");
    }
    result
}
