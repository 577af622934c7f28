// SPDX-License-Identifier: MIT OR Apache-2.0
//! The helpers: who may call them, with what.

use super::fact::Fact;
use super::state::{State, Unset, Value};
use super::subtype::Declared;
use crate::abi::handles::ArrayKind;
use crate::abi::{Abilities, Event, STACK_SIZE, helper};
use crate::map::Map;
use crate::object::RuleObject;
use crate::op::Reg;

/// A helper a rule may call.
#[derive(Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its number.
    pub number: i32,
    /// Its name in C.
    pub name: &'static str,
    /// The lowest ABI that has it; rules tied to a hook may call those of ABI 2 only.
    pub abi: u32,
    /// What the rule must have declared.
    pub ability: Abilities,
    /// Whether the rule's licence must be GPL compatible.
    pub gpl: bool,
    /// What it takes in `r1`, `r2`, …
    pub arguments: &'static [Argument],
}

/// What a helper takes in one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The handle.
    Handle,
    /// What the rule is asked about: the handle or, at a hook, the file.
    Object,
    /// A map of handles of this kind.
    Handles(ArrayKind),
    /// Any number.
    Number,
    /// Stack memory to fill; its size is the next argument.
    Output,
    /// Initialised stack memory to read; its size is the next argument.
    Input,
    /// The size of the memory before it: a known number.
    Size,
    /// A number, or nothing: what is not set reads as 0.
    Optional,
}

impl Argument {
    /// What it is, with its article.
    pub fn text(self) -> &'static str {
        match self {
            Argument::Handle => "the handle",
            Argument::Object => "what the rule is asked about",
            Argument::Handles(ArrayKind::Fs) => "a map of files",
            Argument::Handles(ArrayKind::Cgroup) => "a map of cgroups",
            Argument::Output | Argument::Input => "the address of stack memory",
            Argument::Number | Argument::Size | Argument::Optional => "a number",
        }
    }
}

const DEBUG: Abilities = Abilities::DEBUG;
const NONE: Abilities = Abilities::empty();

/// Every helper.
pub static HELPERS: [Helper; 8] = {
    use Argument::{Handle, Handles, Input, Number, Object, Optional, Output, Size};
    const fn helper(
        number: i32,
        name: &'static str,
        ability: Abilities,
        gpl: bool,
        arguments: &'static [Argument],
    ) -> Helper {
        Helper { number, name, abi: 1, ability, gpl, arguments }
    }
    const fn comparison(number: i32, name: &'static str, arguments: &'static [Argument]) -> Helper {
        Helper { number, name, abi: 2, ability: NONE, gpl: true, arguments }
    }
    const FS: &[Argument] = &[Number, Handles(ArrayKind::Fs), Number, Object];
    const CGROUP: &[Argument] = &[Number, Handles(ArrayKind::Cgroup), Number];
    const PRINTK: &[Argument] = &[Input, Size, Optional, Optional, Optional];
    [
        helper(helper::TRACE_PRINTK, "bpf_trace_printk()", DEBUG, true, PRINTK),
        helper(helper::GET_CURRENT_PID_TGID, "bpf_get_current_pid_tgid()", DEBUG, false, &[]),
        helper(helper::GET_CURRENT_UID_GID, "bpf_get_current_uid_gid()", DEBUG, false, &[]),
        helper(helper::GET_CURRENT_COMM, "bpf_get_current_comm()", DEBUG, false, &[Output, Size]),
        comparison(helper::CMP_FS_PROP, "bpf_landlock_cmp_fs_prop()", FS),
        comparison(helper::CMP_FS_BENEATH, "bpf_landlock_cmp_fs_beneath()", FS),
        comparison(helper::CMP_CGROUP_BENEATH, "bpf_landlock_cmp_cgroup_beneath()", CGROUP),
        helper(helper::HANDLE_FS_GET_MODE, "bpf_handle_fs_get_mode()", NONE, true, &[Handle]),
    ]
};

/// The licences the kernel counts as GPL compatible.
pub const GPL_COMPATIBLE: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/// Most characters of a licence in a message.
const MAX_LICENSE: usize = 40;

