// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only unsafe code of the supervisor: kernel calls that no library wraps, by topic.
//!
//! # Safety
//!
//! Every block is one system call (or `fork`) on values its file lays out itself. Addresses in
//! another process are plain numbers: the kernel checks them, we never dereference one.
#![allow(unsafe_code)]

mod files;
mod identity;
mod inject;
mod io;
mod memory;
mod notify;
mod process;
mod ptrace;
mod signals;
mod socket;
mod trace;

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use signals::empty_set;

pub use files::{
    HANDLE_HEAD, close, file_attributes, handle_of, is_inheritable, null_is_an_empty_path,
    set_file_attributes, shared_memory_mode, stat_of, statx_of, terminal_peer, truncate,
};
pub use identity::{FileIds, assume, unshare_fs};
pub use inject::{Held, Parted, Seized};
pub use io::{
    CloneRange, Listing, Lock, clone_range, deduplicate, directory_entries, file_size_limit, take_pending,
};
pub use memory::{Mapping, SharedWord, bytes_of, read_memory, write_memory};
pub use notify::{
    Injected, Notification, add_fd, add_filter, install_filter, is_waiting, receive, respond,
    set_no_new_privs, wake_on_same_cpu,
};
pub use process::{
    Child, Forked, become_subreaper, become_undumpable, before_exec, exit, fork, personality,
    pidfd_of_thread, prctl, same_file, session, share_files, wait_child,
};
pub use signals::{
    Signal, accept_interrupt, await_signal, block_signals, ignore_children, interrupt, prepare_interrupt,
    set_signal_mask, signal_fd, signal_thread, take_signal,
};
pub use socket::{
    CONTROL_HEADER, Control, Outgoing, Room, bind, connect, first_control, receive_message, send_message,
};
pub use trace::{Traced, kill_traced, release, trace_exec, wait_traced};

fn check(result: i64) -> Result<i64> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn pid(tid: u32) -> libc::pid_t {
    tid.cast_signed()
}

fn count(n: isize) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::last_os_error())
}

/// # Safety
/// `fd` must be a fresh descriptor without another owner.
unsafe fn owned(fd: i64) -> Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    // SAFETY: passed on to our caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
