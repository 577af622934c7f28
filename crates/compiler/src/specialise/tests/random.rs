// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random rules that a verifier accepts: every register and stack slot is written first, jumps go
//! forwards, and the handle stays in its register.

use super::*;

/// Registers the body computes with. `r6` keeps the context, `r7` the handle.
const REGS: [Reg; 7] = [Reg::R0, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R8, Reg::R9];

fn reg() -> impl Strategy<Value = Reg> {
    select(&REGS[..])
}

/// Numbers rules are made of.
pub(super) fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        0..20i32,
        select(&[0o170_000, 0o100_000, 0o020_000, 0o111, 0x1ff, -1, -2, 0x5412, i32::MAX, i32::MIN][..]),
        (0..32u32).prop_map(|bit| 1i32.wrapping_shl(bit)),
        any::<i32>(),
    ]
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![2 => number().prop_map(Source::Imm), 1 => reg().prop_map(Source::Reg)]
}

pub(super) fn width() -> impl Strategy<Value = Width> {
    select(&[Width::W32, Width::W64, Width::W64][..])
}

pub(super) const ALU: [AluOp; 12] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
pub(super) const COMPARE: [CompareOp; 11] = [
    CompareOp::Eq,
    CompareOp::Ne,
    CompareOp::Set,
    CompareOp::Gt,
    CompareOp::Ge,
    CompareOp::Lt,
    CompareOp::Le,
    CompareOp::Sgt,
    CompareOp::Sge,
    CompareOp::Slt,
    CompareOp::Sle,
];
const ATOMIC: [AtomicOp; 10] = [
    AtomicOp::Add,
    AtomicOp::Or,
    AtomicOp::And,
    AtomicOp::Xor,
    AtomicOp::FetchAdd,
    AtomicOp::FetchOr,
    AtomicOp::FetchAnd,
    AtomicOp::FetchXor,
    AtomicOp::Exchange,
    AtomicOp::CompareExchange,
];

/// A place on the stack, aligned to its size, within the 32 bytes the prologue writes.
fn slot() -> impl Strategy<Value = (Size, i16)> {
    (select(&[Size::Byte, Size::Half, Size::Word, Size::Double][..]), 0..32i16)
        .prop_map(|(size, at)| (size, -32 + at / i16::from(size.bytes()) * i16::from(size.bytes())))
}

/// A context field but the handle, loaded from its start.
fn load_field() -> impl Strategy<Value = Vec<Op>> {
    let fields =
        [context::STATUS, context::EVENT, context::ARG2, context::ARG2, context::ARCH, context::SYSCALL_NR];
    let sizes = [Size::Byte, Size::Word, Size::Double, Size::Double];
    (reg(), select(fields.to_vec()), select(sizes.to_vec()))
        .prop_map(|(dst, off, size)| vec![Op::Load { size, dst, base: Reg::R6, off }])
}

/// A call, with the argument registers written again after it.
fn calling(before: Vec<Op>, number: i32) -> Vec<Op> {
    let after = Reg::arguments().into_iter().skip(1).map(|reg| mov(reg, i32::from(reg.number())));
    before.into_iter().chain([call(number)]).chain(after).collect()
}

fn buffer_call(number: i32, size: i32) -> Vec<Op> {
    let buffer = [copy(Reg::R1, Reg::R10), alu(AluOp::Add, Reg::R1, -32), mov(Reg::R2, size)];
    calling(buffer.into(), number)
}

/// What stands for a branch until the length of the program is known: the fraction of what follows
/// that is skipped.
#[derive(Clone, Debug)]
enum Piece {
    Ops(Vec<Op>),
    Branch(CompareOp, Width, Reg, Source, u8),
}

