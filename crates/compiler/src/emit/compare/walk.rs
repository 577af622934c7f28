// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way up from a file to the top of its mounts, for what is beneath what.
//!
//! It goes over parents and, at the root of a mount, on over what that is mounted on. What is met is compared by
//! inode, whichever mount it is met through: a thread that makes a mount namespace of its own meets other mounts, and
//! the same inodes. It counts only if the way goes on to the mount's root: what was moved out of a bind mount, or was
//! deleted, is beneath nothing. A mount of the whole file system has nothing that is outside of it, so there the
//! first that is met will do.
//!
//! What ends in another mount namespace than the caller's, or in none, cannot be told: such a mount is found where it
//! was not made.

use super::super::code::{Code, Function, Label, Part};
use super::super::handles::{FS, MARK_SHIFT, MARKS, entry};
use super::super::{EmitError, Layout, Member, actions};
use super::{MATCH, NO_MATCH, PROBE_READ_KERNEL, UNKNOWN};
use crate::op::{AluOp, CompareOp, Reg, Size, Width};

const LOOP: i32 = 181;
/// Steps until it is too far to tell.
const STEPS: i32 = 1 << 14;
/// Errors as the kernel has them in pointers: a mount of the kernel's own is in such a namespace.
const FIRST_ERROR: i32 = -4095;

/// The state of a walk, from the frame pointer of the function that starts it.
mod at {
    /// The memory of the map's handles.
    pub const HANDLES: i16 = -72;
    pub const DENTRY: i16 = -64;
    /// Root and superblock of the mount, side by side as the kernel has them.
    pub const ROOT: i16 = -56;
    pub const SUPER: i16 = -48;
    pub const MOUNT: i16 = -40;
    pub const RESULT: i16 = -32;
    /// Whether something was met.
    pub const MET: i16 = -24;
    /// The inode that is looked for.
    pub const TARGET: i16 = -16;
    /// Whether the object itself was passed before the walk began.
    pub const PASSED: i16 = -8;
}
const STATE: i16 = at::HANDLES;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// The inodes of the map in the state, which has room for so many.
    Map(u32),
    /// The one in the state.
    Inode,
}

/// From the members that a step reads of a dentry to where they are in what it reads.
struct Window {
    start: i16,
    len: i16,
}

impl Window {
    fn of(layout: &Layout) -> Result<Window, EmitError> {
        let members = [Member::DentryHashed, Member::DentryParent, Member::DentryInode];
        let offsets = members.map(|member| layout.offset(member));
        let [hashed, parent, inode] = offsets;
        let offsets = [hashed?, parent?, inode?];
        let (start, end) =
            offsets.iter().fold((i16::MAX, 0), |(start, end), at| (start.min(*at), end.max(at + 8)));
        match end - start {
            len @ ..=64 => Ok(Window { start, len }),
            _ => Err(EmitError::NoMember { member: Member::DentryHashed }),
        }
    }

    /// Where a member is, from the frame pointer.
    fn at(&self, layout: &Layout, member: Member) -> Result<i16, EmitError> {
        Ok(layout.offset(member)? - self.start - self.len)
    }
}

/// From a mount's `struct vfsmount` to the `struct mount` around it.
fn around(layout: &Layout) -> Result<i16, EmitError> {
    Ok(layout.offset(Member::MountOwnRoot)? - layout.offset(Member::MountRoot)?)
}

/// Two members side by side.
fn adjacent(layout: &Layout, first: Member, second: Member) -> Result<i16, EmitError> {
    match (layout.offset(first)?, layout.offset(second)?) {
        (first, other) if other == first + 8 => Ok(first),
        _ => Err(EmitError::NoMember { member: second }),
    }
}

