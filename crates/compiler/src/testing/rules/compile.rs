// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statements to instructions.
//!
//! `r6` keeps the context, `r7` to `r9` the variables; every slot of the frame the statements use is
//! written before the first of them.

use super::{Answer, FILE_TYPE, Operand, Place, Statement, Test, Var};
use crate::abi::hook::{self, Arg};
use crate::abi::{Event, context, helper};
use crate::op::{AluOp, CompareOp, Op, Reg, Size, Source, Width};
use crate::testing::build::regs::{R0, R1, R2, R4, R6, R10};
use crate::testing::build::{alu, alu32, branch, call, compare, exit, jump, load, load_imm, mov, store};

/// Eight bytes that hold spilled pointers only.
const POINTER: i16 = -40;
/// Where `get_current_comm()` writes, 32 bytes.
const COMM: i16 = -80;

/// A whole rule: statements, then the answer unless they have returned.
pub(super) fn rule(block: &[Statement], last: Answer, kind: Kind) -> Vec<Op> {
    let mut code = Code { ops: vec![mov(R6, R1)], kind };
    for var in 0..3 {
        code.ops.push(mov(reg(var), 0));
    }
    for place in 0..4 {
        code.ops.push(store(Size::Double, R10, slot(place), 0));
    }
    if code.block(block) == Flow::Goes {
        code.answer(last);
    }
    code.ops
}

/// What a rule may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Debug,
    /// Compares with handles: of files in its first map, of cgroups in the second.
    Comparing,
    /// The same, tied to a hook.
    Hook(Event),
}

/// Whether anything can follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Goes,
    Ended,
}

struct Code {
    ops: Vec<Op>,
    kind: Kind,
}

fn reg(var: Var) -> Reg {
    [Reg::R7, Reg::R8, Reg::R9][usize::from(var)]
}

fn slot(place: Place) -> i16 {
    -8 * (i16::from(place) + 1)
}

fn source(operand: Operand) -> Source {
    match operand {
        Operand::Var(var) => reg(var).into(),
        Operand::Imm(imm) => imm.into(),
    }
}

/// The operand, made one the verifier takes.
fn arithmetic(op: AluOp, width: Width, operand: Operand) -> Source {
    match (op, operand) {
        (AluOp::Div | AluOp::Mod, Operand::Imm(0)) => Source::Imm(1),
        (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(imm)) => {
            Source::Imm(imm & (width.bits().cast_signed() - 1))
        }
        _ => source(operand),
    }
}

fn distance(ops: &[Op]) -> i16 {
    i16::try_from(ops.iter().map(|op| op.slots()).sum::<usize>()).expect("generated rules are short")
}

impl Code {
    fn block(&mut self, block: &[Statement]) -> Flow {
        for statement in block {
            if self.statement(statement) == Flow::Ended {
                return Flow::Ended;
            }
        }
        Flow::Goes
    }

    fn statement(&mut self, statement: &Statement) -> Flow {
        match *statement {
            Statement::Constant { var, value } => self.ops.push(load_imm(reg(var), value)),
            Statement::Field { var, off, size } => self.field(reg(var), off, size),
            Statement::Alu { op, width, var, operand } => {
                let src = arithmetic(op, width, operand);
                self.ops.push(Op::Alu { op, width, dst: reg(var), src });
            }
            Statement::Neg { var, width } => self.ops.push(Op::Neg { width, dst: reg(var) }),
            Statement::Swap { var, order, bits } => self.ops.push(Op::Swap { order, bits, dst: reg(var) }),
            Statement::Spill { var, place, store: size, load: loaded } => {
                self.ops.push(store(size, R10, slot(place), reg(var)));
                self.ops.push(load(loaded, reg(var), R10, slot(place)));
            }
            Statement::StoreImm { place, size, value } => self.store_imm(place, size, value),
            Statement::SpillContext => {
                self.ops.extend([store(Size::Double, R10, POINTER, R6), mov(R6, 0)]);
                self.ops.push(load(Size::Double, R6, R10, POINTER));
            }
            Statement::Atomic { op, place, size, var } => {
                // CompareExchange looks at r0.
                self.ops.push(mov(R0, 0));
                self.ops.push(Op::Atomic { op, size, base: R10, off: slot(place), src: reg(var) });
            }
            Statement::Mode { var, spilled } => {
                self.mode(spilled);
                self.ops.push(mov(reg(var), R0));
            }
            Statement::FileType { var } => {
                self.mode(false);
                self.ops.extend([alu(AluOp::And, R0, FILE_TYPE), mov(reg(var), R0)]);
            }
            Statement::Who { .. } | Statement::Comm { .. } if self.kind != Kind::Debug => {}
            Statement::Compare { .. } if matches!(self.kind, Kind::Plain | Kind::Debug) => {}
            Statement::Compare { var, helper, flags, op } => {
                self.compare(helper, flags, op);
                self.ops.push(mov(reg(var), R0));
            }
            Statement::Who { var, user } => {
                let number = if user { helper::GET_CURRENT_UID_GID } else { helper::GET_CURRENT_PID_TGID };
                self.ops.extend([call(number), mov(reg(var), R0)]);
            }
            Statement::Comm { var, size } => self.comm(var, size),
            Statement::If { test, ref then, ref otherwise } => return self.either(test, then, otherwise),
            Statement::Return(answer) => {
                self.answer(answer);
                return Flow::Ended;
            }
        }
        Flow::Goes
    }

