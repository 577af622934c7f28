// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers and layouts of ABI 1, Landlock v7 (August 2017); those that ABI 2 adds are in [`handles`] and
//! [`hook`].
//!
//! They are what `<landlock/rule.h>` gives to rule authors; the two are compared by a test.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

pub mod handles;
pub mod hook;

/// `BPF_PROG_TYPE_LANDLOCK_RULE`: the program type of a rule in v7's `bpf(2)` interface.
pub const PROG_TYPE_LANDLOCK_RULE: u32 = 15;
/// The newest Landlock ABI that rules may ask for (`LANDLOCK_ABI`): 1 is Landlock v7, 2 adds the RFC v2 of
/// August 2016.
pub const ABI: u32 = 2;
/// Most instructions a rule may have (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;
/// What `arch` is for a system call of x86-64.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Bytes of stack a rule may use, below `r10`.
pub const STACK_SIZE: usize = 512;

/// What a rule is tied to (`enum landlock_subtype_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Event {
    /// Any action on the file system; `arg2` holds [`Actions`].
    Fs = 1,
    /// An ioctl; `arg2` holds the request.
    FsIoctl = 2,
    /// A lock; `arg2` holds the lock type (`F_RDLCK`, `F_WRLCK`, `F_UNLCK`).
    FsLock = 3,
    /// An fcntl; `arg2` holds the command.
    FsFcntl = 4,
    /// A file is opened. This and what follows are the RFC's hooks, under the numbers of its program types; their
    /// context is [`hook`]'s, and they are of ABI 2.
    FileOpen = 6,
    /// An open file is read or written.
    FilePermission = 7,
    /// A file, or nothing but memory, is mapped.
    MmapFile = 8,
}

impl Event {
    /// Every event, in numeric order.
    pub const ALL: [Event; 7] = [
        Event::Fs,
        Event::FsIoctl,
        Event::FsLock,
        Event::FsFcntl,
        Event::FileOpen,
        Event::FilePermission,
        Event::MmapFile,
    ];
    /// Those whose rules see `struct landlock_context`.
    pub const FILE_SYSTEM: [Event; 4] = [Event::Fs, Event::FsIoctl, Event::FsLock, Event::FsFcntl];
    /// Those whose rules see `struct landlock_data`, once for each cookie.
    pub const HOOKS: [Event; 3] = [Event::FileOpen, Event::FilePermission, Event::MmapFile];

    /// The event with this number, if there is one.
    pub fn from_u32(number: u32) -> Option<Event> {
        Event::ALL.into_iter().find(|event| *event as u32 == number)
    }

    /// The name without `LANDLOCK_SUBTYPE_EVENT_`, as users type it.
    pub fn name(self) -> &'static str {
        match self {
            Event::Fs => "FS",
            Event::FsIoctl => "FS_IOCTL",
            Event::FsLock => "FS_LOCK",
            Event::FsFcntl => "FS_FCNTL",
            Event::FileOpen => "FILE_OPEN",
            Event::FilePermission => "FILE_PERMISSION",
            Event::MmapFile => "MMAP_FILE",
        }
    }

    /// Whether it is one of [`Event::HOOKS`].
    pub fn is_hook(self) -> bool {
        Event::HOOKS.contains(&self)
    }

    /// The lowest ABI that has it.
    pub fn abi(self) -> u32 {
        if self.is_hook() { 2 } else { 1 }
    }
}

bitflags! {
    /// Action bits of the FS event (`LANDLOCK_ACTION_FS_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Actions: u64 {
        /// Execute a file, or walk through a directory.
        const EXEC = 1 << 0;
        /// Modify a file, or a directory's view (mounting included).
        const WRITE = 1 << 1;
        /// Read a file or a directory.
        const READ = 1 << 2;
        /// Create a file or a directory.
        const NEW = 1 << 3;
        /// Open or receive a file.
        const GET = 1 << 4;
        /// Unlink a file or remove a directory.
        const REMOVE = 1 << 5;
        /// An ioctl happens; its request is seen by [`Event::FsIoctl`] only.
        const IOCTL = 1 << 6;
        /// A lock is taken or released; its type is seen by [`Event::FsLock`] only.
        const LOCK = 1 << 7;
        /// An fcntl happens; its command is seen by [`Event::FsFcntl`] only.
        const FCNTL = 1 << 8;
    }
}

bitflags! {
    /// Abilities a rule may declare (`LANDLOCK_SUBTYPE_ABILITY_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Abilities: u64 {
        /// May call the debug helpers; the loader needs CAP_SYS_ADMIN.
        const DEBUG = 1 << 0;
    }
}

/// The kind of kernel object behind a handle (`enum bpf_handle_fs_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandleKind {
    /// An open file.
    File,
    /// An inode.
    Inode,
    /// A path: a mount and a dentry.
    Path,
    /// A dentry; a negative one (NEW) has no inode, hence no mode.
    Dentry,
}

/// Byte offsets of the fields of `struct landlock_context`; all are u64.
pub mod context {
    /// Always 0 in ABI 1.
    pub const STATUS: i16 = 0;
    /// The event the run is for.
    pub const EVENT: i16 = 8;
    /// The handle: opaque, an 8-byte load only.
    pub const ARG1: i16 = 16;
    /// Action bits, or the command of a sub-event.
    pub const ARG2: i16 = 24;
    /// `AUDIT_ARCH_*` of the running syscall.
    pub const ARCH: i16 = 32;
    /// Number of the running syscall in that architecture.
    pub const SYSCALL_NR: i16 = 40;
    /// Size of the whole context in bytes.
    pub const SIZE: i16 = 48;
}

/// Helper functions a rule may call, by number.
pub mod helper {
    /// `bpf_trace_printk(fmt, size, a, b, c)`.
    pub const TRACE_PRINTK: i32 = 6;
    /// `bpf_get_current_pid_tgid()`: tgid in the high 32 bits.
    pub const GET_CURRENT_PID_TGID: i32 = 14;
    /// `bpf_get_current_uid_gid()`: gid in the high 32 bits.
    pub const GET_CURRENT_UID_GID: i32 = 15;
    /// `bpf_get_current_comm(buf, size)`.
    pub const GET_CURRENT_COMM: i32 = 16;
    /// `bpf_landlock_cmp_fs_prop(properties, handles, op, object)`: 0 if one handle has all these
    /// [`Properties`](super::handles::Properties) in common with the object, else 1. Of ABI 2, as the next two.
    pub const CMP_FS_PROP: i32 = 31;
    /// `bpf_landlock_cmp_fs_beneath(options, handles, op, object)`: 0 if the object is a handle's or beneath it.
    pub const CMP_FS_BENEATH: i32 = 32;
    /// `bpf_landlock_cmp_cgroup_beneath(options, handles, op)`: 0 if the caller is in a handle's cgroup, or beneath.
    pub const CMP_CGROUP_BENEATH: i32 = 33;
    /// `bpf_handle_fs_get_mode(handle)`: `st_mode`, or `-ENOENT`.
    pub const HANDLE_FS_GET_MODE: i32 = 54;
}

/// `union bpf_prog_subtype`, member `landlock_rule`: what a rule declares about itself.
///
/// Raw: the verifier says whether the numbers are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subtype {
    /// Lowest ABI the rule needs.
    pub abi: u32,
    /// Number of an [`Event`].
    pub event: u32,
    /// Bits of [`Abilities`].
    pub ability: u64,
    /// Must be 0.
    pub option: u64,
}

impl Subtype {
    /// Bytes of the union: two u32, two u64.
    pub const SIZE: usize = 24;
}
