// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sockets the daemon listens at: given by systemd, or its own.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The first descriptor that systemd hands over.
const FIRST: i32 = 3;
/// Clients that can wait to be accepted; the kernel takes fewer if it is told to (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Sockets that systemd may hand over: at a path, and of a name.
const MOST: i32 = 2;

/// The sockets of systemd's, if there are any for this process. Of the environment only `LISTEN_PID` and
/// `LISTEN_FDS` are looked at.
///
/// # Errors
/// If what was handed over is not one or two listening sockets of the right kind.
pub fn inherited() -> Result<Vec<OwnedFd>> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
    if number("LISTEN_PID") != Some(getpid().as_raw_nonzero().get()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").filter(|count| (1..=MOST).contains(count));
    let count = count.context("systemd handed over not one socket or two but others")?;
    // Descriptors of our own for those numbers, whatever they are: no need to take its word for it.
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).context("pidfd_open")?;
    let taken = |number| {
        let socket = pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty());
        let socket = socket.with_context(|| format!("descriptor {number}"))?;
        let is_right =
            sockopt::socket_type(&socket)? == SocketType::SEQPACKET && sockopt::socket_acceptconn(&socket)?;
        ensure!(
            is_right,
            "descriptor {number} is not a socket that listens for connections that keep messages apart"
        );
        set_nonblocking(&socket)?;
        Ok(socket)
    };
    (FIRST..FIRST + count).map(taken).collect()
}

/// Sockets of our own for everybody: at a path, and of the path as an [abstract name](abstract_name). One that a daemon left at
/// the path gives way, unless somebody answers at it. A name that somebody else has is done without: anybody can have it.
///
/// # Errors
/// With the step that failed.
pub fn bound(path: &Path) -> Result<Vec<OwnedFd>> {
    let shown = path.display();
    let address = SocketAddrUnix::new(path).with_context(|| shown.to_string())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let answered = rustix::net::connect(socket()?, &address).is_ok();
    ensure!(!answered, "{shown}: somebody listens there already");
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| shown.to_string());
        }
        _ => {}
    }
    let at_path = socket()?;
    bind(&at_path, &address).with_context(|| shown.to_string())?;
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).with_context(|| shown.to_string())?;
    listening(&at_path)?;
    let named = socket()?;
    match abstract_name(path.as_os_str().as_bytes()).and_then(|name| bind(&named, &name)) {
        Ok(()) => listening(&named)?,
        Err(errno) => {
            eprintln!("landlockd: @{shown}: {errno}; threads that may not write to sockets cannot ask");
            return Ok(vec![at_path]);
        }
    }
    Ok(vec![at_path, named])
}

/// The name beside a path: no file, so that connecting to it asks no rule.
pub(crate) fn abstract_name(path: impl AsRef<[u8]>) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new_abstract_name(path.as_ref())
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

fn listening(socket: &OwnedFd) -> Result<()> {
    listen(socket, BACKLOG).context("listen")?;
    set_nonblocking(socket)
}

fn set_nonblocking(socket: impl AsFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&socket)?;
    Ok(rustix::fs::fcntl_setfl(&socket, flags | OFlags::NONBLOCK)?)
}
