// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hook table: the only list of LSM hooks in the project.
//!
//! A row of the table is a [`Hook`]; each of its [`Instance`]s builds one context and runs the rules
//! of one event. Instances of a hook run in order; the first that denies ends the hook. The v7 rows
//! are `spec/landlock-v7.md` section 2; the newer ones reach the same objects by doors that v7's
//! kernel did not have. One instance was added to a v7 row: see [`Asked::IfPositive`].

use crate::abi::{Actions, Event, HandleKind};

/// One LSM hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// The kernel's name, without `security_` or `bpf_lsm_`.
    pub name: &'static str,
    /// Whether v7 had it.
    pub origin: Origin,
    /// What a call of the hook asks the rules, in order.
    pub instances: &'static [Instance],
}

/// Where a row of the table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In v7's table. The kernel may have dropped or renamed it since.
    V7,
    /// Not in v7: a later door to the same objects.
    Newer,
}

/// One question of a hook: an object, an event, and what `arg2` will hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Instance {
    /// The object, as an expression over the hook's argument names.
    pub object: &'static str,
    /// How the object is handed to the rule.
    pub handle: HandleKind,
    /// The event whose rules are asked.
    pub event: Event,
    /// What `arg2` holds.
    pub arg2: Arg2,
    /// When it is asked.
    pub asked: Asked,
}

/// When an [`Instance`] is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// At every call of the hook.
    Always,
    /// Only if the object, a dentry, has an inode (is positive). Not in v7: a rename over an existing file was no
    /// REMOVE of it there, so that a rule against removing could be walked around.
    IfPositive,
}

/// What `arg2` of an [`Instance`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg2 {
    /// Always these actions.
    Actions(Actions),
    /// Actions computed from a `MAY_*` mask, the hook's argument `mask`: see [`may`].
    Mask,
    /// Actions computed from the memory protection: see [`mem`].
    Protection,
    /// The command, as an expression over the hook's argument names; 32 bits, zero-extended.
    Command(&'static str),
}

/// `MAY_*` bits of the kernel's permission masks.
pub mod may_bits {
    #![allow(missing_docs, reason = "the kernel's names")]
    pub const MAY_EXEC: u32 = 0x01;
    pub const MAY_WRITE: u32 = 0x02;
    pub const MAY_READ: u32 = 0x04;
    pub const MAY_APPEND: u32 = 0x08;
    pub const MAY_ACCESS: u32 = 0x10;
    pub const MAY_OPEN: u32 = 0x20;
    pub const MAY_CHDIR: u32 = 0x40;
}

/// Actions of a permission mask. Bits v7 ignored (`MAY_ACCESS`, `MAY_CHDIR`, …) give nothing, so the
/// result may be empty; the rules run all the same.
pub fn may(mask: u32) -> Actions {
    const MAP: [(u32, Actions); 5] = [
        (may_bits::MAY_EXEC, Actions::EXEC),
        (may_bits::MAY_READ, Actions::READ),
        (may_bits::MAY_WRITE, Actions::WRITE),
        (may_bits::MAY_APPEND, Actions::WRITE),
        (may_bits::MAY_OPEN, Actions::GET),
    ];
    MAP.into_iter().filter(|(bit, _)| mask & bit != 0).fold(Actions::empty(), |all, (_, action)| all | action)
}

/// Actions of a mapping's protection (`PROT_*`); a private mapping writes nothing.
pub fn mem(prot: u32, private: bool) -> Actions {
    const PROT_READ: u32 = 1;
    const PROT_WRITE: u32 = 2;
    const PROT_EXEC: u32 = 4;
    let mut actions = Actions::empty();
    actions.set(Actions::READ, prot & PROT_READ != 0);
    actions.set(Actions::WRITE, prot & PROT_WRITE != 0 && !private);
    actions.set(Actions::EXEC, prot & PROT_EXEC != 0);
    actions
}

/// The hook with this name.
pub fn by_name(name: &str) -> Option<&'static Hook> {
    TABLE.iter().find(|hook| hook.name == name)
}

const fn fs(object: &'static str, handle: HandleKind, actions: Actions) -> Instance {
    Instance { object, handle, event: Event::Fs, arg2: Arg2::Actions(actions), asked: Asked::Always }
}

const fn if_positive(instance: Instance) -> Instance {
    Instance { asked: Asked::IfPositive, ..instance }
}

const fn computed(object: &'static str, handle: HandleKind, arg2: Arg2) -> Instance {
    Instance { object, handle, event: Event::Fs, arg2, asked: Asked::Always }
}

