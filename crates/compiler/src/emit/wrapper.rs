// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `security_<hook>` does before it calls `bpf_lsm_<hook>`. A program that runs in its place does the
//! same, so that rules are asked the same questions whichever way programs are attached.
//!
//! * Inodes of the kernel's own, called private, are nobody's business, nor were they in v7.
//! * An exchange of names is two renames; the other way round is asked first.
//! * A mapping that is asked to be readable is executable as well in a task whose personality says so. The
//!   kernel makes an exception for file systems mounted `noexec`; here there is none, which denies more.
//!
//! All other functions hand their arguments on as they are.

use super::actions;
use super::code::{Code, Label};
use super::object::{self, Arguments};
use super::{Attachment, EmitError, Member};
use crate::abi::HandleKind;
use crate::hooks::Hook;
use crate::op::{AluOp, CompareOp, Reg, Size, Width};

const S_PRIVATE: i32 = 1 << 9;
const RENAME_EXCHANGE: i32 = 1 << 1;
const READ_IMPLIES_EXEC: i32 = 0x0040_0000;
const PROT_READ: i32 = 1;
/// Makes `PROT_EXEC` of `PROT_READ`.
const READ_TO_EXEC: i32 = 2;

/// The objects that end the call if their inodes are private.
pub(super) fn private(hook: &Hook) -> &'static [(&'static str, HandleKind)] {
    use HandleKind::{Dentry, Inode, Path};
    match hook.name {
        "inode_create" | "inode_symlink" | "inode_mkdir" | "inode_mknod" => &[("dir", Inode)],
        "inode_link" => &[("old_dentry", Dentry)],
        "inode_rename" => &[("old_dentry", Dentry), ("new_dentry", Dentry)],
        "inode_follow_link" | "inode_permission" | "inode_getsecurity" | "inode_setsecurity" => {
            &[("inode", Inode)]
        }
        "inode_getattr" => &[("path", Path)],
        "inode_unlink" | "inode_rmdir" | "inode_readlink" | "inode_setattr" | "inode_setxattr"
        | "inode_removexattr" | "inode_getxattr" | "inode_listxattr" | "inode_set_acl" | "inode_get_acl"
        | "inode_remove_acl" => &[("dentry", Dentry)],
        _ => &[],
    }
}

/// Goes to `allow` if the inode of such an object is private.
pub(super) fn unless_private(
    code: &mut Code,
    arguments: Arguments<'_>,
    hook: &Hook,
    allow: Label,
) -> Result<(), EmitError> {
    for (expression, handle) in private(hook) {
        let next = code.label();
        arguments.follow(code, expression, next)?;
        object::unless_null(code, next);
        arguments.inode(code, *handle, next)?;
        arguments.member(code, Member::InodeFlags)?;
        code.branch(CompareOp::Set, Width::W32, Reg::R1, S_PRIVATE, allow);
        code.place(next);
    }
    Ok(())
}

/// The argument names as the other call has them, where one call of the function may make two.
pub(super) fn exchanged(hook: &Hook, names: &[String]) -> Option<Vec<String>> {
    let other = |name: &String| match name.as_str() {
        "old_dir" => "new_dir".to_owned(),
        "old_dentry" => "new_dentry".to_owned(),
        "new_dir" => "old_dir".to_owned(),
        "new_dentry" => "old_dentry".to_owned(),
        _ => name.clone(),
    };
    (hook.name == "inode_rename").then(|| names.iter().map(other).collect())
}

/// Goes to `once` if it makes only one.
pub(super) fn unless_exchange(
    code: &mut Code,
    arguments: Arguments<'_>,
    once: Label,
) -> Result<(), EmitError> {
    arguments.follow(code, "flags", once)?;
    code.alu(AluOp::And, Reg::R1, RENAME_EXCHANGE);
    code.branch(CompareOp::Eq, Width::W32, Reg::R1, 0, once);
    Ok(())
}

/// Whether the protection is as asked for, and not yet as it will be.
pub(super) fn implies_protection(arguments: Arguments<'_>) -> bool {
    arguments.layout.attachment == Attachment::ModifyReturn && arguments.hook == "mmap_file"
}

/// Adds to the protection in `r1` what the personality of the task does. Clobbers `r0` to `r5` and `r9`.
pub(super) fn implied_protection(code: &mut Code, arguments: Arguments<'_>) -> Result<(), EmitError> {
    let as_asked = code.label();
    code.set(Reg::R9, Reg::R1);
    code.helper(actions::GET_CURRENT_TASK_BTF);
    code.load(Size::Word, Reg::R2, Reg::R0, arguments.layout.offset(Member::TaskPersonality)?);
    code.alu(AluOp::And, Reg::R2, READ_IMPLIES_EXEC);
    code.set(Reg::R1, Reg::R9);
    code.branch(CompareOp::Eq, Width::W32, Reg::R2, 0, as_asked);
    code.alu(AluOp::And, Reg::R9, PROT_READ);
    code.alu(AluOp::Lsh, Reg::R9, READ_TO_EXEC);
    code.alu(AluOp::Or, Reg::R1, Reg::R9);
    code.place(as_asked);
    Ok(())
}
