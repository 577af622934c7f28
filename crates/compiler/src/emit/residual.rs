// SPDX-License-Identifier: MIT OR Apache-2.0
//! A residual as a function of the program: context in, 0 or the denying instruction out, with the errno where
//! rules give one.

use super::code::{Code, Functions, Label, Part};
use super::compare::{self, Call, Comparisons};
use super::{CONTEXT, EmitError, HOOK_CONTEXT};
use crate::abi::{context, helper, hook};
use crate::op::{self, AluOp, AtomicOp, Callee, CompareOp, Imm64, Op, Reg, Size, Source, Width};
use crate::specialise::{COMPARISONS, Residual};

/// What a residual may look at besides numbers the hook knows anyway. Never too little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// The mode of the object.
    pub mode: bool,
    /// The running syscall.
    pub syscall: bool,
    /// How the object relates to handles.
    pub handles: bool,
}

impl Reads {
    pub fn of(residual: &Residual) -> Reads {
        residual.ops().iter().flatten().fold(Reads::default(), |reads, op| match op {
            Op::Call(Callee::Helper(helper::HANDLE_FS_GET_MODE)) => Reads { mode: true, ..reads },
            Op::Call(Callee::Helper(helper::CMP_FS_PROP | helper::CMP_FS_BENEATH)) => {
                Reads { handles: true, ..reads }
            }
            // The base may also be a stack address; nothing is lost then.
            Op::Load { off: context::ARCH | context::SYSCALL_NR, .. } => Reads { syscall: true, ..reads },
            _ => reads,
        })
    }

    pub fn or(self, other: Reads) -> Reads {
        Reads {
            mode: self.mode || other.mode,
            syscall: self.syscall || other.syscall,
            handles: self.handles || other.handles,
        }
    }
}

/// What a rule's result means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// Anything but 0 denies.
    Denials,
    /// As [`hook::errno`] has it.
    Errnos,
}

impl Results {
    /// Where the context of such rules is, from the frame pointer of the program.
    fn context(self) -> i16 {
        match self {
            Results::Denials => CONTEXT,
            Results::Errnos => HOOK_CONTEXT,
        }
    }
}

/// The function: `r1` is the context, whose handle is the mode itself. Its result, of which the low word counts, is 0
/// to allow; else one more than the index of the rule's instruction that denies is in the lowest 16 bits, and the
/// errno, if rules give one, above.
pub(super) fn function(
    residual: &Residual,
    results: Results,
    stack: usize,
    comparisons: &Comparisons<'_>,
    functions: &mut Functions,
) -> Result<Part, EmitError> {
    let mut code = Code::default();
    let compares = residual.compares();
    let saved = -i16::try_from(stack.next_multiple_of(8) + 8).expect("stack is limited");
    if compares {
        code.set(Reg::R2, Reg::R1);
        code.alu(AluOp::Add, Reg::R2, -i32::from(results.context()));
        code.store(Size::Double, Reg::R10, saved, Reg::R2);
    }
    let aliased = is_stack_aliased(residual.ops());
    let labels: Vec<Label> = residual.ops().iter().map(|_| code.label()).collect();
    if residual.traces() {
        clear(&mut code, &Reg::arguments()[1..]);
    }
    for (at, op) in residual.ops().iter().enumerate() {
        code.place(labels[at]);
        let to =
            |off| op::target(at, off).and_then(|to| labels.get(to).copied()).expect("a verified rule's jump");
        match *op {
            None => {}
            Some(Op::Jump { off }) => code.jump(to(off)),
            Some(Op::Branch { op, width, dst, src, off }) => code.branch(op, width, dst, src, to(off)),
            Some(Op::Exit) => exit(&mut code, results, residual.origin(at).unwrap_or(at)),
            Some(Op::LoadImm { dst, imm: Imm64::Pseudo { value, .. } }) => {
                // Which of the rule's maps it is; two instructions, as before.
                code.load_imm(dst, value);
            }
            Some(op @ Op::Call(callee)) => {
                let origin = residual.origin(at).unwrap_or(at);
                match callee {
                    Callee::Helper(helper::HANDLE_FS_GET_MODE) => code.set(Reg::R0, Reg::R1),
                    Callee::Helper(helper) if COMPARISONS.contains(&helper) => {
                        let call = Call { helper, results, options: options(residual.ops(), at) };
                        code.load(Size::Double, Reg::R5, Reg::R10, saved);
                        compare(&mut code, residual, call, comparisons, functions)?;
                        unless_unknown(&mut code, results, origin);
                    }
                    _ => code.op(op),
                }
                if residual.traces() {
                    clear(&mut code, &Reg::arguments());
                }
            }
            Some(op) => {
                code.op(op);
                if aliased && let Some(loaded) = read_past_r10(op) {
                    code.forget(loaded);
                }
            }
        }
    }
    code.part()
}

