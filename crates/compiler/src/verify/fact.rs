// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything the verifier can find wrong with a rule, and what to do about it.

use thiserror::Error;

use super::helper::{Argument, Helper};
use super::problem::Errno;
use super::state::{Kind, Unset};
use crate::abi::{ABI, MAX_INSNS, STACK_SIZE};
use crate::op::{Reg, Size, Undecodable, Width};

/// One thing wrong with a rule: what, and the limit it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message says what each is, the fields are its numbers")]
pub enum Fact {
    // The object.
    #[error("the program has no instructions")]
    Empty,
    #[error("the program has {len} instructions, the limit is {MAX_INSNS}")]
    TooLong { len: usize },
    #[error("ability DEBUG is for loaders with CAP_SYS_ADMIN")]
    DebugNeedsAdmin,
    #[error("the rule has no subtype")]
    NoSubtype,
    #[error("the rule asks for ABI {abi}, ABI 1 to {ABI} exist")]
    Abi { abi: u32 },
    #[error("event number {event} does not exist")]
    Event { event: u32 },
    #[error("ability bits {bits:#x} do not exist")]
    Ability { bits: u64 },
    #[error("option bits {bits:#x} do not exist")]
    Option { bits: u64 },

    // The form of the program.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    #[error("the 64-bit load refers to an object of the kernel (kind {kind}), rules have none")]
    PseudoLoad { kind: u8 },
    #[error("the jump goes to instruction {to}, the program has {len}")]
    JumpOutside { to: i64, len: usize },
    #[error("the jump goes back to instruction {to}, rules only run forward")]
    JumpBack { to: usize },
    #[error("the jump goes into the middle of the 64-bit load at instruction {load}")]
    JumpIntoLoad { load: usize },
    #[error("the program runs past its last instruction")]
    RunsOut,
    #[error("no path leads here{}", until(*last))]
    Unreachable { last: Option<usize> },

