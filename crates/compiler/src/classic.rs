// SPDX-License-Identifier: MIT OR Apache-2.0
//! Classic seccomp filters: programs over the numbers of a system call, which may hand a cookie to the rules
//! installed after them.
//!
//! A [`Filter`] is proof that the check accepted it, as the kernel checks filters: 1 to 4096 instructions, only
//! those seccomp has, loads of whole aligned words of the data, jumps forward and inside, scratch memory that was
//! written before, a return at the end. It runs to its answer whatever the system call.

mod check;
mod enforce;
mod reach;
mod run;
mod said;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::abi::hook::RET_LANDLOCK;

pub use check::{FilterError, FilterFault};
pub(crate) use check::{code, targets};

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClassicInsn {
    /// Opcode.
    pub code: u16,
    /// How many instructions a true comparison skips.
    pub jt: u8,
    /// How many a false one skips.
    pub jf: u8,
    /// Constant, offset or distance.
    pub k: u32,
}

impl ClassicInsn {
    /// Bytes of one encoded instruction.
    pub const SIZE: usize = 8;

    /// Decodes one instruction.
    pub fn decode(bytes: [u8; ClassicInsn::SIZE]) -> ClassicInsn {
        let [code0, code1, jt, jf, k @ ..] = bytes;
        ClassicInsn { code: u16::from_le_bytes([code0, code1]), jt, jf, k: u32::from_le_bytes(k) }
    }

    /// The bytes that [`ClassicInsn::decode`] takes.
    pub fn encode(self) -> [u8; ClassicInsn::SIZE] {
        let ([code0, code1], [k0, k1, k2, k3]) = (self.code.to_le_bytes(), self.k.to_le_bytes());
        [code0, code1, self.jt, self.jf, k0, k1, k2, k3]
    }
}

/// What a filter sees of a system call (`struct seccomp_data`). None of it changes while the call runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SyscallData {
    /// The system call's number.
    pub nr: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Where it was called from.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl SyscallData {
    /// Bytes of the structure.
    pub const SIZE: u32 = 64;

    /// The word at a multiple of 4; 0 beyond the end.
    fn word(&self, off: u32) -> u32 {
        let half = |value: u64| match off % 8 {
            0 => u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0),
            _ => u32::try_from(value >> 32).unwrap_or(0),
        };
        match off / 8 {
            0 if off == 0 => self.nr,
            0 => self.arch,
            1 => half(self.instruction_pointer),
            index => self.args.get(index as usize - 2).map_or(0, |arg| half(*arg)),
        }
    }
}

/// A filter that was checked. Cheap to clone; never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Arc<[ClassicInsn]>);

impl Filter {
    /// Checks the instructions as the kernel does.
    ///
    /// # Errors
    /// The first thing that is wrong, for which the kernel would answer `EINVAL`.
    pub fn new(insns: Vec<ClassicInsn>) -> Result<Filter, FilterError> {
        check::check(&insns)?;
        Ok(Filter(insns.into()))
    }

    /// A filter from the bytes of an array of `struct sock_filter`, little endian.
    ///
    /// # Errors
    /// As [`Filter::new`]; also if the last instruction is cut short.
    pub fn from_bytes(bytes: &[u8]) -> Result<Filter, FilterError> {
        let (whole, rest) = bytes.as_chunks::<{ ClassicInsn::SIZE }>();
        if !rest.is_empty() {
            return Err(FilterError { insn: Some(whole.len()), fault: FilterFault::CutShort });
        }
        Filter::new(whole.iter().copied().map(ClassicInsn::decode).collect())
    }

    /// A filter that hands this cookie on at every system call.
    pub fn always(cookie: u16) -> Filter {
        const RET: u16 = 0x06;
        let k = RET_LANDLOCK | u32::from(cookie);
        Filter([ClassicInsn { code: RET, k, ..ClassicInsn::default() }].into())
    }

    /// Its instructions.
    pub fn insns(&self) -> &[ClassicInsn] {
        &self.0
    }

    /// What it says of a system call.
    pub fn evaluate(&self, data: &SyscallData) -> Action {
        Action(run::run(&self.0, data))
    }
}

/// Actions, without their data, that seccomp gives to somebody else.
const TRACE: u32 = 0x7ff0_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
/// The bits of a return that are the action.
const ACTION: u32 = 0xffff_0000;

/// What a filter returned: an action in the high half, its data in the low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action(pub u32);

impl Action {
    /// `SECCOMP_RET_ALLOW`: what is said where no filter is.
    pub const ALLOW: Action = Action(0x7fff_0000);

    /// The cookie it hands to rules, if it does (`SECCOMP_RET_LANDLOCK`).
    pub fn cookie(self) -> Option<u16> {
        (self.without_data() == RET_LANDLOCK).then(|| u16::try_from(self.0 & 0xffff).unwrap_or(0))
    }

    /// The lowest wins: killing the process, killing the thread, TRAP, ERRNO, LANDLOCK, USER_NOTIF, TRACE, LOG,
    /// ALLOW.
    pub fn precedence(self) -> i32 {
        self.without_data().cast_signed()
    }

    fn without_data(self) -> u32 {
        self.0 & ACTION
    }
}

#[cfg(test)]
mod tests;
