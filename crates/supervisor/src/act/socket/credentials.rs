// SPDX-License-Identifier: MIT OR Apache-2.0
//! `SCM_CREDENTIALS`: who a message says it is from.

use rustix::io::Errno;

use crate::request::Request;

const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;

/// Checks the credentials the caller wants to send as the kernel would. `EPERM` for those of somebody else.
pub fn claim(request: &Request<'_>, credentials: &[u8]) -> Result<(), Errno> {
    if credentials.len() != 12 {
        return Err(Errno::INVAL);
    }
    let number = |at: usize| {
        u32::from_ne_bytes([credentials[at], credentials[at + 1], credentials[at + 2], credentials[at + 3]])
    };
    let (pid, uid, gid) = (number(0), number(4), number(8));
    let status = request.status()?;
    let effective = status.bits("CapEff:").unwrap_or(0);
    let its_own = |key, id, capability| {
        // Real, effective, saved.
        let ids = status.numbers(key);
        ids.iter().take(3).any(|own| *own == id) || effective & capability != 0
    };
    let own = status.number("Tgid:") == Some(pid);
    if !own || !its_own("Uid:", uid, CAP_SETUID) || !its_own("Gid:", gid, CAP_SETGID) {
        return Err(Errno::PERM);
    }
    Ok(())
}

/// Puts our process id in place of the caller's, which only a privileged process may send.
pub fn replace(credentials: &mut [u8]) {
    credentials[..4].copy_from_slice(&std::process::id().to_ne_bytes());
}
