// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emitter: from what a domain can deny at a hook to an eBPF program of the kernel.
//!
//! The program asks the hook's instances in the table's order, in each the rules newest first, and
//! returns -EPERM at the first denial, else 0: nothing else, whatever rules return. Each residual is a
//! function of its own, so rules cannot see each other or the program; the context is in the program's
//! frame. The handle in the context is the object's mode itself: it is read once, and no rule ever has a
//! pointer of the kernel's. No rule can tell, because the verifier keeps handles opaque.
//!
//! An object that is NULL is not asked about, as in v7: its instance is skipped.
//!
//! Pure data: what the kernel looks like comes in as a [`Layout`], maps are filled in by the loader.

mod actions;
mod code;
pub mod denial;
mod early;
mod layout;
mod object;
mod residual;
mod wrapper;

use crate::abi::{Actions, STACK_SIZE, context};
use crate::domain::{Composed, Domain};
use crate::hooks::{self, Arg2, Asked, Hook, Instance};
use crate::insn::Insn;
use crate::op::{AluOp, CompareOp, Reg, Size, Width};
use crate::specialise::{Bits, Known};
use code::{Code, Label};
use object::Arguments;
use residual::Reads;

pub use layout::{Attachment, Layout, Member};

/// Bytes of the program's own frame, a multiple of what kernels round frames to.
const FRAME: i16 = 64;
/// Where the context is, from the frame pointer.
const CONTEXT: i16 = -context::SIZE;
/// Hold position of the rule and number of the instance while a rule is asked.
const RULE: Reg = Reg::R7;
const INSTANCE: Reg = Reg::R8;
/// Most bytes of stack a rule may use beside the program's frame: the kernel allows both together what a
/// rule may have alone.
pub const RULE_STACK: usize = STACK_SIZE - FRAME.unsigned_abs() as usize;
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
}

/// An emitted program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
    maps: Vec<(usize, MapSlot)>,
}

impl Program {
    /// The instructions, with maps referred to by the descriptors `fd` gives.
    pub fn insns(&self, fd: impl Fn(MapSlot) -> i32) -> Vec<Insn> {
        let mut insns = self.insns.clone();
        self.maps.iter().for_each(|(at, slot)| insns[*at].imm = fd(*slot));
        insns
    }
}

/// Why there is no program: a limit of the kernel's, or something it does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The kernel lacks the hook.
    #[error("this kernel has no hook {hook}")]
    NoHook {
        /// The hook.
        hook: &'static str,
    },
    /// The kernel's hook takes other arguments.
    #[error("hook {hook} has no argument {argument} on this kernel, it has: {has}")]
    NoArgument {
        /// The hook.
        hook: &'static str,
        /// What the hook table asks for.
        argument: &'static str,
        /// What there is.
        has: String,
    },
    /// A structure of the kernel lacks a member.
    #[error("{} has no member {} of {} bytes on this kernel", member.aggregate(), member.path(), member.size().bytes())]
    NoMember {
        /// The member.
        member: Member,
    },
    /// The hook table has an expression that does not say where its parts are.
    #[error("no member is known for a step of {expression}")]
    Expression {
        /// The expression.
        expression: &'static str,
    },
    /// A rule needs more stack than is left beside the program's own.
    #[error("rule {rule} uses {used} bytes of stack, in the kernel {RULE_STACK} are left for it")]
    Stack {
        /// The rule's name.
        rule: String,
        /// Bytes it uses.
        used: usize,
    },
    /// The domain has what only ABI 2 has.
    #[error("rules and filters of ABI 2 cannot be enforced by the kernel in this version")]
    Abi2,
    /// More functions than a program may have.
    #[error(
        "the domain needs {functions} functions at one hook, the kernel's limit is {limit}; use fewer rules"
    )]
    TooManyFunctions {
        /// How many.
        functions: usize,
        /// The limit.
        limit: usize,
    },
    /// More instructions than a program, or a jump within it, may have.
    #[error("the domain needs {insns} instructions at one hook, the limit is {limit}; use fewer rules")]
    TooLong {
        /// How many.
        insns: usize,
        /// The limit.
        limit: usize,
    },
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
    if domain.abi() > 1 {
        return Err(EmitError::Abi2);
    }
    let ask = |instance| (instance, domain.specialise(&known(instance)));
    let questions: Vec<(&Instance, Composed)> = hook.instances.iter().map(ask).collect();
    if questions.iter().all(|(_, composed)| matches!(composed, Composed::Allow)) {
        return Ok(None);
    }
    let arguments = Arguments { hook: hook.name, names: layout.arguments(hook.name)?, layout };
    let mut code = Code::default();
    let (allowed, denied) = (code.label(), code.label());
    let mut body = Body { code, domain, allowed, denied };
    body.begin(arguments, &questions)?;
    if layout.attachment == Attachment::ModifyReturn {
        body.stand_in(hook, arguments, &questions)?;
    }
    body.ask_all(arguments, &questions)?;
    let linked = body.end(arguments, hook, report)?;
    Ok(Some(Program { insns: linked.insns, maps: linked.maps }))
}

