// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs: loading, with the verifier's log when it says no, and what the kernel says of loaded ones.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use landlock_compiler::insn::Insn;
use rustix::io::Errno;

use crate::btf::{Builder, LoadedBtf, TypeId};
use crate::error::{Command, Error, Result};
use crate::object::{self, Kind};
use crate::pin::Folder;
use crate::sys;

/// First and last size of the buffer for the verifier's log, in bytes. The last is the kernel's limit.
const LOG_SIZE: usize = 1 << 18;
const LOG_SIZE_MAX: usize = (u32::MAX >> 2) as usize;

/// How often a program is loaded before the answer that it should be tried again stands.
const ATTEMPTS: u32 = 10;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// Runs at an LSM hook, `BPF_LSM_MAC`; attaches to the BTF function `bpf_lsm_<hook>`.
    Lsm,
    /// Runs before a function and may replace its result, `BPF_MODIFY_RETURN`; for hooks, attaches to
    /// `security_<hook>`.
    ModifyReturn,
    /// Runs before a function and changes nothing of it, `BPF_TRACE_FENTRY`.
    Entry,
    /// Runs after a function and changes nothing of it, `BPF_TRACE_FEXIT`.
    Exit,
    /// Runs over all objects of a sort when asked to, `BPF_TRACE_ITER`; attaches to `bpf_iter_<sort>`.
    Iterator,
    /// Runs at every use of a file of `/proc/sys` by threads in a control group, `BPF_CGROUP_SYSCTL`; attaches to
    /// no function (type 0) but to the group.
    Sysctl,
}

impl ProgramKind {
    const BPF_PROG_TYPE_CGROUP_SYSCTL: u32 = 23;
    const BPF_PROG_TYPE_TRACING: u32 = 26;
    const BPF_PROG_TYPE_LSM: u32 = 29;
    const BPF_CGROUP_SYSCTL: u32 = 18;
    const BPF_TRACE_FENTRY: u32 = 24;
    const BPF_TRACE_FEXIT: u32 = 25;
    const BPF_MODIFY_RETURN: u32 = 26;
    const BPF_LSM_MAC: u32 = 27;
    const BPF_TRACE_ITER: u32 = 28;

    pub(crate) fn program_type(self) -> u32 {
        match self {
            ProgramKind::Lsm => Self::BPF_PROG_TYPE_LSM,
            ProgramKind::ModifyReturn | ProgramKind::Entry | ProgramKind::Exit | ProgramKind::Iterator => {
                Self::BPF_PROG_TYPE_TRACING
            }
            ProgramKind::Sysctl => Self::BPF_PROG_TYPE_CGROUP_SYSCTL,
        }
    }

    pub(crate) fn attach_type(self) -> u32 {
        match self {
            ProgramKind::Lsm => Self::BPF_LSM_MAC,
            ProgramKind::ModifyReturn => Self::BPF_MODIFY_RETURN,
            ProgramKind::Entry => Self::BPF_TRACE_FENTRY,
            ProgramKind::Exit => Self::BPF_TRACE_FEXIT,
            ProgramKind::Iterator => Self::BPF_TRACE_ITER,
            ProgramKind::Sysctl => Self::BPF_CGROUP_SYSCTL,
        }
    }
}

/// A program to load.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSpec<'a> {
    /// At most 15 letters, digits, `_` and `.`.
    pub name: &'a str,
    /// What it is for.
    pub kind: ProgramKind,
    /// The BTF function of the running kernel it attaches to.
    pub attach_to: TypeId,
    /// Instructions; maps are referred to by descriptor, as [`map_reference`] has it.
    pub insns: &'a [Insn],
    /// The licence; all kinds need one compatible with the GPL, such as "Dual MIT/GPL".
    pub license: &'a CStr,
}

/// A loaded program.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
}

/// What the kernel says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The kernel's id for it, not reused soon.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// A hash of its instructions.
    pub tag: [u8; 8],
    /// How often it was skipped because it was running already on the same CPU.
    pub recursion_misses: u64,
    /// Instructions the verifier looked at.
    pub verified_insns: u32,
    /// Bytes of machine code; 0 if not compiled, or if the caller may not know.
    pub machine_code_size: u32,
    /// The BTF function it attaches to.
    pub attach_to: TypeId,
}

impl Program {
    /// Loads a program. Refused: [`Error::Rejected`] with all the verifier said.
    pub fn load(spec: &ProgramSpec<'_>) -> Result<Program> {
        Program::load_typed(spec, 0, &[])
    }

