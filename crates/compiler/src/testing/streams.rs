// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random instructions: noise, plausible programs, and accepted ones with a few changes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{build, rules};
use crate::abi::{Abilities, Event, helper};
use crate::insn::Insn;
use crate::object::RuleObject;

/// Any bytes at all.
pub fn noise() -> impl Strategy<Value = RuleObject> {
    vec(any::<[u8; Insn::SIZE]>().prop_map(Insn::decode), 0..64).prop_map(of)
}

/// Instructions with opcodes that exist, small numbers, and an exit at the end: many are nearly
/// right, some are.
pub fn plausible() -> impl Strategy<Value = RuleObject> {
    vec(insn(), 1..24).prop_map(|mut insns| {
        insns.extend(build::program(&[build::exit()]));
        of(insns)
    })
}

/// Accepted rules with up to three instructions replaced, removed or doubled.
pub fn mutated() -> impl Strategy<Value = RuleObject> {
    (rules::rule_object(), vec((any::<Index>(), change()), 1..4)).prop_map(|(mut object, changes)| {
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
        2 => insn().prop_map(Change::Replace),
        4 => (0..4_u8, -8..8_i8).prop_map(|(field, value)| Change::Tweak(field, value)),
        1 => Just(Change::Double),
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

fn insn() -> impl Strategy<Value = Insn> {
    const HELPERS: [i32; 5] = [
        helper::TRACE_PRINTK,
        helper::GET_CURRENT_PID_TGID,
        helper::GET_CURRENT_UID_GID,
        helper::GET_CURRENT_COMM,
        helper::HANDLE_FS_GET_MODE,
    ];
    let reg = prop_oneof![4 => 0..3_u8, 1 => 0..11_u8, 1 => Just(10_u8)];
    let off = prop_oneof![2 => Just(0_i16), 3 => 0..4_i16, 2 => (0..6_i16).prop_map(|field| field * 8),
        3 => (-8..0_i16).prop_map(|slot| slot * 8), 1 => any::<i16>()];
    let imm = prop_oneof![3 => Just(0_i32), 2 => 0..32_i32, 2 => select(&HELPERS[..]),
        1 => (-8..0_i32).prop_map(|slot| slot * 8), 1 => any::<i32>()];
    (any::<u8>(), reg.clone(), reg, off, imm)
        .prop_map(|(code, dst, src, off, imm)| clean(Insn { code, dst, src, off, imm }))
}

/// Zeroes what most instructions of this opcode do not use.
fn clean(insn: Insn) -> Insn {
    let (imm, src, off) = (Insn { imm: 0, ..insn }, Insn { src: 0, ..insn }, Insn { off: 0, ..insn });
    match (insn.code & 7, insn.code & 8 != 0) {
        (1 | 3, _) => imm,
        (2, _) => src,
        (4 | 7, true) => Insn { off: 0, ..imm },
        (4 | 7, false) => Insn { off: 0, ..src },
        (5 | 6, true) => imm,
        (5 | 6, false) => src,
        _ => off,
    }
}

fn of(insns: Vec<Insn>) -> RuleObject {
    build::object(Event::Fs, Abilities::DEBUG, insns)
}
