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
mod code;
mod compare;
pub mod denial;
mod early;
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
use crate::hooks::{self, Arg2, Asked, Hook, Instance};
use crate::insn::Insn;
use crate::op::{AluOp, CompareOp, Reg, Size, Width};
use crate::specialise::{Bits, Known, Residual};
use code::{Code, Functions, Label};
use compare::Comparisons;
use object::Arguments;
use residual::{Reads, Results};
use runs::{Runs, Ways};

pub use compare::{Compared, compared};
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
    #[error("rule {rule} uses {used} bytes of stack, in the kernel {left} are left for it")]
    Stack {
        /// The rule's name.
        rule: String,
        /// Bytes it uses.
        used: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Hooks do not say by which name an object is reached.
    #[error(
        "rule {rule} compares with handles at hooks where the kernel does not say through which mount an object is \
         reached: {}; tie it to FILE_OPEN, FILE_PERMISSION or MMAP_FILE, or take the supervisor target",
        .hooks.join(", ")
    )]
    NoName {
        /// The rule's name.
        rule: String,
        /// The hooks.
        hooks: Vec<&'static str>,
    },
    /// A map of handles is too large.
    #[error("map {map} has room for more than {limit} handles, the limit in the kernel")]
    TooManyHandles {
        /// Its name.
        map: String,
        /// The limit.
        limit: u32,
    },
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
    let mut code = Code::default();
    let (allowed, denied) = (code.label(), code.label());
    let is_wide = runs.is_some() || questions.iter().any(|(_, composed)| reads(composed).handles);
    let functions = Functions::default();
    let mut body = Body { code, functions, domain, runs, is_wide, allowed, denied };
    body.begin(arguments, &questions)?;
    pidfd::unless_made(&mut body.code, arguments, allowed)?;
    if layout.attachment == Attachment::ModifyReturn {
        body.stand_in(hook, arguments, &questions)?;
    }
    body.ask_all(arguments, &questions)?;
    let asks = questions.iter().any(|(_, composed)| !matches!(composed, Composed::Allow));
    let linked = body.end(arguments, hook, report, asks)?;
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

/// The program's own code under construction.
struct Body<'a> {
    code: Code,
    functions: Functions,
    domain: &'a Domain,
    runs: Option<Runs<'a>>,
    /// Whether its frame is the wide one.
    is_wide: bool,
    allowed: Label,
    denied: Label,
}

