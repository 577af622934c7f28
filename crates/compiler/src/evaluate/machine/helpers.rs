// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of helpers.

use super::super::compare::Comparison;
use super::super::printk;
use super::{Machine, Question, offset_in};
use crate::abi::handles::ArrayKind;
use crate::abi::{STACK_SIZE, helper};
use crate::op::Reg;

const ENOENT: i64 = 2;

impl Machine<'_, '_> {
    /// What the helper returns; `None` if it cannot be called like this.
    pub(super) fn call(&mut self, number: i32) -> Option<u64> {
        if matches!(number, helper::CMP_FS_PROP | helper::CMP_FS_BENEATH | helper::CMP_CGROUP_BENEATH) {
            return self.compare(number).map(i64::cast_unsigned);
        }
        let Question::FileSystem(input) = self.question else { return None };
        match number {
            helper::HANDLE_FS_GET_MODE if self.get(Reg::R1) == self.world.handle => {
                Some(input.mode.map_or((-ENOENT).cast_unsigned(), u64::from))
            }
            helper::GET_CURRENT_PID_TGID => Some(input.current.pid_tgid),
            helper::GET_CURRENT_UID_GID => Some(input.current.uid_gid),
            helper::GET_CURRENT_COMM => self.comm(input.current.comm),
            helper::TRACE_PRINTK => self.trace(),
            _ => None,
        }
    }

    /// `cmp…(r1 properties or options, r2 map, r3 operation, r4 object)`.
    fn compare(&self, number: i32) -> Option<i64> {
        let map = self.maps.get(offset_in(self.world.maps, self.get(Reg::R2))?)?;
        let handles = map.handles();
        let (flags, op) = (self.get(Reg::R1), self.get(Reg::R3));
        let comparison = Comparison { flags, handles: &handles, op, relation: self.relation };
        match (number, map.definition().kind) {
            (helper::CMP_CGROUP_BENEATH, ArrayKind::Cgroup) => comparison.cgroup_beneath(),
            (helper::CMP_FS_PROP, ArrayKind::Fs) => comparison.fs_prop(self.is_null(self.get(Reg::R4))?),
            (helper::CMP_FS_BENEATH, ArrayKind::Fs) => {
                comparison.fs_beneath(self.is_null(self.get(Reg::R4))?)
            }
            _ => None,
        }
    }

    /// Whether the object is not there; `None` if this is no object.
    fn is_null(&self, object: u64) -> Option<bool> {
        let anonymous = matches!(self.question, Question::Hook(input) if input.call.is_anonymous());
        let expected = if anonymous { 0 } else { self.world.handle };
        (object == expected).then_some(anonymous)
    }

    /// `get_current_comm(r1 buffer, r2 size)`: always NUL terminated, the rest of the buffer zeroed.
    fn comm(&mut self, comm: [u8; 16]) -> Option<u64> {
        let len = usize::try_from(self.get(Reg::R2)).ok()?;
        let buffer = self.stack_mut(self.get(Reg::R1), len)?;
        let (last, text) = buffer.split_last_mut()?;
        *last = 0;
        text.iter_mut().zip(comm.into_iter().chain(std::iter::repeat(0))).for_each(|(to, from)| *to = from);
        Some(0)
    }

    /// `trace_printk(r1 format, r2 size, r3, r4, r5)`.
    fn trace(&mut self) -> Option<u64> {
        let len = usize::try_from(self.get(Reg::R2)).ok()?;
        let format = self.memory(self.get(Reg::R1), len)?;
        let text =
            printk::format(format, [3, 4, 5].map(|arg| self.regs[arg]), |address| self.string(address));
        Some(match text {
            Some(text) => {
                (self.tracer)(&text);
                text.len() as u64
            }
            None => (-printk::EINVAL).cast_unsigned(),
        })
    }

    /// The NUL terminated bytes at an address of the stack.
    fn string(&self, address: u64) -> Option<&[u8]> {
        let at = offset_in(self.world.stack, address).filter(|at| *at < STACK_SIZE)?;
        self.stack[at..].split(|byte| *byte == 0).next()
    }
}
