// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first leg of the way up, which is nearly always all of it: over parents within the file's own mount.
//!
//! Here pointers keep the types the kernel's verifier knows them by, so each step is plain loads and calls nothing. It
//! ends where that does: at the root of the mount, since from there on addresses are calculated, and after so many
//! steps. What it cannot answer, [`walk`](super::walk) goes on with from where it is. So it answers only that something
//! was met, and only as that one would.

use super::super::code::{Code, Function, Label};
use super::super::handles::{FS, MARK_SHIFT, MARKS, entry};
use super::super::object::{ARGUMENTS, name, unless_null};
use super::super::{EmitError, Member};
use super::{DENTRY, FRAME, HANDLES, MATCH, MOUNT, Of, UNKNOWN, answer};
use crate::op::{AluOp, CompareOp, Reg, Size, Width};

/// Most steps. The kernel's verifier looks at each.
const STEPS: i32 = 24;

/// The dentry the leg is at; before it begins, the hook's arguments.
const HERE: Reg = ARGUMENTS;
const THROUGH: Reg = Reg::R9;
/// Of what follows nothing is kept over calls, and there are none.
const STEP: Reg = Reg::R0;
const MARKED: Reg = Reg::R4;
const ROOT: Reg = Reg::R5;

/// Answers whether the object is beneath one of the handles; `start` is the function that walks all the way.
pub(super) fn walk(code: &mut Code, of: &Of<'_>, start: Function) -> Result<(), EmitError> {
    let arguments = &of.comparisons.arguments;
    let Some([dentry, mount]) = name(of.comparisons.handle) else {
        answer(code, UNKNOWN);
        return Ok(());
    };
    let [from_object, from_here, met, yes, next, again] = [(); 6].map(|()| code.label());
    code.load(Size::Double, ARGUMENTS, FRAME, super::ARGUMENTS);
    arguments.follow(code, of.comparisons.expression, from_object)?;
    unless_null(code, from_object);
    code.set(THROUGH, Reg::R1);
    arguments.member(code, dentry)?;
    unless_null(code, from_object);
    code.set(HERE, Reg::R1);
    code.set(Reg::R1, THROUGH);
    arguments.member(code, mount)?;
    unless_null(code, from_object);
    code.set(THROUGH, Reg::R1);
    arguments.member(code, Member::MountRoot)?;
    code.set(ROOT, Reg::R1);
    code.forget(ROOT);
    // What is not found by its name was deleted, or is a root.
    code.set(Reg::R1, HERE);
    arguments.member(code, Member::DentryHashed)?;
    code.forget(Reg::R1);
    code.branch(CompareOp::Eq, Width::W64, Reg::R1, 0, from_object);
    code.load(Size::Double, MARKED, HANDLES, MARKS);
    code.set(STEP, 0);

    code.place(again);
    look(code, of, [met, next])?;
    code.place(next);
    code.branch(CompareOp::Eq, Width::W64, HERE, ROOT, from_here);
    code.load(Size::Double, HERE, HERE, arguments.layout.offset(Member::DentryParent)?);
    code.alu(AluOp::Add, STEP, 1);
    code.branch(CompareOp::Lt, Width::W64, STEP, STEPS, again);
    code.jump(from_here);

    // The object itself; else, where a mount is a part of a file system only, it must still be on the way to its root.
    code.place(met);
    code.branch(CompareOp::Eq, Width::W64, STEP, 0, yes);
    code.set(Reg::R1, THROUGH);
    arguments.member(code, Member::MountSuper)?;
    arguments.member(code, Member::SuperBlockRoot)?;
    code.forget(Reg::R1);
    code.branch(CompareOp::Ne, Width::W64, Reg::R1, ROOT, from_here);
    code.place(yes);
    answer(code, MATCH);

    code.place(from_object);
    code.load(Size::Double, Reg::R1, FRAME, DENTRY);
    code.set(Reg::R4, 0);
    rest(code, start);
    code.place(from_here);
    code.set(Reg::R1, HERE);
    code.forget(Reg::R1);
    code.set(Reg::R4, STEP);
    rest(code, start);
    Ok(())
}

/// The walk from the dentry in `r1` on; `r4` is 0 at the object itself.
fn rest(code: &mut Code, start: Function) {
    code.load(Size::Double, Reg::R2, FRAME, MOUNT);
    code.set(Reg::R3, 0);
    code.set(Reg::R5, HANDLES);
    code.call(start);
    code.exit();
}

/// Goes to `met` if the inode is among the handles.
fn look(code: &mut Code, of: &Of<'_>, [met, next]: [Label; 2]) -> Result<(), EmitError> {
    let layout = of.comparisons.arguments.layout;
    code.load(Size::Double, Reg::R1, HERE, layout.offset(Member::DentryInode)?);
    code.forget(Reg::R1);
    code.set(Reg::R2, Reg::R1);
    code.alu(AluOp::Rsh, Reg::R2, MARK_SHIFT);
    code.alu(AluOp::And, Reg::R2, 63);
    code.set(Reg::R3, MARKED);
    code.alu(AluOp::Rsh, Reg::R3, Reg::R2);
    code.alu(AluOp::And, Reg::R3, 1);
    code.branch(CompareOp::Eq, Width::W64, Reg::R3, 0, next);
    // Places without a handle hold 0.
    code.branch(CompareOp::Eq, Width::W64, Reg::R1, 0, next);
    for (index, _) in (0..).zip(0..of.capacity) {
        code.load(Size::Double, Reg::R2, HANDLES, entry(index, FS.size) + FS.inode);
        code.branch(CompareOp::Eq, Width::W64, Reg::R1, Reg::R2, met);
    }
    Ok(())
}