/// What of a rule's declarations decides what it may do.
pub(super) struct Caller<'a> {
    pub declared: Declared,
    pub maps: &'a [Map],
    license: &'a str,
    gpl: bool,
}

impl<'a> Caller<'a> {
    pub(super) fn new(declared: Declared, object: &'a RuleObject) -> Caller<'a> {
        let license = object.license.as_str();
        Caller { declared, maps: &object.maps, license, gpl: GPL_COMPATIBLE.contains(&license) }
    }

    /// The licence as messages show it: an object may claim a long one, and call often.
    fn license(&self) -> String {
        self.license.chars().take(MAX_LICENSE).collect()
    }
}

/// Checks the call of a helper and does to the state what the helper does. Each fact is about
/// another argument.
pub(super) fn call(state: &mut State, caller: &Caller<'_>, number: i32) -> Result<(), Vec<Fact>> {
    let Some(helper) = HELPERS.iter().find(|helper| helper.number == number) else {
        return Err(vec![Fact::UnknownHelper { number }]);
    };
    let mut facts = Vec::new();
    let Declared { abi, abilities, event } = caller.declared;
    if helper.abi > abi {
        facts.push(Fact::NeedsAbi { helper, abi });
    }
    if helper.abi == 1 && event.is_some_and(Event::is_hook) {
        facts.push(Fact::NotAtHooks { helper });
    } else if !abilities.contains(helper.ability) {
        facts.push(Fact::NeedsDebug { helper });
    }
    if helper.gpl && !caller.gpl {
        facts.push(Fact::NeedsGpl { helper, license: caller.license() });
    }
    let mut memory = None;
    for (reg, wanted) in Reg::arguments().into_iter().zip(helper.arguments) {
        match argument(state, helper, reg, *wanted) {
            Ok(Passed::Memory(off)) => memory = Some((off, *wanted)),
            Ok(Passed::Size(len)) => facts.extend(memory.and_then(|memory| touch(state, memory, len).err())),
            Ok(Passed::Other) => {}
            Err(fact) => facts.push(fact),
        }
    }
    if facts.is_empty() { Ok(()) } else { Err(facts) }
}

/// An argument that is as it should be.
enum Passed {
    /// Stack memory at this offset from `r10`.
    Memory(i64),
    /// The size of the memory before it.
    Size(u32),
    /// Nothing more to check.
    Other,
}

fn argument(state: &mut State, helper: &'static Helper, reg: Reg, wanted: Argument) -> Result<Passed, Fact> {
    let value = match state.peek(reg) {
        Value::Unset(Unset::Never | Unset::Call) if wanted == Argument::Optional => {
            return Ok(Passed::Other);
        }
        _ => state.read(reg)?,
    };
    match (wanted, value) {
        (Argument::Handle | Argument::Object, Value::Handle)
        | (Argument::Object, Value::File { .. })
        | (Argument::Number | Argument::Optional, Value::Number(_)) => Ok(Passed::Other),
        (Argument::Handles(wanted), Value::Handles(kind)) if wanted == kind => Ok(Passed::Other),
        (Argument::Output | Argument::Input, Value::Stack(off)) => Ok(Passed::Memory(off.into())),
        (Argument::Size, Value::Number(Some(size))) => match u32::try_from(size) {
            Ok(len) if (1..=STACK_SIZE).contains(&(len as usize)) => Ok(Passed::Size(len)),
            _ => Err(Fact::SizeRange { helper, reg, size }),
        },
        (Argument::Size, Value::Number(None)) => Err(Fact::VariableSize { helper, reg }),
        (_, value) => match value.kind() {
            Some(kind) => Err(Fact::WrongArgument { helper, reg, wanted, kind }),
            None => Ok(Passed::Other),
        },
    }
}

/// The helper reads or fills `len` bytes of the stack.
fn touch(state: &mut State, (off, wanted): (i64, Argument), len: u32) -> Result<(), Fact> {
    match wanted {
        Argument::Output => state.stack.fill(off, len),
        _ => state.stack.readable(off, len),
    }
}