/// Calls the comparison with the map whose number is in `r2`.
fn compare(
    code: &mut Code,
    residual: &Residual,
    call: Call,
    comparisons: &Comparisons<'_>,
    functions: &mut Functions,
) -> Result<(), EmitError> {
    let done = code.label();
    let maps: Vec<_> = residual.maps().iter().enumerate().collect();
    for (number, map) in &maps {
        let other = code.label();
        if maps.len() > 1 {
            code.branch(CompareOp::Ne, Width::W64, Reg::R2, i32::try_from(*number).expect("few maps"), other);
        }
        code.call(comparisons.function(functions, call, map)?);
        if maps.len() > 1 {
            code.jump(done);
        }
        code.place(other);
    }
    if maps.len() > 1 {
        code.set(Reg::R0, compare::UNKNOWN);
    }
    code.place(done);
    code.forget(Reg::R0);
    Ok(())
}

/// What cannot be told refuses the question, whatever the rule would have made of it.
fn unless_unknown(code: &mut Code, results: Results, origin: usize) {
    let told = code.label();
    code.branch(CompareOp::Ne, Width::W64, Reg::R0, compare::UNKNOWN, told);
    let number = i32::try_from(origin + 1).expect("a rule has at most 4096 instructions");
    code.set(Reg::R0, if results == Results::Errnos { super::EPERM << ERRNO_SHIFT | number } else { number });
    code.exit();
    code.place(told);
}

/// The options a call is made with, if they are a number that was put into `r1` right before it.
pub(super) fn options(ops: &[Option<Op>], call: usize) -> Option<u64> {
    let target = |at: usize, op: &Op| match op {
        Op::Jump { off } | Op::Branch { off, .. } => op::target(at, *off),
        _ => None,
    };
    let targets: Vec<usize> =
        ops.iter().enumerate().filter_map(|(at, op)| target(at, op.as_ref()?)).collect();
    for at in (0..call).rev() {
        if targets.contains(&(at + 1)) {
            return None;
        }
        match ops[at] {
            Some(Op::Alu { op: AluOp::Mov, dst: Reg::R1, src: Source::Imm(imm), .. }) => {
                return u64::try_from(imm).ok();
            }
            None
            | Some(
                Op::Alu { dst: Reg::R0 | Reg::R2 | Reg::R3 | Reg::R4, .. }
                | Op::LoadImm { dst: Reg::R2, .. }
                | Op::Load { dst: Reg::R2 | Reg::R3 | Reg::R4, .. }
                | Op::Store { .. },
            ) => {}
            Some(_) => return None,
        }
    }
    None
}

/// Whether `r10` is also somewhere else: in another register, or on the stack.
fn is_stack_aliased(ops: &[Option<Op>]) -> bool {
    ops.iter()
        .flatten()
        .any(|op| matches!(op, Op::Alu { src, .. } | Op::Store { src, .. } if *src == Source::from(Reg::R10)))
}

/// The register that gets what is read from memory by another way than `r10`. See [`Code::forget`]: before 6.8 the
/// kernel's verifier drops tests of such values as well, if they are from the stack. Should the value be an
/// address, the kernel refuses the program: nothing is enforced less than it says.
fn read_past_r10(op: Op) -> Option<Reg> {
    use AtomicOp::{CompareExchange, Exchange, FetchAdd, FetchAnd, FetchOr, FetchXor};
    match op {
        Op::Load { dst, base, .. } if base != Reg::R10 => Some(dst),
        Op::Atomic { base: Reg::R10, .. } => None,
        Op::Atomic { op: CompareExchange, .. } => Some(Reg::R0),
        Op::Atomic { op: Exchange | FetchAdd | FetchAnd | FetchOr | FetchXor, src, .. } => Some(src),
        _ => None,
    }
}

/// `trace_printk` prints up to three registers whether or not the rule has set them: nothing of the
/// kernel's may be in them.
fn clear(code: &mut Code, registers: &[Reg]) {
    registers.iter().for_each(|reg| code.set(*reg, 0));
}

/// Returns which instruction denies, if it does.
fn exit(code: &mut Code, results: Results, origin: usize) {
    let allows = code.label();
    code.branch(CompareOp::Eq, Width::W32, Reg::R0, 0, allows);
    let number = i32::try_from(origin + 1).expect("a rule has at most 4096 instructions");
    match results {
        Results::Denials => {
            code.op(Op::Alu { op: AluOp::Mov, width: Width::W64, dst: Reg::R0, src: number.into() });
        }
        Results::Errnos => {
            let (known, last) = (code.label(), hook::ERRNO_LAST.cast_signed());
            code.branch(CompareOp::Le, Width::W32, Reg::R0, last, known);
            code.set(Reg::R0, super::EPERM);
            code.place(known);
            code.alu(AluOp::Lsh, Reg::R0, ERRNO_SHIFT);
            code.alu(AluOp::Or, Reg::R0, number);
        }
    }
    code.place(allows);
    code.exit();
}

/// Where the errno is in a function's result.
pub(super) const ERRNO_SHIFT: i32 = 16;
