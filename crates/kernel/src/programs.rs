// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs that are the same for every domain, in assembly, and what is filled into them.

mod assemble;

use std::os::fd::{AsFd, AsRawFd};

use landlock_bpf::btf::{Btf, Place};
use landlock_bpf::link::Link;
use landlock_bpf::map::Map;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_bpf::{prctl, probe};
use landlock_compiler::insn::Insn;

use crate::attachment::{self, Attachment};
use crate::error::{Error, Result};
use crate::state::Maps;
use crate::{guard, handles};
use assemble::Filling;
pub(crate) use assemble::assemble;

/// Most domains at a time, the one that stands for none included; a power of two.
pub(crate) const SLOTS: u32 = 1 << 12;

const BOUNDARY: &str = include_str!("programs/boundary.s");
const DISPATCH: &str = include_str!("programs/dispatch.s");
const GATE_TEXT: &str = include_str!("programs/gate.s");
const INHERIT: &str = include_str!("programs/inherit.s");
const RELEASE: &str = include_str!("programs/release.s");

/// All programs that are the same for every domain.
pub(crate) const TEXTS: [&str; 10] = [
    BOUNDARY,
    DISPATCH,
    GATE_TEXT,
    INHERIT,
    RELEASE,
    guard::OBJECTS,
    guard::PINS,
    guard::SYSCTL,
    guard::UNMOUNT,
    handles::LOST,
];

/// The bits of a domain's identity that are its slot.
const SLOT_BITS: i64 = SLOTS as i64 - 1;

/// Groups that tasks are put into by some bits of their addresses, and bytes of what [`Maps::presence`] has of
/// each. The bits are of pages: a task is larger than one.
const GROUPS: u32 = 1 << 14;
const GROUP_SIZE: u32 = 16;
pub(crate) const PRESENCE_SIZE: u32 = GROUPS * GROUP_SIZE;
/// What is left of an address whose lowest eight bits are cut off: the offset of its group.
const GROUP_BITS: i64 = (PRESENCE_SIZE - GROUP_SIZE) as i64;

/// The running kernel's types, and which of its functions programs are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub btf: &'a Btf,
    pub attachment: Attachment,
}

impl Target<'_> {
    /// Loads a program for a hook.
    pub(crate) fn load(self, hook: &str, name: &str, insns: &[Insn]) -> Result<Program> {
        self.load_as(attachment::kind(self.attachment), hook, name, insns)
    }

    /// The same of a program whose functions helpers call.
    pub(crate) fn load_emitted(self, hook: &str, insns: &[Insn], functions: &[usize]) -> Result<Program> {
        let attach_to = attachment::function(self.btf, self.attachment, hook)?.id;
        let kind = attachment::kind(self.attachment);
        let spec = ProgramSpec { name: "domain", kind, attach_to, insns, license: c"Dual MIT/GPL" };
        match functions {
            [] => Ok(Program::load(&spec)?),
            starts => Ok(Program::load_with_functions(&spec, starts)?),
        }
    }

    /// Attaches a program loaded for a hook.
    pub(crate) fn attach(self, program: &Program) -> Result<Link> {
        Ok(Link::attach(program, attachment::kind(self.attachment))?)
    }

    /// Whether the kernel lets nobody attach to a hook it has.
    pub(crate) fn is_closed(self, hook: &str) -> Result<bool> {
        let function = attachment::function(self.btf, self.attachment, hook)?.id;
        Ok(matches!(probe::can_load_at(attachment::kind(self.attachment), function), probe::Answer::No(_)))
    }

    /// Runs a program once over all there is of a sort, or all of this process's, and gives what it wrote.
    pub(crate) fn iterate(
        self,
        sort: &str,
        process: Option<u32>,
        text: &str,
        filling: &[Filling],
    ) -> Result<Vec<u8>> {
        let (kind, insns) = (ProgramKind::Iterator, assemble(text, filling));
        let attach_to = self.btf.function(&format!("bpf_iter_{sort}"))?.id;
        let spec = ProgramSpec { name: sort, kind, attach_to, insns: &insns, license: c"Dual MIT/GPL" };
        let program = Program::load(&spec)?;
        let link = match process {
            Some(process) => Link::attach_to_process(&program, kind, process),
            None => Link::attach(&program, kind),
        };
        Ok(link?.iterate()?)
    }

    fn load_as(self, kind: ProgramKind, hook: &str, name: &str, insns: &[Insn]) -> Result<Program> {
        let attach_to = attachment::function(self.btf, self.attachment, hook)?.id;
        Ok(Program::load(&ProgramSpec { name, kind, attach_to, insns, license: c"Dual MIT/GPL" })?)
    }
}

