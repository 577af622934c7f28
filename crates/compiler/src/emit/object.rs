// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a hook's arguments to numbers and objects, and from an object to its mode.
//!
//! The kernel's verifier takes some pointers for never NULL that are NULL now and then, and drops tests
//! of them; a load through one then takes the kernel down. So what is tested is a copy that has been
//! through a byte swap to the machine's own order, which changes nothing and makes a plain number of it.
//! Where the verifier rather wants to see the pointer itself tested, that is done as well.

use super::code::{Code, Label};
use super::{CONTEXT, EmitError, Layout, Member, compare};
use crate::abi::HandleKind;
use crate::map::Map;
use crate::op::{AluOp, CompareOp, Op, Reg, Size, Width};

/// Holds the hook's arguments all along.
pub(super) const ARGUMENTS: Reg = Reg::R6;
const ENOENT: i32 = 2;

/// A hook's arguments by name.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a> {
    pub hook: &'static str,
    pub names: &'a [String],
    pub layout: &'a Layout,
    /// The domain's.
    pub maps: &'a [&'a Map],
}

impl Arguments<'_> {
    /// Offset of an argument. The kernel's annotations (`file__nullable`) are not part of its name.
    fn offset(&self, name: &'static str) -> Result<i16, EmitError> {
        let bare = |name: &str| name.split("__").next().unwrap_or_default().to_owned();
        let position = self.names.iter().position(|theirs| bare(theirs) == name);
        let offset = position.and_then(|position| i16::try_from(position * 8).ok());
        let has = || self.names.join(", ");
        offset.ok_or_else(|| EmitError::NoArgument { hook: self.hook, argument: name, has: has() })
    }

    /// Puts what an expression over the arguments says (`vma->vm_file`) into `r1`; clobbers `r2`. A NULL on
    /// the way goes to `null`; the result may be NULL itself.
    pub fn follow(&self, code: &mut Code, expression: &'static str, null: Label) -> Result<(), EmitError> {
        let mut parts = expression.split("->");
        let argument = self.offset(parts.next().unwrap_or_default())?;
        code.load(Size::Double, Reg::R1, ARGUMENTS, argument);
        for step in parts {
            let member = step_of(step, expression)?;
            unless_null(code, null);
            self.member(code, member)?;
        }
        Ok(())
    }

    /// Whether the hook has such an argument.
    pub fn has(&self, name: &'static str) -> bool {
        self.offset(name).is_ok()
    }

    /// `r1 = r1->member`.
    pub fn member(&self, code: &mut Code, member: Member) -> Result<(), EmitError> {
        code.load(member.size(), Reg::R1, Reg::R1, self.layout.offset(member)?);
        Ok(())
    }

    /// From the object in `r1`, which is not NULL, to its inode, or to `absent` if it has none. Clobbers `r2`.
    /// Whether anything leads to `absent`: an inode is its own.
    pub fn inode(&self, code: &mut Code, handle: HandleKind, absent: Label) -> Result<bool, EmitError> {
        let way: &[Member] = match handle {
            HandleKind::File => &[Member::FileInode],
            HandleKind::Inode => &[],
            HandleKind::Path => &[Member::PathDentry, Member::DentryInode],
            HandleKind::Dentry => &[Member::DentryInode],
        };
        for step in way {
            self.member(code, *step)?;
            unless_null(code, absent);
        }
        Ok(!way.is_empty())
    }

    /// Puts down the dentry and the mount of an object, as numbers, for comparisons; 0 where there is none. Clobbers
    /// `r1` to `r3`.
    pub fn relations(
        &self,
        code: &mut Code,
        expression: &'static str,
        handle: HandleKind,
    ) -> Result<(), EmitError> {
        let Some(name) = name(handle) else { return Ok(()) };
        let none = code.label();
        code.store(Size::Double, Reg::R10, compare::ARGUMENTS, ARGUMENTS);
        for place in [compare::DENTRY, compare::MOUNT] {
            code.set(Reg::R1, 0);
            code.forget(Reg::R1);
            code.store(Size::Double, Reg::R10, place, Reg::R1);
        }
        self.follow(code, expression, none)?;
        unless_null(code, none);
        code.set(Reg::R3, Reg::R1);
        for (place, member) in [compare::DENTRY, compare::MOUNT].into_iter().zip(name) {
            code.set(Reg::R1, Reg::R3);
            self.member(code, member)?;
            code.forget(Reg::R1);
            code.store(Size::Double, Reg::R10, place, Reg::R1);
        }
        code.place(none);
        Ok(())
    }

    /// Puts the mode of the object in `r1`, which is not NULL, into the context's handle: the mode, or
    /// -ENOENT where there is no inode. Clobbers `r1` and `r2`.
    pub fn mode(&self, code: &mut Code, handle: HandleKind) -> Result<(), EmitError> {
        let (absent, done) = (code.label(), code.label());
        let may_be_absent = self.inode(code, handle, absent)?;
        self.member(code, Member::InodeMode)?;
        // The kernel refuses code that nothing leads to.
        if may_be_absent {
            code.jump(done);
            code.place(absent);
            code.set(Reg::R1, -ENOENT);
            code.place(done);
            code.forget(Reg::R1);
        }
        code.store(Size::Double, Reg::R10, CONTEXT + crate::abi::context::ARG1, Reg::R1);
        Ok(())
    }
}

/// From an object to its dentry and its mount, if it has them.
pub(super) fn name(handle: HandleKind) -> Option<[Member; 2]> {
    match handle {
        HandleKind::File => Some([Member::FileDentry, Member::FileMount]),
        HandleKind::Path => Some([Member::PathDentry, Member::PathMount]),
        HandleKind::Dentry | HandleKind::Inode => None,
    }
}

/// Goes to `null` if `r1` is NULL; clobbers `r2`.
pub(super) fn unless_null(code: &mut Code, null: Label) {
    number(code);
    code.branch(CompareOp::Eq, Width::W64, Reg::R2, 0, null);
    code.branch(CompareOp::Eq, Width::W64, Reg::R1, 0, null);
}

/// `r2` = `r1` as a number.
pub(super) fn number(code: &mut Code) {
    code.op(Op::Alu { op: AluOp::Mov, width: Width::W64, dst: Reg::R2, src: Reg::R1.into() });
    code.forget(Reg::R2);
}

fn step_of(step: &str, expression: &'static str) -> Result<Member, EmitError> {
    let found = Member::ALL.iter().find(|member| member.path() == step);
    found.copied().ok_or(EmitError::Expression { expression })
}
