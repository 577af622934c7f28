// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random rules that the verifier accepts by construction, and random inputs for them.
//!
//! A rule is a random [`Block`] of statements over three variables (`r7` to `r9`) and four stack
//! slots, compiled to instructions. It branches on the action, the event, the mode, the syscall and
//! on computed numbers; spills numbers and pointers; calls helpers; returns from inside branches.

mod compile;

use proptest::prelude::*;
use proptest::sample::select;

use super::build;
use crate::abi::handles::ArrayKind;
use crate::abi::{Abilities, Event, context};
use crate::evaluate::{Current, HookCall, Input};
use crate::object::RuleObject;
use crate::op::{AluOp, AtomicOp, CompareOp, Imm64, Op, Order, Reg, Size, SwapBits, Width};
use crate::rule::Rule;
use crate::verify::{Loader, verify, verify_newest};

/// A variable: 0 to 2.
type Var = u8;
/// A stack slot: 0 to 3.
type Place = u8;

/// What is computed with or compared to.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// A variable.
    Var(Var),
    /// A constant.
    Imm(i32),
}

/// One thing a rule does.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are the operands")]
pub enum Statement {
    /// A 64-bit constant.
    Constant { var: Var, value: u64 },
    /// A numeric field of the context.
    Field { var: Var, off: i16, size: Size },
    /// Arithmetic.
    Alu { op: AluOp, width: Width, var: Var, operand: Operand },
    /// Negation.
    Neg { var: Var, width: Width },
    /// Byte order.
    Swap { var: Var, order: Order, bits: SwapBits },
    /// Stores a variable and loads it again, perhaps in another size.
    Spill { var: Var, place: Place, store: Size, load: Size },
    /// Stores a constant.
    StoreImm { place: Place, size: Size, value: i32 },
    /// Keeps the address of the context on the stack for a while.
    SpillContext,
    /// An atomic operation on a slot.
    Atomic { op: AtomicOp, place: Place, size: Size, var: Var },
    /// The mode of the object; the handle may come by way of the stack.
    Mode { var: Var, spilled: bool },
    /// The file type of the object: the mode, masked.
    FileType { var: Var },
    /// Who asks, for debug rules.
    Who { var: Var, user: bool },
    /// A comparison with handles, for rules of ABI 2: one of the three helpers.
    Compare { var: Var, helper: i32, flags: i32, op: i32 },
    /// The command name's first bytes, for debug rules.
    Comm { var: Var, size: u8 },
    /// Two ways.
    If { test: Test, then: Block, otherwise: Block },
    /// Ends the rule.
    Return(Answer),
}

/// Statements, in order.
pub type Block = Vec<Statement>;

/// What a branch looks at.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "fields are the operands")]
pub enum Test {
    /// Whether `arg2` has these bits.
    Arg2Has(i32),
    /// A field of the context.
    Field { off: i16, op: CompareOp, width: Width, value: i32 },
    /// Whether the object's type is this one.
    FileTypeIs(i32),
    /// Whether there is no object.
    Absent,
    /// A computed number.
    Var { var: Var, op: CompareOp, width: Width, operand: Operand },
}

/// What is returned.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// A constant, of 64 bits: only the low half counts.
    Constant(u64),
    /// A variable.
    Var(Var),
    /// A variable's bits.
    Bits(Var, i32),
}

const FIELDS: [i16; 5] = [context::STATUS, context::EVENT, context::ARG2, context::ARCH, context::SYSCALL_NR];
/// `S_IFMT`.
const FILE_TYPE: i32 = 0o170_000;
const FILE_TYPES: [i32; 7] = [0o010_000, 0o020_000, 0o040_000, 0o060_000, 0o100_000, 0o120_000, 0o140_000];
const ARCHES: [u32; 3] = [0xc000_003e, 0x4000_0003, 0xc000_00b7];

/// An accepted rule of any event. A refusal is a bug of the verifier or of this generator.
pub fn rule() -> impl Strategy<Value = Rule> {
    rule_object().prop_map(|object| {
        let text = format!("{object:?}");
        verify(object, &Loader { cap_sys_admin: true })
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    })
}

/// An accepted rule of one event.
pub fn rule_of(event: Event) -> impl Strategy<Value = Rule> {
    rule().prop_map(move |rule| {
        let object = build::object(event, rule.abilities(), rule.insns().to_vec());
        verify(object, &Loader { cap_sys_admin: true }).unwrap_or_else(|problems| panic!("{problems}"))
    })
}

