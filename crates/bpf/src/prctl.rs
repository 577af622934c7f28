// SPDX-License-Identifier: MIT OR Apache-2.0
//! The prctl(2) option that no kernel knows, for programs at the hook `task_prctl`.
#![allow(unsafe_code)]

use rustix::io::Errno;

/// The option: "LLgt".
pub const GATE: i32 = 0x4c4c_6774;

/// Calls prctl(2) with the option and a token, and gives its errno. `None` if it answers with success, which
/// no program can make it do.
pub fn gate(token: u64) -> Option<Errno> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the kernel knows no such option, and programs that do get numbers only: nothing of this
    // process's memory is read or written.
    let answer = unsafe { libc::prctl(GATE, token, zero, zero, zero) };
    let errno = || Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL);
    (answer < 0).then(errno)
}