    /// By way of a copy of the frame pointer.
    fn store_imm(&mut self, place: Place, size: Size, value: i32) {
        self.ops.extend([mov(R2, R10), alu(AluOp::Add, R2, i32::from(slot(place)))]);
        self.ops.push(store(size, R2, 0, value));
    }

    /// A field of the context; at a hook, one that there is.
    fn field(&mut self, dst: Reg, off: i16, size: Size) {
        let Kind::Hook(event) = self.kind else { return self.ops.push(load(size, dst, R6, off)) };
        let numbers = (hook::ARGS..).step_by(8).zip(hook::args(event));
        let numbers: Vec<i16> =
            numbers.filter(|(_, arg)| matches!(arg, Arg::Number(_))).map(|(off, _)| off).collect();
        self.ops.push(match (off, numbers.as_slice()) {
            (context::EVENT, _) => load(Size::Word, dst, R6, hook::HOOK),
            (context::ARCH, [first, ..]) => load(Size::Double, dst, R6, *first),
            (context::SYSCALL_NR, [.., last]) => load(Size::Double, dst, R6, *last),
            _ => load(Size::Half, dst, R6, hook::COOKIE),
        });
    }

    /// The answer of a helper of ABI 2 in `r0`.
    fn compare(&mut self, helper: i32, flags: i32, op: i32) {
        let object = if matches!(self.kind, Kind::Hook(_)) { hook::ARGS } else { context::ARG1 };
        self.ops.push(load(Size::Double, R4, R6, object));
        let map = u64::from(helper == helper::CMP_CGROUP_BENEATH);
        self.ops.extend(compare(helper, flags, map, op));
    }

    /// The mode in `r0`; at a hook, whether the file is beneath a handle.
    fn mode(&mut self, spilled: bool) {
        if matches!(self.kind, Kind::Hook(_)) {
            return self.compare(helper::CMP_FS_BENEATH, spilled.into(), 1);
        }
        self.ops.push(load(Size::Double, R1, R6, context::ARG1));
        if spilled {
            self.ops.push(store(Size::Double, R10, POINTER, R1));
            self.ops.push(load(Size::Double, R1, R10, POINTER));
        }
        self.ops.push(call(helper::HANDLE_FS_GET_MODE));
    }

    fn comm(&mut self, var: Var, size: u8) {
        self.ops.extend([mov(R1, R10), alu(AluOp::Add, R1, i32::from(COMM)), mov(R2, i32::from(size))]);
        self.ops.extend([call(helper::GET_CURRENT_COMM), load(Size::Byte, reg(var), R10, COMM)]);
    }

    /// `test` jumps to `then`; `otherwise` comes first.
    fn either(&mut self, test: Test, then: &[Statement], otherwise: &[Statement]) -> Flow {
        let mut taken = Code { ops: Vec::new(), kind: self.kind };
        let taken_flow = taken.block(then);
        let mut other = Code { ops: Vec::new(), kind: self.kind };
        let other_flow = other.block(otherwise);
        if other_flow == Flow::Goes {
            other.ops.push(jump(distance(&taken.ops)));
        }
        self.test(test, distance(&other.ops));
        self.ops.extend(other.ops);
        self.ops.extend(taken.ops);
        if (taken_flow, other_flow) == (Flow::Ended, Flow::Ended) { Flow::Ended } else { Flow::Goes }
    }

    fn test(&mut self, test: Test, off: i16) {
        match test {
            Test::Arg2Has(bits) => {
                self.field(R2, context::ARG2, Size::Double);
                self.ops.push(branch(CompareOp::Set, R2, bits, off));
            }
            Test::Field { off: field, op, width, value } => {
                self.field(R2, field, Size::Double);
                self.ops.push(Op::Branch { op, width, dst: R2, src: value.into(), off });
            }
            Test::FileTypeIs(kind) => {
                self.mode(false);
                self.ops.extend([alu32(AluOp::And, R0, FILE_TYPE), branch(CompareOp::Eq, R0, kind, off)]);
            }
            Test::Absent => {
                self.mode(false);
                self.ops.push(branch(CompareOp::Slt, R0, 0, off));
            }
            Test::Var { var, op, width, operand } => {
                self.ops.push(Op::Branch { op, width, dst: reg(var), src: source(operand), off });
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Constant(value) => self.ops.push(load_imm(R0, value)),
            Answer::Var(var) => self.ops.push(mov(R0, reg(var))),
            Answer::Bits(var, bits) => self.ops.extend([mov(R0, reg(var)), alu(AluOp::And, R0, bits)]),
        }
        self.ops.push(exit());
    }
}
