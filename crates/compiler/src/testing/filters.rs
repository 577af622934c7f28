// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random classic filters that the check accepts.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::abi::hook::RET_LANDLOCK;
use crate::classic::{ClassicInsn, Filter};

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0001;

/// A filter; some say the same of every system call.
pub fn filter() -> impl Strategy<Value = Filter> {
    let cookie = (0..4_u16).prop_map(Filter::always);
    prop_oneof![1 => cookie, 6 => (vec(insn(), 0..24), said()).prop_map(|(insns, last)| of(insns, last))]
}

/// All of scratch memory is written first; what jumps too far goes to the end.
fn of(body: Vec<ClassicInsn>, last: ClassicInsn) -> Filter {
    let stores = (0..16).map(|k| ClassicInsn { code: 0x02, k, ..ClassicInsn::default() });
    let mut insns: Vec<ClassicInsn> = stores.chain(body).chain([last]).collect();
    let len = insns.len();
    for (at, insn) in insns.iter_mut().enumerate() {
        let most = len.saturating_sub(at + 2);
        let short = |skipped: u8| u8::try_from(usize::from(skipped).min(most)).unwrap_or(0);
        (insn.jt, insn.jf) = (short(insn.jt), short(insn.jf));
        if insn.code == 0x05 {
            insn.k = u32::from(short(u8::try_from(insn.k % 8).unwrap_or(0)));
        }
    }
    Filter::new(insns).unwrap_or_else(|error| panic!("{error}"))
}

/// A return.
fn said() -> impl Strategy<Value = ClassicInsn> {
    let k = prop_oneof![
        4 => (0..4_u32).prop_map(|cookie| RET_LANDLOCK | cookie),
        1 => Just(ALLOW),
        1 => Just(ERRNO),
    ];
    prop_oneof![
        6 => k.prop_map(|k| ClassicInsn { code: 0x06, k, ..ClassicInsn::default() }),
        1 => Just(ClassicInsn { code: 0x16, ..ClassicInsn::default() }),
    ]
}

fn insn() -> impl Strategy<Value = ClassicInsn> {
    let word = || (0..16_u32).prop_map(|word| 4 * word);
    let number = || prop_oneof![0..8_u32, any::<u32>(), Just(RET_LANDLOCK)];
    let plain = |code: u16, k: u32| ClassicInsn { code, k, ..ClassicInsn::default() };
    let memory = (select(&[0x60_u16, 0x61, 0x02, 0x03][..]), 0..16_u32);
    let alu =
        (select(&[0x00_u16, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0][..]), any::<bool>(), number());
    let jump = (select(&[0x10_u16, 0x20, 0x30, 0x40][..]), any::<bool>(), number(), 0..5_u8, 0..5_u8);
    prop_oneof![
        5 => word().prop_map(move |k| plain(0x20, k)),
        1 => (select(&[0x00_u16, 0x01, 0x80, 0x81, 0x07, 0x87, 0x84][..]), number()).prop_map(move |(code, k)| plain(code, k)),
        2 => memory.prop_map(move |(code, k)| plain(code, k)),
        3 => alu.prop_map(move |(op, x, k)| match (op, x) {
            (0x30, false) => plain(0x34, k.max(1)),
            (0x60 | 0x70, false) => plain(0x04 | op, k % 32),
            _ => plain(0x04 | op | if x { 8 } else { 0 }, k),
        }),
        3 => jump.prop_map(|(op, x, k, jt, jf)| ClassicInsn { code: 0x05 | op | if x { 8 } else { 0 }, jt, jf, k }),
        1 => (0..5_u32).prop_map(move |k| plain(0x05, k)),
        1 => said(),
    ]
}