const fn command(event: Event, expression: &'static str, object: &'static str) -> Instance {
    let arg2 = Arg2::Command(expression);
    Instance { object, handle: HandleKind::File, event, arg2, asked: Asked::Always }
}

macro_rules! table {
    ($( $name:ident $origin:ident [$($instance:expr),+ $(,)?] )+) => {
        /// Every hook, v7's first and in v7's order.
        pub const TABLE: &[Hook] = &[
            $( Hook { name: stringify!($name), origin: Origin::$origin, instances: &[$($instance),+] } ),+
        ];
    };
}

use HandleKind::{Dentry, File, Inode, Path};

const READ: Actions = Actions::READ;
const WRITE: Actions = Actions::WRITE;
const NEW: Actions = Actions::NEW;
const REMOVE: Actions = Actions::REMOVE;
const GET: Actions = Actions::GET;

table! {
    binder_transfer_file V7 [fs("file", File, READ)]
    sb_statfs V7 [fs("dentry", Dentry, READ)]
    sb_mount V7 [fs("path", Path, WRITE)]
    sb_remount V7 [fs("sb->s_root", Dentry, WRITE)]
    sb_umount V7 [fs("mnt->mnt_root", Dentry, WRITE)]
    sb_pivotroot V7 [fs("old_path", Path, WRITE)]
    inode_create V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, NEW)]
    inode_link V7 [fs("old_dentry", Dentry, READ), fs("dir", Inode, WRITE), fs("new_dentry", Dentry, NEW)]
    inode_unlink V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, REMOVE)]
    inode_symlink V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, NEW)]
    inode_mkdir V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, NEW)]
    inode_rmdir V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, REMOVE)]
    inode_mknod V7 [fs("dir", Inode, WRITE), fs("dentry", Dentry, NEW)]
    inode_rename V7 [
        fs("old_dir", Inode, WRITE),
        fs("old_dentry", Dentry, REMOVE),
        fs("new_dir", Inode, WRITE),
        fs("new_dentry", Dentry, NEW),
        if_positive(fs("new_dentry", Dentry, REMOVE)),
    ]
    inode_readlink V7 [fs("dentry", Dentry, READ)]
    inode_follow_link V7 [fs("dentry", Dentry, READ)]
    inode_permission V7 [computed("inode", Inode, Arg2::Mask)]
    inode_setattr V7 [fs("dentry", Dentry, WRITE)]
    inode_getattr V7 [fs("path", Path, READ)]
    inode_setxattr V7 [fs("dentry", Dentry, WRITE)]
    inode_removexattr V7 [fs("dentry", Dentry, WRITE)]
    inode_getxattr V7 [fs("dentry", Dentry, READ)]
    inode_listxattr V7 [fs("dentry", Dentry, READ)]
    inode_getsecurity V7 [fs("inode", Inode, READ)]
    inode_setsecurity V7 [fs("inode", Inode, WRITE)]
    file_permission V7 [computed("file", File, Arg2::Mask)]
    file_ioctl V7 [fs("file", File, Actions::IOCTL), command(Event::FsIoctl, "cmd", "file")]
    file_lock V7 [fs("file", File, Actions::LOCK), command(Event::FsLock, "cmd", "file")]
    file_fcntl V7 [fs("file", File, Actions::FCNTL), command(Event::FsFcntl, "cmd", "file")]
    mmap_file V7 [computed("file", File, Arg2::Protection)]
    file_mprotect V7 [computed("vma->vm_file", File, Arg2::Protection)]
    file_receive V7 [fs("file", File, GET)]
    file_open V7 [fs("file", File, GET)]

    file_ioctl_compat Newer [fs("file", File, Actions::IOCTL), command(Event::FsIoctl, "cmd", "file")]
    file_truncate Newer [fs("file", File, WRITE)]
    inode_set_acl Newer [fs("dentry", Dentry, WRITE)]
    inode_get_acl Newer [fs("dentry", Dentry, READ)]
    inode_remove_acl Newer [fs("dentry", Dentry, WRITE)]
    inode_file_setattr Newer [fs("dentry", Dentry, WRITE)]
    inode_file_getattr Newer [fs("dentry", Dentry, READ)]
    move_mount Newer [fs("from_path", Path, WRITE), fs("to_path", Path, WRITE)]
    uring_cmd Newer [
        fs("ioucmd->file", File, Actions::IOCTL),
        command(Event::FsIoctl, "ioucmd->cmd_op", "ioucmd->file"),
    ]
}
