// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verifier: the only way from a [`RuleObject`] to a [`Rule`].
//!
//! # What it checks
//!
//! The object, as v7's `BPF_PROG_LOAD` did:
//! * 1 to 4096 instructions;
//! * a subtype with ABI 1 (or 2, for [`verify_newest`]), an event that the ABI has, no unknown ability, no option; ability DEBUG only
//!   for a loader with CAP_SYS_ADMIN, and never at a hook, where 4096 instructions are one too many;
//! * maps for 1 to 4096 handles.
//!
//! The form of the program:
//! * every instruction decodes ([`Op::decode`](crate::op::Op::decode)): known opcode, registers up to
//!   `r10`, unused fields zero; no 64-bit load of anything of the kernel's but, with ABI 2, of the rule's maps;
//! * jumps go forward, to the start of an instruction; every path ends in an exit; every instruction
//!   has a path from the entry. A branch is taken to go both ways even if its outcome is constant.
//!
//! What the instructions do, on every path at once:
//! * registers and stack bytes are read only after they were written on every path with the same
//!   kind of thing; a call leaves nothing in `r1` to `r5`; `r10` is never written;
//! * the context is read only, at the start of a field: numbers in any size, the handle in 8 bytes; a hook's
//!   every field whole, and no argument that it does not have;
//! * the stack is accessed inside its 512 bytes, at constant offsets that are multiples of the size;
//!   stack addresses stay within it;
//! * the handle, files, credentials, maps, the address of the context and stack addresses stay what they are: no
//!   arithmetic (but constants on stack addresses), no comparison (but of the file of MMAP_FILE, which may be NULL,
//!   with 0), no return, no store but of all 8 bytes to the
//!   stack, no partial read or atomic operation there. Storing over a part destroys the whole;
//! * nothing else is dereferenced: not the handle, not a number;
//! * shifts by constants stay below the width; no division by the constant zero;
//! * only the helpers of [`HELPERS`], with the ABI, the ability and the licence each needs, the handle or the file
//!   and maps of the right kind where they are due, and stack memory of a constant size from 1 to 512, initialised if it is read;
//! * no packet loads, no calls of functions of the program or of the kernel;
//! * the result is a number.
//!
//! # What it does not check
//!
//! * What the rule decides. Division by a register that is zero is defined (0; the remainder is the
//!   dividend), and so are shifts by registers (modulo the width).
//! * What `bpf_trace_printk()` prints: the format is checked where it runs, as the kernel does. Its
//!   `r3` to `r5` may be unset, as C passes only what the format names; a target must make them 0,
//!   so that nothing of its own is printed.
//! * Bytes `union bpf_prog_subtype` does not have, and pointers of the caller: those are the C API's.
//!
//! # Where it differs from v7
//!
//! Uninitialised reads, handle arithmetic and leaks of pointers are refused for everybody; the
//! sub-events may read the context; `arch` and `syscall_nr` exist. Backward jumps are refused even
//! if they make no loop (clang makes none). Paths are joined, not enumerated: what is written only
//! under a condition may not be read under the same condition. The cost is at most one step for each
//! instruction and one join for each edge.

mod context;
mod fact;
mod help;
mod helper;
mod problem;
mod stack;
mod state;
mod step;
mod subtype;
mod walk;

#[cfg(test)]
mod tests;

pub use fact::Fact;
pub use helper::{Argument, GPL_COMPATIBLE, HELPERS, Helper};
pub use problem::{Errno, MAX_PROBLEMS, Place, Problem, Problems};
pub use state::{Kind, Unset};

use crate::abi::{ABI, Event, MAX_INSNS, hook};
use crate::object::RuleObject;
use crate::rule::Rule;
use helper::Caller;
use problem::Found;
use walk::Work;

/// Who loads a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loader {
    /// Whether it holds CAP_SYS_ADMIN in the initial user namespace: debug rules need it.
    pub cap_sys_admin: bool,
}

/// Makes a rule of an object if nothing is wrong with it, else tells everything that is. Rules of ABI 1 only:
/// those that v7's own calls can load.
///
/// # Errors
/// [`Problems`], with the errno v7 would have given.
pub fn verify(object: RuleObject, loader: &Loader) -> Result<Rule, Problems> {
    counted(object, loader, 1).0
}

/// [`verify`] for rules of every ABI.
///
/// # Errors
/// As [`verify`].
pub fn verify_newest(object: RuleObject, loader: &Loader) -> Result<Rule, Problems> {
    counted(object, loader, ABI).0
}

/// Verifies a rule of an ABI up to `newest`, and tells the work it was.
fn counted(object: RuleObject, loader: &Loader, newest: u32) -> (Result<Rule, Problems>, Work) {
    let mut found = Found::default();
    let declared = subtype::check(object.subtype, loader, newest, &mut found);
    subtype::check_maps(&object.maps, &mut found);
    let at_hook = declared.event.is_some_and(Event::is_hook);
    let work = match object.insns.len() {
        0 => refuse(&mut found, Fact::Empty),
        len if at_hook && len >= hook::TOO_MANY_INSNS => refuse(&mut found, Fact::HookTooLong { len }),
        len if len > MAX_INSNS => refuse(&mut found, Fact::TooLong { len }),
        _ => walk::walk(&object.insns, &Caller::new(declared, &object), &mut found),
    };
    let verdict = match declared.event {
        Some(event) if found.is_empty() => {
            Ok(Rule::proven(object, event, declared.abilities, work.stack_used))
        }
        _ => Err(found.problems(&object)),
    };
    (verdict, work)
}

/// The program is not looked at.
fn refuse(found: &mut Found, fact: Fact) -> Work {
    found.whole(fact);
    Work::default()
}