    /// The same of a program with functions that helpers call, which the kernel wants to know the types of: `starts` has
    /// the first instruction of each function, the one it begins with included.
    pub fn load_with_functions(spec: &ProgramSpec<'_>, starts: &[usize]) -> Result<Program> {
        let mut types = Builder::default();
        let number = types.unsigned("int", 4);
        let function = types.function("f", number);
        let types = LoadedBtf::load(&types.finish())?;
        let start = |start: &usize| [u32::try_from(*start).unwrap_or(u32::MAX), function.0];
        let functions: Vec<[u32; 2]> = starts.iter().map(start).collect();
        Program::load_typed(spec, types.as_fd().as_raw_fd().unsigned_abs(), &functions)
    }

    fn load_typed(spec: &ProgramSpec<'_>, prog_btf_fd: u32, functions: &[[u32; 2]]) -> Result<Program> {
        let attributes = sys::ProgLoad {
            prog_type: spec.kind.program_type(),
            prog_name: object::name_bytes(spec.name)?,
            expected_attach_type: spec.kind.attach_type(),
            attach_btf_id: spec.attach_to.0,
            prog_btf_fd,
            ..sys::ProgLoad::default()
        };
        let insns: Vec<_> = spec.insns.iter().map(|insn| insn.encode()).collect();
        let code = (insns.as_slice(), functions);
        // The log costs the verifier time, so it is asked for only once it is known to be needed.
        match load(attributes, code, spec, &mut []) {
            Ok(fd) => Ok(Program { fd }),
            Err(errno) => Err(explain(attributes, code, spec, errno)),
        }
    }

    /// Asks the kernel about the program.
    pub fn info(&self) -> Result<ProgramInfo> {
        let info: sys::ProgInfo = sys::obj_info(self.as_fd()).map_err(|errno| self.refused(errno))?;
        Ok(ProgramInfo {
            id: info.id,
            name: object::name_of(&info.name),
            tag: info.tag,
            recursion_misses: info.recursion_misses,
            verified_insns: info.verified_insns,
            machine_code_size: info.jited_prog_len,
            attach_to: TypeId(info.attach_btf_id),
        })
    }

    /// Opens a living program by its id; none if there is no such program any more.
    pub fn open(id: u32) -> Result<Option<Program>> {
        Ok(Kind::Program.open(id)?.map(|fd| Program { fd }))
    }

    /// Opens a pinned program.
    pub fn from_pin(folder: &Folder, name: &str) -> Result<Program> {
        Ok(Program { fd: Kind::Program.check(folder.get(name)?, &format!("pin {name}"))? })
    }

    fn refused(&self, errno: Errno) -> Error {
        Error::Refused { command: Command::ObjGetInfoByFd, object: "a program".to_owned(), errno }
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Instructions, and for each function where it starts and its type.
type Code<'a> = (&'a [[u8; 8]], &'a [[u32; 2]]);

/// The verifier stops when a signal comes, and says that one should try again.
fn load(
    attributes: sys::ProgLoad,
    code: Code<'_>,
    spec: &ProgramSpec<'_>,
    log: &mut [u8],
) -> std::result::Result<OwnedFd, Errno> {
    for _ in 1..ATTEMPTS {
        match sys::prog_load(attributes, code, spec.license, log) {
            Err(Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    sys::prog_load(attributes, code, spec.license, log)
}

/// Loads again, for the log. Should it succeed now, the first answer stands: nothing is loaded.
fn explain(attributes: sys::ProgLoad, code: Code<'_>, spec: &ProgramSpec<'_>, errno: Errno) -> Error {
    let mut size = LOG_SIZE;
    let log = loop {
        let mut log = vec![0; size];
        match load(attributes, code, spec, &mut log) {
            Err(Errno::NOSPC) if size < LOG_SIZE_MAX => size = (size * 8).min(LOG_SIZE_MAX),
            _ => break log,
        }
    };
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]).into_owned();
    Error::Rejected { name: spec.name.to_owned(), errno, log }
}

/// The two instructions that load a reference to a map into a register.
pub fn map_reference(register: u8, map: BorrowedFd<'_>) -> [Insn; 2] {
    const LOAD_64_IMMEDIATE: u8 = 0x18;
    const BPF_PSEUDO_MAP_FD: u8 = 1;
    let imm = map.as_raw_fd();
    let first = Insn { code: LOAD_64_IMMEDIATE, dst: register, src: BPF_PSEUDO_MAP_FD, off: 0, imm };
    [first, Insn::default()]
}

/// The two instructions that load the address of a byte within the first value of an array map.
pub fn value_reference(register: u8, map: BorrowedFd<'_>, offset: i32) -> [Insn; 2] {
    const BPF_PSEUDO_MAP_VALUE: u8 = 2;
    let [first, second] = map_reference(register, map);
    [Insn { src: BPF_PSEUDO_MAP_VALUE, ..first }, Insn { imm: offset, ..second }]
}