/// The dispatcher of a hook: `bit` is the hook's in a domain's mask.
pub(crate) fn dispatch(
    target: Target<'_>,
    hook: &str,
    bit: u64,
    Maps { threads, presence, .. }: &Maps,
    programs: &Map,
) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("presence", fd(presence)),
        ("groups", GROUP_BITS),
        ("programs", fd(programs)),
        ("hook", bit.cast_signed()),
        ("slots", SLOT_BITS),
    ];
    target.load(hook, "dispatch", &assemble(DISPATCH, &filling))
}

/// The gate.
fn gate(target: Target<'_>, Maps { threads, presence, tokens, counts, .. }: &Maps) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("presence", fd(presence)),
        ("groups", GROUP_BITS),
        ("tokens", fd(tokens)),
        ("counts", fd(counts)),
        ("slots", SLOT_BITS),
        ("option", prctl::GATE.into()),
        ("engine", threads.info().id.into()),
        ("byte", prctl::BYTE.into()),
        ("atomic_flags", offset(target.btf, "struct task_struct", "atomic_flags")?),
        ("cred", offset(target.btf, "struct task_struct", "cred")?),
        ("cap_effective", offset(target.btf, "struct cred", "cap_effective")?),
        ("entered", errno(Answer::Entered)),
        ("eacces", errno(Answer::NotPermitted)),
        ("estale", errno(Answer::Elsewhere)),
        ("eagain", errno(Answer::Full)),
        ("ebusy", errno(Answer::Workers)),
    ];
    let io_uring = match offset(target.btf, "struct task_struct", "io_uring") {
        Ok(offset) => format!("*(u64 *)(r7 + {offset})"),
        // A kernel without io_uring has no workers.
        Err(Error::Btf(error)) if error.is_missing() => "0".to_owned(),
        Err(error) => return Err(error),
    };
    let text = GATE_TEXT.replace("{io_uring}", &io_uring);
    target.load("task_prctl", "gate", &assemble(&text, &filling))
}

/// What passes a domain on to new threads.
fn inherit(target: Target<'_>, Maps { threads, presence, counts, .. }: &Maps) -> Result<Program> {
    let filling = [
        ("threads", fd(threads)),
        ("presence", fd(presence)),
        ("groups", GROUP_BITS),
        ("counts", fd(counts)),
        ("slots", SLOT_BITS),
        ("eagain", errno(Answer::Full)),
    ];
    target.load("task_alloc", "inherit", &assemble(INHERIT, &filling))
}

/// What forgets threads that are gone.
fn release(target: Target<'_>, maps: &Maps, kind: ProgramKind, hook: &str) -> Result<Program> {
    let Maps { threads, presence, counts, .. } = maps;
    let filling = [
        ("threads", fd(threads)),
        ("presence", fd(presence)),
        ("groups", GROUP_BITS),
        ("counts", fd(counts)),
        ("slots", SLOT_BITS),
    ];
    let insns = assemble(RELEASE, &filling);
    target.load_as(kind, hook, "release", &insns)
}

/// Who traces whom, as seen from a hook's argument.
#[derive(Clone, Copy, Debug)]
enum Boundary {
    /// `ptrace_access_check(child)`: the running thread traces the argument.
    Access,
    /// `ptrace_traceme(parent)`: the argument traces the running thread.
    Traceme,
}

/// What keeps threads from tracing their way out.
fn boundary(target: Target<'_>, maps: &Maps, which: Boundary) -> Result<Program> {
    let Maps { threads, lineage, .. } = maps;
    const CURRENT: i64 = 0;
    const ARGUMENT: i64 = 8;
    let (hook, tracer, tracee) = match which {
        Boundary::Access => ("ptrace_access_check", CURRENT, ARGUMENT),
        Boundary::Traceme => ("ptrace_traceme", ARGUMENT, CURRENT),
    };
    let filling =
        [("threads", fd(threads)), ("lineage", fd(lineage)), ("tracer", tracer), ("tracee", tracee)];
    target.load(hook, "boundary", &assemble(BOUNDARY, &filling))
}

/// A program that is attached as long as the engine is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Always {
    /// Of its pin.
    pub name: &'static str,
    kind: ProgramKind,
    load: fn(Target<'_>, &Maps) -> Result<Program>,
}

/// The pin without which there is no engine.
pub(crate) const GATE: &str = "gate";