/// The object of an accepted rule.
pub fn rule_object() -> impl Strategy<Value = RuleObject> {
    (select(&Event::FILE_SYSTEM[..]), block(), answer(), any::<bool>()).prop_map(
        |(event, block, last, debug)| {
            let abilities = if debug { Abilities::DEBUG } else { Abilities::empty() };
            let kind = if debug { compile::Kind::Debug } else { compile::Kind::Plain };
            build::object(event, abilities, build::program(&compile::rule(&block, last, kind)))
        },
    )
}

/// An accepted rule of ABI 2 and of one of these events, with two maps: of files and of cgroups.
pub fn abi2_rule_of(events: &'static [Event]) -> impl Strategy<Value = Rule> {
    (select(events), block(), answer()).prop_map(|(event, block, last)| {
        let kind = if event.is_hook() { compile::Kind::Hook(event) } else { compile::Kind::Comparing };
        let maps = [build::map("files", ArrayKind::Fs), build::map("cgroups", ArrayKind::Cgroup)];
        let object = build::abi2(event, &maps, &compile::rule(&block, last, kind));
        verify_newest(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
    })
}

/// An accepted rule tied to one of the RFC's hooks that compares with nothing.
pub fn plain_hook_rule() -> impl Strategy<Value = Rule> {
    (select(&Event::HOOKS[..]), block(), answer()).prop_map(|(event, block, last)| {
        let ops = compile::rule(&block, last, compile::Kind::Hook(event));
        let object = build::abi2(event, &[], &without_comparisons(ops));
        verify_newest(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
    })
}

/// The same instructions, but for comparisons, which answer 1.
fn without_comparisons(ops: Vec<Op>) -> Vec<Op> {
    let instead = |op: Op| match op {
        Op::Call(_) => build::mov(Reg::R0, 1),
        Op::LoadImm { dst, imm: Imm64::Pseudo { .. } } => build::load_imm(dst, 0),
        other => other,
    };
    ops.into_iter().map(instead).collect()
}

/// Every kind of call of a hook, with random numbers.
pub fn hook_call(event: Event) -> impl Strategy<Value = HookCall> {
    (any::<bool>(), number(), number(), number()).prop_map(move |(anonymous, first, prot, flags)| match event
    {
        Event::FileOpen => HookCall::FileOpen,
        Event::FilePermission => {
            HookCall::FilePermission { mask: u32::try_from(low(first)).unwrap_or_default() }
        }
        _ => HookCall::MmapFile { anonymous, reqprot: first, prot, flags },
    })
}

/// Everything a run can see, leaning to what rules ask about.
pub fn input(event: Event) -> impl Strategy<Value = Input> {
    let arg2 = if event == Event::Fs { (0..0x200_u64).boxed() } else { number().prop_map(low).boxed() };
    let mode =
        (select(&FILE_TYPES[..]), 0..0o10_000_u32).prop_map(|(kind, bits)| kind.cast_unsigned() | bits);
    let arch = prop_oneof![select(&ARCHES[..]), any::<u32>()];
    let current = (any::<u64>(), any::<u64>(), any::<[u8; 16]>())
        .prop_map(|(pid_tgid, uid_gid, comm)| Current { pid_tgid, uid_gid, comm });
    (arg2, proptest::option::weighted(0.9, mode), arch, 0..500_u32, current).prop_map(
        move |(arg2, mode, arch, syscall_nr, current)| Input { event, arg2, mode, arch, syscall_nr, current },
    )
}

/// A rule and an input of its event.
pub fn rule_and_input() -> impl Strategy<Value = (Rule, Input)> {
    rule().prop_flat_map(|rule| {
        let event = rule.event();
        (Just(rule), input(event))
    })
}

fn low(value: u64) -> u64 {
    value & u64::from(u32::MAX)
}

/// Numbers with a weight on the edges.
fn number() -> impl Strategy<Value = u64> {
    const EDGES: [u64; 8] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 1 << 63, u64::MAX];
    prop_oneof![2 => select(&EDGES[..]), 2 => 0..0x200_u64, 1 => any::<u64>()]
}

fn imm() -> impl Strategy<Value = i32> {
    prop_oneof![
        3 => 0..16_i32,
        2 => (0..9).prop_map(|bit| 1 << bit),
        2 => select(&FILE_TYPES[..]),
        1 => Just(-1),
        1 => any::<i32>(),
    ]
}

fn var() -> impl Strategy<Value = Var> + Clone {
    0..3_u8
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![var().prop_map(Operand::Var), imm().prop_map(Operand::Imm)]
}

fn width() -> impl Strategy<Value = Width> + Clone {
    select(&[Width::W32, Width::W64][..])
}

fn size() -> impl Strategy<Value = Size> + Clone {
    select(&[Size::Byte, Size::Half, Size::Word, Size::Double][..])
}

fn place() -> impl Strategy<Value = Place> {
    0..4_u8
}

fn field() -> impl Strategy<Value = i16> {
    prop_oneof![2 => Just(context::ARG2), 1 => select(&FIELDS[..])]
}

pub(super) fn compare_op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::*;
    select(&[Eq, Ne, Set, Gt, Ge, Lt, Le, Sgt, Sge, Slt, Sle][..])
}

