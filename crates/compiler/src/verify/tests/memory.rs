// SPDX-License-Identifier: MIT OR Apache-2.0
//! The context and the stack.

use super::*;
use crate::abi::{Event, context};
use crate::op::{AluOp, AtomicOp, CompareOp, Op, Reg, Size};
use crate::testing::build::regs::*;
use crate::testing::build::{Byte, Double, Half, Word, alu, branch, exit, fs, load, mov, program, store};

/// `r6` is the handle, `r7` a number; then `body`, then allow.
fn after(body: &[Op]) -> RuleObject {
    let mut ops = vec![load(Double, R6, R1, context::ARG1), load(Double, R7, R1, context::ARG2)];
    ops.extend_from_slice(body);
    ops.extend([mov(R0, 0), exit()]);
    fs(&ops)
}
const BODY: usize = 2;
const SIZES: [Size; 4] = [Byte, Half, Word, Double];

#[test]
fn the_context_is_read_at_the_start_of_a_field() {
    let fields = [context::STATUS, context::EVENT, context::ARG2, context::ARCH, context::SYSCALL_NR];
    for size in SIZES {
        for field in fields {
            accepted(after(&[load(size, R2, R1, field), alu(AluOp::Add, R2, 1)]));
        }
        for off in [-8, 1, 4, 12, 20, 25, 28, 36, 44, 48, i16::MIN, i16::MAX] {
            let fact = format!("no field of the context starts at offset {off}");
            denied(after(&[load(size, R2, R1, off)]), BODY, &fact);
        }
    }
}

#[test]
fn the_handle_is_read_whole() {
    accepted(after(&[load(Double, R2, R1, context::ARG1)]));
    for size in [Byte, Half, Word] {
        let fact = format!("the handle is loaded in {} bytes, only a load of 8 gives one", size.bytes());
        denied(after(&[load(size, R2, R1, context::ARG1)]), BODY, &fact);
    }
}

/// v7's code refused every read of the context by a sub-event; its documents allow them.
#[test]
fn every_event_may_read_the_context() {
    for event in Event::FILE_SYSTEM {
        let ops = [load(Double, R2, R1, context::ARG1), load(Word, R0, R1, context::ARG2), exit()];
        accepted(crate::testing::build::object(event, crate::abi::Abilities::empty(), program(&ops)));
    }
}

#[test]
fn the_context_is_read_only() {
    accepted(after(&[store(Double, R10, -8, R7)]));
    denied(after(&[store(Double, R1, 24, R7)]), BODY, "the context is read-only");
    denied(after(&[store(Byte, R1, 0, 1)]), BODY, "the context is read-only");
    let add = |base, off| Op::Atomic { op: AtomicOp::Add, size: Double, base, off, src: R7 };
    accepted(after(&[store(Double, R10, -8, 0), add(R10, -8)]));
    denied(after(&[add(R1, 24)]), BODY, "the context is read-only");
}

#[test]
fn only_the_context_and_the_stack_are_memory() {
    denied(after(&[load(Double, R2, R6, 0)]), BODY, "memory access through r6, which holds the handle");
    denied(after(&[store(Double, R6, 0, R7)]), BODY, "memory access through r6, which holds the handle");
    denied(after(&[load(Byte, R2, R7, 0)]), BODY, "memory access through r7, which holds a number");
    denied(after(&[store(Byte, R7, 0, 0)]), BODY, "memory access through r7, which holds a number");
    accepted(after(&[mov(R2, R10), store(Byte, R2, -1, 0), load(Byte, R3, R2, -1)]));
}

#[test]
fn the_stack_has_512_bytes() {
    for size in SIZES {
        let bytes = i16::from(size.bytes());
        accepted(after(&[store(size, R10, -512, 1), store(size, R10, -bytes, 1)]));
        for off in [0, -512 - bytes, 8, -520] {
            let fact = format!("access to {bytes} bytes at r10{off:+}, the stack is r10-512 to r10");
            denied(after(&[store(size, R10, off, 1)]), BODY, &fact);
            denied(after(&[load(size, R2, R10, off)]), BODY, &fact);
        }
    }
    let low = [mov(R2, R10), alu(AluOp::Add, R2, -512)];
    accepted(after(&[low[0], low[1], store(Double, R2, 0, 1)]));
    let fact = "access to 8 bytes at r10-520, the stack is r10-512 to r10";
    denied(after(&[low[0], low[1], store(Double, R2, -8, 1)]), BODY + 2, fact);
}

#[test]
fn stack_accesses_are_aligned() {
    for (size, off) in [(Half, -3), (Word, -6), (Double, -12), (Double, -9)] {
        let bytes = i16::from(size.bytes());
        accepted(after(&[store(size, R10, -2 * bytes, R7)]));
        let fact = format!("access to {bytes} bytes at r10{off:+}, which is not a multiple of {bytes}");
        denied(after(&[store(size, R10, off, R7)]), BODY, &fact);
    }
}

