// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket the daemon listens at: given by systemd, or its own.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The first descriptor that systemd hands over.
const FIRST: i32 = 3;
/// Clients that can wait to be accepted; the kernel takes fewer if it is told to (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// The socket of systemd's, if there is one for this process. Of the environment only `LISTEN_PID` and
/// `LISTEN_FDS` are looked at.
///
/// # Errors
/// If what was handed over is not one listening socket of the right kind.
pub fn inherited() -> Result<Option<OwnedFd>> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
    if number("LISTEN_PID") != Some(getpid().as_raw_nonzero().get()) {
        return Ok(None);
    }
    ensure!(number("LISTEN_FDS") == Some(1), "systemd handed over not one socket but others");
    // A descriptor of our own for that number, whatever it is: no need to take its word for it.
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).context("pidfd_open")?;
    let socket = pidfd_getfd(&ourselves, FIRST, PidfdGetfdFlags::empty()).context("descriptor 3")?;
    let is_right =
        sockopt::socket_type(&socket)? == SocketType::SEQPACKET && sockopt::socket_acceptconn(&socket)?;
    ensure!(is_right, "descriptor 3 is not a socket that listens for connections that keep messages apart");
    set_nonblocking(&socket)?;
    Ok(Some(socket))
}

/// A socket of our own at a path, for everybody. One that a daemon left there gives way, unless somebody
/// answers at it.
///
/// # Errors
/// With the step that failed.
pub fn bound(path: &Path) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(path).with_context(|| path.display().to_string())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let socket = || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let answered = rustix::net::connect(socket()?, &address).is_ok();
    ensure!(!answered, "{}: somebody listens there already", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| path.display().to_string());
        }
        _ => {}
    }
    let socket = socket()?;
    bind(&socket, &address).with_context(|| path.display().to_string())?;
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).with_context(|| path.display().to_string())?;
    listen(&socket, BACKLOG).context("listen")?;
    set_nonblocking(&socket)?;
    Ok(socket)
}

fn set_nonblocking(socket: impl AsFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&socket)?;
    Ok(rustix::fs::fcntl_setfl(&socket, flags | OFlags::NONBLOCK)?)
}