    // What instructions do, on some path.
    #[error("packet loads (LD_ABS, LD_IND) are for packets, a rule sees none")]
    PacketLoad,
    #[error("{reg} {}", why.text())]
    Unset { reg: Reg, why: Unset },
    #[error("r10, the frame pointer, is read-only")]
    FramePointer,
    #[error("arithmetic on {}", kind.text())]
    PointerArithmetic { kind: Kind },
    #[error("a 32-bit move would keep half of {}", kind.text())]
    HalfPointer { kind: Kind },
    #[error("a stack address moves by a distance that is not known")]
    VariableStackAddress,
    #[error("the stack address moves to r10{off:+}, the stack is r10-{STACK_SIZE} to r10")]
    StackAddress { off: i64 },
    #[error("shift by {imm}, the limit is {}", width.bits() - 1)]
    Shift { imm: i32, width: Width },
    #[error("division by the constant zero")]
    DivisionByZero,
    #[error("a comparison looks at {}", kind.text())]
    PointerCompared { kind: Kind },
    #[error("the rule returns {}", kind.text())]
    PointerReturned { kind: Kind },
    #[error("memory access through {reg}, which holds {}", kind.text())]
    NotMemory { reg: Reg, kind: Kind },
    #[error("no field of the context starts at offset {off}")]
    ContextOffset { off: i16 },
    #[error("the handle is loaded in {} bytes, only a load of 8 gives one", size.bytes())]
    PartOfHandle { size: Size },
    #[error("the context is read-only")]
    ContextStore,
    #[error("access to {len} bytes at r10{off:+}, the stack is r10-{STACK_SIZE} to r10")]
    OutsideStack { off: i64, len: u32 },
    #[error("access to {bytes} bytes at r10{off:+}, which is not a multiple of {bytes}")]
    Misaligned { off: i64, bytes: u8 },
    #[error("read of {len} bytes at r10{access:+}; the byte at r10{off:+} holds no number on some path")]
    StackUnset { off: i64, access: i64, len: u32 },
    #[error("read of a part of {} that was spilled at r10{off:+}", spilled(*kind))]
    PartOfSpill { off: i64, kind: Option<Kind> },
    #[error("{} stored in {bytes} bytes, it takes 8", spilled(*kind))]
    PartialSpill { kind: Option<Kind>, bytes: u8 },
    #[error("an atomic operation on {}", kind.text())]
    AtomicOnPointer { kind: Kind },
    #[error("a call of a function of the program")]
    LocalCall,
    #[error("a call of a kernel function (BTF id {id})")]
    KernelCall { id: i32 },
    #[error("helper {number} is not for rules")]
    UnknownHelper { number: i32 },
    #[error("{} is for rules with ability DEBUG", helper.name)]
    NeedsDebug { helper: &'static Helper },
    #[error("{} is for GPL compatible rules, the licence is {license:?}", helper.name)]
    NeedsGpl { helper: &'static Helper, license: String },
    #[error("{} takes {} in {reg}, which holds {}", helper.name, wanted.text(), kind.text())]
    WrongArgument { helper: &'static Helper, reg: Reg, wanted: Argument, kind: Kind },
    #[error("{} takes a size in {reg} that is the same known number on every path", helper.name)]
    VariableSize { helper: &'static Helper, reg: Reg },
    #[error("{} takes a size in {reg} of 1 to {STACK_SIZE}, not {size}", helper.name)]
    SizeRange { helper: &'static Helper, reg: Reg, size: u64 },
}

/// When v7's kernel came to a check: a refusal of an earlier stage hides those of later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Size,
    Privilege,
    Subtype,
    Form,
    Walk,
}

impl Fact {
    /// The stage it belongs to.
    pub(super) fn stage(&self) -> Stage {
        use Fact::*;
        match self {
            Empty | TooLong { .. } => Stage::Size,
            DebugNeedsAdmin => Stage::Privilege,
            NoSubtype | Abi { .. } | Event { .. } | Ability { .. } | Option { .. } => Stage::Subtype,
            Undecodable(_) | PseudoLoad { .. } | JumpOutside { .. } | JumpBack { .. } => Stage::Form,
            JumpIntoLoad { .. } | RunsOut | Unreachable { .. } => Stage::Form,
            _ => Stage::Walk,
        }
    }

    /// The error v7's `BPF_PROG_LOAD` gave.
    pub fn errno(&self) -> Errno {
        use Fact::*;
        match self {
            PacketLoad | Shift { .. } | DivisionByZero | LocalCall | KernelCall { .. } => Errno::Inval,
            UnknownHelper { .. } | NeedsDebug { .. } | NeedsGpl { .. } => Errno::Inval,
            _ => match self.stage() {
                Stage::Size => Errno::TooBig,
                Stage::Privilege => Errno::Perm,
                Stage::Subtype | Stage::Form => Errno::Inval,
                Stage::Walk => Errno::Acces,
            },
        }
    }

    /// The way out.
    pub fn help(&self) -> &'static str {
        use Fact::*;
        match self {
            Empty => "the shortest rule is `r0 = 0; exit`, which allows",
            TooLong { .. } => "split the rule: rules of one domain are asked one after the other",
            DebugNeedsAdmin => "drop the ability and the debug helpers, or load as root",
            NoSubtype => "put a `union bpf_prog_subtype` into section \"subtype\"",
            Abi { .. } => "set .abi = 1",
            Event { .. } => "events are FS (1), FS_IOCTL (2), FS_LOCK (3) and FS_FCNTL (4)",
            Ability { .. } => "the only ability is DEBUG (0x1)",
            Option { .. } => "there are no options, set .option = 0",
            Undecodable(error) => undecodable(error),
            PseudoLoad { .. } => "rules have no maps and no global variables; use constants and locals",
            JumpOutside { .. } | JumpIntoLoad { .. } => "jump to an instruction of the program",
            JumpBack { .. } => "unroll the loop (`#pragma unroll`); a rule always ends",
            RunsOut => "end every path with exit",
            Unreachable { .. } => "remove it, or mend the jump that should lead here",
            PacketLoad => "use the fields of the context",
            Unset { why, .. } => why.help(),
            FramePointer => "copy r10 to another register and change that",
            PointerArithmetic { kind: Kind::Handle } => "the handle is opaque; hand it to a helper as it is",
            PointerArithmetic { kind: Kind::Context } => "use constant offsets from the context itself",
            PointerArithmetic { .. } => "a stack address may only move by constants: 64-bit + and -",
            HalfPointer { .. } => "use a 64-bit move",
            VariableStackAddress => "use a constant index, or a chain of comparisons",
            StackAddress { .. } | OutsideStack { .. } => "keep locals within 512 bytes, at negative offsets",
            Shift { .. } => "shift by less than the width",
            DivisionByZero => "divide by something else",
            PointerCompared { .. } => "compare numbers; a handle is never null and tells nothing",
            PointerReturned { .. } => "return 0 to allow, 1 to deny",
            NotMemory { kind: Kind::Handle, .. } => {
                "the handle is opaque; ask bpf_handle_fs_get_mode() for the mode"
            }
            NotMemory { .. } => "only the context and the stack are memory",
            ContextOffset { .. } => {
                "fields start at 0 (status), 8 (event), 16 (arg1), 24 (arg2), 32 (arch), 40 (syscall_nr); \
                 load from there, then shift"
            }
            PartOfHandle { .. } => "load arg1 as a u64",
            ContextStore => "copy the field to a local variable",
            Misaligned { .. } => "align locals to their size; drop `packed`",
            StackUnset { .. } => "initialise it on every path; storing over a part of a pointer destroys it",
            PartOfSpill { .. } | PartialSpill { .. } => "pointers go to and from the stack whole, in 8 bytes",
            AtomicOnPointer { .. } => "atomic operations are for numbers on the stack",
            LocalCall => "mark the function `static __attribute__((always_inline))`",
            KernelCall { .. } => "rules may call the five helpers of ABI 1 only",
            UnknownHelper { .. } => {
                "helpers are bpf_handle_fs_get_mode (54) and, with ability DEBUG, trace_printk (6), \
                 get_current_pid_tgid (14), get_current_uid_gid (15), get_current_comm (16)"
            }
            NeedsDebug { .. } => "set .ability = LANDLOCK_SUBTYPE_ABILITY_DEBUG, and load with CAP_SYS_ADMIN",
            NeedsGpl { .. } => {
                "put \"GPL\" or \"Dual MIT/GPL\" into section \"license\", if the rule may carry it"
            }
            WrongArgument { wanted: Argument::Handle, .. } => "pass ctx->arg1, unchanged",
            WrongArgument { wanted: Argument::Output | Argument::Input, .. } => "pass a local array",
            WrongArgument { .. } => "pass a number",
            VariableSize { .. } => "pass sizeof the array",
            SizeRange { .. } => "pass the size of a local array",
        }
    }
}

fn undecodable(error: &Undecodable) -> &'static str {
    match error {
        Undecodable::Newer { .. } => "compile with -mcpu=v3 or lower",
        Undecodable::Reserved { .. } => "set it to zero",
        Undecodable::Atomic { .. } => "atomic operations are add, or, and, xor, exchange, compare-exchange",
        _ => "compile with clang -target bpf -mcpu=v1, v2 or v3",
    }
}

fn until(last: Option<usize>) -> String {
    last.map_or_else(String::new, |last| format!(", nor to the instructions up to {last}"))
}

fn spilled(kind: Option<Kind>) -> &'static str {
    kind.map_or("a pointer", Kind::text)
}

impl Kind {
    /// The kind, with its article.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Number => "a number",
            Kind::Context => "the address of the context",
            Kind::Handle => "the handle",
            Kind::Stack => "a stack address",
        }
    }
}

impl Unset {
    fn text(self) -> &'static str {
        match self {
            Unset::Never => "is read, and was never written",
            Unset::Call => "is read after a call, which leaves nothing in r1 to r5",
            Unset::SomePath => "is read, and was not written on every path",
            Unset::Mixed => "is read, and holds different kinds of things on different paths",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Unset::Never => "only r1 (the context) and r10 (the frame pointer) are set on entry",
            Unset::Call => "keep what outlives a call in r6 to r9",
            Unset::SomePath => "initialise the variable where it is declared",
            Unset::Mixed => "use separate variables",
        }
    }
}
