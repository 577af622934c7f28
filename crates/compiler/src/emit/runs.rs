// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runs of the rules tied to a hook: for each filter, newest first, that hands on a cookie at the running system
//! call, the rules that are newer than it, as [`Domain::decide_hook`] has it.
//!
//! Filters are run here, at the hook: what they look at does not change while a system call runs. One that says the
//! same of every system call is not run at all.

use super::code::{Code, Functions, Label};
use super::compare::Comparisons;
use super::object::{self, Arguments};
use super::residual::{self, ERRNO_SHIFT, Reads, Results};
use super::{DATA, EmitError, HOOK_CONTEXT, INSTANCE, Member, RULE, actions, filter, small, wrapper};
use crate::abi::hook::{self, Arg, RET_LANDLOCK};
use crate::abi::{Event, HandleKind};
use crate::classic::{Action, Filter};
use crate::domain::Domain;
use crate::op::{AluOp, CompareOp, Op, Reg, Size, Width};
use crate::specialise::{self, Bits, InputSet, Known, Residual};

/// In place of the number of an instance in a record.
pub(super) const NO_INSTANCE: i32 = 0xffff;
/// In place of the cookie in a record: there was no system call.
pub(super) const NO_COOKIE: u64 = 1 << 31;
const ACTION: i32 = -0x1_0000;
/// Offsets within `struct seccomp_data`.
const NR: i16 = 0;
const ARCH: i16 = 4;
const INSTRUCTION: i16 = 8;
const ARGS: i16 = 16;
const NATIVE: [Member; 6] = [
    Member::RegisterDi,
    Member::RegisterSi,
    Member::RegisterDx,
    Member::Register10,
    Member::Register8,
    Member::Register9,
];
const COMPAT: [Member; 6] = [
    Member::RegisterBx,
    Member::RegisterCx,
    Member::RegisterDx,
    Member::RegisterSi,
    Member::RegisterDi,
    Member::RegisterBp,
];

/// What is to be run at a hook.
pub(super) struct Runs<'a> {
    event: Event,
    filters: Vec<Run<'a>>,
    /// The newest rule that is newer than a filter.
    newest: usize,
}

/// The runs for one filter.
struct Run<'a> {
    said: Said<'a>,
    rules: Vec<(usize, Residual)>,
}

/// What a filter says.
enum Said<'a> {
    Always(u16),
    Asked(&'a Filter),
}

/// Where to go from here.
#[derive(Clone, Copy)]
pub(super) struct Ways {
    /// The rule in its register denies, see [`residual::function`].
    pub denied: Label,
    /// There is no system call.
    pub outside: Label,
}

