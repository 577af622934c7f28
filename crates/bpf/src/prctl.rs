// SPDX-License-Identifier: MIT OR Apache-2.0
//! The prctl(2) option that no kernel knows, for programs at the hook `task_prctl`.
#![allow(unsafe_code)]

use rustix::io::Errno;

/// The option: "LLgt".
pub const GATE: i32 = 0x4c4c_6774;

/// The errno that answers [`ask`] with 0; the others follow. None has another meaning: the kernel's own are below,
/// those between 512 and 530, which it does not let out, included.
pub const BYTE: i32 = 1024;

/// Calls prctl(2) with the option and a token, and gives its errno. `None` if it answers with success, which
/// no program can make it do.
pub fn gate(token: u64) -> Option<Errno> {
    call(entering(token))
}

/// The option and arguments of [`gate`], for who has another thread make the call.
pub fn entering(token: u64) -> [u64; 3] {
    [OPTION, token, 0]
}

/// Asks the programs at the gate for a byte of what they know of the calling thread. `None` if none answers.
pub fn ask(engine: u32, byte: u8) -> Option<u8> {
    told(call(asking(engine, byte))?)
}

/// The option and arguments of [`ask`].
pub fn asking(engine: u32, byte: u8) -> [u64; 3] {
    [OPTION, engine.into(), 1 + u64::from(byte)]
}

/// The byte that this errno tells.
pub fn told(errno: Errno) -> Option<u8> {
    u8::try_from(errno.raw_os_error() - BYTE).ok()
}

const OPTION: u64 = GATE.unsigned_abs() as u64;

/// prctl(2) with [`entering`] or [`asking`], by the calling thread.
pub fn call([_, argument, question]: [u64; 3]) -> Option<Errno> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the kernel knows no such option, and programs that do get numbers only: nothing of this
    // process's memory is read or written.
    let answer = unsafe { libc::prctl(GATE, argument, question, zero, zero) };
    let errno = || Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL);
    (answer < 0).then(errno)
}
