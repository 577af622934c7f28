// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs that are the same for every domain, in assembly, and what is filled into them.

use std::os::fd::{AsFd, AsRawFd};

use landlock_bpf::btf::{Btf, Place};
use landlock_bpf::map::Map;
use landlock_bpf::prctl;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::asm;
use landlock_compiler::insn::Insn;

use crate::error::{Error, Result};

/// A number for a name in braces.
type Filling = (&'static str, i64);

/// The dispatcher of a hook: `bit` is the hook's in a domain's mask.
pub(crate) fn dispatch(btf: &Btf, hook: &str, bit: u64, threads: &Map, programs: &Map) -> Result<Program> {
    let filling = [("threads", fd(threads)), ("programs", fd(programs)), ("hook", bit.cast_signed())];
    load(btf, hook, "dispatch", &assemble(include_str!("programs/dispatch.s"), &filling))
}

/// The gate.
pub(crate) fn gate(btf: &Btf, threads: &Map, tokens: &Map) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("tokens", fd(tokens)),
        ("option", prctl::GATE.into()),
        ("atomic_flags", offset(btf, "struct task_struct", "atomic_flags")?),
        ("cred", offset(btf, "struct task_struct", "cred")?),
        ("cap_effective", offset(btf, "struct cred", "cap_effective")?),
        ("entered", errno(Answer::Entered)),
        ("eacces", errno(Answer::NotPermitted)),
        ("estale", errno(Answer::Elsewhere)),
        ("eagain", errno(Answer::Full)),
    ];
    load(btf, "task_prctl", "gate", &assemble(include_str!("programs/gate.s"), &filling))
}

/// What passes a domain on to new threads.
pub(crate) fn inherit(btf: &Btf, threads: &Map) -> Result<Program> {
    let filling = [("threads", fd(threads)), ("eagain", errno(Answer::Full))];
    load(btf, "task_alloc", "inherit", &assemble(include_str!("programs/inherit.s"), &filling))
}

/// What forgets threads that are gone.
pub(crate) fn release(btf: &Btf, threads: &Map) -> Result<Program> {
    let filling = [("threads", fd(threads))];
    load(btf, "task_free", "release", &assemble(include_str!("programs/release.s"), &filling))
}

/// Who traces whom, as seen from a hook's argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boundary {
    /// `ptrace_access_check(child)`: the running thread traces the argument.
    Access,
    /// `ptrace_traceme(parent)`: the argument traces the running thread.
    Traceme,
}

/// What keeps threads from tracing their way out. `lineage` has the pairs of a domain and one that extends it.
pub(crate) fn boundary(btf: &Btf, which: Boundary, threads: &Map, lineage: &Map) -> Result<Program> {
    const CURRENT: i64 = 0;
    const ARGUMENT: i64 = 8;
    let (hook, tracer, tracee) = match which {
        Boundary::Access => ("ptrace_access_check", CURRENT, ARGUMENT),
        Boundary::Traceme => ("ptrace_traceme", ARGUMENT, CURRENT),
    };
    let filling =
        [("threads", fd(threads)), ("lineage", fd(lineage)), ("tracer", tracer), ("tracee", tracee)];
    load(btf, hook, "boundary", &assemble(include_str!("programs/boundary.s"), &filling))
}

/// What the gate answers, as an errno: even success is one, since a program that returns 0 leaves the option
/// to the kernel, which does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// EREMOTEIO.
    Entered,
    /// EACCES.
    NotPermitted,
    /// ESTALE.
    Elsewhere,
    /// EAGAIN.
    Full,
}

impl Answer {
    pub(crate) fn of(errno: rustix::io::Errno) -> Option<Answer> {
        use Answer::{Elsewhere, Entered, Full, NotPermitted};
        [Entered, NotPermitted, Elsewhere, Full].into_iter().find(|answer| answer.errno() == errno)
    }

    fn errno(self) -> rustix::io::Errno {
        use rustix::io::Errno;
        match self {
            Answer::Entered => Errno::REMOTEIO,
            Answer::NotPermitted => Errno::ACCESS,
            Answer::Elsewhere => Errno::STALE,
            Answer::Full => Errno::AGAIN,
        }
    }
}

fn errno(answer: Answer) -> i64 {
    answer.errno().raw_os_error().into()
}

fn fd(map: &Map) -> i64 {
    map.as_fd().as_raw_fd().into()
}

fn offset(btf: &Btf, aggregate: &str, member: &str) -> Result<i64> {
    match btf.member(aggregate, member)?.place {
        Place::Bytes { offset, size: 8 } => Ok(offset.into()),
        _ => Err(Error::Member { aggregate: aggregate.to_owned(), member: member.to_owned() }),
    }
}

fn assemble(text: &str, filling: &[Filling]) -> Vec<Insn> {
    let fill =
        |text: String, (name, value): &Filling| text.replace(&format!("{{{name}}}"), &value.to_string());
    let text = filling.iter().fold(text.to_owned(), fill);
    let rules = asm::parse(&text, "programs").unwrap_or_else(|errors| panic!("{errors}"));
    rules.into_iter().next().expect("one program").insns
}

/// Loads a program for an LSM hook.
pub(crate) fn load(btf: &Btf, hook: &str, name: &str, insns: &[Insn]) -> Result<Program> {
    let attach_to = btf.function(&format!("bpf_lsm_{hook}"))?.id;
    let kind = ProgramKind::Lsm;
    Ok(Program::load(&ProgramSpec { name, kind, attach_to, insns, license: c"Dual MIT/GPL" })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_braces_is_filled() {
        let names = [
            "threads",
            "programs",
            "tokens",
            "hook",
            "option",
            "atomic_flags",
            "cred",
            "cap_effective",
            "lineage",
            "tracer",
            "tracee",
        ];
        let errnos = ["entered", "eacces", "estale", "eagain"];
        let filling: Vec<Filling> = names.into_iter().chain(errnos).map(|name| (name, 1)).collect();
        for text in [
            include_str!("programs/dispatch.s"),
            include_str!("programs/gate.s"),
            include_str!("programs/inherit.s"),
            include_str!("programs/release.s"),
            include_str!("programs/boundary.s"),
        ] {
            assert!(assemble(text, &filling).len() > 5);
        }
    }
}
