// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls the daemon makes. All others fail.

use std::collections::BTreeMap;

use anyhow::Result;
use landlock_bpf::Command;
use libc::{c_long, *};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Whatever their arguments are.
const CALLS: &[c_long] = &[
    // Clients.
    SYS_accept4,
    SYS_poll,
    SYS_ppoll,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_getsockopt,
    SYS_eventfd2,
    // Descriptors.
    SYS_read,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_fcntl,
    SYS_fstat,
    SYS_lseek,
    SYS_flock,
    // Pins, types, and what a descriptor is of; mainline Landlock says where.
    SYS_openat,
    SYS_newfstatat,
    SYS_statx,
    SYS_fstatfs,
    SYS_getdents64,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    // Memory.
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    // Threads, and their time.
    SYS_clone3,
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_gettid,
    SYS_getpid,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_restart_syscall,
    SYS_getrandom,
    SYS_uname,
    SYS_exit,
    SYS_exit_group,
];

/// Whether the daemon makes a command of bpf(2): all for maps and their elements, programs, pins, descriptions, types and
/// links that what it uses knows. One that is new there is to be decided upon here, or nothing compiles.
const fn is_ours(command: Command) -> bool {
    use Command::*;
    match command {
        MapCreate | MapLookupElem | MapUpdateElem | MapDeleteElem | MapGetNextKey | MapFreeze
        | MapLookupBatch | ProgLoad | ObjPin | ObjGet | ObjGetInfoByFd | BtfLoad | LinkCreate
        | IterCreate => true,
        // They take CAP_SYS_ADMIN.
        ProgGetNextId | MapGetNextId | ProgGetFdById | MapGetFdById | LinkGetFdById | LinkGetNextId => false,
    }
}

/// A thread of the same process, and nothing else that clone(2) makes.
const THREAD: u64 = (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND) as u64;

const EPERM_: u32 = EPERM as u32;
const ENOSYS_: u32 = ENOSYS as u32;

/// Lets no other call through, on this thread and those it starts.
pub fn restrict() -> Result<()> {
    // Its flags are in memory, where no filter sees them; without it libraries take clone(2).
    install([(SYS_clone3, Vec::new())].into(), SeccompAction::Allow, SeccompAction::Errno(ENOSYS_))?;
    let mut allowed: BTreeMap<c_long, Vec<SeccompRule>> =
        CALLS.iter().map(|&call| (call, Vec::new())).collect();
    let commands = Command::ALL.into_iter().filter(|&command| is_ours(command));
    allowed.insert(SYS_bpf, commands.map(|command| equal(0, command as u64)).collect::<Result<_>>()?);
    allowed.insert(SYS_clone, vec![masked(0, THREAD)?]);
    allowed.insert(SYS_prctl, vec![equal(0, PR_SET_NAME as u64)?]);
    // How a panic that is not caught ends the process.
    let ourselves = std::process::id().into();
    allowed.insert(SYS_tgkill, vec![equal(0, ourselves)?]);
    install(allowed, SeccompAction::Errno(EPERM_), SeccompAction::Allow)
}

fn install(
    calls: BTreeMap<c_long, Vec<SeccompRule>>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<()> {
    let program: BpfProgram = SeccompFilter::new(calls, others, these, TargetArch::x86_64)?.try_into()?;
    Ok(apply_filter(&program)?)
}

fn equal(argument: u8, value: u64) -> Result<SeccompRule> {
    one(argument, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, bits: u64) -> Result<SeccompRule> {
    one(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

fn one(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}
