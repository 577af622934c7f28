// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::check::code;
use super::*;

const ALLOW: u32 = 0x7fff_0000;

fn insn(code: u16, k: u32) -> ClassicInsn {
    ClassicInsn { code, k, ..ClassicInsn::default() }
}

fn jump(op: u16, k: u32, jt: u8, jf: u8) -> ClassicInsn {
    ClassicInsn { code: code::JMP | op, jt, jf, k }
}

fn ret(k: u32) -> ClassicInsn {
    insn(code::RET_K, k)
}

fn data() -> SyscallData {
    let args = [0x1111_2222_3333_4444, 2, 3, 4, 5, 6];
    SyscallData { nr: 257, arch: 0xc000_003e, instruction_pointer: 0x7fff_1234_5678, args }
}

/// What a filter of these instructions returns, the accumulator being returned at the end.
fn computes(insns: &[ClassicInsn]) -> u32 {
    let all = [insns, &[insn(code::RET_A, 0)]].concat();
    Filter::new(all).unwrap_or_else(|error| panic!("{error}")).evaluate(&data()).0
}

fn refused(insns: &[ClassicInsn]) -> (Option<usize>, FilterFault) {
    let error = Filter::new(insns.to_vec()).expect_err("no filter");
    assert!(!error.to_string().is_empty());
    (error.insn, error.fault)
}

#[test]
fn words_of_the_data_are_where_linux_has_them() {
    let words: Vec<u32> = (0..64).step_by(4).map(|off| computes(&[insn(code::LD_ABS, off)])).collect();
    let expected = [257, 0xc000_003e, 0x1234_5678, 0x7fff, 0x3333_4444, 0x1111_2222];
    assert_eq!(words[..6], expected);
    assert_eq!(words[6..], [2, 0, 3, 0, 4, 0, 5, 0, 6, 0]);
}

#[test]
fn arithmetic_is_unsigned_and_wraps() {
    let with = |op, a, k| computes(&[insn(code::LD_IMM, a), insn(code::ALU | op, k)]);
    let with_x = |op, a, x| {
        computes(&[insn(code::LDX_IMM, x), insn(code::LD_IMM, a), insn(code::ALU | op | code::X, 0)])
    };
    for (op, a, b, result) in [
        (code::ADD, u32::MAX, 2, 1),
        (code::SUB, 1, 2, u32::MAX),
        (code::MUL, 1 << 31, 2, 0),
        (code::DIV, u32::MAX, 2, u32::MAX / 2),
        (code::OR, 5, 2, 7),
        (code::AND, 7, 2, 2),
        (code::XOR, 7, 2, 5),
        (code::LSH, 3, 31, 1 << 31),
        (code::RSH, 1 << 31, 31, 1),
    ] {
        assert_eq!((with(op, a, b), with_x(op, a, b)), (result, result), "{op:#x}");
    }
    assert_eq!(computes(&[insn(code::LD_IMM, 5), insn(code::NEG, 0)]), 5_u32.wrapping_neg());
    assert_eq!(with_x(code::LSH, 1, 33), 2, "distances are taken modulo 32");
    assert_eq!(with_x(code::DIV, 7, 0), 0, "a division by zero ends the filter: the thread is killed");
}

#[test]
fn registers_memory_and_length() {
    let swapped = [
        insn(code::LD_IMM, 7),
        insn(code::TAX, 0),
        insn(code::ST, 3),
        insn(code::STX, 15),
        insn(code::LD_IMM, 0),
        insn(code::LDX_MEM, 3),
        insn(code::TXA, 0),
    ];
    assert_eq!(computes(&swapped), 7);
    assert_eq!(computes(&[&swapped[..], &[insn(code::LD_MEM, 15)]].concat()), 7);
    assert_eq!(computes(&[insn(code::LD_LEN, 0)]), 64);
    assert_eq!(computes(&[insn(code::LDX_LEN, 0), insn(code::TXA, 0)]), 64);
}