impl<'a> Runs<'a> {
    /// None if no rule of the hook is newer than a filter.
    pub fn of(domain: &'a Domain, hook: &str) -> Option<Runs<'a>> {
        let event = event(hook)?;
        let oldest = domain.filters().count().checked_sub(1)?;
        let (newest, _) = domain.after(event, oldest).next()?;
        let filters = domain.filters().enumerate();
        let filters = filters.filter_map(|(at, filter)| Run::of(domain, event, at, filter)).collect();
        Some(Runs { event, filters, newest })
    }

    /// The rules that are run, with what is left of them.
    pub fn rules(&self) -> impl Iterator<Item = &(usize, Residual)> {
        self.filters.iter().flat_map(|run| &run.rules)
    }

    /// A call outside of system calls is denied: as [`denied`] leaves it.
    pub fn outside(&self, code: &mut Code) {
        code.set(RULE, small(self.newest));
        code.set(INSTANCE, NO_INSTANCE);
        code.set(Reg::R0, 0);
        code.load_imm(Reg::R1, NO_COOKIE | u64::from(super::EPERM.unsigned_abs()) << ERRNO_SHIFT);
        code.set(Reg::R2, super::EPERM);
    }

    /// Makes all runs.
    pub fn ask(
        &self,
        code: &mut Code,
        functions: &mut Functions,
        (domain, arguments): (&Domain, Arguments<'_>),
        ways: Ways,
    ) -> Result<(), EmitError> {
        self.system_call(code, arguments, ways.outside)?;
        if self.filters.is_empty() {
            return Ok(());
        }
        self.context(code, arguments)?;
        let comparisons = Comparisons { arguments, expression: "file", handle: HandleKind::File };
        for run in &self.filters {
            run.ask(code, functions, (domain, &comparisons), ways.denied)?;
        }
        Ok(())
    }

    /// Goes to `outside` if there is no system call; else writes down what filters look at, if one is run.
    fn system_call(
        &self,
        code: &mut Code,
        arguments: Arguments<'_>,
        outside: Label,
    ) -> Result<(), EmitError> {
        let offset = |member: Member| arguments.layout.offset(member);
        let is_asked = self.filters.iter().any(|run| matches!(run.said, Said::Asked(_)));
        code.helper(actions::GET_CURRENT_TASK_BTF);
        code.load(Size::Word, Reg::R1, Reg::R0, offset(Member::TaskFlags)?);
        code.branch(CompareOp::Set, Width::W32, Reg::R1, actions::WITHOUT_SYSCALL, outside);
        if is_asked {
            code.load(Size::Word, Reg::R9, Reg::R0, offset(Member::TaskStatus)?);
        }
        code.set(Reg::R1, Reg::R0);
        code.helper(actions::TASK_PT_REGS);
        code.load(Size::Double, Reg::R1, Reg::R0, offset(Member::SyscallNumber)?);
        code.branch(CompareOp::Slt, Width::W64, Reg::R1, 0, outside);
        if is_asked {
            code.store(Size::Word, Reg::R10, DATA + NR, Reg::R1);
            self.registers(code, arguments)?;
        }
        Ok(())
    }

    /// Writes down the registers in `r0` in the order of the system call's architecture. Clobbers `r1` and `r2`.
    fn registers(&self, code: &mut Code, arguments: Arguments<'_>) -> Result<(), EmitError> {
        let offset = |member: Member| arguments.layout.offset(member);
        let (compat, done) = (code.label(), code.label());
        code.load(Size::Double, Reg::R1, Reg::R0, offset(Member::RegisterIp)?);
        code.store(Size::Double, Reg::R10, DATA + INSTRUCTION, Reg::R1);
        code.branch(CompareOp::Set, Width::W32, Reg::R9, actions::TS_COMPAT, compat);
        for (member, off) in NATIVE.into_iter().zip((ARGS..).step_by(8)) {
            code.load(Size::Double, Reg::R1, Reg::R0, offset(member)?);
            code.store(Size::Double, Reg::R10, DATA + off, Reg::R1);
        }
        code.load_imm(Reg::R2, actions::AUDIT_ARCH_X86_64);
        code.jump(done);
        code.place(compat);
        for (member, off) in COMPAT.into_iter().zip((ARGS..).step_by(8)) {
            code.load(Size::Double, Reg::R1, Reg::R0, offset(member)?);
            actions::low_half(code, Reg::R1, Reg::R1);
            code.store(Size::Double, Reg::R10, DATA + off, Reg::R1);
        }
        code.load_imm(Reg::R2, actions::AUDIT_ARCH_I386);
        code.place(done);
        code.forget(Reg::R2);
        code.store(Size::Word, Reg::R10, DATA + ARCH, Reg::R2);
        Ok(())
    }

    /// Fills the context, but for the cookie. An argument is there although a pointer on the way to it were NULL.
    fn context(&self, code: &mut Code, arguments: Arguments<'_>) -> Result<(), EmitError> {
        let fp = Reg::R10;
        code.store(Size::Word, fp, HOOK_CONTEXT + hook::HOOK, small(self.event as usize));
        for (arg, off) in hook::args(self.event).iter().zip((hook::ARGS..).step_by(8)) {
            match arg {
                Arg::File { .. } => file(code, arguments)?,
                Arg::Cred => code.set(Reg::R1, 1),
                Arg::Number(name) => number(code, arguments, name)?,
            }
            code.store(Size::Double, fp, HOOK_CONTEXT + off, Reg::R1);
        }
        match self.rules().any(|(_, residual)| Reads::of(residual).handles) {
            true => arguments.relations(code, "file", HandleKind::File),
            false => Ok(()),
        }
    }
}

/// `r1` = 1, or 0 if there is no file. Clobbers `r2`.
fn file(code: &mut Code, arguments: Arguments<'_>) -> Result<(), EmitError> {
    let none = code.label();
    arguments.follow(code, "file", none)?;
    object::number(code);
    code.set(Reg::R1, 0);
    code.branch(CompareOp::Eq, Width::W64, Reg::R2, 0, none);
    code.set(Reg::R1, 1);
    code.place(none);
    code.forget(Reg::R1);
    Ok(())
}

/// `r1` = an argument of the hook that is a number. Clobbers `r0` to `r5` and `r9`.
fn number(code: &mut Code, arguments: Arguments<'_>, name: &'static str) -> Result<(), EmitError> {
    let never = code.label();
    // Where the personality has not had its say, there is one protection yet: the one that was asked for.
    let argument = if name == "reqprot" && !arguments.has(name) { "prot" } else { name };
    arguments.follow(code, argument, never)?;
    code.place(never);
    if name == "mask" {
        actions::low_half(code, Reg::R1, Reg::R1);
    }
    if name == "prot" && wrapper::implies_protection(arguments) {
        wrapper::implied_protection(code, arguments)?;
        code.forget(Reg::R1);
    }
    Ok(())
}

impl<'a> Run<'a> {
    /// None if the filter never hands on a cookie, or no rule that is newer can deny.
    fn of(domain: &'a Domain, event: Event, at: usize, filter: &'a Filter) -> Option<Run<'a>> {
        let said = match filter::constant(filter) {
            Some(said) => Said::Always(Action(said).cookie()?),
            None => Said::Asked(filter),
        };
        let inputs = InputSet::of(&Known::new(event, Bits::ANY));
        let residual = |(position, rule)| (position, specialise::residual(rule, event, &inputs));
        let denies = |(_, residual): &(_, Residual)| residual.always() != Some(specialise::Answer::Allow);
        let rules: Vec<_> = domain.after(event, at).map(residual).filter(denies).collect();
        (!rules.is_empty()).then_some(Run { said, rules })
    }

    fn ask(
        &self,
        code: &mut Code,
        functions: &mut Functions,
        (domain, comparisons): (&Domain, &Comparisons<'_>),
        denied: Label,
    ) -> Result<(), EmitError> {
        let next = code.label();
        match self.said {
            Said::Always(cookie) => code.set(Reg::R0, i32::from(cookie)),
            Said::Asked(filter) => {
                code.set(Reg::R1, Reg::R10);
                code.alu(AluOp::Add, Reg::R1, i32::from(DATA));
                code.call(functions.get(filter::function(filter)?));
                code.forget(Reg::R0);
                actions::low_half(code, Reg::R1, Reg::R0);
                code.op(Op::Alu { op: AluOp::And, width: Width::W32, dst: Reg::R1, src: ACTION.into() });
                code.branch(CompareOp::Ne, Width::W32, Reg::R1, RET_LANDLOCK.cast_signed(), next);
            }
        }
        code.forget(Reg::R0);
        code.store(Size::Half, Reg::R10, HOOK_CONTEXT + hook::COOKIE, Reg::R0);
        for (position, residual) in &self.rules {
            let stack = domain.rules()[*position].stack_used();
            let function = residual::function(residual, Results::Errnos, stack, comparisons, functions)?;
            let function = functions.get(function);
            code.set(RULE, small(*position));
            code.set(Reg::R1, Reg::R10);
            code.alu(AluOp::Add, Reg::R1, i32::from(HOOK_CONTEXT));
            code.call(function);
            code.branch(CompareOp::Ne, Width::W32, Reg::R0, 0, denied);
        }
        code.place(next);
        Ok(())
    }
}

/// What a rule denied: the errno into `r2`, and into `r1` what stands in a record in the place of `arg2`. Clobbers `r3`.
pub(super) fn denied(code: &mut Code) {
    code.set(INSTANCE, NO_INSTANCE);
    actions::low_half(code, Reg::R2, Reg::R0);
    code.alu(AluOp::Rsh, Reg::R2, ERRNO_SHIFT);
    code.load(Size::Half, Reg::R1, Reg::R10, HOOK_CONTEXT + hook::COOKIE);
    code.set(Reg::R3, Reg::R2);
    code.alu(AluOp::Lsh, Reg::R3, ERRNO_SHIFT);
    code.alu(AluOp::Or, Reg::R1, Reg::R3);
}

/// The event of the rules tied to a hook.
fn event(hook: &str) -> Option<Event> {
    match hook {
        "file_open" => Some(Event::FileOpen),
        "file_permission" => Some(Event::FilePermission),
        "mmap_file" => Some(Event::MmapFile),
        _ => None,
    }
}