impl Always {
    /// In the order in which they are attached. The gate is the last: nobody may enter before all else stands.
    ///
    /// `security_task_free` gives nothing that could be modified. Two run around it, so that one does when a
    /// softirq frees a task on a CPU that is inside the other, which is skipped then. A thread that is not made
    /// for want of memory in `security_task_alloc` comes to neither: before its address becomes a thread again
    /// it is forgotten there.
    pub(crate) fn all(attachment: Attachment) -> Vec<Always> {
        let kind = attachment::kind(attachment);
        let release: &[Always] = match attachment {
            Attachment::Lsm => &[Always {
                name: "release",
                kind: ProgramKind::Lsm,
                load: |target, maps| release(target, maps, ProgramKind::Lsm, "task_free"),
            }],
            Attachment::ModifyReturn => &[
                Always {
                    name: "release",
                    kind: ProgramKind::Entry,
                    load: |target, maps| release(target, maps, ProgramKind::Entry, "task_free"),
                },
                Always {
                    name: "release-again",
                    kind: ProgramKind::Exit,
                    load: |target, maps| release(target, maps, ProgramKind::Exit, "task_free"),
                },
                Always {
                    name: "release-before",
                    kind: ProgramKind::Entry,
                    load: |target, maps| release(target, maps, ProgramKind::Entry, "task_alloc"),
                },
            ],
        };
        let access = |target: Target<'_>, maps: &Maps| boundary(target, maps, Boundary::Access);
        let traceme = |target: Target<'_>, maps: &Maps| boundary(target, maps, Boundary::Traceme);
        let mut all = vec![
            Always { name: "access", kind, load: access },
            Always { name: "traceme", kind, load: traceme },
        ];
        all.extend(release);
        all.extend([
            Always { name: "objects", kind, load: guard::objects },
            Always { name: "sysctl", kind: ProgramKind::Sysctl, load: guard::sysctl },
            Always { name: "unlink", kind, load: guard::unlink },
            Always { name: "rmdir", kind, load: guard::rmdir },
            Always { name: "rename", kind, load: guard::rename },
            Always { name: "unmount", kind, load: guard::unmount },
        ]);
        all.push(Always { name: "inherit", kind, load: inherit });
        all.push(Always { name: GATE, kind, load: gate });
        all
    }

    /// Loads and attaches it.
    pub(crate) fn attach(self, target: Target<'_>, maps: &Maps) -> Result<Link> {
        let program = (self.load)(target, maps)?;
        match self.kind {
            ProgramKind::Sysctl => Ok(Link::attach_to_group(&program, self.kind, guard::control_groups()?)?),
            kind => Ok(Link::attach(&program, kind)?),
        }
    }
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
    /// EBUSY.
    Workers,
}

impl Answer {
    pub(crate) fn of(errno: rustix::io::Errno) -> Option<Answer> {
        use Answer::{Elsewhere, Entered, Full, NotPermitted, Workers};
        [Entered, NotPermitted, Elsewhere, Full, Workers].into_iter().find(|answer| answer.errno() == errno)
    }

    fn errno(self) -> rustix::io::Errno {
        use rustix::io::Errno;
        match self {
            Answer::Entered => Errno::REMOTEIO,
            Answer::NotPermitted => Errno::ACCESS,
            Answer::Elsewhere => Errno::STALE,
            Answer::Full => Errno::AGAIN,
            Answer::Workers => Errno::BUSY,
        }
    }
}

fn errno(answer: Answer) -> i64 {
    answer.errno().raw_os_error().into()
}

pub(crate) fn fd(map: &Map) -> i64 {
    map.as_fd().as_raw_fd().into()
}

pub(crate) fn offset(btf: &Btf, aggregate: &str, member: &str) -> Result<i64> {
    offset_of(btf, aggregate, member, 8)
}

/// Where a member of so many bytes is.
pub(crate) fn offset_of(btf: &Btf, aggregate: &str, member: &str, bytes: u32) -> Result<i64> {
    match btf.member(aggregate, member)?.place {
        Place::Bytes { offset, size } if size == bytes => Ok(offset.into()),
        _ => Err(Error::Member { aggregate: aggregate.to_owned(), member: member.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_braces_is_filled() {
        let names = [
            "threads",
            "presence",
            "groups",
            "programs",
            "tokens",
            "hook",
            "option",
            "engine",
            "byte",
            "atomic_flags",
            "cred",
            "cap_effective",
            "i_sb",
            "mnt_sb",
            "s_magic",
            "bpf_fs",
            "kernel",
            "counts",
            "slots",
            "io_uring",
            "lineage",
            "tracer",
            "tracee",
            "objects",
            "places",
            "losses",
            "flags",
        ];
        let errnos = ["entered", "eacces", "estale", "eagain", "ebusy"];
        let filling: Vec<Filling> = names.into_iter().chain(errnos).map(|name| (name, 1)).collect();
        for text in TEXTS {
            assert!(assemble(text, &filling).len() > 5);
        }
    }
}