#[test]
fn comparisons_go_both_ways() {
    let taken = |op, a, k| {
        let program = [insn(code::LD_IMM, a), jump(op, k, 0, 1), ret(1), ret(0)];
        Filter::new(program.to_vec()).unwrap().evaluate(&data()).0 == 1
    };
    assert!(taken(code::JEQ, 5, 5) && !taken(code::JEQ, 5, 6));
    assert!(taken(code::JGT, u32::MAX, 1) && !taken(code::JGT, 5, 5));
    assert!(taken(code::JGE, 5, 5) && !taken(code::JGE, 4, 5));
    assert!(taken(code::JSET, 6, 2) && !taken(code::JSET, 5, 2));
    let x =
        [insn(code::LDX_IMM, 5), insn(code::LD_IMM, 5), jump(code::JEQ | code::X, 0, 0, 1), ret(1), ret(0)];
    assert_eq!(Filter::new(x.to_vec()).unwrap().evaluate(&data()), Action(1));
    let skips = [insn(code::JA, 1), ret(0), ret(ALLOW)];
    assert_eq!(Filter::new(skips.to_vec()).unwrap().evaluate(&data()), Action::ALLOW);
}

#[test]
fn a_filter_has_1_to_4096_instructions_and_ends_in_a_return() {
    assert_eq!(refused(&[]), (None, FilterFault::Length { len: 0 }));
    let long = |len: usize| [vec![insn(code::LD_IMM, 0); len - 1], vec![ret(ALLOW)]].concat();
    assert!(Filter::new(long(4096)).is_ok());
    assert_eq!(refused(&long(4097)), (None, FilterFault::Length { len: 4097 }));
    assert_eq!(refused(&[ret(0), insn(code::LD_IMM, 0)]), (Some(1), FilterFault::NoReturn));
}

#[test]
fn loads_are_whole_words_of_the_data() {
    for off in [1, 2, 3, 61, 64, 68, 0xffff_f000, u32::MAX] {
        assert_eq!(refused(&[insn(code::LD_ABS, off), ret(0)]), (Some(0), FilterFault::Load { off }));
    }
}

#[test]
fn jumps_stay_inside() {
    for (program, at) in [
        (vec![insn(code::JA, 1), ret(0)], 0),
        (vec![insn(code::JA, u32::MAX), ret(0)], 0),
        (vec![ret(0), jump(code::JEQ, 0, 1, 0), ret(0)], 1),
        (vec![ret(0), jump(code::JEQ, 0, 0, 1), ret(0)], 1),
    ] {
        assert_eq!(refused(&program), (Some(at), FilterFault::Jump));
    }
}

#[test]
fn scratch_memory_is_written_before_it_is_read() {
    let read = insn(code::LD_MEM, 2);
    let write = insn(code::ST, 2);
    assert_eq!(refused(&[read, ret(0)]), (Some(0), FilterFault::Unwritten { index: 2 }));
    let one_way = [jump(code::JEQ, 0, 1, 0), write, read, ret(0)];
    assert_eq!(refused(&one_way), (Some(2), FilterFault::Unwritten { index: 2 }));
    let both_ways = [jump(code::JEQ, 0, 0, 2), write, insn(code::JA, 1), write, read, ret(0)];
    assert!(Filter::new(both_ways.to_vec()).is_ok());
    assert_eq!(refused(&[insn(code::ST, 16), ret(0)]), (Some(0), FilterFault::Memory { index: 16 }));
    assert_eq!(refused(&[insn(code::LDX_MEM, 99), ret(0)]), (Some(0), FilterFault::Memory { index: 99 }));
}

#[test]
fn constants_divide_and_shift_as_they_can() {
    let alu = |op, k| [insn(code::ALU | op, k), ret(0)];
    assert_eq!(refused(&alu(code::DIV, 0)), (Some(0), FilterFault::DivisionByZero));
    for op in [code::LSH, code::RSH] {
        assert!(Filter::new(alu(op, 31).to_vec()).is_ok());
        assert_eq!(refused(&alu(op, 32)), (Some(0), FilterFault::Shift { by: 32 }));
    }
}

