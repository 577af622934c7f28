// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program has to know of the kernel it will run in, as plain data.
//!
//! Filled from the running kernel's BTF by whoever loads the programs; kept on file for tests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EmitError;
use crate::op::Size;

/// Which functions of the kernel programs run at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attachment {
    /// `bpf_lsm_<hook>`, which the kernel calls for each question at the hook.
    #[default]
    Lsm,
    /// `security_<hook>`, which makes those calls: programs run before it and stand in for it, see `wrapper`.
    ModifyReturn,
}

impl Attachment {
    /// The name of the function for a hook.
    pub fn function(self, hook: &str) -> String {
        let prefix = match self {
            Attachment::Lsm => "bpf_lsm_",
            Attachment::ModifyReturn => "security_",
        };
        format!("{prefix}{hook}")
    }
}

/// Argument lists of hooks and places of members. What a kernel does not have is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Whose arguments they are.
    pub attachment: Attachment,
    /// For each hook of the table that the kernel has, the names of its arguments in order.
    pub hooks: BTreeMap<String, Vec<String>>,
    /// Byte offsets, of members that have the expected size.
    pub members: BTreeMap<Member, i16>,
}

macro_rules! members {
    ($($(#[$doc:meta])* $name:ident $aggregate:literal $path:literal $size:ident)+) => {
        /// A member of a structure of the kernel that programs read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Member { $($(#[$doc])* $name),+ }

        impl Member {
            /// All of them.
            pub const ALL: &[Member] = &[$(Member::$name),+];

            /// The structure, as C writes it.
            pub fn aggregate(self) -> &'static str {
                match self { $(Member::$name => $aggregate),+ }
            }

            /// The names that lead to it within the structure, separated by dots.
            pub fn path(self) -> &'static str {
                match self { $(Member::$name => $path),+ }
            }

            /// How much is read of it: all.
            pub fn size(self) -> Size {
                match self { $(Member::$name => Size::$size),+ }
            }
        }
    };
}

members! {
    /// The inode of an open file.
    FileInode "struct file" "f_inode" Double
    /// Type and permissions.
    InodeMode "struct inode" "i_mode" Half
    /// `S_*` flags.
    InodeFlags "struct inode" "i_flags" Word
    /// The dentry of a path.
    PathDentry "struct path" "dentry" Double
    /// The inode of a dentry; NULL for a negative one.
    DentryInode "struct dentry" "d_inode" Double
    /// The root of a file system.
    SuperBlockRoot "struct super_block" "s_root" Double
    /// Which kind of file system it is.
    SuperBlockMagic "struct super_block" "s_magic" Double
    /// The root of a mount.
    MountRoot "struct vfsmount" "mnt_root" Double
    /// Its file system.
    MountSuper "struct vfsmount" "mnt_sb" Double
    /// The root again, from the start of what is around it.
    MountOwnRoot "struct mount" "mnt.mnt_root" Double
    /// The mount it is mounted on; itself, if on none.
    MountParent "struct mount" "mnt_parent" Double
    /// And where.
    MountPoint "struct mount" "mnt_mountpoint" Double
    /// The mount namespace it is in.
    MountNamespace "struct mount" "mnt_ns" Double
    /// The namespaces of a task.
    TaskNamespaces "struct task_struct" "nsproxy" Double
    /// The one of its mounts.
    NamespacesMount "struct nsproxy" "mnt_ns" Double
    /// The dentry of an open file.
    FileDentry "struct file" "f_path.dentry" Double
    /// The mount it was opened through.
    FileMount "struct file" "f_path.mnt" Double
    /// The mount of a path.
    PathMount "struct path" "mnt" Double
    /// The directory a dentry is in; itself, if it is a root.
    DentryParent "struct dentry" "d_parent" Double
    /// 0 if it cannot be found by its name, as what was deleted.
    DentryHashed "struct dentry" "d_hash.pprev" Double
    /// The file system of a dentry.
    DentrySuper "struct dentry" "d_sb" Double
    /// The number of an inode.
    InodeNumber "struct inode" "i_ino" Double
    /// The file a mapping is of; NULL for an anonymous one.
    VmaFile "struct vm_area_struct" "vm_file" Double
    /// `VM_*` flags of a mapping.
    VmaFlags "struct vm_area_struct" "vm_flags" Double
    /// The file an io_uring command is for.
    UringFile "struct io_uring_cmd" "file" Double
    /// The operation an io_uring command asks for.
    UringOperation "struct io_uring_cmd" "cmd_op" Word
    /// `PF_*` flags of a task.
    TaskFlags "struct task_struct" "flags" Word
    /// Execution domain of a task, with its flags.
    TaskPersonality "struct task_struct" "personality" Word
    /// `TS_*` flags of a task on x86: whether the syscall is a 32-bit one.
    TaskStatus "struct task_struct" "thread_info.status" Word
    /// Number of the syscall a task on x86 is in.
    SyscallNumber "struct pt_regs" "orig_ax" Double
    /// Where that syscall was called from; then what may hold its arguments.
    RegisterIp "struct pt_regs" "ip" Double
    /// See above.
    RegisterBx "struct pt_regs" "bx" Double
    /// See above.
    RegisterCx "struct pt_regs" "cx" Double
    /// See above.
    RegisterDx "struct pt_regs" "dx" Double
    /// See above.
    RegisterSi "struct pt_regs" "si" Double
    /// See above.
    RegisterDi "struct pt_regs" "di" Double
    /// See above.
    RegisterBp "struct pt_regs" "bp" Double
    /// See above.
    Register8 "struct pt_regs" "r8" Double
    /// See above.
    Register9 "struct pt_regs" "r9" Double
    /// See above.
    Register10 "struct pt_regs" "r10" Double
}

impl Layout {
    /// The argument names of a hook.
    pub(super) fn arguments(&self, hook: &'static str) -> Result<&[String], EmitError> {
        self.hooks.get(hook).map(Vec::as_slice).ok_or(EmitError::NoHook { hook })
    }

    /// Where a member is.
    pub(super) fn offset(&self, member: Member) -> Result<i16, EmitError> {
        self.members.get(&member).copied().ok_or(EmitError::NoMember { member })
    }
}
