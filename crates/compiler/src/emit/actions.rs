// SPDX-License-Identifier: MIT OR Apache-2.0
//! `arg2` and the running syscall, computed as the hook table says.
//!
//! The bits of masks are moved as [`hooks::may`] and [`hooks::mem`] move them: those are asked, bit by bit.

use super::code::{Code, Label};
use super::object::Arguments;
use super::{CONTEXT, EmitError, Member, wrapper};
use crate::abi::{self, Actions, context};
use crate::hooks::{self, Arg2};
use crate::op::{AluOp, CompareOp, Op, Reg, Size, Width};

/// `bpf_get_current_task_btf()` and `bpf_task_pt_regs()`.
pub(super) const GET_CURRENT_TASK_BTF: i32 = 158;
pub(super) const TASK_PT_REGS: i32 = 175;
/// Tasks that run in the kernel only, on behalf of nobody's syscall: `PF_KTHREAD`, `PF_IO_WORKER`,
/// `PF_USER_WORKER`.
pub(super) const WITHOUT_SYSCALL: i32 = 0x0020_0000 | 0x10 | 0x4000;
pub(super) const TS_COMPAT: i32 = 0x2;
pub(super) const AUDIT_ARCH_X86_64: u64 = abi::AUDIT_ARCH_X86_64 as u64;
pub(super) const AUDIT_ARCH_I386: u64 = 0x4000_0003;
const VM_SHARED: i32 = 0x8;
const MAP_TYPE: i32 = 0xf;
const MAP_PRIVATE: i32 = 0x2;

/// Stores `arg2` of an instance. What is NULL on the way goes to `null`.
pub(super) fn arg2(
    code: &mut Code,
    arguments: Arguments<'_>,
    arg2: Arg2,
    null: Label,
) -> Result<(), EmitError> {
    match arg2 {
        Arg2::Actions(actions) => {
            let bits = i32::try_from(actions.bits()).expect("nine action bits");
            code.store(Size::Double, Reg::R10, CONTEXT + context::ARG2, bits);
            return Ok(());
        }
        Arg2::Mask => {
            arguments.follow(code, "mask", null)?;
            moved(code, hooks::may);
        }
        Arg2::Protection => {
            arguments.follow(code, "prot", null)?;
            if wrapper::implies_protection(arguments) {
                wrapper::implied_protection(code, arguments)?;
            }
            moved(code, |prot| hooks::mem(prot, false));
            unless_shared(code, arguments, null)?;
        }
        Arg2::Command(expression) => {
            arguments.follow(code, expression, null)?;
            low_half(code, Reg::R0, Reg::R1);
        }
    }
    code.forget(Reg::R0);
    code.store(Size::Double, Reg::R10, CONTEXT + context::ARG2, Reg::R0);
    Ok(())
}

/// `r0` = the actions of the mask in `r1`; clobbers `r2`.
fn moved(code: &mut Code, actions: fn(u32) -> Actions) {
    code.set(Reg::R0, 0);
    for (mask, distance) in moves(actions) {
        low_half(code, Reg::R2, Reg::R1);
        code.alu(AluOp::And, Reg::R2, mask);
        match distance {
            0 => {}
            left if left > 0 => code.alu(AluOp::Lsh, Reg::R2, left),
            right => code.alu(AluOp::Rsh, Reg::R2, -right),
        }
        code.alu(AluOp::Or, Reg::R0, Reg::R2);
    }
}

/// Bits of the mask that move by the same distance (to the left) to become actions.
fn moves(actions: fn(u32) -> Actions) -> Vec<(i32, i32)> {
    let mut moves: Vec<(i32, i32)> = Vec::new();
    for bit in 0..31 {
        for action in actions(1 << bit) {
            let distance = action.bits().trailing_zeros().cast_signed() - bit;
            match moves.iter_mut().find(|(_, known)| *known == distance) {
                Some((mask, _)) => *mask |= 1 << bit,
                None => moves.push((1 << bit, distance)),
            }
        }
    }
    moves
}

/// Takes WRITE from `r0` where the mapping is private: what is written to it does not reach the file.
fn unless_shared(code: &mut Code, arguments: Arguments<'_>, null: Label) -> Result<(), EmitError> {
    let shared = code.label();
    if arguments.has("flags") {
        arguments.follow(code, "flags", null)?;
        code.alu(AluOp::And, Reg::R1, MAP_TYPE);
        code.branch(CompareOp::Ne, Width::W32, Reg::R1, MAP_PRIVATE, shared);
    } else {
        arguments.follow(code, "vma->vm_flags", null)?;
        code.branch(CompareOp::Set, Width::W64, Reg::R1, VM_SHARED, shared);
    }
    let without = !i32::try_from(Actions::WRITE.bits()).expect("nine action bits");
    code.alu(AluOp::And, Reg::R0, without);
    code.place(shared);
    Ok(())
}

pub(super) fn low_half(code: &mut Code, dst: Reg, src: Reg) {
    code.op(Op::Alu { op: AluOp::Mov, width: Width::W32, dst, src: src.into() });
}

/// Whether the layout has what [`syscall`] reads.
pub(super) fn can_see_syscall(arguments: Arguments<'_>) -> bool {
    let read = [Member::TaskFlags, Member::TaskStatus, Member::SyscallNumber];
    read.iter().all(|member| arguments.layout.offset(*member).is_ok())
}

/// Stores the architecture and the number of the running syscall, both 0 where there is none. x86 only:
/// elsewhere the layout lacks what is read. Clobbers `r0` to `r5`, `r7`, `r8`.
pub(super) fn syscall(code: &mut Code, arguments: Arguments<'_>) -> Result<(), EmitError> {
    let offset = |member: Member| arguments.layout.offset(member);
    let (arch, nr, done) = (Reg::R7, Reg::R8, code.label());
    code.set(arch, 0);
    code.set(nr, 0);
    code.helper(GET_CURRENT_TASK_BTF);
    code.load(Size::Word, Reg::R1, Reg::R0, offset(Member::TaskFlags)?);
    code.branch(CompareOp::Set, Width::W32, Reg::R1, WITHOUT_SYSCALL, done);
    code.load(Size::Word, Reg::R9, Reg::R0, offset(Member::TaskStatus)?);
    code.set(Reg::R1, Reg::R0);
    code.helper(TASK_PT_REGS);
    code.load(Size::Double, Reg::R1, Reg::R0, offset(Member::SyscallNumber)?);
    code.branch(CompareOp::Slt, Width::W64, Reg::R1, 0, done);
    low_half(code, nr, Reg::R1);
    code.load_imm(arch, AUDIT_ARCH_I386);
    code.branch(CompareOp::Set, Width::W32, Reg::R9, TS_COMPAT, done);
    code.load_imm(arch, AUDIT_ARCH_X86_64);
    code.place(done);
    code.forget(arch);
    code.forget(nr);
    code.store(Size::Double, Reg::R10, CONTEXT + context::ARCH, arch);
    code.store(Size::Double, Reg::R10, CONTEXT + context::SYSCALL_NR, nr);
    Ok(())
}
