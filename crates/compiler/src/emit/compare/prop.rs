// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cmp_fs_prop`: what the object and a handle share.

use super::{
    Code, DENTRY, EmitError, FLAGS_ASKED, FRAME, FS, HANDLES, MATCH, MOUNT, Member, NO_MATCH, Of, Part,
    UNKNOWN, answer, read, small,
};
use crate::abi::handles::Properties;
use crate::emit::code::Label;
use crate::emit::handles::COUNT;
use crate::op::{CompareOp, Reg, Size, Width};

/// Where the object's properties are, from a function's own frame pointer.
const OBJECT_DENTRY: i16 = -8;
const OBJECT_NUMBER: i16 = -16;
const OBJECT_SUPER: i16 = -24;
const OBJECT_MOUNT: i16 = -32;

impl Of<'_> {
    /// `cmp_fs_prop`.
    pub(super) fn prop(&self) -> Result<Part, EmitError> {
        let named = Properties::DENTRY | Properties::MOUNT;
        let mut code = Code::default();
        self.begin(&mut code, Properties::all().bits());
        self.unless_lost(&mut code, |code, told| {
            code.branch(CompareOp::Set, Width::W64, FLAGS_ASKED, small(named.bits()), told);
        });
        let [unknown, none, yes] = [(); 3].map(|()| code.label());
        self.object(&mut code, unknown)?;
        for (index, at) in self.entries() {
            let next = code.label();
            code.load(Size::Double, Reg::R1, HANDLES, COUNT);
            code.branch(CompareOp::Le, Width::W64, Reg::R1, index, none);
            for (property, theirs, ours) in [
                (Properties::DENTRY, FS.dentry, OBJECT_DENTRY),
                (Properties::INODE, FS.number, OBJECT_NUMBER),
                (Properties::DEVICE, FS.super_block, OBJECT_SUPER),
                (Properties::MOUNT, FS.mount, OBJECT_MOUNT),
            ] {
                let (minds, same) = (code.label(), code.label());
                code.branch(CompareOp::Set, Width::W64, FLAGS_ASKED, small(property.bits()), minds);
                code.jump(same);
                code.place(minds);
                code.load(Size::Double, Reg::R1, HANDLES, at + theirs);
                code.load(Size::Double, Reg::R2, Reg::R10, ours);
                code.branch(CompareOp::Ne, Width::W64, Reg::R1, Reg::R2, next);
                code.branch(CompareOp::Eq, Width::W64, Reg::R2, 0, next);
                code.place(same);
            }
            code.jump(yes);
            code.place(next);
        }
        code.place(none);
        answer(&mut code, NO_MATCH);
        code.place(yes);
        answer(&mut code, MATCH);
        code.place(unknown);
        answer(&mut code, UNKNOWN);
        code.part()
    }

    /// Puts down what there is to compare of the object; what it does not have is 0.
    fn object(&self, code: &mut Code, unknown: Label) -> Result<(), EmitError> {
        let offset = |member: Member| self.comparisons.arguments.layout.offset(member);
        for (place, from) in [(OBJECT_DENTRY, DENTRY), (OBJECT_MOUNT, MOUNT)] {
            code.load(Size::Double, Reg::R1, FRAME, from);
            code.store(Size::Double, Reg::R10, place, Reg::R1);
        }
        code.set(Reg::R9, 0);
        code.forget(Reg::R9);
        code.store(Size::Double, Reg::R10, OBJECT_SUPER, Reg::R9);
        code.store(Size::Double, Reg::R10, OBJECT_NUMBER, Reg::R9);
        let done = code.label();
        code.load(Size::Double, Reg::R9, Reg::R10, OBJECT_DENTRY);
        read(code, OBJECT_SUPER, 8, Reg::R9, offset(Member::DentrySuper)?, unknown);
        read(code, OBJECT_NUMBER, 8, Reg::R9, offset(Member::DentryInode)?, unknown);
        code.load(Size::Double, Reg::R9, Reg::R10, OBJECT_NUMBER);
        code.branch(CompareOp::Eq, Width::W64, Reg::R9, 0, done);
        read(code, OBJECT_NUMBER, 8, Reg::R9, offset(Member::InodeNumber)?, unknown);
        code.place(done);
        Ok(())
    }
}