type Questions<'a> = [(&'a Instance, Composed)];

/// The program's own code under construction.
struct Body<'a> {
    code: Code,
    domain: &'a Domain,
    allowed: Label,
    denied: Label,
}

impl Body<'_> {
    fn begin(&mut self, arguments: Arguments<'_>, questions: &Questions<'_>) -> Result<(), EmitError> {
        self.code.set(object::ARGUMENTS, Reg::R1);
        if let [(instance, composed)] = questions {
            early::leave(&mut self.code, arguments, self.domain, (instance, composed))?;
        }
        self.code.store(Size::Double, Reg::R10, CONTEXT + context::STATUS, 0);
        if questions.iter().any(|(_, composed)| reads(composed).syscall) {
            actions::syscall(&mut self.code, arguments)?;
        }
        Ok(())
    }

    /// Does what the function does that the program runs in the place of.
    fn stand_in(
        &mut self,
        hook: &Hook,
        arguments: Arguments<'_>,
        questions: &Questions<'_>,
    ) -> Result<(), EmitError> {
        wrapper::unless_private(&mut self.code, arguments, hook, self.allowed)?;
        if let Some(names) = wrapper::exchanged(hook, arguments.names) {
            let once = self.code.label();
            wrapper::unless_exchange(&mut self.code, arguments, once)?;
            self.ask_all(Arguments { names: &names, ..arguments }, questions)?;
            self.code.place(once);
        }
        Ok(())
    }

    /// Asks the rules of all instances.
    fn ask_all(&mut self, arguments: Arguments<'_>, questions: &Questions<'_>) -> Result<(), EmitError> {
        for (number, (instance, composed)) in questions.iter().enumerate() {
            self.ask(arguments, number, (instance, composed))?;
        }
        Ok(())
    }

    /// Asks the rules of one instance.
    fn ask(
        &mut self,
        arguments: Arguments<'_>,
        number: usize,
        (instance, composed): (&Instance, &Composed),
    ) -> Result<(), EmitError> {
        if matches!(composed, Composed::Allow) {
            return Ok(());
        }
        let next = self.code.label();
        self.context(arguments, instance, reads(composed).mode, next)?;
        self.code.set(INSTANCE, small(number));
        match composed {
            Composed::Allow => {}
            Composed::Deny { rule } => {
                self.code.set(RULE, small(*rule));
                self.code.set(Reg::R0, 0);
                self.code.jump(self.denied);
            }
            Composed::Residuals(residuals) => {
                for (rule, residual) in residuals.iter() {
                    self.rule(*rule, residual)?;
                }
            }
        }
        self.code.place(next);
        Ok(())
    }

    /// Fills the context, or goes to `next` if there is no object, or none that is asked about.
    fn context(
        &mut self,
        arguments: Arguments<'_>,
        instance: &Instance,
        mode: bool,
        next: Label,
    ) -> Result<(), EmitError> {
        let code = &mut self.code;
        if instance.asked == Asked::IfPositive {
            arguments.follow(code, instance.object, next)?;
            object::unless_null(code, next);
            arguments.member(code, Member::DentryInode)?;
            object::unless_null(code, next);
        }
        actions::arg2(code, arguments, instance.arg2, next)?;
        arguments.follow(code, instance.object, next)?;
        object::unless_null(code, next);
        match mode {
            true => arguments.mode(code, instance.handle)?,
            false => code.store(Size::Double, Reg::R10, CONTEXT + context::ARG1, 0),
        }
        code.store(Size::Double, Reg::R10, CONTEXT + context::EVENT, small(instance.event as usize));
        Ok(())
    }

    fn rule(&mut self, position: usize, residual: &crate::specialise::Residual) -> Result<(), EmitError> {
        let rule = &self.domain.rules()[position];
        if rule.stack_used() > RULE_STACK {
            return Err(EmitError::Stack { rule: rule.name().to_owned(), used: rule.stack_used() });
        }
        let function = self.code.function(residual::function(residual)?);
        self.code.set(RULE, small(position));
        self.code.set(Reg::R1, Reg::R10);
        self.code.alu(AluOp::Add, Reg::R1, i32::from(CONTEXT));
        self.code.call(function);
        self.code.branch(CompareOp::Ne, Width::W32, Reg::R0, 0, self.denied);
        Ok(())
    }

    fn end(
        mut self,
        arguments: Arguments<'_>,
        hook: &'static Hook,
        report: Report,
    ) -> Result<code::Linked, EmitError> {
        self.code.place(self.allowed);
        self.code.set(Reg::R0, 0);
        self.code.exit();
        self.code.place(self.denied);
        if let Report::Record { domain } = report {
            let number = hooks::TABLE.iter().position(|row| row.name == hook.name);
            let number = small(number.expect("a hook of the table"));
            denial::report(&mut self.code, arguments, number, domain);
        }
        self.code.set(Reg::R0, -EPERM);
        self.code.exit();
        self.code.link()
    }
}

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
