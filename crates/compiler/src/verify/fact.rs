// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything the verifier can find wrong with a rule, and what to do about it.

use thiserror::Error;

use super::helper::{Argument, Helper};
use super::problem::Errno;
use super::state::{Kind, Unset};
use crate::abi::handles::{ArrayKind, MAX_ENTRIES};
use crate::abi::{Event, MAX_INSNS, STACK_SIZE, hook};
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
    #[error("the program has {len} instructions, at a hook the limit is {}", hook::TOO_MANY_INSNS - 1)]
    HookTooLong { len: usize },
    #[error("ability DEBUG is for loaders with CAP_SYS_ADMIN")]
    DebugNeedsAdmin,
    #[error("the rule has no subtype")]
    NoSubtype,
    #[error("the rule asks for ABI {abi}, ABI 1 to {newest} can be had")]
    Abi { abi: u32, newest: u32 },
    #[error("event number {event} does not exist")]
    Event { event: u32 },
    #[error("ability bits {bits:#x} do not exist")]
    Ability { bits: u64 },
    #[error("option bits {bits:#x} do not exist")]
    Option { bits: u64 },
    #[error("event {} is of ABI {}, the rule asks for ABI {abi}", event.name(), event.abi())]
    EventAbi { event: Event, abi: u32 },
    #[error("rules tied to a hook have no abilities")]
    HookAbility,
    #[error("map {name:?} has {entries} entries, 1 to {MAX_ENTRIES} are possible")]
    MapEntries { name: String, entries: u32 },

    // The form of the program.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    #[error("the 64-bit load refers to an object of the kernel (kind {kind}), rules have only maps")]
    PseudoLoad { kind: u8 },
    #[error("the 64-bit load refers to map {index}, the rule has {len}")]
    UnknownMap { index: u64, len: usize },
    #[error("maps are of ABI 2, the rule asks for ABI {abi}")]
    MapAbi { abi: u32 },
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
    #[error("no field of a hook's context starts at offset {off}")]
    HookOffset { off: i16 },
    #[error("{field} is loaded in {} bytes, it has {wanted}", size.bytes())]
    HookFieldSize { field: &'static str, size: Size, wanted: u8 },
    #[error("{} has no args[{index}]", event.name())]
    NoArgument { event: Event, index: usize },
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
    #[error("{} is of ABI {}, the rule asks for ABI {abi}", helper.name, helper.abi)]
    NeedsAbi { helper: &'static Helper, abi: u32 },
    #[error("{} is not for rules tied to a hook", helper.name)]
    NotAtHooks { helper: &'static Helper },
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
            Empty | TooLong { .. } | HookTooLong { .. } => Stage::Size,
            DebugNeedsAdmin => Stage::Privilege,
            NoSubtype | Abi { .. } | Event { .. } | Ability { .. } | Option { .. } => Stage::Subtype,
            EventAbi { .. } | HookAbility | MapEntries { .. } => Stage::Subtype,
            UnknownMap { .. } | MapAbi { .. } => Stage::Form,
            Undecodable(_) | PseudoLoad { .. } | JumpOutside { .. } | JumpBack { .. } => Stage::Form,
            JumpIntoLoad { .. } | RunsOut | Unreachable { .. } => Stage::Form,
            _ => Stage::Walk,
        }
    }

    /// The error v7's `BPF_PROG_LOAD` gave, or the RFC's where only that had such a rule.
    pub fn errno(&self) -> Errno {
        use Fact::*;
        match self {
            PacketLoad | Shift { .. } | DivisionByZero | LocalCall | KernelCall { .. } => Errno::Inval,
            UnknownHelper { .. } | NeedsDebug { .. } | NeedsGpl { .. } => Errno::Inval,
            NeedsAbi { .. } | NotAtHooks { .. } | HookTooLong { .. } => Errno::Inval,
            _ => match self.stage() {
                Stage::Size => Errno::TooBig,
                Stage::Privilege => Errno::Perm,
                Stage::Subtype | Stage::Form => Errno::Inval,
                Stage::Walk => Errno::Acces,
            },
        }
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
            Kind::File => "the file",
            Kind::Cred => "credentials",
            Kind::Handles(ArrayKind::Fs) => "a map of files",
            Kind::Handles(ArrayKind::Cgroup) => "a map of cgroups",
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
}
