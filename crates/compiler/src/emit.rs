// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emitter: from what a domain can deny at a hook to an eBPF program of the kernel.
//!
//! The program asks the hook's instances in the table's order, in each the rules newest first, then the rules tied
//! to the hook itself, and returns the negative errno of the first denial, else 0: nothing else, whatever rules return. Each residual is a
//! function of its own, so rules cannot see each other or the program; the context is in the program's
//! frame. The handle in the context is the object's mode itself: it is read once, and no rule ever has a
//! pointer of the kernel's. No rule can tell, because the verifier keeps handles opaque.
//!
//! An object that is NULL is not asked about, as in v7: its instance is skipped.
//!
//! Pure data: what the kernel looks like comes in as a [`Layout`], maps are filled in by the loader.

mod actions;
mod body;
mod code;
mod compare;
pub mod denial;
mod early;
mod error;
mod filter;
pub mod handles;
mod layout;
mod object;
mod pidfd;
mod residual;
mod runs;
mod wrapper;

use std::collections::BTreeSet;

use crate::abi::{Actions, STACK_SIZE, context, hook};
use crate::domain::{Composed, Domain};
use crate::hooks::{self, Arg2, Hook, Instance};
use crate::insn::Insn;
use crate::op::Reg;
use crate::specialise::{Bits, Known};
use object::Arguments;
use residual::Reads;
use runs::Runs;

pub use compare::{Compared, compared};
pub use error::EmitError;
pub use layout::{Attachment, Layout, Member};

/// Bytes of the program's own frame, a multiple of what kernels round frames to; where rules tied to the hook are run,
/// a further one.
const FRAME: i16 = 64;
const WIDE_FRAME: i16 = 160;
/// Where the context is, from the frame pointer; that of rules tied to the hook, what filters look at, and the errno of a
/// denial.
const CONTEXT: i16 = -context::SIZE;
const HOOK_CONTEXT: i16 = -hook::SIZE;
const DATA: i16 = -FRAME - 64;
const ERRNO: i16 = DATA - 8;
/// Hold position of the rule and number of the instance while a rule is asked.
const RULE: Reg = Reg::R7;
const INSTANCE: Reg = Reg::R8;
/// Most bytes of stack a rule may use beside the program's frame: the kernel allows both together what a
/// rule may have alone.
pub const RULE_STACK: usize = STACK_SIZE - FRAME.unsigned_abs() as usize;
/// The same at a hook that rules are tied to.
pub const HOOK_RULE_STACK: usize = STACK_SIZE - WIDE_FRAME.unsigned_abs() as usize;
/// The same where a rule compares with handles.
pub const COMPARING_RULE_STACK: usize = HOOK_RULE_STACK - compare::STACK - 16;
const EPERM: i32 = 1;

/// What a program does about denials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing.
    Silent,
    /// Records each in [`MapSlot::Denials`], under this number of the domain.
    Record {
        /// The number.
        domain: u64,
    },
}

/// A map a program refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSlot {
    /// A ring buffer of [`denial::Record`]s.
    Denials,
    /// An array of one u64: the records that found it full.
    Lost,
    /// The domain's map of handles with this number ([`Domain::maps`]), an array of maps with one map: see [`handles`].
    Handles(usize),
    /// What was lost of what handles stand for: see [`handles`].
    LostHandles,
}

/// An emitted program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
    maps: Vec<(usize, MapSlot)>,
    functions: Vec<usize>,
}

impl Program {
    /// Where its functions start, the first one included.
    pub fn functions(&self) -> &[usize] {
        &self.functions
    }

    /// The instructions, with maps referred to by the descriptors `fd` gives.
    pub fn insns(&self, fd: impl Fn(MapSlot) -> i32) -> Vec<Insn> {
        let mut insns = self.insns.clone();
        self.maps.iter().for_each(|(at, slot)| insns[*at].imm = fd(*slot));
        insns
    }
}

/// What a hook instance knows beforehand of what rules are asked.
pub fn known(instance: &Instance) -> Known {
    let bits = |actions: Actions| Bits::but_for(0, actions.bits());
    let arg2 = match instance.arg2 {
        Arg2::Actions(actions) => Bits::exactly(actions.bits()),
        Arg2::Mask => bits(hooks::may(u32::MAX)),
        Arg2::Protection => bits(hooks::mem(u32::MAX, false)),
        Arg2::Command(_) => Bits::ANY32,
    };
    Known::new(instance.event, arg2)
}

/// The program of a domain at a hook; none if no rule denies or traces there.
pub fn emit(
    hook: &'static Hook,
    domain: &Domain,
    layout: &Layout,
    report: Report,
) -> Result<Option<Program>, EmitError> {
    let questions = questions(hook, domain);
    if let Some(rule) = nameless(&questions).next() {
        let rule = domain.rules()[rule].name().to_owned();
        return Err(EmitError::NoName { rule, hooks: vec![hook.name] });
    }
    let runs = Runs::of(domain, hook.name);
    if runs.is_none() && questions.iter().all(|(_, composed)| matches!(composed, Composed::Allow)) {
        return Ok(None);
    }
    let maps = domain.maps();
    let arguments = Arguments { hook: hook.name, names: layout.arguments(hook.name)?, layout, maps: &maps };
    let linked = body::program(hook, arguments, domain, &questions, runs, report)?;
    Ok(Some(Program { insns: linked.insns, maps: linked.maps, functions: linked.starts }))
}

/// Positions of rules that compare with handles at the hook, and cannot in the kernel: it has an object there, and no name.
/// A domain with such rules has no program at the hook.
pub fn without_a_name(hook: &'static Hook, domain: &Domain) -> BTreeSet<usize> {
    nameless(&questions(hook, domain)).collect()
}

fn nameless(questions: &Questions<'_>) -> impl Iterator<Item = usize> {
    let nameless = questions.iter().filter(|(instance, _)| object::name(instance.handle).is_none());
    nameless.flat_map(|(_, composed)| match composed {
        Composed::Residuals(residuals) => {
            let compare = residuals.iter().filter(|(_, residual)| Reads::of(residual).handles);
            compare.map(|(rule, _)| *rule).collect()
        }
        _ => Vec::new(),
    })
}

fn questions(hook: &'static Hook, domain: &Domain) -> Vec<(&'static Instance, Composed)> {
    let fixed = compare::comparing(domain).filter(|_| MOUNTING.contains(&hook.name));
    let ask = |instance| match fixed {
        Some(rule) => (instance, Composed::Deny { rule }),
        None => (instance, domain.specialise_to_tell(&known(instance))),
    };
    hook.instances.iter().map(ask).collect()
}

/// Hooks at which mounts are moved: what is beneath what would change under rules that compare with files.
const MOUNTING: [&str; 3] = ["sb_mount", "move_mount", "sb_pivotroot"];

type Questions<'a> = [(&'a Instance, Composed)];

fn reads(composed: &Composed) -> Reads {
    match composed {
        Composed::Residuals(residuals) => {
            residuals.iter().fold(Reads::default(), |reads, (_, residual)| reads.or(Reads::of(residual)))
        }
        _ => Reads::default(),
    }
}

/// Counts of rules, instances, hooks and events.
fn small(number: usize) -> i32 {
    i32::try_from(number).expect("a small count")
}

#[cfg(test)]
mod tests;