/// The function that walks: `r1` a dentry, `r2` its mount, `r3` the inode that is looked for, `r4` 0 if the dentry is the
/// object itself, `r5` the memory of the handles.
pub(super) fn start(layout: &Layout, step: Function) -> Result<Part, EmitError> {
    let (mut code, fp) = (Code::default(), Reg::R10);
    let unknown = code.label();
    code.store(Size::Double, fp, at::HANDLES, Reg::R5);
    code.store(Size::Double, fp, at::DENTRY, Reg::R1);
    code.store(Size::Double, fp, at::TARGET, Reg::R3);
    code.forget(Reg::R4);
    code.store(Size::Double, fp, at::PASSED, Reg::R4);
    code.set(Reg::R6, Reg::R2);
    // Unknown to the verifier, which would take for constant what the step changes.
    for (place, value) in [(at::RESULT, UNKNOWN), (at::MET, 0)] {
        code.set(Reg::R1, value);
        code.forget(Reg::R1);
        code.store(Size::Double, fp, place, Reg::R1);
    }
    code.set(Reg::R1, Reg::R6);
    code.alu(AluOp::Sub, Reg::R1, i32::from(around(layout)?));
    code.store(Size::Double, fp, at::MOUNT, Reg::R1);
    let root = adjacent(layout, Member::MountRoot, Member::MountSuper)?;
    super::read(&mut code, at::ROOT, 16, Reg::R6, root, unknown);
    code.set(Reg::R1, STEPS);
    code.address_of(Reg::R2, step);
    code.set(Reg::R3, fp);
    code.alu(AluOp::Add, Reg::R3, i32::from(STATE));
    code.set(Reg::R4, 0);
    code.helper(LOOP);
    code.load(Size::Double, Reg::R0, fp, at::RESULT);
    code.forget(Reg::R0);
    code.exit();
    code.place(unknown);
    super::answer(&mut code, UNKNOWN);
    code.part()
}

/// How a step ends.
#[derive(Clone, Copy)]
struct Ends {
    yes: Label,
    no: Label,
    unknown: Label,
}

const WALK: Reg = Reg::R6;
const HERE: Reg = Reg::R7;
/// First the inode, then the parent.
const NEXT: Reg = Reg::R8;
/// 0 at the object itself.
const INDEX: Reg = Reg::R9;

/// Offset of a part of the state from where the state is.
fn part_of(at: i16) -> i16 {
    at - STATE
}

/// One step: `r1` how many were before it, `r2` the state. It returns whether it was the last.
pub(super) fn step(layout: &Layout, target: Target) -> Result<Part, EmitError> {
    let mut code = Code::default();
    let [yes, no, unknown] = [(); 3].map(|()| code.label());
    let ends = Ends { yes, no, unknown };
    let window = Window::of(layout)?;
    code.set(WALK, Reg::R2);
    code.load(Size::Double, INDEX, WALK, part_of(at::PASSED));
    code.alu(AluOp::Add, INDEX, Reg::R1);
    code.forget(INDEX);
    code.load(Size::Double, HERE, WALK, part_of(at::DENTRY));
    super::read(&mut code, -window.len, window.len.into(), HERE, window.start, unknown);
    code.load(Size::Double, NEXT, Reg::R10, window.at(layout, Member::DentryInode)?);
    let unmarked = code.label();
    look(&mut code, target, unmarked);
    meet(&mut code, layout, ends)?;
    code.place(unmarked);
    code.load(Size::Double, NEXT, Reg::R10, window.at(layout, Member::DentryParent)?);
    unless_deleted(&mut code, window.at(layout, Member::DentryHashed)?, no);
    up(&mut code, layout, target, ends)?;
    for (label, result) in [(yes, MATCH), (no, NO_MATCH), (unknown, UNKNOWN)] {
        code.place(label);
        code.store(Size::Double, WALK, part_of(at::RESULT), result);
        super::answer(&mut code, 1);
    }
    code.part()
}

/// Goes to `unmarked` unless the inode is looked for.
fn look(code: &mut Code, target: Target, unmarked: Label) {
    code.branch(CompareOp::Eq, Width::W64, NEXT, 0, unmarked);
    match target {
        Target::Inode => {
            code.load(Size::Double, Reg::R1, WALK, part_of(at::TARGET));
            code.branch(CompareOp::Ne, Width::W64, Reg::R1, NEXT, unmarked);
        }
        Target::Map(capacity) => {
            let met = code.label();
            code.load(Size::Double, Reg::R2, WALK, part_of(at::HANDLES));
            code.load(Size::Double, Reg::R3, Reg::R2, MARKS);
            code.set(Reg::R1, NEXT);
            code.alu(AluOp::Rsh, Reg::R1, MARK_SHIFT);
            code.alu(AluOp::And, Reg::R1, 63);
            code.alu(AluOp::Rsh, Reg::R3, Reg::R1);
            code.alu(AluOp::And, Reg::R3, 1);
            code.branch(CompareOp::Eq, Width::W64, Reg::R3, 0, unmarked);
            for (index, _) in (0..).zip(0..capacity) {
                code.load(Size::Double, Reg::R1, Reg::R2, entry(index, FS.size) + FS.inode);
                code.branch(CompareOp::Eq, Width::W64, Reg::R1, NEXT, met);
            }
            code.jump(unmarked);
            code.place(met);
        }
    }
}

