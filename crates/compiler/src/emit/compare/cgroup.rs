// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cmp_cgroup_beneath`: cgroups are known by numbers that are never given twice, and do not move.

use super::{CGROUP, Code, EmitError, FLAGS_ASKED, HANDLES, MATCH, NO_MATCH, Of, Part, answer};
use crate::abi::handles::Options;
use crate::emit::handles::COUNT;
use crate::op::{CompareOp, Reg, Size, Width};

const GET_CURRENT_CGROUP_ID: i32 = 80;
const GET_CURRENT_ANCESTOR_CGROUP_ID: i32 = 123;

impl Of<'_> {
    /// Whether the caller is in a cgroup beneath a handle.
    pub(super) fn cgroup_beneath(&self) -> Result<Part, EmitError> {
        let mut code = Code::default();
        self.begin(&mut code, Options::all().bits());
        let [none, yes, reverse] = [(); 3].map(|()| code.label());
        code.branch(CompareOp::Ne, Width::W64, FLAGS_ASKED, 0, reverse);
        for (index, at) in self.entries() {
            code.load(Size::Double, Reg::R1, HANDLES, COUNT);
            code.branch(CompareOp::Le, Width::W64, Reg::R1, index, none);
            code.load(Size::Double, Reg::R1, HANDLES, at + CGROUP.level);
            code.helper(GET_CURRENT_ANCESTOR_CGROUP_ID);
            code.load(Size::Double, Reg::R1, HANDLES, at + CGROUP.id);
            code.branch(CompareOp::Eq, Width::W64, Reg::R0, Reg::R1, yes);
        }
        code.place(none);
        answer(&mut code, NO_MATCH);
        let others = code.label();
        code.place(reverse);
        code.helper(GET_CURRENT_CGROUP_ID);
        for (index, at) in self.entries() {
            code.load(Size::Double, Reg::R1, HANDLES, COUNT);
            code.branch(CompareOp::Le, Width::W64, Reg::R1, index, others);
            for level in 0..CGROUP.levels {
                code.load(Size::Double, Reg::R1, HANDLES, at + CGROUP.path + 8 * level);
                code.branch(CompareOp::Eq, Width::W64, Reg::R0, Reg::R1, yes);
            }
        }
        code.place(others);
        answer(&mut code, NO_MATCH);
        code.place(yes);
        answer(&mut code, MATCH);
        code.part()
    }
}