#[test]
fn stack_bytes_are_written_before_they_are_read() {
    accepted(after(&[store(Word, R10, -8, 1), store(Word, R10, -4, 1), load(Double, R2, R10, -8)]));
    let fact = "read of 8 bytes at r10-8; the byte at r10-4 holds no number on some path";
    denied(after(&[store(Word, R10, -8, 1), load(Double, R2, R10, -8)]), BODY + 1, fact);
    let fact = "read of 1 bytes at r10-512; the byte at r10-512 holds no number on some path";
    denied(after(&[load(Byte, R2, R10, -512)]), BODY, fact);
}

#[test]
fn stack_bytes_are_written_on_every_path() {
    let diamond = |first: Op| {
        after(&[
            branch(CompareOp::Eq, R7, 0, 2),
            first,
            branch(CompareOp::Eq, R7, 1, 1),
            store(Double, R10, -8, R7),
            load(Double, R2, R10, -8),
        ])
    };
    accepted(diamond(store(Double, R10, -8, 3)));
    let fact = "read of 8 bytes at r10-8; the byte at r10-8 holds no number on some path";
    denied(diamond(store(Double, R10, -16, 3)), BODY + 4, fact);
    denied(diamond(store(Double, R10, -8, R6)), BODY + 4, fact);
}

#[test]
fn spilled_pointers_come_back_as_they_were() {
    let through =
        |reg: Reg, use_it: Op| after(&[store(Double, R10, -8, reg), load(Double, R2, R10, -8), use_it]);
    accepted(through(R1, load(Double, R3, R2, context::ARG2)));
    accepted(through(R10, store(Byte, R2, -16, 1)));
    accepted(through(R7, alu(AluOp::Add, R2, 1)));
    denied(through(R6, alu(AluOp::Add, R2, 1)), BODY + 2, "arithmetic on the handle");
    denied(
        through(R6, load(Double, R3, R2, 0)),
        BODY + 2,
        "memory access through r2, which holds the handle",
    );
}

#[test]
fn a_spilled_pointer_is_not_taken_apart() {
    accepted(after(&[store(Double, R10, -8, R6), load(Double, R2, R10, -8)]));
    for size in [Byte, Half, Word] {
        let fact = "read of a part of the handle that was spilled at r10-8";
        denied(after(&[store(Double, R10, -8, R6), load(size, R2, R10, -8)]), BODY + 1, fact);
        let fact = format!("the handle stored in {} bytes, it takes 8", size.bytes());
        denied(after(&[store(size, R10, -8, R6)]), BODY, &fact);
    }
    accepted(after(&[store(Word, R10, -8, R7)]));
}

#[test]
fn storing_over_a_part_of_a_pointer_destroys_it() {
    let over = |load: Op| after(&[store(Double, R10, -8, R6), store(Byte, R10, -8, 0), load]);
    accepted(over(load(Byte, R2, R10, -8)));
    let fact = "read of 8 bytes at r10-8; the byte at r10-7 holds no number on some path";
    denied(over(load(Double, R2, R10, -8)), BODY + 2, fact);
}

#[test]
fn atomic_operations_are_for_numbers_on_the_stack() {
    let on = |first: Op, src: Reg, op: AtomicOp| {
        after(&[mov(R0, 0), first, Op::Atomic { op, size: Double, base: R10, off: -8, src }])
    };
    for op in [AtomicOp::Add, AtomicOp::FetchXor, AtomicOp::Exchange, AtomicOp::CompareExchange] {
        accepted(on(store(Double, R10, -8, 1), R7, op));
        denied(on(store(Double, R10, -8, 1), R6, op), BODY + 2, "an atomic operation on the handle");
        denied(on(store(Double, R10, -8, R6), R7, op), BODY + 2, "an atomic operation on the handle");
        let fact = "read of 8 bytes at r10-8; the byte at r10-8 holds no number on some path";
        denied(on(store(Double, R10, -16, 1), R7, op), BODY + 2, fact);
    }
    let word = Op::Atomic { op: AtomicOp::Add, size: Word, base: R10, off: -6, src: R7 };
    let fact = "access to 4 bytes at r10-6, which is not a multiple of 4";
    denied(after(&[store(Double, R10, -8, 1), word]), BODY + 1, fact);
    let exchange = Op::Atomic { op: AtomicOp::CompareExchange, size: Word, base: R10, off: -8, src: R7 };
    let fact = "r0 is read, and was never written";
    denied(after(&[store(Double, R10, -8, 1), exchange]), BODY + 1, fact);
}
