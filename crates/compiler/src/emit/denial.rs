// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a denial: written by programs into a ring buffer, read by processes.

use super::actions;
use super::code::Code;
use super::object::Arguments;
use super::{CONTEXT, FRAME, INSTANCE, MapSlot, RULE, residual, runs};
use crate::abi::{context, helper};
use crate::hooks;
use crate::op::{AluOp, AtomicOp, CompareOp, Op, Reg, Size, Width};

const KTIME_GET_BOOT_NS: i32 = 125;
const RINGBUF_OUTPUT: i32 = 130;

/// Byte offsets within a record. The first four are written while the context, which lies behind them, is
/// still needed.
mod at {
    pub const INSN: i16 = 0;
    pub const RULE: i16 = 2;
    pub const HOOK: i16 = 4;
    pub const INSTANCE: i16 = 6;
    pub const ARG2: i16 = 8;
    pub const MODE: i16 = 12;
    pub const ARCH: i16 = 16;
    pub const SYSCALL_NR: i16 = 20;
    pub const DOMAIN: i16 = 24;
    pub const PID_TGID: i16 = 32;
    pub const TIME: i16 = 40;
    pub const COMM: i16 = 48;
}

/// Bytes of a record.
pub const RECORD_SIZE: usize = 64;
const COMM_SIZE: i16 = 16;

/// A denial as a program recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number the domain was given when its programs were emitted.
    pub domain: u64,
    /// The hook that denied.
    pub hook: &'static hooks::Hook,
    /// What it asked.
    pub asked: Asked,
    /// The rule's position in the domain, newest first.
    pub rule: usize,
    /// The rule's instruction that denied: an exit; none where no rule was run.
    pub insn: Option<usize>,
    /// Whole mode of the object; none if there is no object, or no rule looked at it.
    pub mode: Option<u32>,
    /// `AUDIT_ARCH_*` and number of the running syscall; none if there is none.
    pub syscall: Option<(u32, u32)>,
    /// Nanoseconds since the machine was started (`CLOCK_BOOTTIME`).
    pub time: u64,
    /// Thread group id in the high 32 bits, thread id in the low.
    pub pid_tgid: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
}

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The rules of the file system's events.
    Instance {
        /// Which instance of the hook.
        instance: &'static hooks::Instance,
        /// Actions, or the command.
        arg2: u64,
    },
    /// The rules tied to the hook.
    Hook {
        /// The errno the caller gets.
        errno: u32,
        /// For the filter that handed on this cookie; none outside of a system call.
        cookie: Option<u16>,
    },
}

impl Asked {
    fn parse(hook: &'static hooks::Hook, instance: usize, word: u32) -> Option<Asked> {
        let low = |word: u32| u16::try_from(word & 0xffff).ok();
        if instance == usize::from(low(runs::NO_INSTANCE.cast_unsigned())?) {
            let outside = u64::from(word) & runs::NO_COOKIE != 0;
            let errno = word >> residual::ERRNO_SHIFT & 0x7fff;
            return Some(Asked::Hook { errno, cookie: low(word).filter(|_| !outside) });
        }
        Some(Asked::Instance { instance: hook.instances.get(instance)?, arg2: word.into() })
    }
}

impl Record {
    /// A record from its bytes; none if no program of this version wrote them.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        let bytes: &[u8; RECORD_SIZE] = bytes.try_into().ok()?;
        let start = |at: i16| usize::from(at.unsigned_abs());
        let long = |at| Some(u64::from_le_bytes(bytes[start(at)..].first_chunk().copied()?));
        let word = |at| Some(u32::from_le_bytes(bytes[start(at)..].first_chunk().copied()?));
        let half = |at| Some(usize::from(u16::from_le_bytes(bytes[start(at)..].first_chunk().copied()?)));
        let hook = hooks::TABLE.get(half(at::HOOK)?)?;
        let mode = word(at::MODE).filter(|mode| (1..=MODES).contains(mode));
        Some(Record {
            domain: long(at::DOMAIN)?,
            hook,
            asked: Asked::parse(hook, half(at::INSTANCE)?, word(at::ARG2)?)?,
            rule: half(at::RULE)?,
            insn: half(at::INSN)?.checked_sub(1),
            mode,
            syscall: word(at::ARCH).filter(|arch| *arch != 0).zip(word(at::SYSCALL_NR)),
            time: long(at::TIME)?,
            pid_tgid: long(at::PID_TGID)?,
            comm: bytes[start(at::COMM)..].first_chunk().copied()?,
        })
    }
}

/// The greatest mode; a negative error is greater.
const MODES: u32 = 0xffff;

/// Writes the record: the instruction is in the low half of `r0`, rule and instance in their registers. A
/// full ring buffer is counted. The context is gone afterwards.
pub(super) fn report(code: &mut Code, arguments: Arguments<'_>, hook: i32, domain: u64) {
    const RECORD: i16 = -FRAME;
    const _: () = assert!(RECORD + at::ARCH <= CONTEXT);
    const _: () = assert!(RECORD + at::DOMAIN <= CONTEXT + context::ARCH);
    let fp = Reg::R10;
    code.store(Size::Half, fp, RECORD + at::INSN, Reg::R0);
    code.store(Size::Half, fp, RECORD + at::RULE, RULE);
    code.store(Size::Half, fp, RECORD + at::INSTANCE, INSTANCE);
    code.store(Size::Half, fp, RECORD + at::HOOK, hook);
    for (field, value) in [(at::ARG2, context::ARG2), (at::MODE, context::ARG1)] {
        code.load(Size::Double, Reg::R1, fp, CONTEXT + value);
        code.store(Size::Word, fp, RECORD + field, Reg::R1);
    }
    syscall(code, arguments, RECORD);
    code.load_imm(Reg::R1, domain);
    code.store(Size::Double, fp, RECORD + at::DOMAIN, Reg::R1);
    code.helper(helper::GET_CURRENT_PID_TGID);
    code.store(Size::Double, fp, RECORD + at::PID_TGID, Reg::R0);
    code.helper(KTIME_GET_BOOT_NS);
    code.store(Size::Double, fp, RECORD + at::TIME, Reg::R0);
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

/// The running syscall; without what it takes to find out, that there is none.
fn syscall(code: &mut Code, arguments: Arguments<'_>, record: i16) {
    let fp = Reg::R10;
    if actions::can_see_syscall(arguments) && actions::syscall(code, arguments).is_ok() {
        for (field, value) in [(at::ARCH, context::ARCH), (at::SYSCALL_NR, context::SYSCALL_NR)] {
            code.load(Size::Double, Reg::R1, fp, CONTEXT + value);
            code.store(Size::Word, fp, record + field, Reg::R1);
        }
    } else {
        code.store(Size::Double, fp, record + at::ARCH, 0);
    }
}

/// `dst = r10 + off`.
fn address(code: &mut Code, dst: Reg, off: i16) {
    code.set(dst, Reg::R10);
    code.alu(AluOp::Add, dst, i32::from(off));
}