/// Something was met: the object itself, or what must still be on the way to the mount's root.
fn meet(code: &mut Code, layout: &Layout, ends: Ends) -> Result<(), EmitError> {
    code.branch(CompareOp::Eq, Width::W64, INDEX, 0, ends.yes);
    code.load(Size::Double, Reg::R1, WALK, part_of(at::SUPER));
    code.set(NEXT, Reg::R1);
    let root = layout.offset(Member::SuperBlockRoot)?;
    // Over the inode, which is not needed any more.
    super::read(code, -72, 8, NEXT, root, ends.unknown);
    code.load(Size::Double, Reg::R1, Reg::R10, -72);
    code.load(Size::Double, Reg::R2, WALK, part_of(at::ROOT));
    code.branch(CompareOp::Eq, Width::W64, Reg::R1, Reg::R2, ends.yes);
    code.set(Reg::R1, 1);
    code.store(Size::Double, WALK, part_of(at::MET), Reg::R1);
    Ok(())
}

/// The object itself must have its name still; a root has none.
fn unless_deleted(code: &mut Code, hashed: i16, no: Label) {
    let there = code.label();
    code.branch(CompareOp::Ne, Width::W64, INDEX, 0, there);
    code.load(Size::Double, Reg::R1, Reg::R10, hashed);
    code.branch(CompareOp::Ne, Width::W64, Reg::R1, 0, there);
    code.branch(CompareOp::Ne, Width::W64, NEXT, HERE, no);
    code.place(there);
}

/// To the parent, or to what the mount is mounted on.
fn up(code: &mut Code, layout: &Layout, target: Target, ends: Ends) -> Result<(), EmitError> {
    let [at_root, top] = [(); 2].map(|()| code.label());
    code.load(Size::Double, Reg::R2, WALK, part_of(at::ROOT));
    code.branch(CompareOp::Eq, Width::W64, Reg::R2, HERE, at_root);
    code.branch(CompareOp::Eq, Width::W64, NEXT, HERE, ends.no);
    code.store(Size::Double, WALK, part_of(at::DENTRY), NEXT);
    super::answer(code, 0);

    code.place(at_root);
    code.load(Size::Double, Reg::R1, WALK, part_of(at::MET));
    code.branch(CompareOp::Ne, Width::W64, Reg::R1, 0, ends.yes);
    code.load(Size::Double, HERE, WALK, part_of(at::MOUNT));
    let parent = adjacent(layout, Member::MountParent, Member::MountPoint)?;
    super::read(code, -16, 16, HERE, parent, ends.unknown);
    code.load(Size::Double, NEXT, Reg::R10, -16);
    code.branch(CompareOp::Eq, Width::W64, NEXT, HERE, top);
    code.load(Size::Double, Reg::R1, Reg::R10, -8);
    code.store(Size::Double, WALK, part_of(at::DENTRY), Reg::R1);
    code.store(Size::Double, WALK, part_of(at::MOUNT), NEXT);
    code.set(Reg::R1, WALK);
    code.alu(AluOp::Add, Reg::R1, i32::from(part_of(at::ROOT)));
    code.set(Reg::R2, 16);
    code.set(Reg::R3, NEXT);
    let root = adjacent(layout, Member::MountRoot, Member::MountSuper)?;
    code.alu(AluOp::Add, Reg::R3, i32::from(around(layout)? + root));
    code.helper(PROBE_READ_KERNEL);
    code.branch(CompareOp::Ne, Width::W64, Reg::R0, 0, ends.unknown);
    super::answer(code, 0);

    code.place(top);
    match target {
        Target::Map(..) => namespace(code, layout, ends),
        // Where a handle is does not depend on the caller.
        Target::Inode => {
            code.jump(ends.no);
            Ok(())
        }
    }
}

/// Nothing was met up to the top of the mount in `HERE`.
fn namespace(code: &mut Code, layout: &Layout, ends: Ends) -> Result<(), EmitError> {
    super::read(code, -8, 8, HERE, layout.offset(Member::MountNamespace)?, ends.unknown);
    code.load(Size::Double, HERE, Reg::R10, -8);
    code.branch(CompareOp::Ge, Width::W64, HERE, FIRST_ERROR, ends.no);
    code.helper(actions::GET_CURRENT_TASK_BTF);
    code.set(NEXT, Reg::R0);
    code.forget(NEXT);
    super::read(code, -8, 8, NEXT, layout.offset(Member::TaskNamespaces)?, ends.unknown);
    code.load(Size::Double, NEXT, Reg::R10, -8);
    super::read(code, -8, 8, NEXT, layout.offset(Member::NamespacesMount)?, ends.unknown);
    code.load(Size::Double, NEXT, Reg::R10, -8);
    code.branch(CompareOp::Eq, Width::W64, NEXT, HERE, ends.no);
    code.jump(ends.unknown);
    Ok(())
}