fn piece() -> impl Strategy<Value = Piece> {
    let arithmetic = (select(&ALU[..]), width(), reg(), source())
        .prop_map(|(op, width, dst, src)| vec![Op::Alu { op, width, dst, src }]);
    let swap = (any::<bool>(), select(&[SwapBits::B16, SwapBits::B32, SwapBits::B64][..]), reg()).prop_map(
        |(big, bits, dst)| {
            let order = if big { crate::op::Order::Big } else { crate::op::Order::Little };
            vec![Op::Swap { order, bits, dst }]
        },
    );
    let negate = (width(), reg()).prop_map(|(width, dst)| vec![Op::Neg { width, dst }]);
    let load =
        (slot(), reg()).prop_map(|((size, off), dst)| vec![Op::Load { size, dst, base: Reg::R10, off }]);
    let store =
        (slot(), source()).prop_map(|((size, off), src)| vec![Op::Store { size, base: Reg::R10, off, src }]);
    let atomic = (select(&ATOMIC[..]), any::<bool>(), 0..4i16, reg()).prop_map(|(op, word, at, src)| {
        let size = if word { Size::Word } else { Size::Double };
        vec![Op::Atomic { op, size, base: Reg::R10, off: -32 + at * 8, src }]
    });
    let calls = select(vec![
        calling(vec![copy(Reg::R1, Reg::R7)], helper::HANDLE_FS_GET_MODE),
        calling(vec![copy(Reg::R1, Reg::R7)], helper::HANDLE_FS_GET_MODE),
        calling(vec![], helper::GET_CURRENT_UID_GID),
        calling(vec![], helper::GET_CURRENT_PID_TGID),
        buffer_call(helper::GET_CURRENT_COMM, 16),
        buffer_call(helper::GET_CURRENT_COMM, 7),
        buffer_call(helper::TRACE_PRINTK, 16),
    ]);
    let branch = (select(&COMPARE[..]), width(), reg(), source(), any::<u8>())
        .prop_map(|(op, width, dst, src, skip)| Piece::Branch(op, width, dst, src, skip));
    prop_oneof![
        6 => arithmetic.prop_map(Piece::Ops),
        1 => prop_oneof![swap, negate].prop_map(Piece::Ops),
        2 => load_field().prop_map(Piece::Ops),
        2 => prop_oneof![load.boxed(), store.boxed(), atomic.boxed()].prop_map(Piece::Ops),
        1 => calls.prop_map(Piece::Ops),
        4 => branch,
    ]
}

fn prologue() -> Vec<Op> {
    let registers = REGS.into_iter().zip(3..).map(|(reg, value)| mov(reg, value));
    let stack = (1..=4).map(|at| Op::Store {
        size: Size::Double,
        base: Reg::R10,
        off: at * -8,
        src: Source::Imm(at.into()),
    });
    [copy(Reg::R6, Reg::R1), field(Reg::R7, context::ARG1)]
        .into_iter()
        .chain(registers)
        .chain(stack)
        .collect()
}

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    proptest::collection::vec(piece(), 1..40).prop_map(|pieces| {
        let len = |piece: &Piece| if let Piece::Ops(ops) = piece { ops.len() } else { 1 };
        let mut program = prologue();
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Ops(ops) => program.extend(ops),
                Piece::Branch(op, width, dst, src, skip) => {
                    let rest = &pieces[index + 1..];
                    let skipped = rest.len() * usize::from(*skip) / 512;
                    let off = rest[..skipped].iter().map(len).sum::<usize>().try_into().unwrap();
                    program.push(Op::Branch { op: *op, width: *width, dst: *dst, src: *src, off });
                }
            }
        }
        program.push(Op::Exit);
        crate::evaluate::tests::rule(Event::Fs, &program)
    })
}

fn current() -> impl Strategy<Value = Current> {
    (any::<u64>(), 0..3u64, select(vec![*b"make\0\0\0\0\0\0\0\0\0\0\0\0", *b"0123456789abcde\0"]))
        .prop_map(|(pid_tgid, uid_gid, comm)| Current { pid_tgid, uid_gid, comm })
}

fn one_input() -> impl Strategy<Value = Input> {
    let arg2 = prop_oneof![3 => 0..0x200u64, 1 => any::<u64>()];
    let mode = proptest::option::weighted(0.8, prop_oneof![0..0o200_000u32, any::<u32>()]);
    (arg2, mode, any::<u32>(), 0..400u32, current()).prop_map(|(arg2, mode, arch, syscall_nr, current)| {
        Input { event: Event::Fs, arg2, mode, arch, syscall_nr, current }
    })
}

/// Inputs, and something that holds of all of them.
pub(super) fn known_and_inputs() -> impl Strategy<Value = (Known, Vec<Input>)> {
    let unknown = || prop_oneof![Just(0), Just(u64::MAX), Just(0x1ff), Just(0o7777), any::<u64>()];
    (proptest::collection::vec(one_input(), 1..6), [unknown(), unknown(), unknown(), unknown()]).prop_map(
        |(inputs, unknown)| {
            let hull = |of: &dyn Fn(&Input) -> u64, unknown: u64| {
                let all = inputs.iter().map(|input| Bits::exactly(of(input))).reduce(Bits::hull).unwrap();
                Bits::but_for(all.value, all.unknown | unknown)
            };
            let mode = hull(&|input| input.mode.map_or(0, u64::from), unknown[1] & u64::from(u32::MAX));
            let object = match inputs.iter().filter(|input| input.mode.is_some()).count() {
                0 => ObjectKnown::Absent,
                count if count == inputs.len() => ObjectKnown::Mode(mode),
                _ => ObjectKnown::Any,
            };
            let known = Known {
                event: Event::Fs,
                arg2: hull(&|input| input.arg2, unknown[0]),
                object,
                arch: hull(&|input| input.arch.into(), unknown[2]),
                syscall_nr: hull(&|input| input.syscall_nr.into(), unknown[3]),
            };
            (known, inputs)
        },
    )
}
