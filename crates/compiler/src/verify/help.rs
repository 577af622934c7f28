// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to do about each thing that can be wrong with a rule.

use super::fact::Fact;
use super::helper::Argument;
use super::state::{Kind, Unset};
use crate::abi::Event;
use crate::abi::handles::ArrayKind;
use crate::op::Undecodable;

impl Fact {
    /// The way out.
    pub fn help(&self) -> &'static str {
        use Fact::*;
        match self {
            Empty => "the shortest rule is `r0 = 0; exit`, which allows",
            TooLong { .. } => "split the rule: rules of one domain are asked one after the other",
            DebugNeedsAdmin => "drop the ability and the debug helpers, or load as root",
            NoSubtype => "put a `union bpf_prog_subtype` into section \"subtype\"",
            Abi { newest: 1, .. } => "set .abi = 1",
            Abi { .. } => "set .abi = 1, or 2 for maps and hooks",
            Event { .. } => {
                "events are FS (1), FS_IOCTL (2), FS_LOCK (3), FS_FCNTL (4) and the hooks FILE_OPEN (6), \
                 FILE_PERMISSION (7), MMAP_FILE (8)"
            }
            EventAbi { .. } | MapAbi { .. } | NeedsAbi { .. } => "set .abi = 2",
            HookAbility => "set .ability = 0",
            HookTooLong { .. } => "split the rule: rules of one hook are asked one after the other",
            MapEntries { .. } => "say how many handles there may be",
            UnknownMap { .. } => "declare the map, and load it by its name",
            HookOffset { .. } => "fields start at 0 (hook), 4 (cookie) and every 8 bytes from 8 on (args)",
            HookFieldSize { .. } => "load it whole; then shift or mask",
            NoArgument { event, .. } => arguments(*event),
            NotAtHooks { .. } => "rules tied to a hook may only compare with handles",
            Ability { .. } => "the only ability is DEBUG (0x1)",
            Option { .. } => "there are no options, set .option = 0",
            Undecodable(error) => undecodable(error),
            PseudoLoad { .. } => "rules have no global variables; use constants and locals",
            JumpOutside { .. } | JumpIntoLoad { .. } => "jump to an instruction of the program",
            JumpBack { .. } => "unroll the loop (`#pragma unroll`); a rule always ends",
            RunsOut => "end every path with exit",
            Unreachable { .. } => "remove it, or mend the jump that should lead here",
            PacketLoad => "use the fields of the context",
            Unset { why, .. } => why.help(),
            FramePointer => "copy r10 to another register and change that",
            PointerArithmetic { kind: Kind::Handle } => "the handle is opaque; hand it to a helper as it is",
            PointerArithmetic { kind: Kind::File | Kind::Cred | Kind::Handles(_) } => {
                "it is opaque; hand it to a helper as it is"
            }
            PointerArithmetic { kind: Kind::Context } => "use constant offsets from the context itself",
            PointerArithmetic { .. } => "a stack address may only move by constants: 64-bit + and -",
            HalfPointer { .. } => "use a 64-bit move",
            VariableStackAddress => "use a constant index, or a chain of comparisons",
            StackAddress { .. } | OutsideStack { .. } => "keep locals within 512 bytes, at negative offsets",
            Shift { .. } => "shift by less than the width",
            DivisionByZero => "divide by something else",
            PointerCompared { kind: Kind::File } => {
                "only the file of MMAP_FILE may be NULL; compare it with 0"
            }
            PointerCompared { .. } => "compare numbers; a handle is never null and tells nothing",
            PointerReturned { .. } => "return 0 to allow, 1 to deny",
            NotMemory { kind: Kind::Handle, .. } => {
                "the handle is opaque; ask bpf_handle_fs_get_mode() for the mode"
            }
            NotMemory { kind: Kind::File | Kind::Cred | Kind::Handles(_), .. } => {
                "it is opaque; a helper can compare it with handles"
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
            KernelCall { .. } => "rules may call Landlock's helpers only",
            UnknownHelper { .. } => {
                "helpers are bpf_handle_fs_get_mode (54); with ability DEBUG trace_printk (6), \
                 get_current_pid_tgid (14), get_current_uid_gid (15), get_current_comm (16); with ABI 2 \
                 bpf_landlock_cmp_fs_prop (31), _cmp_fs_beneath (32), _cmp_cgroup_beneath (33)"
            }
            NeedsDebug { .. } => "set .ability = LANDLOCK_SUBTYPE_ABILITY_DEBUG, and load with CAP_SYS_ADMIN",
            NeedsGpl { .. } => {
                "put \"GPL\" or \"Dual MIT/GPL\" into section \"license\", if the rule may carry it"
            }
            WrongArgument { wanted: Argument::Handle, .. } => "pass ctx->arg1, unchanged",
            WrongArgument { wanted: Argument::Output | Argument::Input, .. } => "pass a local array",
            WrongArgument { wanted: Argument::Object, .. } => {
                "pass ctx->arg1 or, at a hook, the file: unchanged"
            }
            WrongArgument { wanted: Argument::Handles(ArrayKind::Fs), .. } => {
                "pass the address of a map defined with LANDLOCK_HANDLES(NAME, FS, entries)"
            }
            WrongArgument { wanted: Argument::Handles(ArrayKind::Cgroup), .. } => {
                "pass the address of a map defined with LANDLOCK_HANDLES(NAME, CGROUP, entries)"
            }
            WrongArgument { .. } => "pass a number",
            VariableSize { .. } => "pass sizeof the array",
            SizeRange { .. } => "pass the size of a local array",
        }
    }
}

fn arguments(event: Event) -> &'static str {
    match event {
        Event::FileOpen => "it has the file in args[0] and credentials in args[1]",
        Event::FilePermission => "it has the file in args[0] and the mask in args[1]",
        _ => "it has the file in args[0], reqprot in args[1], prot in args[2] and flags in args[3]",
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

impl Unset {
    fn help(self) -> &'static str {
        match self {
            Unset::Never => "only r1 (the context) and r10 (the frame pointer) are set on entry",
            Unset::Call => "keep what outlives a call in r6 to r9",
            Unset::SomePath => "initialise the variable where it is declared",
            Unset::Mixed => "use separate variables",
        }
    }
}