/// Seccomp has no remainder, no loads of bytes or relative to X, and nothing of later instruction sets.
#[test]
fn only_seccomp_s_opcodes_are_known() {
    let is_known = |code: &u16| Filter::new(vec![insn(*code, 0), ret(0)]).is_ok();
    let known = (0..=u16::MAX).filter(|code| is_known(code) || *code == 0x34).count();
    // 7 loads, of which those of memory cannot be first; 2 stores; 18 arithmetic and neg; 9 jumps; 2 returns; 2 moves.
    assert_eq!(known, 7 - 2 + 2 + 19 + 9 + 2 + 2);
    for other in [0x28, 0x30, 0x40, 0x94, 0x9c, 0x8c, 0xb1, 0x0e, 0x26, 0x50, 0x100, 0x95] {
        assert!(!is_known(&other), "{other:#x}");
    }
}

#[test]
fn filters_come_from_bytes() {
    let bytes = [
        0x20, 0, 0, 0, 4, 0, 0, 0, 0x15, 0, 0, 1, 0x3e, 0, 0, 0xc0, 6, 0, 0, 0, 5, 0, 7, 0, 6, 0, 0, 0, 0, 0,
        0, 0,
    ];
    let filter = Filter::from_bytes(&bytes).unwrap();
    assert_eq!(filter.evaluate(&data()).cookie(), Some(5));
    assert_eq!(filter.evaluate(&SyscallData::default()), Action(0));
    let error = Filter::from_bytes(&bytes[..31]).unwrap_err();
    assert_eq!(error, FilterError { insn: Some(3), fault: FilterFault::CutShort });
    assert_eq!(Filter::from_bytes(&[]).unwrap_err().fault, FilterFault::Length { len: 0 });
}

#[test]
fn the_lowest_action_wins_and_killing_the_process_is_the_lowest() {
    let order = [
        0x8000_0000,
        0x0000_0000,
        0x0003_0000,
        0x0005_0000,
        RET_LANDLOCK,
        0x7fc0_0000,
        0x7ff0_0000,
        0x7ffc_0000,
        ALLOW,
    ];
    assert!(order.is_sorted_by_key(|action| Action(*action).precedence()));
    assert_eq!(Action(RET_LANDLOCK | 0xffff).cookie(), Some(0xffff));
    assert!(order.iter().all(|action| Action(*action).cookie().is_some() == (*action == RET_LANDLOCK)));
    assert_eq!(Filter::always(5).evaluate(&data()).cookie(), Some(5));
}

fn any_insn() -> impl Strategy<Value = ClassicInsn> {
    let codes = prop_oneof![9 => 0..0x100_u16, 1 => any::<u16>()];
    let k = prop_oneof![0..70_u32, (0..16_u32).prop_map(|word| 4 * word), any::<u32>()];
    (codes, 0..4_u8, 0..4_u8, k).prop_map(|(code, jt, jf, k)| ClassicInsn { code, jt, jf, k })
}

proptest! {
    /// What is accepted runs to its end without reading what was not written: memory that starts as something
    /// else changes nothing. Most random programs are refused, so instructions are dropped until one is not.
    #[test]
    fn accepted_filters_answer(insns in proptest::collection::vec(any_insn(), 0..40), words: [u64; 6]) {
        let mut kept: Vec<ClassicInsn> = Vec::new();
        for insn in insns {
            let tail = [insn, ret(1), ret(2), ret(3), ret(4), ret(5)];
            if Filter::new([&kept[..], &tail].concat()).is_ok() {
                kept.push(insn);
            }
        }
        kept.extend([ret(1), ret(2), ret(3), ret(4), ret(5)]);
        let filter = Filter::new(kept.clone()).unwrap();
        let data = SyscallData { args: words, ..data() };
        prop_assert_eq!(filter.evaluate(&data), filter.evaluate(&data));
        let bytes: Vec<u8> = kept.iter().flat_map(|insn| {
            let [k0, k1, k2, k3] = insn.k.to_le_bytes();
            let [c0, c1] = insn.code.to_le_bytes();
            [c0, c1, insn.jt, insn.jf, k0, k1, k2, k3]
        }).collect();
        prop_assert_eq!(Filter::from_bytes(&bytes), Ok(filter));
    }

    #[test]
    fn bytes_do_not_panic(bytes: Vec<u8>) {
        if let Ok(filter) = Filter::from_bytes(&bytes) {
            let _ = filter.evaluate(&data());
        }
    }
}
