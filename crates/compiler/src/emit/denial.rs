// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a denial: written by programs into a ring buffer, read by processes.

use super::code::Code;
use super::{CONTEXT, FRAME, INSTANCE, MapSlot, RULE};
use crate::abi::{context, helper};
use crate::hooks;
use crate::op::{AluOp, AtomicOp, CompareOp, Op, Reg, Size, Width};

const RINGBUF_OUTPUT: i32 = 130;

/// Byte offsets within a record.
mod at {
    pub const DOMAIN: i16 = 0;
    pub const ARG2: i16 = 8;
    pub const PID_TGID: i16 = 16;
    pub const RULE: i16 = 24;
    pub const INSN: i16 = 28;
    pub const HOOK: i16 = 32;
    pub const INSTANCE: i16 = 36;
    pub const COMM: i16 = 40;
}

/// Bytes of a record.
pub const RECORD_SIZE: usize = 56;
const COMM_SIZE: i16 = 16;

/// A denial as a program recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number the domain was given when its programs were emitted.
    pub domain: u64,
    /// The hook that denied.
    pub hook: &'static hooks::Hook,
    /// Which of its instances.
    pub instance: &'static hooks::Instance,
    /// The rule's position in the domain, newest first.
    pub rule: usize,
    /// The rule's instruction; none where the rule denies whatever comes.
    pub insn: Option<usize>,
    /// Actions, or the command.
    pub arg2: u64,
    /// Thread group id in the high 32 bits, thread id in the low.
    pub pid_tgid: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
}

impl Record {
    /// A record from its bytes; none if no program of this version wrote them.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        if bytes.len() != RECORD_SIZE {
            return None;
        }
        let start = |at: i16| usize::from(at.unsigned_abs());
        let long = |at| Some(u64::from_le_bytes(bytes[start(at)..].first_chunk().copied()?));
        let word = |at| usize::try_from(u32::from_le_bytes(bytes[start(at)..].first_chunk().copied()?)).ok();
        let hook = hooks::TABLE.get(word(at::HOOK)?)?;
        Some(Record {
            domain: long(at::DOMAIN)?,
            hook,
            instance: hook.instances.get(word(at::INSTANCE)?)?,
            rule: word(at::RULE)?,
            insn: word(at::INSN)?.checked_sub(1),
            arg2: long(at::ARG2)?,
            pid_tgid: long(at::PID_TGID)?,
            comm: bytes[start(at::COMM)..].first_chunk().copied()?,
        })
    }
}

/// Writes the record: the instruction is in the low half of `r0`, rule and instance in their registers. A
/// full ring buffer is counted. The context is gone afterwards.
pub(super) fn report(code: &mut Code, hook: i32, domain: u64) {
    const RECORD: i16 = -FRAME;
    // The command name goes where `arg2` is now.
    const _: () = assert!(RECORD + at::INSTANCE < CONTEXT + context::ARG2);
    let fp = Reg::R10;
    code.store(Size::Word, fp, RECORD + at::INSN, Reg::R0);
    code.load(Size::Double, Reg::R9, fp, CONTEXT + context::ARG2);
    code.store(Size::Double, fp, RECORD + at::ARG2, Reg::R9);
    code.store(Size::Word, fp, RECORD + at::RULE, RULE);
    code.store(Size::Word, fp, RECORD + at::INSTANCE, INSTANCE);
    code.store(Size::Word, fp, RECORD + at::HOOK, hook);
    code.load_imm(Reg::R1, domain);
    code.store(Size::Double, fp, RECORD + at::DOMAIN, Reg::R1);
    code.helper(helper::GET_CURRENT_PID_TGID);
    code.store(Size::Double, fp, RECORD + at::PID_TGID, Reg::R0);
    address(code, Reg::R1, RECORD + at::COMM);
    code.set(Reg::R2, i32::from(COMM_SIZE));
    code.helper(helper::GET_CURRENT_COMM);

    let written = code.label();
    code.map(Reg::R1, MapSlot::Denials);
    address(code, Reg::R2, RECORD);
    code.set(Reg::R3, i32::from(at::COMM + COMM_SIZE));
    code.set(Reg::R4, 0);
    code.helper(RINGBUF_OUTPUT);
    code.branch(CompareOp::Eq, Width::W64, Reg::R0, 0, written);
    code.map_value(Reg::R1, MapSlot::Lost);
    code.set(Reg::R2, 1);
    code.op(Op::Atomic { op: AtomicOp::Add, size: Size::Double, base: Reg::R1, off: 0, src: Reg::R2 });
    code.place(written);
}

/// `dst = r10 + off`.
fn address(code: &mut Code, dst: Reg, off: i16) {
    code.set(dst, Reg::R10);
    code.alu(AluOp::Add, dst, i32::from(off));
}