impl Body<'_> {
    fn begin(&mut self, arguments: Arguments<'_>, questions: &Questions<'_>) -> Result<(), EmitError> {
        self.code.set(object::ARGUMENTS, Reg::R1);
        if let [(instance, composed)] = questions
            && self.runs.is_none()
        {
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
        self.context(arguments, instance, reads(composed), next)?;
        self.code.set(INSTANCE, small(number));
        match composed {
            Composed::Allow => {}
            Composed::Deny { rule } => {
                self.code.set(RULE, small(*rule));
                self.code.set(Reg::R0, 0);
                self.code.jump(self.denied);
            }
            Composed::Residuals(residuals) => {
                let (expression, handle) = (instance.object, instance.handle);
                let comparisons = Comparisons { arguments, expression, handle };
                for (rule, residual) in residuals.iter() {
                    self.rule(*rule, residual, &comparisons)?;
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
        reads: Reads,
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
        match reads.mode {
            true => arguments.mode(code, instance.handle)?,
            false => code.store(Size::Double, Reg::R10, CONTEXT + context::ARG1, 0),
        }
        code.store(Size::Double, Reg::R10, CONTEXT + context::EVENT, small(instance.event as usize));
        match reads.handles {
            true => arguments.relations(code, instance.object, instance.handle),
            false => Ok(()),
        }
    }

    fn rule(
        &mut self,
        position: usize,
        residual: &Residual,
        comparisons: &Comparisons<'_>,
    ) -> Result<(), EmitError> {
        self.check(position, residual)?;
        let stack = self.domain.rules()[position].stack_used();
        let function =
            residual::function(residual, Results::Denials, stack, comparisons, &mut self.functions)?;
        let function = self.functions.get(function);
        self.code.set(RULE, small(position));
        self.code.set(Reg::R1, Reg::R10);
        self.code.alu(AluOp::Add, Reg::R1, i32::from(CONTEXT));
        self.code.call(function);
        self.code.branch(CompareOp::Ne, Width::W32, Reg::R0, 0, self.denied);
        Ok(())
    }

    /// Whether the rule at this position can be run here.
    fn check(&self, position: usize, residual: &Residual) -> Result<(), EmitError> {
        let rule = &self.domain.rules()[position];
        let left = match (residual.compares(), self.is_wide) {
            (true, _) => COMPARING_RULE_STACK,
            (false, true) => HOOK_RULE_STACK,
            (false, false) => RULE_STACK,
        };
        match rule.stack_used() {
            used if used > left => Err(EmitError::Stack { rule: rule.name().to_owned(), used, left }),
            _ => Ok(()),
        }
    }

    /// Runs the rules tied to the hook, and leaves; then the end of all denials. `asks` says whether an instance may
    /// have denied.
    fn end(
        mut self,
        arguments: Arguments<'_>,
        hook: &'static Hook,
        report: Report,
        asks: bool,
    ) -> Result<code::Linked, EmitError> {
        let runs = self.runs.take();
        match &runs {
            None => self.leave(),
            Some(runs) => self.run(runs, arguments, asks)?,
        }
        if let Report::Record { domain } = report {
            let number = hooks::TABLE.iter().position(|row| row.name == hook.name);
            let number = small(number.expect("a hook of the table"));
            denial::report(&mut self.code, arguments, number, domain);
        }
        match runs {
            None => self.code.set(Reg::R0, -EPERM),
            Some(_) => self.errno(),
        }
        self.code.exit();
        self.code.link(self.functions)
    }

    /// The runs, and the notes of what they denied, with its errno.
    fn run(&mut self, runs: &Runs<'_>, arguments: Arguments<'_>, asks: bool) -> Result<(), EmitError> {
        runs.rules().try_for_each(|(position, residual)| self.check(*position, residual))?;
        let code = &mut self.code;
        let [denied, outside, noted, record] = [(); 4].map(|()| code.label());
        runs.ask(code, &mut self.functions, (self.domain, arguments), Ways { denied, outside })?;
        code.place(self.allowed);
        code.set(Reg::R0, 0);
        code.exit();
        if asks {
            code.place(self.denied);
            code.store(Size::Double, Reg::R10, ERRNO, EPERM);
            code.jump(record);
        }
        if runs.rules().next().is_some() {
            code.place(denied);
            runs::denied(code);
            code.jump(noted);
        }
        code.place(outside);
        runs.outside(code);
        code.place(noted);
        code.store(Size::Double, Reg::R10, ERRNO, Reg::R2);
        code.store(Size::Double, Reg::R10, CONTEXT + context::ARG2, Reg::R1);
        code.store(Size::Double, Reg::R10, CONTEXT + context::ARG1, 0);
        code.place(record);
        Ok(())
    }

    /// `r0` = the negative errno that was noted, and never anything else than one that rules may give.
    fn errno(&mut self) {
        let known = self.code.label();
        let code = &mut self.code;
        code.load(Size::Double, Reg::R1, Reg::R10, ERRNO);
        code.alu(AluOp::Sub, Reg::R1, EPERM);
        code.branch(CompareOp::Lt, Width::W64, Reg::R1, hook::ERRNO_LAST.cast_signed(), known);
        code.set(Reg::R1, 0);
        code.place(known);
        code.alu(AluOp::Add, Reg::R1, EPERM);
        code.set(Reg::R0, 0);
        code.alu(AluOp::Sub, Reg::R0, Reg::R1);
    }

    /// Nothing was denied; what was goes on behind this.
    fn leave(&mut self) {
        self.code.place(self.allowed);
        self.code.set(Reg::R0, 0);
        self.code.exit();
        self.code.place(self.denied);
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
