// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this kernel can do, found out by asking or trying, never by its version.
//!
//! Three answers: yes, no, could not tell. The third is neither of the others: who enforces takes it for
//! no and says why.

mod preemption;

use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;

use landlock_compiler::insn::Insn;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

pub use preemption::{Preemption, preemption};

use crate::btf::{Btf, TypeId};
use crate::error::Error;
use crate::program::{Program, ProgramKind, ProgramSpec};

const LSM_LIST: &str = "/sys/kernel/security/lsm";

/// The answer to a question about this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It can.
    Yes,
    /// It cannot, and why.
    No(String),
    /// It could not be found out, and why.
    Unknown(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Yes => f.write_str("yes"),
            Answer::No(why) => write!(f, "no: {why}"),
            Answer::Unknown(why) => write!(f, "could not tell: {why}"),
        }
    }
}

/// Whether `bpf` is among the active Linux security modules, so that programs of kind
/// [`ProgramKind::Lsm`] are asked.
pub fn bpf_is_an_active_lsm() -> Answer {
    let list = read_unmounted("securityfs", "lsm");
    match list.or_else(|_| std::fs::read_to_string(LSM_LIST)) {
        Ok(list) => lsm_list_has_bpf(&list),
        Err(error) => Answer::Unknown(format!("{LSM_LIST}: {error}; is securityfs mounted?")),
    }
}

/// A file of a file system of the kernel's, through a mount of our own that no path leads to: it need not be
/// mounted and cannot be forged.
fn read_unmounted(file_system: &str, path: &str) -> rustix::io::Result<String> {
    let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let file: OwnedFd = openat(&root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    let read = std::fs::File::from(file).read_to_string(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(text)
}

fn lsm_list_has_bpf(list: &str) -> Answer {
    let list = list.trim();
    match list.split(',').any(|name| name == "bpf") {
        true => Answer::Yes,
        false => Answer::No(format!("the active modules are {list}; boot with lsm=…,bpf")),
    }
}

/// Whether this process may load programs of a kind: tried with one that allows everything, at
/// `file_open`, `task_free` or over tasks, and is never attached.
pub fn can_load(kind: ProgramKind, btf: &Btf) -> Answer {
    let function = match kind {
        ProgramKind::Lsm => "bpf_lsm_file_open",
        ProgramKind::ModifyReturn => "security_file_open",
        ProgramKind::Entry | ProgramKind::Exit => "security_task_free",
        ProgramKind::Iterator => "bpf_iter_task",
        ProgramKind::Sysctl => return can_load_at(kind, TypeId(0)),
    };
    let attach_to = match btf.function(function) {
        Ok(function) => function.id,
        Err(error) if error.is_missing() => return Answer::No(error.to_string()),
        Err(error) => return Answer::Unknown(error.to_string()),
    };
    can_load_at(kind, attach_to)
}

/// Whether the kernel takes any program of the kind at a function: it closes some.
pub fn can_load_at(kind: ProgramKind, function: TypeId) -> Answer {
    match Program::load(&allow_everything(kind, function)) {
        Ok(_) => Answer::Yes,
        Err(error) => why_not(&error),
    }
}

fn allow_everything(kind: ProgramKind, attach_to: TypeId) -> ProgramSpec<'static> {
    const MOVE_IMMEDIATE: u8 = 0xb7;
    const EXIT: u8 = 0x95;
    const INSNS: [Insn; 2] = [
        Insn { code: MOVE_IMMEDIATE, dst: 0, src: 0, off: 0, imm: 0 },
        Insn { code: EXIT, dst: 0, src: 0, off: 0, imm: 0 },
    ];
    ProgramSpec { name: "probe", kind, attach_to, insns: &INSNS, license: c"Dual MIT/GPL" }
}

/// Errors that are the kernel's refusal are a no; others (out of memory, say) tell nothing.
fn why_not(error: &Error) -> Answer {
    match error.errno() {
        Some(Errno::PERM | Errno::ACCESS) => Answer::No(format!("this process may not: {error}")),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOENT) => Answer::No(error.to_string()),
        // The kernel's internal ENOTSUPP, which has no name in user space.
        Some(errno) if errno.raw_os_error() == 524 => Answer::No(error.to_string()),
        _ => Answer::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpf_must_be_a_word_of_the_list() {
        assert_eq!(lsm_list_has_bpf("lockdown,capability,bpf"), Answer::Yes);
        assert_eq!(lsm_list_has_bpf("bpf\n"), Answer::Yes);
        assert!(matches!(lsm_list_has_bpf("lockdown,bpfilter"), Answer::No(why) if why.contains("bpfilter")));
        assert!(matches!(lsm_list_has_bpf(""), Answer::No(_)));
    }

    #[test]
    fn a_failure_that_is_not_a_refusal_tells_nothing() {
        let error = |errno| Error::Rejected { name: "probe".into(), errno, log: String::new() };
        assert!(matches!(why_not(&error(Errno::NOMEM)), Answer::Unknown(_)));
        assert!(matches!(why_not(&error(Errno::INVAL)), Answer::No(_)));
        assert!(matches!(why_not(&error(Errno::PERM)), Answer::No(why) if why.contains("may not")));
    }
}
