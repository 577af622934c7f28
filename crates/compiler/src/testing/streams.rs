// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random instructions: noise, programs grown by trial, and accepted ones with a few changes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{build, rules};
use crate::abi::{Abilities, Event, context, helper};
use crate::insn::Insn;
use crate::object::RuleObject;
use crate::op::{AluOp, Op, Order, Reg, Size, Source, SwapBits, Width};
use crate::verify::{Loader, verify};

/// Any bytes at all.
pub fn noise() -> impl Strategy<Value = RuleObject> {
    vec(any::<[u8; Insn::SIZE]>().prop_map(Insn::decode), 0..64).prop_map(of)
}

/// Rules grown from random instructions: each is kept if the verifier takes the rule with it. They
/// go to the edge of what it takes, in ways nobody thought of.
pub fn grown() -> impl Strategy<Value = RuleObject> {
    (vec(snippet(), 1..48), 0..10_u8).prop_map(|(candidates, result)| {
        let mut body = Vec::new();
        for candidate in candidates {
            let kept = body.len();
            body.extend(build::program(&candidate));
            if verify(ending(&body, None), &ADMIN).is_err() {
                body.truncate(kept);
            }
        }
        let answer = ending(&body, Reg::new(result));
        if verify(answer.clone(), &ADMIN).is_ok() { answer } else { ending(&body, None) }
    })
}

const ADMIN: Loader = Loader { cap_sys_admin: true };

/// Instructions, some more to jump to, and an exit that returns a register or 0.
fn ending(body: &[Insn], result: Option<Reg>) -> RuleObject {
    let result = result.map_or(Source::Imm(0), Source::Reg);
    let pad = build::mov(Reg::R0, 0);
    let end = build::program(&[pad, pad, build::mov(Reg::R0, result), build::exit()]);
    of(body.iter().copied().chain(end).collect())
}

/// Accepted rules with one or two instructions changed, removed or doubled. Some stay accepted.
pub fn mutated() -> impl Strategy<Value = RuleObject> {
    (rules::rule_object(), vec((any::<Index>(), change()), 1..3)).prop_map(|(mut object, changes)| {
        for (index, change) in changes {
            let at = index.index(object.insns.len());
            match change {
                Change::Replace(insn) => object.insns[at] = insn,
                Change::Tweak(field, value) => tweak(&mut object.insns[at], field, value),
                Change::Double => object.insns.insert(at, object.insns[at]),
                Change::Remove if object.insns.len() > 1 => drop(object.insns.remove(at)),
                Change::Remove => {}
            }
        }
        object
    })
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Insn),
    Tweak(u8, i8),
    Double,
    Remove,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => op().prop_map(|op| Change::Replace(op.encode().0)),
        6 => (select(&[0, 1, 2, 3, 3, 3][..]), -8..8_i8).prop_map(|(field, value)| Change::Tweak(field, value)),
        3 => Just(Change::Double),
        1 => Just(Change::Remove),
    ]
}

fn tweak(insn: &mut Insn, field: u8, value: i8) {
    match field {
        0 => insn.dst = value.unsigned_abs(),
        1 => insn.src = value.unsigned_abs(),
        2 => insn.off = insn.off.wrapping_add(value.into()),
        _ => insn.imm = insn.imm.wrapping_add(value.into()),
    }
}

const HELPERS: [i32; 5] = [
    helper::TRACE_PRINTK,
    helper::GET_CURRENT_PID_TGID,
    helper::GET_CURRENT_UID_GID,
    helper::GET_CURRENT_COMM,
    helper::HANDLE_FS_GET_MODE,
];

/// One instruction, or a few that go together.
fn snippet() -> impl Strategy<Value = Vec<Op>> {
    let buffer = (select(&[helper::GET_CURRENT_COMM, helper::TRACE_PRINTK][..]), 0..40_i32, 0..33_i32);
    prop_oneof![
        12 => op().prop_map(|op| vec![op]),
        1 => Just(vec![build::mov(Reg::R6, Reg::R1)]),
        2 => select(&[Reg::R1, Reg::R6][..]).prop_map(|base| vec![
            build::load(Size::Double, Reg::R1, base, context::ARG1),
            build::call(helper::HANDLE_FS_GET_MODE),
        ]),
        2 => buffer.prop_map(|(number, off, size)| vec![
            build::mov(Reg::R1, Reg::R10),
            build::alu(AluOp::Add, Reg::R1, -off),
            build::mov(Reg::R2, size),
            build::call(number),
        ]),
    ]
}

fn reg() -> impl Strategy<Value = Reg> + Clone {
    prop_oneof![4 => 0..3_u8, 3 => 0..10_u8, 1 => Just(10_u8)]
        .prop_map(|number| Reg::new(number).unwrap_or(Reg::R0))
}

fn source() -> impl Strategy<Value = Source> {
    let imm = prop_oneof![2 => 0..70_i32, 2 => (-8..8_i32).prop_map(|slot| slot * 8), 1 => any::<i32>()];
    prop_oneof![imm.prop_map(Source::Imm), reg().prop_map(Source::Reg)]
}

/// A base and an offset from it: the context, the stack, anything.
fn place() -> impl Strategy<Value = (Reg, i16)> {
    let field = select(&[Reg::R1, Reg::R6][..]);
    prop_oneof![
        3 => (field, (0..6_i16).prop_map(|field| field * 8)),
        5 => (Just(Reg::R10), prop_oneof![3 => (-5..0_i16).prop_map(|slot| slot * 8), 1 => -40..1_i16]),
        1 => (reg(), -16..17_i16),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let width = select(&[Width::W32, Width::W64][..]);
    let size = select(&[Size::Byte, Size::Half, Size::Word, Size::Double, Size::Double][..]);
    let word = select(&[Size::Word, Size::Double][..]);
    let order = select(&[Order::Little, Order::Big][..]);
    let bits = select(&[SwapBits::B16, SwapBits::B32, SwapBits::B64][..]);
    let off = prop_oneof![4 => 0..4_i16, 1 => -3..100_i16];
    prop_oneof![
        4 => (rules::alu_op(), width.clone(), reg(), source()).prop_map(|(op, width, dst, src)| Op::Alu { op, width, dst, src }),
        2 => (reg(), source()).prop_map(|(dst, src)| build::mov(dst, src)),
        1 => (width.clone(), reg()).prop_map(|(width, dst)| Op::Neg { width, dst }),
        1 => (order, bits, reg()).prop_map(|(order, bits, dst)| Op::Swap { order, bits, dst }),
        1 => (reg(), any::<u64>()).prop_map(|(dst, value)| build::load_imm(dst, value)),
        5 => (size.clone(), reg(), place()).prop_map(|(size, dst, (base, off))| Op::Load { size, dst, base, off }),
        5 => (size, place(), source()).prop_map(|(size, (base, off), src)| Op::Store { size, base, off, src }),
        2 => (rules::atomic_op(), word, place(), reg()).prop_map(|(op, size, (base, off), src)| Op::Atomic { op, size, base, off, src }),
        1 => off.clone().prop_map(|off| Op::Jump { off }),
        4 => (rules::compare_op(), width, reg(), source(), off).prop_map(|(op, width, dst, src, off)| Op::Branch { op, width, dst, src, off }),
        2 => select(&HELPERS[..]).prop_map(build::call),
    ]
}

fn of(insns: Vec<Insn>) -> RuleObject {
    build::object(Event::Fs, Abilities::DEBUG, insns)
}