pub(super) fn alu_op() -> impl Strategy<Value = AluOp> {
    use AluOp::*;
    select(&[Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Mod, Xor, Mov, Arsh][..])
}

pub(super) fn atomic_op() -> impl Strategy<Value = AtomicOp> {
    use AtomicOp::*;
    select(&[Add, Or, And, Xor, FetchAdd, FetchOr, FetchAnd, FetchXor, Exchange, CompareExchange][..])
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        4 => prop_oneof![(0..9).prop_map(|bit| 1 << bit), 0..0x200_i32].prop_map(Test::Arg2Has),
        2 => (field(), compare_op(), width(), imm())
            .prop_map(|(off, op, width, value)| Test::Field { off, op, width, value }),
        2 => select(&FILE_TYPES[..]).prop_map(Test::FileTypeIs),
        1 => Just(Test::Absent),
        2 => (var(), compare_op(), width(), operand())
            .prop_map(|(var, op, width, operand)| Test::Var { var, op, width, operand }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => (0..2_u64).prop_map(Answer::Constant),
        1 => number().prop_map(Answer::Constant),
        2 => var().prop_map(Answer::Var),
        2 => (var(), imm()).prop_map(|(var, bits)| Answer::Bits(var, bits)),
    ]
}

fn leaf() -> impl Strategy<Value = Statement> {
    use Statement::*;
    let bits = select(&[SwapBits::B16, SwapBits::B32, SwapBits::B64][..]);
    let order = select(&[Order::Little, Order::Big][..]);
    prop_oneof![
        2 => (var(), number()).prop_map(|(var, value)| Constant { var, value }),
        3 => (var(), field(), size()).prop_map(|(var, off, size)| Field { var, off, size }),
        5 => (alu_op(), width(), var(), operand())
            .prop_map(|(op, width, var, operand)| Alu { op, width, var, operand }),
        1 => (var(), width()).prop_map(|(var, width)| Neg { var, width }),
        1 => (var(), order, bits).prop_map(|(var, order, bits)| Swap { var, order, bits }),
        2 => (var(), place(), size(), size())
            .prop_map(|(var, place, store, load)| Spill { var, place, store, load }),
        1 => (place(), size(), imm()).prop_map(|(place, size, value)| StoreImm { place, size, value }),
        1 => Just(SpillContext),
        1 => (atomic_op(), place(), any::<bool>(), var()).prop_map(|(op, place, word, var)| {
            Atomic { op, place, size: if word { Size::Word } else { Size::Double }, var }
        }),
        2 => (var(), any::<bool>()).prop_map(|(var, spilled)| Mode { var, spilled }),
        2 => var().prop_map(|var| FileType { var }),
        1 => (var(), any::<bool>()).prop_map(|(var, user)| Who { var, user }),
        1 => (var(), 1..=32_u8).prop_map(|(var, size)| Comm { var, size }),
        2 => (var(), 31..=33, 0..17_i32, prop_oneof![9 => Just(1), 1 => Just(2)])
            .prop_map(|(var, helper, flags, op)| Compare { var, helper, flags, op }),
        1 => answer().prop_map(Return),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    let statement = leaf().prop_recursive(4, 48, 5, |inner| {
        let block = proptest::collection::vec(inner, 0..5);
        (test(), block.clone(), block).prop_map(|(test, then, otherwise)| Statement::If {
            test,
            then,
            otherwise,
        })
    });
    proptest::collection::vec(statement, 0..8)
}
